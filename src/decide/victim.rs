//! Which server leaves first, and why.
//!
//! Among those that may be deleted: servers of an old template before current ones,
//! then the newest first. ERROR and stuck servers do not come here: they are swept. A
//! server in BUILD is waited for rather than deleted, since deleting in BUILD has leaked
//! volumes and allocations in several Nova releases (Launchpad 1859496, 1404867, 1784074).

use crate::domain::fleet::{Member, Standing};
use crate::domain::server::Ownership;

/// Members that serve or are built and may be deleted, the first to leave first.
pub fn order(members: &[Member]) -> Vec<&Member> {
    let mut leaving: Vec<&Member> = members.iter().filter(|m| may_leave(m)).collect();
    leaving.sort_by(|a, b| {
        let newest = created(b).cmp(&created(a));
        b.outdated.cmp(&a.outdated).then(newest).then_with(|| a.id.cmp(&b.id))
    });
    leaving
}

/// Whether novascale may delete it, as far as the listing tells; a fresh GET decides.
pub fn may_leave(member: &Member) -> bool {
    member.ownership == Ownership::Ours
        && !member.kept
        && matches!(member.standing, Standing::Serving | Standing::Building)
}

fn created(member: &Member) -> i64 {
    member.server.as_ref().map_or(i64::MIN, |s| s.created.0)
}
