//! Claims: what each source asks for. One file for each kind of source.

pub mod base;
pub mod pin;
pub mod reservation;
pub mod target;

use super::snapshot::Snapshot;
use crate::domain::claim::Claim;
use crate::domain::fleet::Member;
use crate::domain::policy::Policy;

/// All claims of the group, declared ones first. A pin stands alone.
pub fn claims(snapshot: &Snapshot<'_>, members: &[Member]) -> Vec<Claim> {
    if let Some(claim) = pin::claim(snapshot) {
        return vec![claim];
    }
    let mut claims = vec![base::claim(snapshot)];
    claims.extend(reservation::claims(snapshot));
    claims.extend(snapshot.group.policies.iter().map(|policy| match policy {
        Policy::Target(target) => target::claim(snapshot, target, members),
    }));
    claims
}
