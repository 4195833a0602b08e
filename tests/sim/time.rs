//! Virtual time, moved on by the world and by calls that take a while.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use novascale::domain::time::{Clock, Now, Steady, Wall};

pub struct SimClock {
    wall: AtomicI64,
    steady: AtomicU64,
}

impl SimClock {
    pub fn new() -> Self {
        Self { wall: AtomicI64::new(1_767_000_000_000), steady: AtomicU64::new(1_000_000) }
    }

    pub fn pass(&self, span: Duration) {
        let millis = span.as_millis() as u64;
        self.wall.fetch_add(millis as i64, Ordering::Relaxed);
        self.steady.fetch_add(millis, Ordering::Relaxed);
    }

    /// The wall clock is set by somebody; the steady one does not notice.
    pub fn jump(&self, by_millis: i64) {
        self.wall.fetch_add(by_millis, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let wall = Wall(self.wall.load(Ordering::Relaxed));
        Now { wall, steady: Steady(self.steady.load(Ordering::Relaxed)) }
    }
}
