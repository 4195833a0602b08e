//! Domain values as columns and back, and which passes are worth a row.
//!
//! What a query looks at has a column of its own; the rest of a value is one JSON text.
//! A text that cannot be read is reported with its table and key, never skipped: the
//! group that it belongs to stands still until a person has looked.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{StoreError, keep};
use crate::domain::claim::{Source, StepHeld};
use crate::domain::id::{GroupName, IntentId};
use crate::domain::intent::{Intent, State};
use crate::domain::outcome::Failure;
use crate::domain::plan::{Changes, Decision, Held, Tempering, Waiting};
use crate::domain::schedule::InForce;
use crate::domain::server::Known;
use crate::domain::time::Steady;

/// A value as JSON text.
pub(super) fn text<T: Serialize>(table: &str, value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|e| StoreError::Corrupt(format!("a value for the table {table} has no JSON: {e}")))
}

/// A value from the JSON of the row with this key; bytes, for what is damaged may be no text.
pub(super) fn read<T: DeserializeOwned>(
    table: &str,
    key: &str,
    text: &[u8],
) -> Result<T, StoreError> {
    serde_json::from_slice(text).map_err(|e| corrupt(table, key, &e.to_string()))
}

pub(super) fn corrupt(table: &str, key: &str, why: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "the row {key} of the table {table} cannot be read: {why}. The group stays as it is until \
         the row is mended; put back a backup of the state directory, or use the novascale that \
         wrote it"
    ))
}

pub(super) fn unknown_intent(group: &GroupName, id: &IntentId) -> StoreError {
    StoreError::Corrupt(format!(
        "a call of the group {group} ended, but the journal has no intent {id} for it: the state \
         was changed from outside, or lost. Check that only one novascale uses the state directory"
    ))
}

/// Steady time as a column; SQLite's integers have a sign.
pub(super) fn column(steady: Steady) -> i64 {
    i64::try_from(steady.0).unwrap_or(i64::MAX)
}

/// Steady time from a column that is checked to be 0 or more.
pub(super) fn steady(column: i64) -> Steady {
    Steady(u64::try_from(column).unwrap_or(0))
}

/// The word by which intents are looked for.
pub(super) fn state_word(state: &State) -> &'static str {
    match state {
        State::Open => "open",
        State::Accepted { .. } => "accepted",
        State::Unsettled { .. } => "unsettled",
        State::Abandoned { .. } => "abandoned",
        State::Closed { .. } => "closed",
    }
}

/// When the intent came to its end; none while it may still change the cloud.
pub(super) fn intent_ended(intent: &Intent) -> Option<Steady> {
    match &intent.state {
        State::Open | State::Accepted { .. } | State::Unsettled { .. } => None,
        State::Abandoned { since } => Some(since.steady),
        State::Closed { at, .. } => Some(at.steady),
    }
}

/// When the server ceased to be a member; none while it may be one.
pub(super) fn known_ended(known: &Known) -> Option<Steady> {
    (!known.state.lives()).then_some(known.since)
}

/// What a new decision means for the rows that stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// Nothing that a person would miss.
    Skip,
    /// The last row moves on to it.
    Replace,
    /// A new row; `again` says that it repeats the one before.
    Append { again: bool },
}

/// Of a run of passes that found the same and did nothing, the first and the last are kept,
/// and the last is moved on once in [`keep::QUIET_EVERY`]: a fleet at rest costs no
/// write for each pass. `last` is the newest row, with its `again`.
pub(super) fn next_line(last: Option<(&Decision, bool)>, new: &Decision) -> Line {
    let eventful =
        !new.plan.is_empty() || !new.changes.intents.is_empty() || !new.changes.known.is_empty();
    match last {
        Some((last, again)) if !eventful && same_situation(last, new) => {
            if new.at.steady.since(last.at.steady) < keep::QUIET_EVERY {
                Line::Skip
            } else if again {
                Line::Replace
            } else {
                Line::Append { again: true }
            }
        }
        _ => Line::Append { again: false },
    }
}

/// Whether two decisions of one group say the same, but for the time that passed and for
/// numbers that change with it: loads, ages, waits, and the wording of a failure.
pub fn same_situation(a: &Decision, b: &Decision) -> bool {
    timeless(a) == timeless(b)
}

fn timeless(decision: &Decision) -> Decision {
    let mut bare = stored(decision);
    (bare.at, bare.next_look) = Default::default();
    bare.schedules.iter_mut().for_each(still_window);
    bare.claims.iter_mut().for_each(|claim| still_source(&mut claim.source));
    bare.tempering.iter_mut().for_each(still_tempering);
    bare.waiting.iter_mut().for_each(still_waiting);
    bare
}

