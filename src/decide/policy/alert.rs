//! Alerts: while one fires, more servers than were desired when it began to.
//!
//! Alerts of one name count as one, from the first that fires to the last. Each interval that it is
//! heard to fire adds a step. An alert that ended, by
//! its sender's word or because nobody renewed it, asks for nothing: its end was announced.

use super::step::after;
use super::{Fleet, Verdict};
use crate::decide::sooner;
use crate::domain::alert::Alerted;
use crate::domain::claim::{Claim, PolicyMemory, Source, Wants};
use crate::domain::count::MOST;
use crate::domain::policy::{ALERT_KEY as KEY, Alert, Asks};
use crate::domain::time::{Steady, left_secs};

pub(super) fn claim(fleet: &Fleet<'_>, policy: &Alert) -> Verdict {
    let now = fleet.snapshot.now;
    let of_it =
        |alert: &&Alerted| alert.name == policy.alert && alert.fires(now, policy.expires_after);
    let firing = fleet.snapshot.state.alerts.iter().filter(of_it);
    let ends: Option<Steady> = firing.clone().map(|alert| alert.ends(policy.expires_after)).min();
    let Some(first) = firing.map(|alert| alert.since.steady).min() else {
        return ended(fleet);
    };
    let (wants, more, memory, next) = match policy.asks {
        Asks::Capacity(n) => (n, None, PolicyMemory::default(), None),
        Asks::More { change, every, most } => {
            let anchor = anchor(fleet);
            let each = after(anchor, change, true).saturating_sub(anchor);
            let due = fleet.last.since.map(|since| since.plus(every));
            // One step at a time: nobody looked at what was missed, and saw that it was not enough.
            let (more, since) = match (fleet.last.level, due) {
                (Some(more), Some(due)) if due > now.steady => (more.min(most), fleet.last.since),
                (Some(more), _) => (more.saturating_add(each).min(most), Some(now.steady)),
                (None, _) => (each.min(most), Some(now.steady)),
            };
            let (level, anchored) = (Some(more), Some(anchor));
            let memory = PolicyMemory { level, anchor: anchored, since, unknown: None };
            let next = since.map(|since| since.plus(every)).filter(|_| more < most && each > 0);
            (anchor.saturating_add(more).min(MOST), Some(more), memory, next)
        }
    };
    let firing_secs = left_secs(now.steady.since(first));
    let source = Source::Alert { alert: policy.alert.clone(), firing_secs, more };
    let claim = Some(Claim { source, wants: Wants::Servers(wants) });
    Verdict { claim, shifting: false, memory, wake: sooner(ends, next) }
}

/// What was desired when it began. Not what other alerts had added by then, nor what it added
/// itself before it ended a moment ago: alerts that come and go by turns would climb on each other.
fn anchor(fleet: &Fleet<'_>) -> u32 {
    let memory = fleet.snapshot.memory;
    let all = memory.into_iter().flat_map(|memory| &memory.policies);
    let alerts = all.filter(|(key, _)| key.starts_with(KEY));
    let others = alerts.filter_map(|(_, other)| other.anchor).min();
    let others = others.map(|anchor| anchor.max(fleet.unalarmed));
    fleet.last.anchor.or(others).unwrap_or(fleet.desired).min(MOST)
}

/// The anchor is remembered as long as desired may still be what the alert made it.
fn ended(fleet: &Fleet<'_>) -> Verdict {
    let now = fleet.snapshot.now.steady;
    let (shifting, memory) = (false, PolicyMemory::default());
    let quiet = Verdict { claim: None, shifting, memory, wake: None };
    let Some(anchor) = fleet.last.anchor else { return quiet };
    let since = if fleet.last.level.is_some() { now } else { fleet.last.since.unwrap_or(now) };
    if since.plus(fleet.snapshot.group.behaviour.scale_in.cooldown) <= now {
        return quiet;
    }
    let memory = PolicyMemory { anchor: Some(anchor), since: Some(since), ..quiet.memory };
    Verdict { memory, ..quiet }
}
