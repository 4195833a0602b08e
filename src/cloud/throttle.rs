//! How fast, how wide and whether at all a cloud is asked.
//!
//! Every call to one cloud enters here and reports what it heard. It waits for its turn
//! in its class (reads, writes, and signing in, at the pace of reads but apart from them: a
//! busy Keystone must not keep Nova unread, nor the other way round), which governor paces, and for one of the slots that
//! bound how many calls are under way. A cloud that says "busy" is asked at half the pace,
//! and not before its Retry-After; success brings the pace back slowly. A service that
//! fails again and again is left alone for a while: its breaker opens, calls fail at once,
//! and one call at a time tries whether it is back.
//!
//! It never repeats a call and never waits longer than [`WAIT_MOST`]: a call that was not
//! let through is a failure that says so, certain to have done nothing. Time is the
//! [`Clock`]'s; sleeping is tokio's. The user of all this is `openstack/session.rs`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::cloud::Limits;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::{Clock, Steady, spoken};

/// The longest that a call waits to be let through. A plan older than this is not acted on.
pub const WAIT_MOST: Duration = Duration::from_secs(30);

/// A pace is halved at most once in this span: answers to calls that were under way
/// together are one complaint.
const SHRINK_EVERY: Duration = Duration::from_secs(1);

/// No pace falls below this share of the configured one.
const FLOOR: f64 = 0.1;

/// After this long without a complaint a pace regains [`RECOVER_BY`] of the configured one.
const RECOVER_EVERY: Duration = Duration::from_secs(10);
const RECOVER_BY: f64 = 0.1;

/// So many failures in a row open a breaker: fewer happen in any restart behind a proxy.
const BREAK_AFTER: u32 = 5;

/// How long a breaker stays open: first, and at most, doubling with each failed trial.
const OPEN_FIRST: Duration = Duration::from_secs(5);
const OPEN_MOST: Duration = Duration::from_secs(60);

/// Which allowance a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    Read,
    Write,
    SignIn,
}

/// What a call heard, as far as it concerns the next ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// 429, 413 or 503: slower.
    pub busy: bool,
    /// Nothing of this class before that long.
    pub after: Option<Duration>,
    /// Not reached, unclear, or 5xx: the service may be down.
    pub broken: bool,
}

/// The gate to one cloud.
pub struct Throttle {
    clock: Arc<dyn Clock>,
    read: Lane,
    write: Lane,
    sign_in: Lane,
    slots: Arc<Semaphore>,
    breakers: Mutex<BTreeMap<String, Breaker>>,
}

/// How a class stands, for metrics.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PaceReport {
    pub class: Class,
    /// Calls per second now, and as configured.
    pub per_second: f64,
    pub full_per_second: f64,
    /// How long nothing will be sent, by a Retry-After.
    pub blocked: Duration,
}

/// How a service's breaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerReport {
    pub service: String,
    pub open: bool,
}

