//! How much is kept, and for how long: the rules that every store keeps alike.
//!
//! Ages are measured by the steady clock, so that a jump of the wall clock neither
//! forgets a key nor fills the disk. The bounds by number hold against senders and
//! groups that run wild; in ordinary use the bounds by age come first.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use super::StoreError;
use crate::domain::id::{GroupName, SignalName};
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

/// Every sample, for policies that look at a window: it is at most an hour long, and ends with a
/// sample that is at most an hour old.
pub const SAMPLES: Duration = HOUR.saturating_mul(2);
/// Of one group and name, at every instant: three a second for an hour.
pub const SAMPLES_MOST: u32 = 10_000;
/// The newest sample of a name and server; after that it was never sent. Beyond the longest
/// `stale_after` by a day in which it is missed. While its server is a member it is kept: who
/// has fallen silent still serves.
pub const NEWEST: Duration = STALE_MOST.saturating_add(DAY);
/// The newest samples of a server that is a member no more: nobody reads them.
pub const NEWEST_LEFT: Duration = HOUR;
/// Distinct signal names of one group, those that its policies read aside.
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

/// Two readings of one `at` whose places on the steady clock lie no further apart than this
/// are one measurement: the two clocks are read one after the other, and the wall clock is
/// slewed. Further apart, the wall clock was set in between.
pub(super) const SAME_WITHIN_MS: u64 = 5_000;

/// When a sample was measured, by the steady clock: before it came by the sender's word, and
/// from then on by our own, so that a wall clock that is set back puts nothing into the future.
fn measured(sample: &Sample) -> i128 {
    let before = i128::from(sample.received.wall.0) - i128::from(sample.at.0);
    i128::from(sample.received.steady.0) - before
}

/// How much later, in milliseconds, `candidate` was measured than `held`; zero for two
/// readings of one measurement.
fn later(candidate: &Sample, held: &Sample) -> i128 {
    let later = measured(candidate) - measured(held);
    let same = candidate.at == held.at && later.unsigned_abs() < u128::from(SAME_WITHIN_MS);
    if same { 0 } else { later }
}

/// Whether `candidate` stands in place of `held` as the newest of its name and server:
/// measured later, or at the same instant a larger value (more load never lowers
/// desired), or the same value received earlier (so that a replay refreshes nothing).
/// As long as nobody sets the wall clock, no sequence of arrivals changes which sample is the
/// newest; whenever somebody does, what is measured after it is newer than all before.
pub fn newer(candidate: &Sample, held: &Sample) -> bool {
    let value = candidate.value.partial_cmp(&held.value).unwrap_or(Ordering::Equal);
    let order = later(candidate, held)
        .cmp(&0)
        .then(value)
        .then(held.received.steady.cmp(&candidate.received.steady))
        .then(held.received.wall.cmp(&candidate.received.wall));
    order.is_gt()
}

/// Whether `candidate`, of the same name, server and `at` as `held`, says what `held` does not:
/// a larger value, or a later measurement that fell on the same wall time.
pub fn adds(candidate: &Sample, held: &Sample) -> bool {
    let later = later(candidate, held);
    later > 0 || (later == 0 && candidate.value > held.value)
}

/// What stands against another name, or another pair of name and server, of a group.
pub(super) struct Room<'a> {
    pub(super) group: &'a GroupName,
    /// The names that the group's policies read. They have room of their own: whoever sends
    /// under other names cannot keep out the signals that decide.
    pub(super) read: &'a BTreeSet<SignalName>,
}

impl Room<'_> {
    /// Whether the group may have another name beside the `names` that it has.
    pub(super) fn for_name(&self, sample: &Sample, names: usize) -> Result<(), StoreError> {
        if names < NAMES_MOST as usize || self.read.contains(&sample.name) {
            return Ok(());
        }
        Err(StoreError::Limit(format!(
            "the group {} has {NAMES_MOST} signal names already, the most that are kept, so {} \
             is one too many. Send under fewer names; a name that nobody sends is forgotten after \
             {}",
            self.group,
            sample.name,
            spoken(NEWEST)
        )))
    }

    /// Whether the group may have another pair of name and server beside those that it has.
    pub(super) fn for_series(&self, sample: &Sample, has: Series) -> Result<(), StoreError> {
        let read = self.read.contains(&sample.name);
        if (if read { has.of_name } else { has.all }) < SERIES_MOST as usize {
            return Ok(());
        }
        Err(StoreError::Limit(format!(
            "the group {} has {SERIES_MOST} signals of single servers already, the most that are \
             kept, so another one for {} is refused. Send one value for the whole group, or fewer \
             signals for each server; one that nobody sends is forgotten after {}",
            self.group,
            sample.name,
            spoken(NEWEST)
        )))
    }
}

/// How many pairs of name and server a group has.
#[derive(Clone, Copy)]
pub(super) struct Series {
    pub(super) all: usize,
    /// Of the sample's name.
    pub(super) of_name: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::signal::Value;
    use crate::domain::time::Wall;

    /// While nobody sets the wall clock, both clocks read the same here.
    fn sample(at: i64, value: f64, received: u64) -> Sample {
        received_at(at, value, Now { wall: Wall(received.cast_signed()), steady: Steady(received) })
    }

    fn received_at(at: i64, value: f64, received: Now) -> Sample {
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

    #[test]
    fn a_clock_set_back_makes_nothing_newer_than_what_comes() {
        let hour = 3_600_000;
        let held = sample(10 * hour, 5.0, 10 * hour.cast_unsigned());
        let after = |secs: i64, value| {
            let steady = Steady((10 * hour + secs * 1000).cast_unsigned());
            let wall = Wall(9 * hour + secs * 1000);
            received_at(wall.0, value, Now { wall, steady })
        };
        assert!(newer(&after(1, 1.0), &held));
        assert!(!newer(&held, &after(1, 1.0)));
        // An hour later the wall clock reads the same again: another measurement, however small.
        let same_at = after(3600, 1.0);
        assert_eq!(same_at.at, held.at);
        assert!(newer(&same_at, &held) && adds(&same_at, &held));
        assert!(!newer(&held, &same_at) && !adds(&held, &same_at));
    }

    #[test]
    fn the_clocks_may_drift_apart_a_little() {
        let held = sample(10, 5.0, 100);
        let slewed =
            |value| received_at(10, value, Now { wall: Wall(60_000), steady: Steady(60_030) });
        assert!(!newer(&slewed(4.0), &held) && !adds(&slewed(4.0), &held));
        assert!(!newer(&slewed(5.0), &held), "a replay refreshes nothing");
        assert!(newer(&slewed(6.0), &held) && adds(&slewed(6.0), &held));
    }
}
