//! The nouns of novascale: data and what always holds of it.
//!
//! Nothing here reads a clock, draws a number, logs, or talks to anybody. The
//! verbs live elsewhere: [`crate::decide`] turns these values into decisions,
//! [`crate::control`] carries decisions out. Read on in [`plan`]: a
//! [`plan::Decision`] is what everything else exists for.

pub mod adoption;
pub mod alert;
pub mod behaviour;
pub mod claim;
pub mod count;
pub mod cut;
pub mod explain;
pub mod fleet;
pub mod formula;
pub mod freeze;
pub mod group;
pub mod id;
pub mod intent;
pub mod outcome;
pub mod pause;
pub mod plan;
pub mod policy;
pub mod schedule;
pub mod server;
pub mod signal;
pub mod time;
