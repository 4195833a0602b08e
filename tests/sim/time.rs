//! Virtual time, moved on by the world and by calls that take a while. At level B it is tokio's:
//! the client sleeps, and time passes at once.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use novascale::domain::time::{Clock, Now, Steady, Wall};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

pub struct SimClock {
    /// Now; with a timer, the instant at which it began.
    at: Mutex<Now>,
    timer: Option<Arc<Timer>>,
}

impl SimClock {
    pub fn new(timer: Option<Arc<Timer>>) -> Self {
        let at = Now { wall: Wall(1_767_000_000_000), steady: Steady(1_000_000) };
        Self { at: Mutex::new(at), timer }
    }

    pub fn pass(&self, span: Duration) {
        match &self.timer {
            Some(timer) => timer.pass(span),
            None => {
                let mut now = self.at.lock().unwrap();
                *now = now.plus(span);
            }
        }
    }

    /// The wall clock is set by somebody; the steady one does not notice.
    pub fn jump(&self, by_millis: i64) {
        let mut now = self.at.lock().unwrap();
        now.wall = Wall(now.wall.0 + by_millis);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let at = *self.at.lock().unwrap();
        self.timer.as_ref().map_or(at, |timer| at.plus(timer.elapsed()))
    }
}

/// tokio's clock, which stands still until everybody sleeps, and then moves on to whoever wakes
/// first.
pub struct Timer {
    runtime: Runtime,
    began: Instant,
}

impl Timer {
    pub fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_time().start_paused(true).build().unwrap();
        let began = runtime.block_on(async { Instant::now() });
        Self { runtime, began }
    }

    pub fn elapsed(&self) -> Duration {
        let _here = self.runtime.enter();
        self.began.elapsed()
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    fn pass(&self, span: Duration) {
        self.run(tokio::time::advance(span));
    }
}
