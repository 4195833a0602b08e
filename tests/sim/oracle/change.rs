//! What every change has to keep, create or delete: I6, I7, I14, the meltdown guard.

use std::collections::BTreeSet;
use std::time::Duration;

use novascale::domain::fleet::{Found, Seen};
use novascale::domain::id::ServerId;
use novascale::domain::plan::Decision;
use novascale::domain::time::Steady;
use novascale::store::Gathered;

use super::Context;
use crate::servers::State;
use crate::trace::Trace;

/// A listing and a plan are acted on for so long.
const GOOD_FOR: Duration = Duration::from_secs(30);

impl State {
    pub(super) fn judge_change(
        &self,
        context: &mut Context,
        decision: &Decision,
        journal: &Gathered,
        (at, trace): (Steady, &Trace),
    ) {
        context.judge_sight(decision, at, trace);
        context.judge_lease(self.oracle.epoch, at, trace);
        if self.oracle.groups[context.group].absent {
            trace.broken(at, "I14", "a change for a group that is not in the configuration");
        }
        self.judge_melt(context.group, decision.at.steady, (at, trace));
        if let Some(seen) = context.seen() {
            self.judge_plausibility(context.group, seen, decision, journal, (at, trace));
        }
    }

    /// I6: where too much of what is there was missing at once, nothing is done.
    fn judge_plausibility(
        &self,
        group: usize,
        seen: &Seen,
        decision: &Decision,
        journal: &Gathered,
        (at, trace): (Steady, &Trace),
    ) {
        let began = seen.began.steady;
        let told: BTreeSet<&ServerId> = told(seen).collect();
        let leaving: BTreeSet<&ServerId> = journal
            .intents
            .iter()
            .filter(|i| i.state.live() && i.opened != decision.at)
            .filter_map(|i| i.terminate().map(|t| &t.server))
            .collect();
        let lacked = self.members(group).filter(|body| {
            let id = &body.server.id;
            let recorded = body.shown.is_some_and(|shown| body.touched <= shown && shown < began);
            recorded && !body.soft() && !told.contains(id) && !leaving.contains(id)
        });
        let lacked = lacked.count();
        let known = journal.known.iter().filter(|known| known.state.lives()).count();
        if lacked as f64 > (known as f64 * 0.2).max(2.0) {
            let said =
                format!("a change though {lacked} of {known} were missing, all of them there");
            trace.broken(at, "I6", &said);
        }
    }
}

/// Servers of which the observation tells anything.
fn told(seen: &Seen) -> impl Iterator<Item = &ServerId> {
    let looked = seen.lookups.iter().filter(|lookup| match lookup.found {
        Found::Present(_) | Found::Absent => true,
        Found::Unclear(_) => false,
    });
    seen.servers.iter().map(|server| &server.id).chain(looked.map(|lookup| &lookup.id))
}

impl Context {
    /// I6: nothing is changed without a listing, on one that was stale when the plan was made, or
    /// on a plan that has grown old since.
    fn judge_sight(&self, decision: &Decision, at: Steady, trace: &Trace) {
        let planned = decision.at.steady;
        match self.began() {
            None => trace.broken(at, "I6", "a change without a listing"),
            Some(began) if planned.since(began) > GOOD_FOR => {
                trace.broken(at, "I6", "a change on a stale listing");
            }
            Some(_) => {}
        }
        if at.since(planned) > GOOD_FOR {
            trace.broken(at, "I6", "a plan older than 30 s was acted on");
        }
    }

    /// I7: once another has taken over, what is under way comes to its end, and no more. A disk
    /// that is busy hides it until the next write.
    fn judge_lease(&mut self, epoch: u64, at: Steady, trace: &Trace) {
        if self.epoch == epoch {
            return;
        }
        self.fenced += 1;
        if self.fenced > self.at_once + self.refused {
            trace.broken(at, "I7", "a controller went on though another had taken over");
        }
    }
}
