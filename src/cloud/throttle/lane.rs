//! One class of calls, to all services together: who waits, waits in line, and the pace is
//! halved where a service says "busy".

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::{Heard, lock};
use crate::domain::time::{Clock, Steady};

/// A pace is halved at most once in this span: answers to calls that were under way
/// together are one complaint.
pub(super) const SHRINK_EVERY: Duration = Duration::from_secs(1);

/// No pace falls below this share of the configured one.
const FLOOR: f64 = 0.1;

/// After this long without a complaint a pace regains [`RECOVER_BY`] of the configured one.
pub(super) const RECOVER_EVERY: Duration = Duration::from_secs(10);
const RECOVER_BY: f64 = 0.1;

pub(super) struct Lane {
    pub line: tokio::sync::Mutex<()>,
    pub pace: Mutex<Pace>,
}

impl Lane {
    pub(super) fn new(rate: f64, clock: &Arc<dyn Clock>) -> Self {
        let limiter = limiter(rate, clock);
        let pace = Pace { full: rate, rate, limiter, changed: Steady(0) };
        Self { line: tokio::sync::Mutex::new(()), pace: Mutex::new(pace) }
    }

    /// Takes a turn, or says when there may be one. Only the first in the line may ask.
    pub(super) fn turn(&self, now: Steady) -> Result<(), Duration> {
        lock(&self.pace).turn(now)
    }

    pub(super) fn heard(&self, heard: Heard, now: Steady, clock: &Arc<dyn Clock>) {
        lock(&self.pace).heard(heard, now, clock);
    }
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

pub(super) struct Pace {
    full: f64,
    pub rate: f64,
    limiter: Bucket,
    /// When the rate last changed.
    changed: Steady,
}

impl Pace {
    fn turn(&self, now: Steady) -> Result<(), Duration> {
        // At least a millisecond: the clock's grain, below which sleeping would spin.
        self.limiter.check().map_err(|until| {
            until.wait_time_from(Duration::from_millis(now.0)).max(Duration::from_millis(1))
        })
    }

    fn heard(&mut self, heard: Heard, now: Steady, clock: &Arc<dyn Clock>) {
        let since = now.since(self.changed);
        if heard.busy && (since >= SHRINK_EVERY || self.rate >= self.full) {
            self.set((self.rate / 2.0).max(self.full * FLOOR), now, clock);
        } else if !heard.busy && !heard.broken && self.rate < self.full && since >= RECOVER_EVERY {
            self.set((self.rate + self.full * RECOVER_BY).min(self.full), now, clock);
        }
    }

    /// A changed pace begins with an empty bucket: a busy cloud must not get a burst for it.
    fn set(&mut self, rate: f64, now: Steady, clock: &Arc<dyn Clock>) {
        (self.rate, self.changed) = (rate, now);
        self.limiter = limiter(rate, clock);
        let _always_fits = self.limiter.check_n(burst(rate));
    }
}

/// governor's view of our steady clock.
struct Ticks(Arc<dyn Clock>);

impl GovernorClock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now().steady.0)
    }
}

/// As many at once, after a pause, as in one second.
fn burst(rate: f64) -> NonZeroU32 {
    NonZeroU32::new(rate.clamp(1.0, 10_000.0).round() as u32).unwrap_or(NonZeroU32::MIN)
}

fn limiter(rate: f64, clock: &Arc<dyn Clock>) -> Bucket {
    let period = Duration::from_secs_f64(1.0 / rate.clamp(0.001, 10_000.0));
    let quota = Quota::with_period(period).unwrap_or(Quota::per_second(NonZeroU32::MIN));
    RateLimiter::direct_with_clock(quota.allow_burst(burst(rate)), Ticks(Arc::clone(clock)))
}
