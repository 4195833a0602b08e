//! Adoptions: I8, what is adopted was ordered by a person; I4, and stands in the journal.

use novascale::domain::id::ServerId;
use novascale::domain::intent::{Intent, State as Progress};
use novascale::domain::time::Now;

use crate::servers::State;
use crate::trace::Trace;

impl State {
    pub fn judge_adoption(&mut self, id: &ServerId, now: Now, trace: &Trace) {
        self.changes += 1;
        let Some(context) = &self.oracle.context else {
            trace.broken(now.steady, "I8", "an adoption that no pass made");
            return;
        };
        let overtaken = context.epoch != self.oracle.epoch;
        let of = |intent: &Intent| intent.adopt().is_some_and(|adopt| adopt.server == *id);
        let open = |intent: &Intent| intent.state == Progress::Open || overtaken;
        let journal = self.oracle.journal(context.group, now).intents;
        if !journal.iter().any(|intent| open(intent) && of(intent)) {
            trace.broken(now.steady, "I4", &format!("{id} is adopted without an intent"));
        }
        if let Some(decision) = &context.decision {
            self.judge_melt(context.group, decision.at.steady, (now.steady, trace));
        }
        if !self.oracle.groups[context.group].adoptees.contains(id) {
            trace.broken(now.steady, "I8", &format!("nobody ordered to adopt {id}"));
        }
    }
}
