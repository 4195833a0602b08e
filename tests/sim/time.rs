//! Virtual time, moved on by the world and by calls that take a while.

use std::sync::Mutex;
use std::time::Duration;

use novascale::domain::time::{Clock, Now, Steady, Wall};

pub struct SimClock(Mutex<Now>);

impl SimClock {
    pub fn new() -> Self {
        Self(Mutex::new(Now { wall: Wall(1_767_000_000_000), steady: Steady(1_000_000) }))
    }

    pub fn pass(&self, span: Duration) {
        let mut now = self.0.lock().unwrap();
        *now = now.plus(span);
    }

    /// The wall clock is set by somebody; the steady one does not notice.
    pub fn jump(&self, by_millis: i64) {
        let mut now = self.0.lock().unwrap();
        now.wall = Wall(now.wall.0 + by_millis);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        *self.0.lock().unwrap()
    }
}
