//! Policies: the rules that turn signals into claims.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::fault::{Sink, Spot};
use super::super::file::{AlertText, ExpressionText, GroupText, Percent, StepText, TargetText};
use super::super::read::At;
use super::range::{self, DAY, SECOND};
use super::step;
use crate::domain::behaviour::Behaviour;
use crate::domain::count::{Bounds, MOST};
use crate::domain::formula::Formula;
use crate::domain::id::{AlertName, SignalName};
use crate::domain::policy::{
    Aggregate, Alert, Asks, Average, Expression, Fallback, Policy, Reading, STALE_MOST, Step,
    Tolerance, Total, WINDOW_MOST,
};
use crate::domain::time::spoken;

/// How long a sample counts when nobody says otherwise: a few periods of common senders.
const STALE_AFTER: Duration = Duration::from_secs(300);
/// How far an average may be from its target: HPA's.
const TOLERANCE: f64 = 0.1;
/// Servers that have just booted measure their boot. Below HPA's five minutes, for it does not
/// count from when they serve.
const WARM_UP: Duration = Duration::from_secs(60);
/// For how long a step is left to show its effect: AWS's default cooldown.
const STEP_WARM_UP: Duration = Duration::from_secs(300);
/// How often an alert that goes on firing asks for more.
const ALERT_EVERY: Duration = Duration::from_secs(300);
/// Above the four hours after which Alertmanager and Grafana repeat an alert.
const EXPIRES_AFTER: Duration = Duration::from_secs(5 * 3600);
/// More policies than this are a program's work, which has the API.
const POLICIES_MOST: usize = 64;

pub(super) fn check(
    group: &At<GroupText>,
    (bounds, behaviour): (Bounds, &Behaviour),
    sink: &mut Sink,
) -> Vec<Policy> {
    let mut all = Checked { policies: Vec::new(), keys: BTreeSet::new() };
    for text in group.target.iter().flat_map(|at| &at.value) {
        let policy = target(text, (bounds, behaviour), sink);
        let spot = text.signal.as_ref().map_or(&text.spot, |at| &at.spot);
        all.take(policy, spot, "keep one of them: the larger claim would win anyway", sink);
    }
    for text in group.step.iter().flat_map(|at| &at.value) {
        let policy = step(text, sink);
        let spot = text.signal.as_ref().map_or(&text.spot, |at| &at.spot);
        all.take(policy, spot, "put all ranges into one of them", sink);
    }
    for text in group.alert.iter().flat_map(|at| &at.value) {
        let policy = alert(text, sink);
        let spot = text.alert.as_ref().map_or(&text.spot, |at| &at.spot);
        all.take(policy, spot, "keep one of them", sink);
    }
    for text in group.expression.iter().flat_map(|at| &at.value) {
        let policy = expression(text, sink);
        let spot = text.name.as_ref().map_or(&text.spot, |at| &at.spot);
        all.take(policy, spot, "give each its own `name`", sink);
    }
    if all.policies.len() > POLICIES_MOST {
        let reason = format!("`{}` has more than {POLICIES_MOST} policies", group.spot.key);
        sink.fault(&group.spot, reason);
    }
    judge_start(&all.policies, group, bounds, sink);
    all.policies
}

/// Those that could be understood; no two are known by one key.
struct Checked {
    policies: Vec<Policy>,
    keys: BTreeSet<String>,
}

impl Checked {
    fn take(&mut self, policy: Option<Policy>, spot: &Spot, hint: &str, sink: &mut Sink) {
        let Some(policy) = policy else { return };
        if !self.keys.insert(policy.key()) {
            let reason = match &policy {
                Policy::Total(Total { reading, .. }) | Policy::Average(Average { reading, .. }) => {
                    format!("two targets follow the signal \"{}\"", reading.signal)
                }
                Policy::Step(Step { reading, .. }) => {
                    format!("two step policies follow the signal \"{}\"", reading.signal)
                }
                Policy::Alert(Alert { alert, .. }) => {
                    format!("two policies follow the alert \"{alert}\"")
                }
                Policy::Expression(expression) => {
                    format!("two expressions are called \"{}\"", expression.name)
                }
            };
            sink.fault(spot, reason).hint(hint);
        }
        self.policies.push(policy);
    }
}