/// The decision as it is kept: without its changes, which have tables of their own.
pub(super) fn stored(decision: &Decision) -> Decision {
    Decision {
        group: decision.group.clone(),
        at: decision.at,
        config_hash: decision.config_hash.clone(),
        bounds: decision.bounds,
        schedules: decision.schedules.clone(),
        claims: decision.claims.clone(),
        wanted: decision.wanted,
        desired: decision.desired,
        tempering: decision.tempering.clone(),
        tally: decision.tally,
        plan: decision.plan.clone(),
        waiting: decision.waiting.clone(),
        pauses: decision.pauses.clone(),
        next_look: decision.next_look,
        changes: Changes::default(),
    }
}

fn still_source(source: &mut Source) {
    match source {
        Source::Base { .. } => {}
        Source::Reservation { left_secs, .. } => *left_secs = 0,
        Source::Target { load, age_secs, .. } => {
            *load = load.map(|_| 0.0);
            *age_secs = age_secs.map(|_| 0);
        }
        Source::Average { value, age_secs, .. } => {
            (*value, *age_secs) = (value.map(|_| 0.0), age_secs.map(|_| 0));
        }
        Source::Step { value, age_secs, held, .. } => {
            (*value, *age_secs) = (value.map(|_| 0.0), age_secs.map(|_| 0));
            if let Some(StepHeld::WarmingUp { left_secs }) = held {
                *left_secs = 0;
            }
        }
        Source::Alert { firing_secs, .. } => *firing_secs = 0,
        Source::Expression { values, .. } => {
            values.iter_mut().for_each(|(_, value)| *value = value.map(|_| 0.0));
        }
        Source::Fallback { unknown_secs, .. } => *unknown_secs = 0,
        Source::Schedule { left_secs, early_secs, .. } => {
            (*left_secs, *early_secs) = (left_secs.map(|_| 0), (*early_secs).min(1));
        }
        Source::Pin { left_secs, .. } | Source::Paused { left_secs, .. } => {
            *left_secs = left_secs.map(|_| 0);
        }
    }
}

/// That it counts ahead of its hour is told apart, not by how much.
fn still_window(window: &mut InForce) {
    window.left_secs = window.left_secs.map(|_| 0);
    window.early_secs = window.early_secs.min(1);
}

fn still_tempering(tempering: &mut Tempering) {
    match tempering {
        Tempering::Stabilized { left_secs, .. }
        | Tempering::StabilizedOut { left_secs, .. }
        | Tempering::RatedIn { left_secs, .. }
        | Tempering::RatedOut { left_secs, .. }
        | Tempering::Cooling { left_secs, .. }
        | Tempering::CoolingOut { left_secs, .. } => *left_secs = 0,
        Tempering::Bounded { .. }
        | Tempering::Disabled { .. }
        | Tempering::Blind { .. }
        | Tempering::Held { .. }
        | Tempering::TakenOver { .. }
        | Tempering::Pinned { .. } => {}
    }
}

fn still_waiting(waiting: &mut Waiting) {
    match waiting {
        Waiting::Unseen { why, for_secs } => {
            why.clear();
            *for_secs = 0;
        }
        Waiting::Stale { age_secs } => *age_secs = 0,
        Waiting::Backoff { until, wait_secs, failure, .. } => {
            (*until, *wait_secs) = (Steady(0), 0);
            *failure = Failure::new(failure.kind, "");
        }
        Waiting::Velocity { left_secs, .. } => *left_secs = 0,
        Waiting::Frozen { for_secs, .. } | Waiting::Meltdown { for_secs, .. } => *for_secs = 0,
        Waiting::DeleteBackoff { wait_secs, failure, .. }
        | Waiting::AdoptBackoff { wait_secs, failure, .. } => {
            *wait_secs = 0;
            *failure = Failure::new(failure.kind, "");
        }
        Waiting::Paused { left_secs, held, .. } => {
            *left_secs = left_secs.map(|_| 0);
            // What signals would ask for moves with each sample.
            if let Held::Wanted(n) = held {
                *n = n.map(|_| 0);
            }
        }
        Waiting::Implausible { .. }
        | Waiting::Building { .. }
        | Waiting::Coming { .. }
        | Waiting::Leaving { .. }
        | Waiting::Ceiling { .. }
        | Waiting::Kept { .. }
        | Waiting::OtherInstall { .. }
        | Waiting::OtherProject { .. }
        | Waiting::Unconfirmed { .. }
        | Waiting::Rival { .. }
        | Waiting::Adopting { .. }
        | Waiting::Elsewhere { .. } => {}
    }
}

#[cfg(test)]
mod tests;
