//! How much one sender, or all of them, may ask for at once.
//!
//! Rates are counted per token or source, and address class (an IPv4 address, an IPv6 /64) by
//! governor on the clock that the rest of the program goes by. The tables are bounded:
//! senders beyond [`SENDERS_MOST`] share one bucket, so that a flood of addresses narrows
//! itself and not our memory. Failed sign-ins are counted per address alone; they never
//! hold up a sender with a valid token, who may sit behind the same proxy.

use std::hash::Hash;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::auth::{Caller, Who};
use super::error::{Kind, Problem};
use super::tokens::Scope;
use crate::config::http::HttpLimits;
use crate::domain::time::Clock;

/// Senders told apart at a time; about 100 bytes each.
pub const SENDERS_MOST: usize = 4096;

/// Where a request came from; inserted by the listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// The part of an address that one sender cannot change at will.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum AddressClass {
    V4(u32),
    /// The first 64 bits: one subscriber's network (RFC 6177).
    V6(u64),
    /// No address is known: a request that came by no socket.
    Inside,
    /// All senders beyond those that are told apart.
    Rest,
}

fn class(peer: Option<Peer>) -> AddressClass {
    match peer.map(|p| p.0.ip().to_canonical()) {
        None => AddressClass::Inside,
        Some(IpAddr::V4(ip)) => AddressClass::V4(ip.to_bits()),
        Some(IpAddr::V6(ip)) => {
            AddressClass::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or(u64::MAX))
        }
    }
}

/// The program's clock as governor wants it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl GovernorClock for Ticks {
    type Instant = Nanos;
    fn now(&self) -> Nanos {
        Nanos::from(Duration::from_millis(self.0.now().steady.0))
    }
}

type Keyed<K> = RateLimiter<K, HashMapStateStore<K>, Ticks, NoOpMiddleware<Nanos>>;

/// One bucket per key, the number of keys bounded.
struct Buckets<K: Hash + Eq + Clone> {
    keyed: Keyed<K>,
    rest: K,
    clock: Ticks,
    burst: NonZeroU32,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(clock: &Ticks, per_second: u32, burst: u32, rest: K) -> Self {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let burst = at_least_one(burst);
        let quota = Quota::per_second(at_least_one(per_second)).allow_burst(burst);
        let keyed = RateLimiter::new(quota, HashMapStateStore::default(), clock.clone());
        Self { keyed, rest, clock: clock.clone(), burst }
    }

    /// Takes `n` from the key's bucket, or says how long to wait. More than the bucket
    /// ever holds counts as all it holds.
    fn take(&self, key: K, n: u32) -> Result<(), Duration> {
        if self.keyed.len() >= SENDERS_MOST {
            self.keyed.retain_recent();
        }
        let key = if self.keyed.len() >= SENDERS_MOST { self.rest.clone() } else { key };
        let Some(n) = NonZeroU32::new(n.min(self.burst.get())) else { return Ok(()) };
        match self.keyed.check_key_n(&key, n) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(self.clock.now())),
            // Unreachable by the line above; refusing is the safe answer.
            Err(_) => Err(Duration::from_secs(1)),
        }
    }
}

/// The buckets of all senders.
pub(super) struct Senders {
    signals: Buckets<(Who, AddressClass)>,
    commands: Buckets<(Who, AddressClass)>,
    sign_ins: Buckets<AddressClass>,
}

impl Senders {
    pub(super) fn new(limits: &HttpLimits, clock: Arc<dyn Clock>) -> Self {
        let (clock, rest) = (Ticks(clock), AddressClass::Rest);
        let others = (Who::Token(Scope::Operate), rest);
        let signals =
            Buckets::new(&clock, limits.signals_per_second, limits.signals_burst, others.clone());
        let commands = limits.commands_per_second;
        let commands = Buckets::new(&clock, commands, commands, others);
        let failed = limits.failed_sign_ins_per_second;
        let sign_ins = Buckets::new(&clock, failed, limits.failed_sign_ins_burst, rest);
        Self { signals, commands, sign_ins }
    }

    /// Room for so many more samples (a request counts as one before it is read).
    pub(super) fn signals(&self, caller: &Caller, n: u32) -> Result<(), Problem> {
        self.signals.take((caller.who.clone(), class(caller.peer)), n).map_err(|wait| {
            Problem::new(Kind::TooFast, "this sender sends more signals than it may")
                .hint("send fewer samples, or raise signals_per_second in scaling.toml")
                .after(wait)
        })
    }