/// From nothing an average never rises: nobody measures it.
fn judge_start(policies: &[Policy], group: &At<GroupText>, bounds: Bounds, sink: &mut Sink) {
    let averages = policies.iter().all(|policy| matches!(policy, Policy::Average(_)));
    if bounds.min > 0 || policies.is_empty() || !averages {
        return;
    }
    let spot = group.min.as_ref().map_or(&group.spot, |at| &at.spot);
    let reason = format!("`{}` may shrink to no servers, and then none measures", group.spot.key);
    sink.warn(spot, reason).hint("set min to 1, or add a target with per_server");
}

fn target(
    text: &At<TargetText>,
    (bounds, behaviour): (Bounds, &Behaviour),
    sink: &mut Sink,
) -> Option<Policy> {
    let text_keys = Keys {
        aggregate: text.aggregate.as_ref(),
        window: text.window.as_ref(),
        stale_after: text.stale_after.as_ref(),
    };
    let signal = signal(text.signal.as_ref(), &text.spot, sink);
    let (aggregate, window, stale_after) = text_keys.check(sink);
    let fallback = fallback(text.hold_for.as_ref(), text.fallback.as_ref(), bounds, sink);
    let reading = Reading { signal: signal?, aggregate, window, stale_after };
    match (&text.per_server, &text.average) {
        (Some(per_server), None) => {
            misplaced(text.warm_up.as_ref(), "per_server", sink);
            let tolerance = tolerance(text.tolerance.as_ref(), (behaviour, 0.0), sink);
            let per_server = range::above_zero(Some(per_server), 1.0, f64::MAX, sink);
            Some(Policy::Total(Total { reading, per_server, tolerance, fallback }))
        }
        (None, Some(average)) => {
            let tolerance = tolerance(text.tolerance.as_ref(), (behaviour, TOLERANCE), sink);
            let target = range::above_zero(Some(average), 1.0, f64::MAX, sink);
            let warm_up = range::span(text.warm_up.as_ref(), WARM_UP, Duration::ZERO..=DAY, sink);
            let average = Average { reading, target, tolerance, warm_up, fallback };
            Some(Policy::Average(average))
        }
        (Some(_), Some(average)) => {
            let reason = format!("`{}` has both `per_server` and `average`", text.spot.key);
            sink.fault(&average.spot, reason).hint(
                "per_server divides the whole load, average is what each server should measure",
            );
            None
        }
        (None, None) => {
            let fault = sink.missing(&text.spot, "per_server");
            fault.hint(
                "write the load that one server carries; or average = what each should measure",
            );
            None
        }
    }
}

fn signal(at: Option<&At<String>>, spot: &Spot, sink: &mut Sink) -> Option<SignalName> {
    if at.is_none() {
        sink.missing(spot, "signal").hint("name the signal that measures the load");
    }
    range::id::<SignalName>(at?, sink)
}

/// How a signal is read, as written.
struct Keys<'a> {
    aggregate: Option<&'a At<String>>,
    window: Option<&'a At<Duration>>,
    stale_after: Option<&'a At<Duration>>,
}

