//! Virtual time, moved on by the world and by calls that take a while. At level B it is tokio's:
//! the client sleeps, and time passes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use novascale::domain::time::{Clock, Now, Steady, Wall};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::world::BEGINS;

pub struct SimClock {
    /// Now; with a timer, the instant at which it began.
    wall: AtomicI64,
    steady: AtomicU64,
    timer: Option<Arc<Timer>>,
}

impl SimClock {
    pub fn new(timer: Option<Arc<Timer>>) -> Self {
        let (wall, steady) = (AtomicI64::new(BEGINS.0), AtomicU64::new(1_000_000));
        Self { wall, steady, timer }
    }

    pub fn pass(&self, span: Duration) {
        if let Some(timer) = &self.timer {
            return timer.pass(span);
        }
        let millis = span.as_millis() as u64;
        self.wall.fetch_add(millis as i64, Ordering::Relaxed);
        self.steady.fetch_add(millis, Ordering::Relaxed);
    }

    /// The same where futures wait: whoever slept wakes late.
    pub async fn stand_still(&self, span: Duration) {
        match &self.timer {
            Some(_) => tokio::time::advance(span).await,
            None => self.pass(span),
        }
    }

    /// The wall clock is set by somebody; the steady one does not notice.
    pub fn jump(&self, by_millis: i64) {
        self.wall.fetch_add(by_millis, Ordering::Relaxed);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Now {
        let wall = Wall(self.wall.load(Ordering::Relaxed));
        let at = Now { wall, steady: Steady(self.steady.load(Ordering::Relaxed)) };
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
