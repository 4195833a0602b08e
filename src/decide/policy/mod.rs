//! Claims: what each source asks for. One file for each kind of source.

use std::collections::BTreeMap;

pub mod alert;
pub mod average;
pub mod base;
pub mod expression;
pub mod load;
pub mod pin;
pub mod ready;
pub mod reservation;
pub mod schedule;
pub mod series;
pub mod step;
pub mod target;

use super::pause::Signals;
use super::settle;
use super::snapshot::Snapshot;
use super::sooner;
use crate::domain::claim::{Claim, PolicyMemory, Source, Wants};
use crate::domain::count::MOST;
use crate::domain::fleet::{Member, Tally};
use crate::domain::pause::Process;
use crate::domain::policy::Policy;
use crate::domain::schedule::InForce;
use crate::domain::time::{Steady, left_secs};

/// All claims that count, declared ones first. A pin stands alone.
pub fn claims(snapshot: &Snapshot<'_>, open: &[InForce], signals: &Signals) -> Vec<Claim> {
    if let Some(claim) = pin::claim(snapshot) {
        return vec![claim];
    }
    let mut claims = declared(snapshot, open);
    claims.extend_from_slice(&signals.claims);
    claims.extend(signals.standing.clone());
    claims
}

fn declared(snapshot: &Snapshot<'_>, open: &[InForce]) -> Vec<Claim> {
    let mut claims = vec![base::claim(snapshot)];
    claims.extend(reservation::claims(snapshot));
    claims.extend(schedule::claims(open));
    claims
}

/// What the policies came to.
#[derive(Debug, Clone, Default)]
pub struct Signalled {
    pub claims: Vec<Claim>,
    /// What each remembers, by its key.
    pub memory: BTreeMap<String, PolicyMemory>,
    /// When one of them comes to something else by time alone.
    pub wake: Option<Steady>,
}

/// What signals ask for, whether it counts or a pin stands before it.
pub fn signalled(snapshot: &Snapshot<'_>, settled: &settle::Fleet) -> Signalled {
    let mut all = Signalled::default();
    let settle::Fleet { members, tally, left, .. } = settled;
    let gone: Vec<Steady> = ready::told_to_go(snapshot).collect();
    let gone = &gone;
    // Before the first decision, what stands is what was desired.
    let desired = snapshot.memory.and_then(|memory| memory.desired);
    let desired = desired.unwrap_or_else(|| tally.capacity());
    let rests = snapshot.paused(Process::Alarm).is_some() || pin::claim(snapshot).is_some();
    let asks = |claims: &[Claim]| claims.iter().filter_map(|c| c.wants.number()).max();
    let mut unalarmed = asks(&declared(snapshot, snapshot.in_force())).unwrap_or(0);
    // Alerts come last: they stand on what all others ask for.
    let alarms = |policy: &&Policy| matches!(policy, Policy::Alert(_));
    let policies = snapshot.group.policies.iter();
    for policy in policies.clone().filter(|p| !alarms(p)).chain(policies.filter(alarms)) {
        let key = policy.key();
        let last = snapshot.memory.and_then(|memory| memory.policies.get(&key));
        let last = last.copied().unwrap_or_default();
        let fleet = Fleet { snapshot, members, left, gone, tally, desired, unalarmed, last };
        let verdict = fleet.instead(policy, fleet.judge(policy));
        if !alarms(&policy) {
            unalarmed = unalarmed.max(asks(verdict.claim.as_slice()).unwrap_or(0));
        }
        all.claims.extend(verdict.claim);
        all.wake = sooner(all.wake, verdict.wake);
        // While signals rest, or stand behind a pin, so do the levels that they moved.
        let memory = if rests { last } else { verdict.memory };
        if memory != PolicyMemory::default() {
            all.memory.insert(key, memory);
        }
    }
    all
}

/// What a policy is judged by, beside the signals.
#[derive(Clone, Copy)]
struct Fleet<'a> {
    snapshot: &'a Snapshot<'a>,
    members: &'a [Member],
    /// When those left that served once, by what is known now.
    left: &'a [Steady],
    /// When those were told to go that the last count took for ready.
    gone: &'a [Steady],
    tally: &'a Tally,
    /// By the last decision.
    desired: u32,
    /// What all but alerts ask for now.
    unalarmed: u32,
    last: PolicyMemory,
}

/// What one policy came to.
struct Verdict {
    claim: Option<Claim>,
    /// It is unknown only until others have told what they took over.
    shifting: bool,
    memory: PolicyMemory,
    wake: Option<Steady>,
}

impl Verdict {
    fn of(claim: Claim) -> Self {
        Self { claim: Some(claim), shifting: false, memory: PolicyMemory::default(), wake: None }
    }
}

impl Fleet<'_> {
    fn judge(&self, policy: &Policy) -> Verdict {
        match policy {
            Policy::Total(target) => target::claim(self, target),
            Policy::Average(average) => average::claim(self, average),
            Policy::Step(step) => step::claim(self, step),
            Policy::Alert(alert) => alert::claim(self, alert),
            Policy::Expression(expression) => expression::claim(self, expression),
        }
    }

    /// In place of a claim that has been unknown for long, its fallback.
    fn instead(&self, policy: &Policy, verdict: Verdict) -> Verdict {
        let Some(fallback) = policy.fallback() else { return verdict };
        let unknown = |claim: &Claim| {
            claim.wants == Wants::Unknown
                || matches!(claim.source, Source::Step { value: None, .. })
        };
        if verdict.shifting || !verdict.claim.as_ref().is_some_and(unknown) {
            return verdict;
        }
        let now = self.snapshot.now.steady;
        let since = self.last.unknown.unwrap_or(now);
        let memory = PolicyMemory { unknown: Some(since), ..verdict.memory };
        let due = since.plus(fallback.after);
        if now < due {
            return Verdict { memory, wake: sooner(verdict.wake, Some(due)), ..verdict };
        }
        let unknown_secs = left_secs(now.since(since));
        let source = Source::Fallback { policy: policy.key(), unknown_secs };
        let claim = Claim { source, wants: Wants::Servers(fallback.capacity) };
        Verdict { claim: Some(claim), memory, ..verdict }
    }
}

/// Servers for a load. A quotient that only rounding error lifts above a whole number
/// counts as that number.
fn needed(load: f64, per_server: f64) -> u32 {
    let servers = load / per_server;
    if !servers.is_finite() {
        return MOST;
    }
    let whole = servers.round();
    let near = (servers - whole).abs() <= 1e-9 * whole.max(1.0);
    let servers = if near { whole } else { servers.ceil() };
    servers.clamp(0.0, f64::from(MOST)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_rounded_up() {
        let cases = [(0.0, 100.0, 0), (1.0, 100.0, 1), (100.0, 100.0, 1), (540.0, 100.0, 6)];
        for (load, per, servers) in cases {
            assert_eq!(needed(load, per), servers, "{load} / {per}");
        }
        assert_eq!(needed(0.3, 0.1), 3, "rounding error adds no server");
        assert_eq!(needed(90.000_000_001, 0.1), 900, "nor does that of a large quotient");
        assert_eq!(needed(f64::MAX, f64::MIN_POSITIVE), MOST);
    }

    proptest::proptest! {
        #[test]
        fn more_load_never_needs_fewer(a in 0.0..1e12f64, b in 0.0..1e12f64, per in 1e-6..1e6f64) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            proptest::prop_assert!(needed(less, per) <= needed(more, per));
        }
    }
}