impl Keys<'_> {
    fn check(&self, sink: &mut Sink) -> (Aggregate, Duration, Duration) {
        let aggregate = self.aggregate.map(|at| {
            Aggregate::parse(&at.value).unwrap_or_else(|| {
                let reason = format!("`{}` is \"{}\"", at.spot.key, at.value);
                sink.fault(&at.spot, reason).hint(format!("write {}", Aggregate::WORDS));
                Aggregate::Last
            })
        });
        let window = range::span(self.window, Duration::ZERO, SECOND..=WINDOW_MOST, sink);
        let stale_after = range::span(self.stale_after, STALE_AFTER, SECOND..=STALE_MOST, sink);
        if let (Some(at), Some(aggregate), None) = (self.aggregate, aggregate, self.window)
            && aggregate != Aggregate::Last
        {
            let reason = format!("`{}` needs a window", at.spot.key);
            sink.fault(&at.spot, reason).hint("add window = \"3m\": the samples of it count");
        }
        match (self.window, aggregate) {
            (Some(at), None) => {
                let reason = format!("`{}` needs an aggregate", at.spot.key);
                sink.fault(&at.spot, reason)
                    .hint("add aggregate = \"avg\": what its samples count as");
            }
            (Some(at), Some(Aggregate::Last)) => {
                let reason = format!("`{}` has no meaning for the last sample", at.spot.key);
                sink.fault(&at.spot, reason).hint("leave it out, or choose another aggregate");
            }
            (Some(_), Some(_)) if stale_after > WINDOW_MOST => {
                let most = spoken(WINDOW_MOST);
                let spot = self.stale_after.map(|at| &at.spot);
                let Some(spot) = spot else { return (Aggregate::Last, window, stale_after) };
                let reason = format!("`{}` is above {most}, with a window", spot.key);
                sink.fault(spot, reason).hint("samples are kept for two hours");
            }
            (Some(_), Some(_)) | (None, _) => {}
        }
        (aggregate.unwrap_or(Aggregate::Last), window, stale_after)
    }
}

/// The target's own, or the group's for each direction, or the default.
fn tolerance(
    at: Option<&At<Percent>>,
    (behaviour, default): (&Behaviour, f64),
    sink: &mut Sink,
) -> Tolerance {
    let both = |share| Tolerance { out: share, into: share };
    match at {
        Some(at) if (0.0..=100.0).contains(&at.0) => both(at.0 / 100.0),
        Some(at) => {
            let reason = format!("`{}` is {} %, but must be 0 to 100 %", at.spot.key, at.0);
            sink.fault(&at.spot, reason);
            both(default)
        }
        None => {
            let out = behaviour.scale_out.tolerance.map(|percent| percent / 100.0);
            let into = behaviour.scale_in.tolerance.map(|percent| percent / 100.0);
            Tolerance { out: out.unwrap_or(default), into: into.unwrap_or(default) }
        }
    }
}

/// A span where it has no meaning.
fn misplaced(at: Option<&At<Duration>>, key: &str, sink: &mut Sink) {
    if let Some(at) = at {
        let reason = format!("`{}` does not go with `{key}`", at.spot.key);
        sink.fault(&at.spot, reason).hint("it leaves young servers out of an average");
    }
}

fn fallback(
    hold_for: Option<&At<Duration>>,
    number: Option<&At<u64>>,
    bounds: Bounds,
    sink: &mut Sink,
) -> Option<Fallback> {
    match (hold_for, number) {
        (None, None) => None,
        (Some(at), None) => {
            let reason = format!("`{}` needs a fallback", at.spot.key);
            sink.fault(&at.spot, reason)
                .hint("add fallback = the servers to have then; without both, the fleet is held");
            None
        }
        (None, Some(at)) => {
            let reason = format!("`{}` needs hold_for", at.spot.key);
            sink.fault(&at.spot, reason).hint("add hold_for = \"30m\": until then it is held");
            None
        }
        (Some(hold_for), Some(number)) => {
            let after = range::span(Some(hold_for), DAY, SECOND..=STALE_MOST, sink);
            let capacity = range::number(Some(number), 0, 0..=MOST, sink);
            if capacity > bounds.max {
                let reason = format!("`{}` is {capacity}, above max", number.spot.key);
                sink.warn(&number.spot, reason);
            }
            Some(Fallback { after, capacity })
        }
    }
}