    pub(super) fn command(&self, caller: &Caller) -> Result<(), Problem> {
        self.commands.take((caller.who.clone(), class(caller.peer)), 1).map_err(|wait| {
            Problem::new(Kind::TooFast, "this sender gives more commands than it may")
                .hint("give fewer commands, or raise commands_per_second in scaling.toml")
                .after(wait)
        })
    }

    /// Counts a failed sign-in; an error once there were too many from there.
    pub(super) fn failed_sign_in(&self, peer: Option<Peer>) -> Result<(), Problem> {
        self.sign_ins.take(class(peer), 1).map_err(|wait| {
            Problem::new(Kind::TooFast, "too many requests without a valid token from this address")
                .hint("correct the token first; a valid one is never held up")
                .after(wait)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::domain::time::{Now, Steady, Wall};

    #[derive(Default)]
    struct Hand(AtomicU64);

    impl Clock for Hand {
        fn now(&self) -> Now {
            Now { wall: Wall(0), steady: Steady(self.0.load(Ordering::Relaxed)) }
        }
    }

    fn peer(address: &str) -> Option<Peer> {
        Some(Peer(SocketAddr::new(address.parse().unwrap(), 9)))
    }

    fn caller(scope: Scope, peer: Option<Peer>) -> Caller {
        Caller { who: Who::Token(scope), peer }
    }

    fn senders(clock: &Arc<Hand>) -> Senders {
        let limits = HttpLimits {
            signals_per_second: 10,
            signals_burst: 20,
            commands_per_second: 2,
            ..HttpLimits::default()
        };
        Senders::new(&limits, Arc::clone(clock) as Arc<dyn Clock>)
    }

    #[test]
    fn a_bucket_empties_and_fills_with_time() {
        let clock = Arc::new(Hand::default());
        let senders = senders(&clock);
        assert!(senders.signals(&caller(Scope::Signal, peer("10.0.0.1")), 20).is_ok());
        let problem = senders.signals(&caller(Scope::Signal, peer("10.0.0.1")), 1).unwrap_err();
        assert_eq!(problem.kind, Kind::TooFast);
        assert!(problem.retry_after.unwrap() <= Duration::from_millis(100));
        assert!(
            senders.signals(&caller(Scope::Signal, peer("10.0.0.2")), 20).is_ok(),
            "others are not held up"
        );
        clock.0.store(100, Ordering::Relaxed);
        assert!(senders.signals(&caller(Scope::Signal, peer("10.0.0.1")), 1).is_ok());
    }

    #[test]
    fn more_than_a_burst_counts_as_a_burst() {
        let senders = senders(&Arc::new(Hand::default()));
        assert!(senders.signals(&caller(Scope::Signal, peer("10.0.0.1")), 1000).is_ok());
        assert!(senders.signals(&caller(Scope::Signal, peer("10.0.0.1")), 1).is_err());
    }

    #[test]
    fn one_ipv6_network_is_one_sender() {
        let senders = senders(&Arc::new(Hand::default()));
        for address in ["2001:db8::1", "2001:db8::2"] {
            assert!(senders.command(&caller(Scope::Capacity, peer(address))).is_ok());
        }
        assert!(senders.command(&caller(Scope::Capacity, peer("2001:db8::3"))).is_err());
        assert!(
            senders.command(&caller(Scope::Operate, peer("2001:db8::3"))).is_ok(),
            "another token"
        );
        assert!(senders.command(&caller(Scope::Capacity, peer("2001:db8:0:1::3"))).is_ok());
        let (mapped, plain) = (class(peer("::ffff:10.0.0.1")), class(peer("10.0.0.1")));
        assert_eq!(mapped, plain);
    }

    #[test]
    fn a_flood_of_addresses_shares_one_bucket() {
        let senders = senders(&Arc::new(Hand::default()));
        let mut refused = 0;
        for n in 0..u32::try_from(SENDERS_MOST).unwrap() + 50 {
            let address = std::net::Ipv4Addr::from_bits(n).to_string();
            refused +=
                u32::from(senders.signals(&caller(Scope::Signal, peer(&address)), 1).is_err());
        }
        assert!(senders.signals.keyed.len() <= SENDERS_MOST + 1);
        assert!(refused >= 25, "the rest share a burst of 20: {refused}");
    }
}
