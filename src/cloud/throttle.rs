//! How fast, how wide and whether at all a cloud is asked.
//!
//! Every call to one cloud enters here and reports what it heard. It waits for its turn
//! in its class (reads, writes, and signing in, at the pace of reads but apart from them: a
//! busy Keystone must not keep Nova unread, nor the other way round), which governor paces
//! (`throttle/lane.rs`), and for one of the slots that bound how many calls are under way. A
//! cloud that says "busy" is asked at half the pace; success brings the pace back slowly. What
//! one service in one region says of itself counts for it alone (`throttle/door.rs`): it is not
//! asked before its Retry-After, and one that fails again and again is left alone for a while:
//! its breaker opens, calls fail at once, and one call at a time tries whether it is back. Reads
//! and writes have a breaker each: creates that fail must not keep servers unseen.
//!
//! It never repeats a call and never waits longer than [`WAIT_MOST`]: a call that was not
//! let through is a failure that says so, certain to have done nothing. Time is the
//! [`Clock`]'s; sleeping is tokio's. The user of all this is `openstack/session.rs`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::cloud::Limits;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::{Clock, Steady, spoken};

mod door;
mod lane;

use door::{BREAK_AFTER, Door};
use lane::Lane;

/// The longest that a call waits to be let through. A plan older than this is not acted on.
pub const WAIT_MOST: Duration = Duration::from_secs(30);

/// Which allowance a call uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    Read,
    Write,
    SignIn,
}

impl Class {
    pub fn word(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::SignIn => "sign_in",
        }
    }
}

/// What a call heard, as far as it concerns the next ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// 429, 413 or 503: slower.
    pub busy: bool,
    /// Nothing of this class to this service before that long.
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
    doors: Mutex<BTreeMap<Way, Door>>,
}

/// A service in its region, and the class of the call.
type Way = (String, Class);

impl Throttle {
    pub fn new(limits: &Limits, clock: Arc<dyn Clock>) -> Self {
        let lane = |rate| Lane::new(rate, &clock);
        let (read, write) = (lane(limits.read_per_second), lane(limits.write_per_second));
        let sign_in = lane(limits.read_per_second);
        let slots = limits.concurrency.clamp(1, 1024) as usize;
        let slots = Arc::new(Semaphore::new(slots));
        Self { clock, read, write, sign_in, slots, doors: Mutex::default() }
    }

    /// Of each service that was asked so far, by class, whether it is left alone now.
    pub fn breakers(&self) -> Vec<(String, Class, bool)> {
        let doors = lock(&self.doors);
        let doors = doors.iter();
        doors.map(|((whom, class), door)| (whom.clone(), *class, door.breaker.open())).collect()
    }

    /// Lets one call through, at its time. The pass is to be held for as long as the call
    /// lasts and told what it heard; dropped without that, it changes nothing.
    ///
    /// Fails with `Unreached` while the service's breaker is open, and with `Busy` where the
    /// wait would be too long; in both cases nothing was sent.
    pub async fn enter(&self, service: &str, class: Class) -> Result<Pass<'_>, Failure> {
        let way = (service.to_owned(), class);
        self.door(&way, |door, now| door.breaker.refuses(now))
            .map_err(|left| broken(&way, left))?;
        let slot = match tokio::time::timeout(WAIT_MOST, self.slot(&way)).await {
            Ok(slot) => slot?,
            Err(_) => return Err(too_busy(None)),
        };
        let begun = self.door(&way, |door, now| door.breaker.begin(now));
        let trial = begun.map_err(|left| broken(&way, left))?;
        Ok(Pass { throttle: self, way, trial, _slot: slot })
    }

    /// Signing in takes no slot: it is one at a time by itself, and may rest half done while
    /// nobody waits for it.
    async fn slot(&self, way: &Way) -> Result<Option<OwnedSemaphorePermit>, Failure> {
        self.turn(way).await?;
        if way.1 == Class::SignIn {
            return Ok(None);
        }
        let slots = Arc::clone(&self.slots);
        slots.acquire_owned().await.map(Some).map_err(|_| too_busy(None))
    }

    async fn turn(&self, way: &Way) -> Result<(), Failure> {
        let lane = self.lane(way.1);
        loop {
            // Outside the line, in which others wait for other services.
            self.unblocked(way).await?;
            let _first = lane.line.lock().await;
            while self.blocked(way).is_zero() {
                match lane.turn(self.clock.now().steady) {
                    Ok(()) => return Ok(()),
                    Err(left) => tokio::time::sleep(left).await,
                }
            }
        }
    }

    /// Waits until the service may be asked again, by its Retry-After.
    async fn unblocked(&self, way: &Way) -> Result<(), Failure> {
        loop {
            match self.blocked(way) {
                Duration::ZERO => return Ok(()),
                left if left > WAIT_MOST => return Err(too_busy(Some((way, left)))),
                left => tokio::time::sleep(left).await,
            }
        }
    }

    fn blocked(&self, way: &Way) -> Duration {
        self.door(way, |door, now| door.blocked(now))
    }

    fn lane(&self, class: Class) -> &Lane {
        match class {
            Class::Read => &self.read,
            Class::Write => &self.write,
            Class::SignIn => &self.sign_in,
        }
    }

    fn door<T>(&self, way: &Way, act: impl FnOnce(&mut Door, Steady) -> T) -> T {
        let now = self.clock.now().steady;
        act(lock(&self.doors).entry(way.clone()).or_default(), now)
    }
}

