//! One pass for one group: gather, decide, verify, record, act, record.
//!
//! Every pass starts from the full state and does what is left to do; the next pass is
//! the retry, and the pass after a crash is the recovery. The decision with its intents
//! is durable before the first call, each outcome as soon as its call has ended.
//! [`preview`] stops before the first record.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use super::{Parts, act};
use crate::decide::verify::{Violation, verify};
use crate::decide::{Draws, Open, Snapshot, decide};
use crate::domain::fleet::Observation;
use crate::domain::freeze::Braked;
use crate::domain::group::Group;
use crate::domain::id::SignalName;
use crate::domain::outcome::{CallResult, Outcome};
use crate::domain::plan::{Action, Decision};
use crate::domain::signal::Sample;
use crate::domain::time::Now;
use crate::killpoint;
use crate::store::{Gathered, StoreError, Window};

/// How far back closed intents and gone servers are read, at least.
const PAST_WINDOW: Duration = Duration::from_secs(2 * 3600);
/// And at least so many of the longest waits after a failure: a run of failures that is not
/// read as a whole would begin again with the shortest.
const PAST_WAITS: u32 = 4;

/// Why a pass came to nothing. Nothing was changed by it.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    #[error("the decision breaks a rule and is not carried out: {}", list(.0))]
    Refused(Vec<Violation>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn list(violations: &[Violation]) -> String {
    violations.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// One look at one group, with all that follows from it. `publish` is called with the
/// decision once it is durable, before the first call.
pub async fn pass(
    parts: &Parts,
    group: &Group,
    observation: &Observation,
    now: Now,
    draws: &mut dyn Draws,
    publish: impl FnOnce(&Arc<Decision>),
) -> Result<Arc<Decision>, PassError> {
    let gathered = gather(parts, group, now).await?;
    let decision = Arc::new(judged(gathered.snapshot(parts, group, observation, now), draws)?);
    planned(&decision, "pass.decided");
    parts.store.record(&parts.lease, &decision).await?;
    planned(&decision, "pass.recorded");
    publish(&decision);
    parts.watcher.decided(&decision);
    log_plan(&decision);
    carry_out(parts, group, &decision).await?;
    Ok(decision)
}

/// A point of passes that change something.
fn planned(decision: &Decision, point: &str) {
    if !decision.plan.is_empty() {
        killpoint::reached(point);
    }
}

/// Makes the decision's calls and stores what becomes of each. A store that fails for a
/// moment cuts no call short: one that was dropped on its way would be unclear for the
/// whole settling time.
async fn carry_out(parts: &Parts, group: &Group, decision: &Decision) -> Result<(), StoreError> {
    let mut outcomes = pin!(act::act(parts, group, decision));
    let mut unsettled = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        log_outcome(decision, &outcome);
        parts.watcher.ended(decision, &outcome);
        let outcome = [outcome];
        match parts.store.settle(&parts.lease, &group.name, &outcome).await {
            Ok(()) => killpoint::reached("pass.settled"),
            // Another one writes now, and acts.
            Err(error @ StoreError::Fenced(_)) => return Err(error),
            Err(_) => unsettled.extend(outcome),
        }
    }
    let mut last = Ok(());
    for outcome in unsettled {
        let settled = parts.store.settle(&parts.lease, &group.name, &[outcome]).await;
        last = last.and(settled);
    }
    last
}

/// What a pass would decide now. It records nothing and calls nobody.
pub async fn preview(
    parts: &Parts,
    group: &Group,
    observation: &Observation,
    now: Now,
    draws: &mut dyn Draws,
) -> Result<Decision, StoreError> {
    let gathered = gather(parts, group, now).await?;
    Ok(decide(&gathered.snapshot(parts, group, observation, now), draws))
}

/// What was found of a group, but for the observation.
struct Found {
    gathered: Gathered,
    history: Vec<Sample>,
    brake: Option<Braked>,
    open: Open,
}

async fn gather(parts: &Parts, group: &Group, now: Now) -> Result<Found, StoreError> {
    let past = PAST_WINDOW.max(group.launch.backoff.most * PAST_WAITS);
    // The store forgets what no policy may ask for: a sample of whatever age that it still has
    // tells who has fallen silent.
    let window = Window { now, signals: Duration::MAX, past };
    let gathered = parts.store.gather(&group.name, window).await?;
    let mut history = Vec::new();
    for (signal, window) in windows(group) {
        let since = now.steady.minus(window);
        history.extend(parts.store.history(&group.name, signal, since).await?);
    }
    Ok(Found { gathered, history, brake: parts.brake.on(&group.name), open: Open::default() })
}

/// How far back policies look at the samples of each signal: a window ends with the newest, which
/// may be as old as its policy takes for fresh.
fn windows(group: &Group) -> BTreeMap<&SignalName, Duration> {
    let mut windows = BTreeMap::new();
    for reading in group.policies.iter().flat_map(|policy| policy.readings()) {
        if !reading.window.is_zero() {
            let longest: &mut Duration = windows.entry(&reading.signal).or_default();
            *longest = reading.window.saturating_add(reading.stale_after).max(*longest);
        }
    }
    windows
}

impl Found {
    fn snapshot<'a>(
        &'a self,
        parts: &'a Parts,
        group: &'a Group,
        observation: &'a Observation,
        now: Now,
    ) -> Snapshot<'a> {
        let gathered = &self.gathered;
        Snapshot {
            now,
            group,
            install: &parts.install,
            state: &gathered.state,
            memory: gathered.memory.as_ref(),
            samples: &gathered.samples,
            history: &self.history,
            intents: &gathered.intents,
            known: &gathered.known,
            observation,
            all_frozen: gathered.all_frozen.as_ref(),
            brake: self.brake.as_ref(),
            open: &self.open,
        }
    }
}

fn judged(snapshot: Snapshot<'_>, draws: &mut dyn Draws) -> Result<Decision, PassError> {
    let decision = decide(&snapshot, draws);
    let violations = verify(&snapshot, &decision);
    if violations.is_empty() { Ok(decision) } else { Err(PassError::Refused(violations)) }
}

fn log_plan(decision: &Decision) {
    for action in &decision.plan {
        let group = &decision.group;
        match action {
            Action::Launch { launch, .. } => tracing::info!(
                group = %group,
                launch = %launch.launch,
                desired = decision.desired,
                "{action}"
            ),
            Action::Terminate { .. } | Action::Adopt { .. } => {
                let action = decision.in_words(action);
                tracing::info!(group = %group, desired = decision.desired, "{action}");
            }
        }
    }
}

fn log_outcome(decision: &Decision, outcome: &Outcome) {
    let group = &decision.group;
    let action = decision.plan.iter().find(|action| *action.intent() == outcome.intent);
    let action = action.map(|action| decision.in_words(action)).unwrap_or_default();
    match &outcome.result {
        CallResult::Launched { .. }
        | CallResult::Deleting
        | CallResult::Adopted
        | CallResult::Gone => {
            tracing::debug!(group = %group, "done: {action}");
        }
        CallResult::Detached => {
            tracing::info!(group = %group, "left alone, it is no longer tagged: {action}");
        }
        CallResult::Withheld { why } | CallResult::NotSent { why } => {
            tracing::info!(group = %group, "not done, {why}: {action}");
        }
        CallResult::Refused(failure) | CallResult::Unclear(failure) => {
            tracing::warn!(
                group = %group,
                kind = failure.kind.word(),
                request_id = failure.request_id.as_deref(),
                key = failure.key.as_deref(),
                hint = failure.hint.as_deref(),
                "failed: {action}: {failure}"
            );
        }
    }
}
