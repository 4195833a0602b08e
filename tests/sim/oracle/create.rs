//! Creates: I1, I4, and I6 where it forbids to launch what is there already.

use std::time::Duration;

use novascale::cloud::Create;
use novascale::domain::intent::{Intent, State as Progress};
use novascale::domain::plan::Decision;
use novascale::domain::server::Status;
use novascale::domain::time::{Now, Steady};

use super::Context;
use crate::servers::{Body, State};
use crate::trace::Trace;

impl State {
    pub fn judge_create(&mut self, request: &Create, now: Now, trace: &Trace) {
        let at = now.steady;
        self.changes += 1;
        let Some(mut context) = self.oracle.context.take() else {
            trace.broken(at, "I4", "a create that no pass made");
            return;
        };
        if let Some(decision) = context.decision.clone() {
            let journal = self.oracle.journal(context.group, now);
            self.judge_change(&mut context, &decision, &journal, (at, trace));
            self.judge_intent(request, &context, &journal.intents, (at, trace));
            self.judge_room(request, &context, &journal.intents, (at, trace));
            self.judge_need(request, &context, &journal.intents, &decision, (at, trace));
        } else {
            trace.broken(at, "I4", "a create before its decision was durable");
        }
        self.oracle.context = Some(context);
    }

    /// I4: a durable intent with a launch id of its own precedes each create.
    fn judge_intent(
        &self,
        request: &Create,
        context: &Context,
        journal: &[Intent],
        (at, trace): (Steady, &Trace),
    ) {
        let line = journal.iter().find_map(|intent| {
            let launch = intent.launch().filter(|launch| launch.launch == request.launch)?;
            Some((intent, launch))
        });
        // Whoever takes over while the call is under way finds the line open, and takes it for
        // unsettled.
        let overtaken = context.epoch != self.oracle.epoch;
        let open = |intent: &Intent| match intent.state {
            Progress::Open => true,
            Progress::Unsettled { .. } => overtaken,
            _ => false,
        };
        match line {
            None => trace.broken(at, "I4", "a create without an intent"),
            Some((intent, launch)) if !open(intent) || launch.n != request.n => {
                trace.broken(at, "I4", &format!("a create for an intent that is {intent:?}"));
            }
            Some(_) => {}
        }
        let sent = self.late.iter().any(|(_, late)| late.launch == request.launch);
        if sent || self.made.contains_key(&request.launch) {
            trace.broken(at, "I4", "one intent was sent twice");
        }
    }

    /// I1: servers in any state, open intents and the new ones together stay within the max that was
    /// in force when the decision was made, by the oracle's own reckoning. What a
    /// launch brings that was given up counts from when it is shown.
    fn judge_room(
        &self,
        request: &Create,
        context: &Context,
        journal: &[Intent],
        (at, trace): (Steady, &Trace),
    ) {
        let group = &self.oracle.groups[context.group].group;
        let max = context.decision.as_ref().map_or(0, |decision| decision.bounds.max);
        let began = context.began().unwrap_or(at);
        let there: Vec<&Body> = self
            .members(context.group)
            .filter(|b| !b.soft() && b.touched <= began && told_of(b, journal))
            .collect();
        let on_the_way: u32 = self
            .late
            .iter()
            .filter(|(_, late)| late.group == group.name && alive(journal, late))
            .map(|(_, late)| late.n)
            .sum();
        let sum = u32::try_from(there.len()).unwrap() + on_the_way + request.n;
        if sum > max {
            let there: Vec<String> = there.iter().map(|body| body.in_words()).collect();
            let said = format!(
                "{on_the_way} on the way and {} new ones exceed {} beside {there:?}",
                request.n, max
            );
            trace.broken(at, "I1", &said);
        }
    }

    /// I6: what serves for all that is known is not launched again.
    fn judge_need(
        &self,
        request: &Create,
        context: &Context,
        journal: &[Intent],
        decision: &Decision,
        (at, trace): (Steady, &Trace),
    ) {
        let Some(began) = context.began() else { return };
        let group = &self.oracle.groups[context.group].group;
        let leaving = |body: &Body| {
            journal.iter().any(|intent| {
                intent.state.live()
                    && intent.terminate().is_some_and(|t| t.server == body.server.id)
            })
        };
        let counts = |body: &&Body| {
            let waited = began.since(body.made).saturating_add(Duration::from_secs(120));
            let patient = waited < group.patience.build;
            let building = body.server.status == Status::Build && patient && !body.deleting();
            let Some(shown) = body.shown.filter(|shown| body.touched <= *shown) else {
                return false;
            };
            // One that came up too late was shown to have failed, until it is shown to serve.
            let told = body.built <= shown || body.built <= began && patient;
            body.made < began && (body.serves() && told || building) && !leaving(body)
        };
        let there = u32::try_from(self.members(context.group).filter(counts).count()).unwrap();
        if there + request.n > decision.desired {
            let said = format!(
                "{there} serve or are built, {} more are launched, {} are desired",
                request.n, decision.desired
            );
            trace.broken(at, "I6", &said);
        }
    }
}

/// Shown, or of a launch that still counts. A controller that lost its state, or was not yet
/// shown what somebody tagged, cannot count it; nor what an unreachable cell hides of a launch
/// that two complete listings, a settling time apart, showed in part.
fn told_of(body: &Body, journal: &[Intent]) -> bool {
    let launched = body.server.launch();
    let live = journal.iter().filter(|intent| intent.state.live());
    let mut launches = live.filter_map(Intent::launch);
    body.shown.is_some() || launches.any(|launch| Some(&launch.launch) == launched.as_ref())
}

/// Whether the create's intent is still counted.
fn alive(journal: &[Intent], late: &Create) -> bool {
    let of = |i: &&Intent| i.launch().is_some_and(|launch| launch.launch == late.launch);
    journal.iter().find(of).is_some_and(|intent| intent.state.live())
}
