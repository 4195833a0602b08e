//! How many servers were ready when something was measured.
//!
//! Each pass counts those that serve. What was measured between two passes is taken to be of as many
//! as the first of them counted, without those that it told to go: they carried nothing then.

use super::Fleet;
use crate::decide::snapshot::Snapshot;
use crate::domain::claim::Memory;
use crate::domain::intent::State;
use crate::domain::policy::Policy;
use crate::domain::time::Steady;

impl Fleet<'_> {
    /// By the last count before it; as many as now, where nothing was counted yet.
    pub(super) fn ready_at(&self, then: Steady) -> u32 {
        let now = self.tally.serving + self.tally.unsure;
        let counted = self.snapshot.memory.and_then(|memory| memory.ready_at(then));
        let Some(counted) = counted else { return now };
        let gone = self.gone.iter().filter(|at| **at <= then).count();
        let gone = u32::try_from(gone).unwrap_or(u32::MAX);
        counted.saturating_sub(gone).max(counted.min(now))
    }
}

/// When servers were told to go that the last count took for ready.
pub(super) fn told_to_go(snapshot: &Snapshot<'_>) -> impl Iterator<Item = Steady> {
    let counted = snapshot.memory.and_then(Memory::counted).unwrap_or_default();
    let told = snapshot.intents.iter().filter(|it| it.terminate().is_some_and(|t| t.served));
    let told = told.filter_map(|intent| match &intent.state {
        State::Accepted { at, .. } => Some(at.steady),
        // Whoever is gone was missed by a count before: it was leaving then.
        State::Open | State::Unsettled { .. } | State::Abandoned { .. } | State::Closed { .. } => {
            None
        }
    });
    told.filter(move |at| *at > counted)
}

/// Notes how many are ready now, if a policy goes by it. Those that were told to go are so no more
/// since they were told.
pub fn count(snapshot: &Snapshot<'_>, ready: u32, next: &mut Memory) {
    let goes_by_it = |policy: &Policy| match policy {
        Policy::Average(_) => true,
        Policy::Step(step) => step.flapping_guard,
        Policy::Total(_) | Policy::Alert(_) | Policy::Expression(_) => false,
    };
    if !snapshot.group.policies.iter().any(goes_by_it) {
        next.ready.clear();
    } else if snapshot.seen().is_some() {
        let fewer = next.ready.last().map_or(0, |last| last.servers.saturating_sub(ready));
        let gone: Vec<Steady> = told_to_go(snapshot).collect();
        let explained = fewer > 0 && gone.len() >= fewer as usize;
        let told = gone.into_iter().max().filter(|_| explained);
        next.count_ready(told.unwrap_or(snapshot.now.steady), ready);
    }
}
