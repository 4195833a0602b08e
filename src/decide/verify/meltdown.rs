//! The meltdown guard, recounted: from what was remembered before and what was shown now.

use std::collections::BTreeSet;

use super::{Judge, Violation, broken, serves};
use crate::domain::id::ServerId;
use crate::domain::intent::State;
use crate::domain::server::{Known, Ownership, Server, Status};
use crate::domain::time::Steady;

impl Judge<'_> {
    /// Too many of those that served were lost at once: nothing is changed.
    pub(super) fn meltdown(&self) -> Option<Violation> {
        if self.decision.plan.is_empty() {
            return None;
        }
        let guard = self.snapshot.group.behaviour.meltdown;
        let memory = self.snapshot.memory;
        let let_go = self.snapshot.state.unfrozen.map_or(Steady(0), |at| at.steady);
        let latch = memory.and_then(|m| m.melted.as_ref()).filter(|m| m.since > let_go);
        if latch.is_none() && !self.snapshot.known.iter().any(|k| self.lost_now(k)) {
            return None;
        }
        let young = |at: Steady| self.snapshot.now.steady.since(at) <= guard.within && at > let_go;
        let recent = memory.into_iter().flat_map(|m| m.losses.iter()).filter(|l| young(l.at));
        let mut lost: BTreeSet<&ServerId> = recent.map(|l| &l.server).collect();
        lost.extend(latch.into_iter().flat_map(|m| m.lost.iter()));
        lost.extend(self.snapshot.known.iter().filter(|k| self.lost_now(k)).map(|k| &k.id));
        lost.retain(|id| !self.shown(id).is_some_and(serves));
        let of = latch.map_or_else(|| self.stood(&lost) + lost.len(), |m| m.of as usize);
        let (n, of) = (lost.len(), of.max(1));
        if n <= guard.most as usize || n as f64 * 100.0 <= guard.percent * of as f64 {
            return None;
        }
        broken("meltdown", format!("something is changed though {n} of {of} were lost at once"))
    }

    /// It served until now, and is shown in ERROR or stopped, or proved gone though we did not
    /// end it.
    fn lost_now(&self, known: &Known) -> bool {
        let tagged = |s: &&Server| s.has_tag(&self.snapshot.group.tag);
        let down = self
            .shown(&known.id)
            .filter(tagged)
            .is_some_and(|s| (s.status == Status::Error || s.status.rests()) && !s.deleting);
        let ours = known.ownership == Ownership::Ours && !self.ended_by_us(&known.id);
        stood(known) && ours && (down || self.looked_up_absent(&known.id))
    }

    fn ended_by_us(&self, id: &ServerId) -> bool {
        self.snapshot.intents.iter().any(|i| {
            let unclear = i.trouble.as_ref().is_some_and(|t| !t.failure.kind.certain());
            let spared = matches!(i.state, State::Closed { done: 0, .. }) && !unclear;
            i.terminate().is_some_and(|t| t.server == *id) && !spared
        })
    }

    /// Those that served and are still there, shown now or known from before.
    fn stood(&self, lost: &BTreeSet<&ServerId>) -> usize {
        let ours = |s: &Server| {
            s.ownership(self.snapshot.install, &self.snapshot.group.name) == Ownership::Ours
        };
        let up = |s: &Server| (s.launched || serves(s)) && !s.status.rests();
        let shown = self.all_shown().filter(|s| ours(s) && up(s));
        let known = self.snapshot.known.iter();
        let known = known.filter(|k| stood(k) && k.ownership == Ownership::Ours);
        let all: BTreeSet<&ServerId> = shown.map(|s| &s.id).chain(known.map(|k| &k.id)).collect();
        all.into_iter().filter(|id| !lost.contains(id)).count()
    }
}

/// It served, and nothing was wrong with it.
fn stood(known: &Known) -> bool {
    known.served && known.state.lives() && known.failure.is_none() && !known.rests
}
