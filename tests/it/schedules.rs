//! Schedules: when expressions fire, and when windows are open.

mod zones;
