//! What a signal's samples come to: which are fresh, and what a window of them counts as.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Fleet;
use crate::decide::snapshot::Snapshot;
use crate::domain::claim::Over;
use crate::domain::id::ServerId;
use crate::domain::policy::{Aggregate, Reading};
use crate::domain::signal::Sample;
use crate::domain::time::Steady;

/// For so long after it went stale, the word of who reported for the whole group is missed where
/// single servers report as well. After that they are taken to have taken its place.
const MISSED_FOR: Duration = Duration::from_secs(86_400);

/// One signal of the group, read as a policy reads it.
pub(super) struct Series<'a> {
    snapshot: &'a Snapshot<'a>,
    reading: &'a Reading,
    left: &'a [Steady],
    /// All that is kept of each server, if a window of it counts.
    history: BTreeMap<Option<&'a ServerId>, Vec<&'a Sample>>,
}

impl<'a> Series<'a> {
    pub(super) fn new(fleet: &Fleet<'a>, reading: &'a Reading) -> Self {
        let Fleet { snapshot, left, .. } = *fleet;
        let mut history: BTreeMap<Option<&ServerId>, Vec<&Sample>> = BTreeMap::new();
        if !reading.window.is_zero() {
            for sample in snapshot.history.iter().filter(|s| s.name == reading.signal) {
                history.entry(sample.server.as_ref()).or_default().push(sample);
            }
        }
        Self { snapshot, reading, left, history }
    }

    /// The newest sample of each server, and of the whole group.
    pub(super) fn newest(&self) -> impl Iterator<Item = &'a Sample> + Clone + use<'a> {
        let signal = &self.reading.signal;
        self.snapshot.samples.iter().filter(move |sample| sample.name == *signal)
    }

    pub(super) fn fresh(&self, sample: &Sample) -> bool {
        age(self.snapshot, sample) <= self.reading.stale_after
    }

    /// For how long it has been stale.
    pub(super) fn stale_for(&self, sample: &Sample) -> Duration {
        age(self.snapshot, sample).saturating_sub(self.reading.stale_after)
    }

    /// Who reports for the whole group did so not long ago.
    pub(super) fn missed(&self) -> bool {
        let mut whole = self.newest().filter(|sample| sample.server.is_none());
        whole.any(|sample| self.stale_for(sample) <= MISSED_FOR)
    }

    /// How many servers left after one of these was measured, or anything that counts beside it: what
    /// they carried is with the others, who may not have told of it yet, or not in all of a window.
    pub(super) fn untold<'s>(&self, counting: impl Iterator<Item = &'s Sample>) -> u32 {
        let Some(first) = counting.map(|s| self.begins(s)).min() else { return 0 };
        let since = self.left.iter().filter(|left| **left > first).count();
        u32::try_from(since).unwrap_or(u32::MAX)
    }

    pub(super) fn snapshot(&self) -> &'a Snapshot<'a> {
        self.snapshot
    }

    /// How old the newest of all is.
    pub(super) fn age_secs(&self) -> Option<u64> {
        self.newest().map(|sample| age(self.snapshot, sample).as_secs()).min()
    }

    /// When the newest fresh sample was measured.
    pub(super) fn measured(&self) -> Option<Steady> {
        let fresh = self.newest().filter(|sample| self.fresh(sample));
        fresh.map(|sample| measured(self.snapshot, sample)).max()
    }

    /// What the window that ends with this newest sample comes to, each sample weighed. A window
    /// that went on sliding while nothing arrives would take silence for less load.
    pub(super) fn value(&self, newest: &Sample, weigh: impl Fn(&Sample) -> f64) -> f64 {
        let alone = weigh(newest);
        if self.reading.window.is_zero() {
            return alone;
        }
        let mut values: Vec<f64> = self.beside(newest).map(weigh).chain([alone]).collect();
        self.reading.aggregate.of(&mut values).unwrap_or(alone)
    }

    /// What else lies in the window that ends with this newest sample.
    fn beside<'s>(&'s self, newest: &'s Sample) -> impl Iterator<Item = &'s Sample> + use<'a, 's> {
        let history = self.history.get(&newest.server.as_ref());
        let reach = age(self.snapshot, newest).saturating_add(self.reading.window);
        let newest = (newest.at, newest.received);
        history.into_iter().flatten().copied().filter(move |sample| {
            age(self.snapshot, sample) <= reach && (sample.at, sample.received) != newest
        })
    }

    /// When the first was measured of what counts up to this newest sample. The largest of a window
    /// is never less than its newest.
    fn begins(&self, newest: &Sample) -> Steady {
        let alone = measured(self.snapshot, newest);
        match self.reading.aggregate {
            Aggregate::Last | Aggregate::Max => alone,
            Aggregate::Avg | Aggregate::Min | Aggregate::Sum | Aggregate::Percentile(_) => {
                self.beside(newest).map(|s| measured(self.snapshot, s)).fold(alone, Steady::min)
            }
        }
    }

    pub(super) fn over(&self) -> Over {
        let window_secs = self.reading.window.as_secs();
        Over { aggregate: self.reading.aggregate, window_secs }
    }
}

/// How old a sample is: measured before it came by the sender's clock, and since then by ours.
pub(crate) fn age(snapshot: &Snapshot<'_>, sample: &Sample) -> Duration {
    let before = sample.received.wall.since(sample.at);
    before.saturating_add(snapshot.now.steady.since(sample.received.steady))
}

/// When a sample was measured, on our own clock.
pub(super) fn measured(snapshot: &Snapshot<'_>, sample: &Sample) -> Steady {
    snapshot.now.steady.minus(age(snapshot, sample))
}