fn broken(way: &Way, left: Duration) -> Failure {
    let text = format!(
        "not sent: {} failed {BREAK_AFTER} times in a row and is left alone for {}",
        way.0,
        spoken(left)
    );
    Failure { retry_after: Some(left), ..Failure::new(FailureKind::Unreached, text) }
}

fn too_busy(asked: Option<(&Way, Duration)>) -> Failure {
    let text = match asked {
        Some((way, left)) => {
            format!("not sent: {} asked for no more calls for {}", way.0, spoken(left))
        }
        None => format!(
            "not sent: no turn came within {}; the cloud is slow, or more is asked of it than \
             cloud.limits allow",
            spoken(WAIT_MOST)
        ),
    };
    let retry_after = asked.map(|(_, left)| left);
    Failure { retry_after, ..Failure::new(FailureKind::Busy, text) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to make one call.
#[must_use]
pub struct Pass<'a> {
    throttle: &'a Throttle,
    way: Way,
    /// The one call that tries whether the service is back; taken when reported.
    trial: bool,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Pass<'_> {
    /// What the call heard. It frees the slot.
    pub fn heard(mut self, heard: Heard) {
        self.trial = false;
        let Throttle { clock, .. } = self.throttle;
        self.throttle.lane(self.way.1).heard(heard, clock.now().steady, clock);
        self.throttle.door(&self.way, |door, now| door.heard(heard, now));
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.trial {
            self.throttle.door(&self.way, |door, now| door.breaker.abandon(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::door::OPEN_FIRST;
    use super::lane::{RECOVER_EVERY, SHRINK_EVERY};
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
        assert_eq!(lock(&throttle.read.pace).rate, 2.5);
        for _ in 0..10 {
            tokio::time::sleep(SHRINK_EVERY).await;
            call(&throttle, Class::Read, busy).await;
        }
        assert_eq!(lock(&throttle.read.pace).rate, 0.5, "a tenth is the floor");
        assert_eq!(lock(&throttle.write.pace).rate, 5.0);
        for _ in 0..9 {
            tokio::time::sleep(RECOVER_EVERY).await;
            call(&throttle, Class::Read, FINE).await;
        }
        assert!((lock(&throttle.read.pace).rate - 5.0).abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn retry_after_blocks_the_class_and_no_other() {
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
    async fn retry_after_blocks_its_service_and_no_other() {
        let throttle = throttle(Limits::default());
        let wait = Heard { busy: true, after: Some(Duration::from_secs(20)), ..FINE };
        call(&throttle, Class::Read, wait).await;
        let began = Instant::now();
        let waits = call(&throttle, Class::Read, FINE);
        let others = async {
            for other in ["image in A", "compute in B"] {
                throttle.enter(other, Class::Read).await.unwrap().heard(FINE);
            }
            began.elapsed()
        };
        let ((), others) = tokio::join!(waits, others);
        assert!(others < Duration::from_secs(2), "at half the pace, but not held: {others:?}");
        assert_eq!(began.elapsed().as_secs(), 20);
    }

    /// Who stands in line when a Retry-After comes obeys it too.
    #[tokio::test(start_paused = true)]
    async fn retry_after_holds_those_already_in_line() {
        let throttle = throttle(Limits { read_per_second: 1.0, ..Limits::default() });
        let first = throttle.enter("compute", Class::Read).await.unwrap();
        let began = Instant::now();
        let refused = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            first.heard(Heard { after: Some(Duration::from_secs(9)), ..FINE });
        };
        tokio::join!(call(&throttle, Class::Read, FINE), refused);
        assert!(began.elapsed() >= Duration::from_secs(9));
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
        assert_eq!(throttle.breakers(), [("compute".to_owned(), Class::Read, true)]);
        for other in ["image", "compute in B"] {
            throttle.enter(other, Class::Read).await.unwrap().heard(FINE);
        }
        call(&throttle, Class::Write, FINE).await;

        tokio::time::sleep(OPEN_FIRST).await;
        let trial = throttle.enter("compute", Class::Read).await.unwrap();
        assert!(throttle.enter("compute", Class::Read).await.is_err(), "one at a time");
        drop(trial);
        call(&throttle, Class::Read, BROKEN).await;
        tokio::time::sleep(OPEN_FIRST).await;
        assert!(throttle.enter("compute", Class::Read).await.is_err(), "twice as long");
        tokio::time::sleep(OPEN_FIRST).await;
        call(&throttle, Class::Read, FINE).await;
        call(&throttle, Class::Read, FINE).await;
        assert!(throttle.breakers().iter().all(|(_, _, open)| !open), "it needs no restart");
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
    }

    #[tokio::test(start_paused = true)]
    async fn writes_that_fail_side_by_side_keep_nothing_unread() {
        let throttle = throttle(Limits::default());
        let creates = (0..BREAK_AFTER).map(|_| call(&throttle, Class::Write, BROKEN));
        futures_util::future::join_all(creates).await;
        assert!(throttle.enter("compute", Class::Write).await.is_err());
        call(&throttle, Class::Read, FINE).await;
    }
}