impl Throttle {
    pub fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let lane = |rate| Lane::new(rate, &clock);
        let (read, write) = (lane(limits.read_per_second), lane(limits.write_per_second));
        let sign_in = lane(limits.read_per_second);
        let slots = limits.concurrency.clamp(1, 1024) as usize;
        let slots = Arc::new(Semaphore::new(slots));
        Self { clock, read, write, sign_in, slots, breakers: Mutex::default() }
    }

    /// Lets one call through, at its time. The pass is to be held for as long as the call
    /// lasts and told what it heard; dropped without that, it changes nothing.
    ///
    /// Fails with `Unreached` while the service's breaker is open, and with `Busy` where the
    /// wait would be too long; in both cases nothing was sent.
    pub async fn enter(&self, service: &str, class: Class) -> Result<Pass<'_>, Failure> {
        self.breaker(service, |breaker, now| breaker.refuses(now))?;
        let slot = match tokio::time::timeout(WAIT_MOST, self.slot(class)).await {
            Ok(slot) => slot?,
            Err(_) => return Err(too_busy(None)),
        };
        let trial = self.breaker(service, Breaker::begin)?;
        Ok(Pass { throttle: self, service: service.to_owned(), class, trial, _slot: slot })
    }

    async fn slot(&self, class: Class) -> Result<OwnedSemaphorePermit, Failure> {
        self.lane(class).turn(&*self.clock).await?;
        let slots = Arc::clone(&self.slots);
        slots.acquire_owned().await.map_err(|_| too_busy(None))
    }

    fn lane(&self, class: Class) -> &Lane {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
            Class::SignIn => &self.sign_in,
        }
    }

    fn breaker<T>(
        &self,
        service: &str,
        act: impl FnOnce(&mut Breaker, Steady) -> Result<T, Duration>,
    ) -> Result<T, Failure> {
        let now = self.clock.now().steady;
        let mut breakers = lock(&self.breakers);
        let breaker = breakers.entry(service.to_owned()).or_default();
        act(breaker, now).map_err(|left| {
            let text = format!(
                "not sent: {service} failed {BREAK_AFTER} times in a row and is left alone for {}",
                spoken(left)
            );
            Failure { retry_after: Some(left), ..Failure::new(FailureKind::Unreached, text) }
        })
    }

    pub fn paces(&self) -> [PaceReport; 3] {
        let now = self.clock.now().steady;
        [Class::Read, Class::Write, Class::SignIn].map(|class| {
            let pace = lock(&self.lane(class).pace);
            let blocked = pace.blocked_until.since(now);
            PaceReport { class, per_second: pace.rate, full_per_second: pace.full, blocked }
        })
    }

    /// Every service that was ever called, with its breaker.
    pub fn breakers(&self) -> Vec<BreakerReport> {
        let breakers = lock(&self.breakers);
        let report = |(service, breaker): (&String, &Breaker)| BreakerReport {
            service: service.clone(),
            open: !matches!(breaker, Breaker::Closed { .. }),
        };
        breakers.iter().map(report).collect()
    }
}

