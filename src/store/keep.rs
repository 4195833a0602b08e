//! How much is kept, and for how long: the rules that every store keeps alike.
//!
//! Ages are measured by the steady clock, so that a jump of the wall clock neither
//! forgets a key nor fills the disk. The bounds by number hold against senders and
//! groups that run wild; in ordinary use the bounds by age come first.

use std::cmp::Ordering;
use std::time::Duration;

use super::StoreError;
use crate::domain::id::GroupName;
use crate::domain::policy::STALE_MOST;
use crate::domain::signal::Sample;
use crate::domain::time::{Now, Steady, spoken};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Idempotency keys and sample ids: longer than any sender retries.
pub const KEYS: Duration = DAY;
/// Of one group; beyond it the oldest go, but none younger than [`KEYS_LEAST`].
pub const KEYS_MOST: u32 = 100_000;
/// The least that a sender may rely on: above the retry span of every common sender.
pub const KEYS_LEAST: Duration = MINUTE.saturating_mul(10);

/// Every sample, for policies that look at a window.
pub const SAMPLES: Duration = HOUR;
/// Of one group and name, at every instant: three a second for an hour.
pub const SAMPLES_MOST: u32 = 10_000;
/// The newest sample of a name and server; after that it was never sent. Beyond the longest
/// `stale_after` by a day in which it is missed. While its server is a member it is kept: who
/// has fallen silent still serves.
pub const NEWEST: Duration = STALE_MOST.saturating_add(DAY);
/// The newest samples of a server that is a member no more: nobody reads them.
pub const NEWEST_LEFT: Duration = HOUR;
/// Distinct signal names of one group.
pub const NAMES_MOST: u32 = 256;
/// Distinct pairs of name and server of one group: two signals from each server of the
/// largest fleet. A pass reads them all.
pub const SERIES_MOST: u32 = 20_000;

/// Decisions, for people who ask what happened.
pub const DECISIONS: Duration = DAY.saturating_mul(7);
/// Of one group.
pub const DECISIONS_MOST: u32 = 2_000;
/// A pass that changes nothing in the situation of the last one is written this often.
pub const QUIET_EVERY: Duration = MINUTE;

/// Closed and abandoned intents: a server that appears within this span after its launch
/// was given up is still told from a stranger.
pub const INTENTS: Duration = DAY.saturating_mul(7);
/// Closed ones of one group; abandoned ones are kept for the whole span.
pub const INTENTS_MOST: u32 = 5_000;
/// Servers that are gone.
pub const KNOWN: Duration = DAY.saturating_mul(7);
/// Gone ones of one group.
pub const KNOWN_MOST: u32 = 10_000;

/// Commands: who ordered what, and why.
pub const COMMANDS: Duration = DAY.saturating_mul(30);
/// Of one group.
pub const COMMANDS_MOST: u32 = 10_000;

/// Whether something noted `then` is older than `span`.
pub(super) fn expired(then: Steady, span: Duration, now: Now) -> bool {
    now.steady.since(then) > span
}

/// Whether `candidate` stands in place of `held` as the newest of its name and server:
/// measured later, or at the same instant a larger value (more load never lowers
/// desired), or the same value received earlier (so that a replay refreshes nothing).
/// A total order: no sequence of arrivals changes which sample is the newest.
pub fn newer(candidate: &Sample, held: &Sample) -> bool {
    let value = candidate.value.partial_cmp(&held.value).unwrap_or(Ordering::Equal);
    let order = candidate
        .at
        .cmp(&held.at)
        .then(value)
        .then(held.received.steady.cmp(&candidate.received.steady))
        .then(held.received.wall.cmp(&candidate.received.wall));
    order.is_gt()
}

/// Whether the group may have another name beside the `names` that it has.
pub(super) fn within_names(
    group: &GroupName,
    sample: &Sample,
    names: usize,
) -> Result<(), StoreError> {
    if names < NAMES_MOST as usize {
        return Ok(());
    }
    Err(StoreError::Limit(format!(
        "the group {group} has {NAMES_MOST} signal names already, the most that are kept, so {} \
         is one too many. Send under fewer names; a name that nobody sends is forgotten after {}",
        sample.name,
        spoken(NEWEST)
    )))
}

/// Whether the group may have another pair of name and server beside the `series` that it has.
pub(super) fn within_series(
    group: &GroupName,
    sample: &Sample,
    series: usize,
) -> Result<(), StoreError> {
    if series < SERIES_MOST as usize {
        return Ok(());
    }
    Err(StoreError::Limit(format!(
        "the group {group} has {SERIES_MOST} signals of single servers already, the most that are \
         kept, so another one for {} is refused. Send one value for the whole group, or fewer \
         signals for each server; one that nobody sends is forgotten after {}",
        sample.name,
        spoken(NEWEST)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::SignalName;
    use crate::domain::signal::Value;
    use crate::domain::time::Wall;

    fn sample(at: i64, value: f64, received: u64) -> Sample {
        let received = Now { wall: Wall(0), steady: Steady(received) };
        let name = SignalName::new("load").unwrap();
        Sample { name, value: Value::new(value).unwrap(), at: Wall(at), received, server: None }
    }

    #[test]
    fn the_newest_is_measured_last_then_larger_then_received_first() {
        let held = sample(10, 5.0, 100);
        assert!(newer(&sample(11, 1.0, 50), &held));
        assert!(!newer(&sample(9, 9.0, 200), &held));
        assert!(newer(&sample(10, 6.0, 200), &held));
        assert!(!newer(&sample(10, 5.0, 200), &held), "a replay refreshes nothing");
        assert!(newer(&sample(10, 5.0, 99), &held));
        assert!(!newer(&held, &held));
    }
}
