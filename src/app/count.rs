//! What the loops conclude, as counters.

use crate::cloud::stats;
use crate::cloud::throttle::Class;
use crate::control::Watcher;
use crate::domain::outcome::{CallResult, Outcome};
use crate::domain::plan::{Action, Decision, Tempering, Waiting};
use crate::telemetry::{BreakerState, CallCount, Counters};

/// Counts decisions by reason and actions by result.
pub(super) struct Counting(pub(super) Counters);

impl Watcher for Counting {
    fn decided(&self, decision: &Decision) {
        let group = decision.group.as_str();
        let reasons = decision
            .plan
            .iter()
            .map(action)
            .chain(decision.tempering.iter().map(tempering))
            .chain(decision.waiting.iter().map(Waiting::word));
        for reason in reasons {
            self.0.decided(group, reason);
        }
    }

    fn ended(&self, decision: &Decision, outcome: &Outcome) {
        let planned = decision.plan.iter().find(|action| *action.intent() == outcome.intent);
        let Some(planned) = planned else { return };
        let servers = match planned {
            Action::Launch { launch, .. } => u64::from(launch.n),
            Action::Terminate { .. } | Action::Adopt { .. } => 1,
        };
        let group = decision.group.as_str();
        self.0.acted(group, action(planned), result(&outcome.result), servers);
    }
}

fn action(action: &Action) -> &'static str {
    match action {
        Action::Launch { .. } => "launch",
        Action::Terminate { .. } => "terminate",
        Action::Adopt { .. } => "adopt",
    }
}

fn tempering(step: &Tempering) -> &'static str {
    match step {
        Tempering::Bounded { .. } => "bounded",
        Tempering::Stabilized { .. } => "stabilized",
        Tempering::StabilizedOut { .. } => "stabilized_out",
        Tempering::RatedIn { .. } => "rated_in",
        Tempering::RatedOut { .. } => "rated_out",
        Tempering::Disabled { .. } => "disabled",
        Tempering::Cooling { .. } => "cooling",
        Tempering::CoolingOut { .. } => "cooling_out",
        Tempering::Blind { .. } => "blind",
        Tempering::Held { .. } => "held",
        Tempering::TakenOver { .. } => "taken_over",
        Tempering::Pinned { .. } => "pinned",
    }
}

fn result(result: &CallResult) -> &'static str {
    match result {
        CallResult::Launched { .. } => "launched",
        CallResult::Deleting => "deleting",
        CallResult::Adopted => "adopted",
        CallResult::Gone => "gone",
        CallResult::Detached => "detached",
        CallResult::Withheld { .. } => "withheld",
        CallResult::NotSent { .. } => "not_sent",
        CallResult::Refused(_) => "refused",
        CallResult::Unclear(_) => "unclear",
    }
}

/// A breaker as the metrics page wants it.
pub(super) fn breaker((service, class, open): (String, Class, bool)) -> BreakerState {
    BreakerState { service, class: class.word(), open }
}

/// A call count as the metrics page wants it.
pub(super) fn call(count: stats::CallCount) -> CallCount {
    CallCount {
        service: count.service.to_owned(),
        method: count.method,
        outcome: count.outcome.to_owned(),
        calls: count.count,
    }
}