fn too_busy(left: Option<Duration>) -> Failure {
    let text = match left {
        Some(left) => {
            format!("not sent: the cloud asked for no more calls for {}", spoken(left))
        }
        None => format!(
            "not sent: no turn came within {}; the cloud is slow, or more is asked of it than \
             cloud.limits allow",
            spoken(WAIT_MOST)
        ),
    };
    Failure { retry_after: left, ..Failure::new(FailureKind::Busy, text) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to make one call.
#[must_use]
pub struct Pass<'a> {
    throttle: &'a Throttle,
    service: String,
    class: Class,
    /// The one call that tries whether the service is back; taken when reported.
    trial: bool,
    _slot: OwnedSemaphorePermit,
}

impl Pass<'_> {
    /// What the call heard. It frees the slot.
    pub fn heard(mut self, heard: Heard) {
        self.trial = false;
        let now = self.throttle.clock.now().steady;
        let lane = self.throttle.lane(self.class);
        lock(&lane.pace).heard(heard, now, &self.throttle.clock);
        if let Some(breaker) = lock(&self.throttle.breakers).get_mut(&self.service) {
            breaker.heard(heard.broken, now);
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial
            && let Some(breaker) = lock(&self.throttle.breakers).get_mut(&self.service)
        {
            breaker.abandon(self.throttle.clock.now().steady);
        }
    }
}

/// One class of calls: who waits, waits in line.
struct Lane {
    line: tokio::sync::Mutex<()>,
    pace: Mutex<Pace>,
}

impl Lane {
    fn new(rate: f64, clock: &Arc<dyn Clock>) -> Self {
        let pace = Pace {
            full: rate,
            rate,
            limiter: limiter(rate, clock),
            changed: Steady(0),
            blocked_until: Steady(0),
        };
        Self { line: tokio::sync::Mutex::new(()), pace: Mutex::new(pace) }
    }

    async fn turn(&self, clock: &dyn Clock) -> Result<(), Failure> {
        let _first = self.line.lock().await;
        loop {
            let wait = lock(&self.pace).wait(clock.now().steady);
            match wait {
                Wait::Go => return Ok(()),
                Wait::Blocked(left) if left > WAIT_MOST => return Err(too_busy(Some(left))),
                Wait::Blocked(left) | Wait::Paced(left) => tokio::time::sleep(left).await,
            }
        }
    }
}

enum Wait {
    Go,
    /// By a Retry-After.
    Blocked(Duration),
    /// By the bucket.
    Paced(Duration),
}

type Bucket = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>;

struct Pace {
    full: f64,
    rate: f64,
    limiter: Bucket,
    /// When the rate last changed.
    changed: Steady,
    blocked_until: Steady,
}

impl Pace {
    fn wait(&self, now: Steady) -> Wait {
        let left = self.blocked_until.since(now);
        if !left.is_zero() {
            return Wait::Blocked(left);
        }
        match self.limiter.check() {
            Ok(()) => Wait::Go,
            // At least a millisecond: the clock's grain, below which sleeping would spin.
            Err(until) => Wait::Paced(
                until.wait_time_from(Duration::from_millis(now.0)).max(Duration::from_millis(1)),
            ),
        }
    }

    fn heard(&mut self, heard: Heard, now: Steady, clock: &Arc<dyn Clock>) {
        if let Some(after) = heard.after {
            self.blocked_until = self.blocked_until.max(now.plus(after));
        }
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

/// Whether a service is asked at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Breaker {
    Closed {
        failures: u32,
    },
    Open {
        until: Steady,
        wait: Duration,
    },
    /// One call is trying.
    Trying {
        wait: Duration,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// An error is how long nothing will be sent.
    fn refuses(&mut self, now: Steady) -> Result<(), Duration> {
        match *self {
            Self::Open { until, .. } if now < until => Err(until.since(now)),
            Self::Trying { wait } => Err(wait),
            Self::Closed { .. } | Self::Open { .. } => Ok(()),
        }
    }

    /// Whether the call that begins is a trial.
    fn begin(&mut self, now: Steady) -> Result<bool, Duration> {
        self.refuses(now)?;
        if let Self::Open { wait, .. } = *self {
            *self = Self::Trying { wait };
            return Ok(true);
        }
        Ok(false)
    }

    fn heard(&mut self, broken: bool, now: Steady) {
        *self = match *self {
            _ if !broken => Self::default(),
            Self::Closed { failures } if failures + 1 < BREAK_AFTER => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::open(OPEN_FIRST, now),
            Self::Trying { wait } => Self::open((wait * 2).min(OPEN_MOST), now),
            open @ Self::Open { .. } => open,
        };
    }

    /// The trial was given up without an answer: the next call tries.
    fn abandon(&mut self, now: Steady) {
        if let Self::Trying { wait } = *self {
            *self = Self::Open { until: now, wait };
        }
    }

    fn open(wait: Duration, now: Steady) -> Self {
        Self::Open { until: now.plus(wait), wait }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::domain::time::{Now, Wall};

    /// Follows tokio's clock, which stands still but for sleeps.
    struct Paused(Instant);

    impl Clock for Paused {
        fn now(&self) -> Now {
            let ms = self.0.elapsed().as_millis() as u64;
            Now { wall: Wall(ms as i64), steady: Steady(ms) }
        }
    }

    fn throttle(limits: Limits) -> Throttle {
        Throttle::new(&limits, Arc::new(Paused(Instant::now())))
    }

    const FINE: Heard = Heard { busy: false, after: None, broken: false };
    const BROKEN: Heard = Heard { broken: true, ..FINE };

    async fn call(throttle: &Throttle, class: Class, heard: Heard) {
        throttle.enter("compute", class).await.unwrap().heard(heard);
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_the_rest_at_the_pace() {
        let throttle = throttle(Limits::default());
        let began = Instant::now();
        for _ in 0..15 {
            call(&throttle, Class::Read, FINE).await;
        }
        let took = began.elapsed().as_millis();
        assert!((1990..2100).contains(&took), "{took} ms");
        call(&throttle, Class::Write, FINE).await;
        assert_eq!(began.elapsed().as_millis(), took, "classes do not share");
    }

    #[tokio::test(start_paused = true)]
    async fn busy_halves_the_pace_once_and_success_brings_it_back() {
        let throttle = throttle(Limits::default());
        let busy = Heard { busy: true, ..FINE };
        let (a, b) = (
            throttle.enter("compute", Class::Read).await.unwrap(),
            throttle.enter("compute", Class::Read).await.unwrap(),
        );
        a.heard(busy);
        b.heard(busy);
        assert_eq!(throttle.paces()[0].per_second, 2.5);
        for _ in 0..10 {
            tokio::time::sleep(SHRINK_EVERY).await;
            call(&throttle, Class::Read, busy).await;
        }
        assert_eq!(throttle.paces()[0].per_second, 0.5, "a tenth is the floor");
        assert_eq!(throttle.paces()[1].per_second, 5.0);
        for _ in 0..9 {
            tokio::time::sleep(RECOVER_EVERY).await;
            call(&throttle, Class::Read, FINE).await;
        }
        assert!((throttle.paces()[0].per_second - 5.0).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_blocks_the_class_and_not_the_other() {
        let throttle = throttle(Limits::default());
        let wait = |secs| Heard { busy: true, after: Some(Duration::from_secs(secs)), ..FINE };
        let began = Instant::now();
        call(&throttle, Class::Write, wait(7)).await;
        call(&throttle, Class::Read, FINE).await;
        assert!(began.elapsed().is_zero());
        call(&throttle, Class::Write, wait(300)).await;
        assert_eq!(began.elapsed().as_secs(), 7);
        let refused = throttle.enter("compute", Class::Write).await.err().unwrap();
        assert_eq!(refused.kind, FailureKind::Busy);
        assert!(refused.message.starts_with("not sent"), "{refused}");
        assert_eq!(refused.retry_after, Some(Duration::from_secs(300)));
        assert_eq!(began.elapsed().as_secs(), 7, "it fails without waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn slots_bound_what_is_under_way_and_waiting_ends() {
        let throttle = throttle(Limits { concurrency: 1, ..Limits::default() });
        let held = throttle.enter("compute", Class::Read).await.unwrap();
        let began = Instant::now();
        let refused = throttle.enter("compute", Class::Write).await.err().unwrap();
        assert_eq!((refused.kind, began.elapsed()), (FailureKind::Busy, WAIT_MOST));
        drop(held);
        call(&throttle, Class::Write, FINE).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_broken_service_is_left_alone_and_then_tried_by_one() {
        let throttle = throttle(Limits::default());
        for _ in 0..BREAK_AFTER {
            call(&throttle, Class::Read, BROKEN).await;
        }
        let refused = throttle.enter("compute", Class::Read).await.err().unwrap();
        assert_eq!(refused.kind, FailureKind::Unreached);
        assert!(throttle.breakers()[0].open);
        throttle.enter("image", Class::Read).await.unwrap().heard(FINE);

        tokio::time::sleep(OPEN_FIRST).await;
        let trial = throttle.enter("compute", Class::Read).await.unwrap();
        assert!(throttle.enter("compute", Class::Read).await.is_err(), "one at a time");
        drop(trial);
        call(&throttle, Class::Read, BROKEN).await;
        tokio::time::sleep(OPEN_FIRST).await;
        assert!(throttle.enter("compute", Class::Read).await.is_err(), "twice as long");
        tokio::time::sleep(OPEN_FIRST).await;
        call(&throttle, Class::Read, FINE).await;
        assert!(!throttle.breakers()[0].open);
    }

    #[tokio::test(start_paused = true)]
    async fn one_success_forgives_failures() {
        let throttle = throttle(Limits::default());
        for _ in 0..4 {
            for _ in 1..BREAK_AFTER {
                call(&throttle, Class::Read, BROKEN).await;
            }
            call(&throttle, Class::Read, FINE).await;
        }
        assert!(!throttle.breakers()[0].open);
    }
}
