//! Claims: what each source asks for. One file for each kind of source.

pub mod base;
pub mod pin;
pub mod reservation;
pub mod schedule;
pub mod target;

use super::pause::Signals;
use super::snapshot::Snapshot;
use crate::domain::claim::Claim;
use crate::domain::fleet::Member;
use crate::domain::policy::Policy;
use crate::domain::schedule::InForce;

/// All claims that count, declared ones first. A pin stands alone.
pub fn claims(snapshot: &Snapshot<'_>, open: &[InForce], signals: &Signals) -> Vec<Claim> {
    if let Some(claim) = pin::claim(snapshot) {
        return vec![claim];
    }
    let mut claims = vec![base::claim(snapshot)];
    claims.extend(reservation::claims(snapshot));
    claims.extend(schedule::claims(open));
    claims.extend_from_slice(&signals.measured);
    claims.extend(signals.standing.clone());
    claims
}

/// What the samples ask for, whether it counts or a pin stands before it.
pub fn measured(snapshot: &Snapshot<'_>, members: &[Member]) -> Vec<Claim> {
    let policies = snapshot.group.policies.iter();
    let claims = policies.map(|policy| match policy {
        Policy::Target(target) => target::claim(snapshot, target, members),
    });
    claims.collect()
}
