//! How orders to adopt read, and what follows from an adoption.

use super::servers;
use crate::domain::adoption::Adoptees;
use crate::domain::behaviour::Velocity;
use crate::domain::claim::Claim;
use crate::domain::id::{Tag, mark};
use crate::domain::plan::{Decision, Tempering};

/// The order in words: `adopt 3 servers`.
pub(super) fn ordered(what: &Adoptees) -> String {
    match what {
        Adoptees::Servers { servers: ids, .. } => {
            format!("adopt {}", servers(u32::try_from(ids.len()).unwrap_or(u32::MAX)))
        }
        Adoptees::Renamed { former, .. } => {
            format!("take over the servers of {} (tag {})", former.group, former.tag)
        }
    }
}

/// How a person takes a server out of the group whose mark it carries, and whose tag, so that
/// another group may adopt it.
pub fn let_go(tag: Option<&Tag>, server: &str) -> String {
    let tag = tag.map_or_else(String::new, |tag| format!(" --tag {tag}"));
    format!(
        "`openstack --os-compute-api-version 2.26 server unset{tag} --property {} {server}`",
        mark::GROUP
    )
}

/// How a server becomes one that Nova lets be changed.
pub fn unlock(server: &str) -> String {
    format!("`openstack server unlock {server}`")
}

impl Decision {
    /// What would become of the group's size once so many more servers of it are our own, among
    /// them so many that are no members yet.
    pub fn once_adopted(&self, adopted: u32, newcomers: u32, velocity: Velocity) -> String {
        let stands = self.tally.capacity().saturating_add(newcomers);
        let mut measured = self.claims.iter().filter(|c| c.source.measured()).peekable();
        let fed = measured.peek().is_some() && measured.all(|c: &Claim| !c.blind());
        let pinned = self.tempering.iter().any(|t| matches!(t, Tempering::Pinned { .. }));
        let held = !fed && !pinned && self.desired <= stands;
        let desired = if held { stands } else { self.desired };
        let desired = self.bounds.clamp(desired);
        let owned = self.tally.servers().saturating_sub(self.tally.foreign);
        let excess = stands.saturating_sub(desired).min(owned.saturating_add(adopted));
        let most = velocity.allows(stands);
        let until = "until every signal has data or an operator sets or pins";
        match (excess, held) {
            (0, true) => format!("what stands is held at {desired} {until}"),
            (0, false) => format!("desired is {desired}, and none of them is too many"),
            (n, true) => format!(
                "max is {}: {n} more than that go, at most {most} a minute; the rest is held {until}",
                self.bounds.max
            ),
            (n, false) => {
                format!("desired is {desired}: {n} more than that go, at most {most} a minute")
            }
        }
    }
}
