//! Deletes: I2, I3.

use std::time::Duration;

use novascale::cloud::Deleted;
use novascale::domain::id::{ServerId, mark};
use novascale::domain::intent::State as Progress;
use novascale::domain::outcome::Failure;
use novascale::domain::plan::{Action, Decision};
use novascale::domain::time::{Now, Steady};

use super::Context;
use crate::servers::{Body, State};
use crate::trace::Trace;

impl State {
    pub fn judge_delete(&mut self, id: &ServerId, now: Now, trace: &Trace) {
        let at = now.steady;
        self.changes += 1;
        let Some(mut context) = self.oracle.context.take() else {
            trace.broken(at, "I3", "a delete that no pass made");
            return;
        };
        match context.decision.clone() {
            Some(decision) => self.judge_delete_of(id, &mut context, &decision, (now, trace)),
            None => trace.broken(at, "I4", "a delete before its decision was durable"),
        }
        self.oracle.context = Some(context);
    }

    fn judge_delete_of(
        &self,
        id: &ServerId,
        context: &mut Context,
        decision: &Decision,
        (now, trace): (Now, &Trace),
    ) {
        let at = now.steady;
        let planned = decision.plan.iter().any(|action| match action {
            Action::Terminate { server, .. } => server == id,
            Action::Launch { .. } | Action::Adopt { .. } => false,
        });
        let journal = self.oracle.journal(context.group, now);
        let overtaken = context.epoch != self.oracle.epoch;
        let recorded = journal.intents.iter().any(|intent| {
            (intent.state == Progress::Open || overtaken)
                && intent.terminate().is_some_and(|t| t.server == *id)
        });
        if !planned || !recorded {
            trace.broken(at, "I3", &format!("a delete of {id} without plan and intent"));
        }
        self.judge_cut(context, decision, at, trace);
        self.judge_change(context, decision, &journal, (at, trace));
        let looked = self.oracle.looked.get(id).copied().unwrap_or_default();
        if looked < decision.at.steady {
            trace.broken(at, "I3", &format!("{id} was not looked at before its delete"));
        }
        let Some(body) = self.bodies.get(id) else { return };
        if body.touched <= looked && !self.ours(body, context.group) {
            trace.broken(at, "I3", &format!("{id} is not ours to delete"));
        }
        if self.served_when_looked_at(id) {
            self.judge_floor(context, decision, at, trace);
        }
    }

    /// It serves, and served when its delete was decided upon: what comes up while the call is
    /// on its way was not there to be spared.
    pub fn served_when_looked_at(&self, id: &ServerId) -> bool {
        let looked = self.oracle.looked.get(id).copied().unwrap_or_default();
        let came_up = |body: &Body| body.built.max(body.touched);
        self.bodies.get(id).is_some_and(|body| body.serves() && came_up(body) <= looked)
    }

    /// Nova's own 404 to a delete proves that the server is gone.
    pub fn told_of_delete(&mut self, id: &ServerId, answer: &Result<Deleted, Failure>) {
        let of = self.oracle.context.as_ref().filter(|_| matches!(answer, Ok(Deleted::Gone)));
        if let Some(group) = of.map(|context| context.group) {
            self.oracle.groups[group].melt.gone(id);
        }
    }

    fn ours(&self, body: &Body, group: usize) -> bool {
        let meta = |key: &str| body.server.metadata.get(key).map(String::as_str);
        self.member(body, group)
            && meta(mark::INSTALL) == Some(self.oracle.install.as_str())
            && meta(mark::GROUP) == Some(self.oracle.groups[group].group.name.as_str())
            && !body.server.locked
            && !body.server.protected()
    }

    /// I2: nothing that serves goes under min, and the last one only when none is desired.
    fn judge_floor(&self, context: &Context, decision: &Decision, at: Steady, trace: &Trace) {
        let watch = &self.oracle.groups[context.group];
        let serving = u32::try_from(self.serving(context.group)).unwrap();
        let began = context.began().unwrap_or(at);
        let harm = watch.harm.iter().filter(|then| **then > began).count();
        let left = serving - 1 + u32::try_from(harm).unwrap();
        let floor = decision.bounds.floor();
        if left < floor {
            let said = format!("{serving} serve, and one goes though min is {floor}");
            trace.broken(at, "I2", &said);
        }
        if left == 0 && decision.desired > 0 {
            trace.broken(at, "I2", "the last server goes though one is desired");
        }
    }

    /// A server that served is on its way out by our doing. I2: not too many at once.
    pub fn taken(&mut self, trace: &Trace) {
        let Some(Context { group, decision: Some(decision), .. }) = &self.oracle.context else {
            return;
        };
        // It counts from when it was decided: a call may be long on its way.
        let (group, at) = (*group, decision.at.steady);
        let watch = &mut self.oracle.groups[group];
        let minute = at.minus(Duration::from_secs(60));
        watch.taken.push_back(at);
        // Of two controllers the first one's may come last, and was decided before.
        watch.taken.retain(|then| *then > minute);
        let harmed = watch.harm.iter().filter(|then| **then > minute).count();
        let taken = watch.taken.len();
        let velocity = watch.group.behaviour.scale_in.velocity;
        let serving = self.serving(group);
        let allowed = velocity.percent / 100.0 * (serving + taken + harmed) as f64;
        let allowed = (allowed.floor() as usize).max(1);
        if taken > allowed {
            trace.broken(at, "I2", &format!("{taken} went within a minute, {allowed} may"));
        }
    }
}
