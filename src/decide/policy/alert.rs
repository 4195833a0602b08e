//! Alerts: while one fires, more servers than were desired when it began to.
//!
//! Alerts of one name count as one, from the first that fires to the last. An alert that ended, by
//! its sender's word or because nobody renewed it, asks for nothing: its end was announced.

use super::step::after;
use super::{Fleet, Verdict};
use crate::decide::sooner;
use crate::domain::alert::Alerted;
use crate::domain::claim::{Claim, PolicyMemory, Source, Wants};
use crate::domain::count::MOST;
use crate::domain::policy::{Alert, Asks};
use crate::domain::time::{Steady, left_secs};

pub(super) fn claim(fleet: &Fleet<'_>, policy: &Alert) -> Verdict {
    let now = fleet.snapshot.now;
    let of_it =
        |alert: &&Alerted| alert.name == policy.alert && alert.fires(now, policy.expires_after);
    let firing = fleet.snapshot.state.alerts.iter().filter(of_it);
    let ends: Option<Steady> = firing.clone().map(|alert| alert.ends(policy.expires_after)).min();
    let Some(first) = firing.map(|alert| alert.since.steady).min() else {
        return Verdict { claim: None, memory: PolicyMemory::default(), wake: None };
    };
    // It fires on, though the alert that fired first may have ended.
    let since = fleet.last.since.map_or(first, |since| since.min(first));
    let anchor = fleet.last.anchor.unwrap_or(fleet.desired);
    let elapsed = now.steady.since(since);
    let (wants, more, next) = match policy.asks {
        Asks::Capacity(n) => (n, None, None),
        Asks::More { change, every, most } => {
            let steps = elapsed.as_millis() / every.as_millis().max(1) + 1;
            let steps = u32::try_from(steps).unwrap_or(u32::MAX);
            let each = after(anchor, change, true).saturating_sub(anchor);
            let more = each.saturating_mul(steps).min(most);
            let next = since.plus(every.saturating_mul(steps));
            let next = Some(next).filter(|_| more < most && more > 0);
            (anchor.saturating_add(more).min(MOST), Some(more), next)
        }
    };
    let (alert, firing_secs) = (policy.alert.clone(), left_secs(elapsed));
    let source = Source::Alert { alert, firing_secs, more };
    let memory = PolicyMemory { anchor: Some(anchor), since: Some(since), ..fleet.last };
    let claim = Some(Claim { source, wants: Wants::Servers(wants) });
    Verdict { claim, memory, wake: sooner(ends, next) }
}
