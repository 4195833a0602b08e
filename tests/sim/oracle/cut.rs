//! I14: a large cut of max is held against the one that was last in force without a doubt.

use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::time::Steady;

use super::Context;
use crate::servers::State;
use crate::trace::Trace;

/// How the configured max stands to the one that was last in force without a doubt.
#[derive(Clone, Copy, Default)]
pub struct Cut {
    accepted: Option<u32>,
    /// A person may have said that this max is meant.
    pub confirmed: Option<u32>,
    /// That word was answered: it is kept.
    pub sure: Option<u32>,
    /// The last decision had to wait for a person.
    pub waits: bool,
    /// A pass may have accepted it and not been published.
    pub unsure: bool,
    /// The largest max that was configured since one was confirmed.
    largest: u32,
}

impl Cut {
    /// A cut by more than half waits for a person, unless it takes nothing away. What was accepted
    /// falls only as the fleet does.
    pub fn decided(&mut self, max: u32, stands: Option<u32>) {
        self.confirmed = self.confirmed.filter(|confirmed| *confirmed == max);
        // A word that nobody answered may not have been kept, and then the cut still waits.
        let sure = self.confirmed.is_some() && self.sure == self.confirmed;
        self.largest = if sure { max } else { max.max(self.largest) };
        let last = self.accepted.unwrap_or(max.max(stands.unwrap_or(0)));
        let doubted = max * 2 < last && self.confirmed.is_none();
        let waits = doubted && stands.is_none_or(|there| there > max);
        self.waits = waits && !self.unsure;
        let next = match self.confirmed {
            Some(_) => max,
            None => max.max(stands.map_or(last, |there| last.min(there))),
        };
        if std::mem::take(&mut self.unsure) {
            self.accepted = Some(max);
        } else if !waits {
            (self.accepted, self.confirmed) = (Some(next), None);
        }
    }

    /// It may wait for a person's word: it takes nothing away for being too many, but for what
    /// exceeds the old max as well.
    pub fn idle(&self, max: u32, decision: &Decision) -> bool {
        let (going, spare) = self.surplus(decision);
        max * 2 < self.largest && going <= spare
    }

    /// How many go for being too many, and how many exceed the max that was accepted.
    fn surplus(&self, decision: &Decision) -> (u32, u32) {
        let surplus = |a: &&Action| matches!(a, Action::Terminate { cause: Cause::Surplus, .. });
        let going = u32::try_from(decision.plan.iter().filter(surplus).count()).unwrap();
        (going, decision.tally.capacity().saturating_sub(self.accepted.unwrap_or(0)))
    }

    /// All that was kept is gone.
    pub fn forget(&mut self) {
        *self = Self { largest: self.largest, ..Self::default() };
    }
}

impl State {
    /// While a large cut of max waits for a person, nothing goes but what exceeds the old one.
    pub(super) fn judge_cut(
        &self,
        context: &Context,
        decision: &Decision,
        at: Steady,
        trace: &Trace,
    ) {
        let watch = &self.oracle.groups[context.group];
        let (going, spare) = watch.cut.surplus(decision);
        if watch.cut.waits && going > spare {
            let (from, to) = (watch.cut.accepted.unwrap_or(0), watch.group.max_ever());
            let said = format!("{going} go by a cut of max from {from} to {to} without a word");
            trace.broken(at, "I14", &said);
        }
    }
}