fn step(text: &At<StepText>, sink: &mut Sink) -> Option<Policy> {
    let keys = Keys {
        aggregate: text.aggregate.as_ref(),
        window: text.window.as_ref(),
        stale_after: text.stale_after.as_ref(),
    };
    let signal = signal(text.signal.as_ref(), &text.spot, sink);
    let (aggregate, window, stale_after) = keys.check(sink);
    let most = Bounds::new(0, MOST);
    let fallback = fallback(text.hold_for.as_ref(), text.fallback.as_ref(), most, sink);
    let (out, into) = step::ranges(text, sink);
    let warm_up = range::span(text.warm_up.as_ref(), STEP_WARM_UP, Duration::ZERO..=DAY, sink);
    let flapping_guard = text.flapping_guard.as_ref().is_none_or(|at| at.value);
    let reading = Reading { signal: signal?, aggregate, window, stale_after };
    Some(Policy::Step(Step { reading, out, into, warm_up, flapping_guard, fallback }))
}

fn alert(text: &At<AlertText>, sink: &mut Sink) -> Option<Policy> {
    if text.alert.is_none() {
        sink.missing(&text.spot, "alert").hint("write the alert's name, as its sender calls it");
    }
    let name = text.alert.as_ref().and_then(|at| range::id::<AlertName>(at, sink));
    let expires = text.expires_after.as_ref();
    let expires_after = range::span(expires, EXPIRES_AFTER, SECOND..=DAY * 7, sink);
    let asks = asks(text, sink)?;
    Some(Policy::Alert(Alert { alert: name?, asks, expires_after }))
}

fn asks(text: &At<AlertText>, sink: &mut Sink) -> Option<Asks> {
    if let Some(at) = &text.capacity {
        let every = text.every.as_ref().map(|at| &at.spot);
        let other = every.or(text.most.as_ref().map(|at| &at.spot));
        let more = text.change.as_ref().map(|at| &at.spot);
        let more = more.or(text.percent.as_ref().map(|at| &at.spot));
        if let Some(spot) = more.or(other).or(text.least.as_ref().map(|at| &at.spot)) {
            let reason = format!("`{}` does not go with `capacity`", spot.key);
            sink.fault(spot, reason)
                .hint("capacity is a number as long as it fires, change adds step by step");
        }
        return Some(Asks::Capacity(range::number(Some(at), 0, 0..=MOST, sink)));
    }
    let change = step::Size {
        servers: text.change.as_ref(),
        percent: text.percent.as_ref(),
        least: text.least.as_ref(),
        exact: None,
    };
    let change = change.check(&text.spot, sink);
    let every = range::span(text.every.as_ref(), ALERT_EVERY, SECOND..=DAY, sink);
    let most = range::number(text.most.as_ref(), MOST, 1..=MOST, sink);
    Some(Asks::More { change: change?, every, most })
}

fn expression(text: &At<ExpressionText>, sink: &mut Sink) -> Option<Policy> {
    let keys = Keys {
        aggregate: text.aggregate.as_ref(),
        window: text.window.as_ref(),
        stale_after: text.stale_after.as_ref(),
    };
    let (aggregate, window, stale_after) = keys.check(sink);
    let most = Bounds::new(0, MOST);
    let fallback = fallback(text.hold_for.as_ref(), text.fallback.as_ref(), most, sink);
    let Some(at) = &text.servers else {
        let fault = sink.missing(&text.spot, "servers");
        fault.hint("write a formula over signals, as servers = \"ceil(queue / 100)\"");
        return None;
    };
    let name = text.name.as_ref().map(|at| range::name(at, sink));
    let formula = match Formula::parse(&at.value) {
        Ok(formula) => formula,
        Err(why) => {
            let reason = format!("`{}` is no formula: {why}", at.spot.key);
            sink.fault(&at.spot, reason).hint(
                "numbers, signals, + - * /, comparisons, min, max, ceil, floor, round and abs; a \
                 signal whose name has '.', ':' or '-', or begins with a digit, stands in braces",
            );
            return None;
        }
    };
    let name = match name {
        Some(name) => name?,
        None => at.value.clone(),
    };
    let reading =
        |signal: &SignalName| Reading { signal: signal.clone(), aggregate, window, stale_after };
    let readings = formula.signals().iter().map(reading).collect();
    Some(Policy::Expression(Box::new(Expression { name, formula, readings, fallback })))
}
