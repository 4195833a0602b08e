//! The right to delete one server, had only from a fresh look at it.

use std::sync::Arc;

use super::Leave;
use crate::domain::id::{GroupName, InstallId, ServerId, Tag};
use crate::domain::server::{Ownership, Server};
use crate::domain::time::Steady;

/// Proof that a server may be deleted: a GET just showed our tag and our metadata on
/// it, neither lock nor protection. It names one server, is used up by one call, and ends.
#[derive(Debug)]
pub struct MayDelete {
    id: ServerId,
    not_after: Steady,
    leave: Arc<dyn Leave>,
}

/// Why a server may not be deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// It does not carry the group's tag any more: not a member.
    Detached,
    /// It carries the tag, but not our mark.
    NotOurs,
    Locked,
    Protected,
}

impl Forbidden {
    pub fn reason(self) -> &'static str {
        match self {
            Self::Detached => "it no longer carries the group's tag",
            Self::NotOurs => "novascale neither launched nor adopted it",
            Self::Locked => "it is locked in Nova",
            Self::Protected => "its metadata `novascale:protect` protects it",
        }
    }
}

/// Whose servers may go.
#[derive(Debug, Clone, Copy)]
pub struct Claimant<'a> {
    pub install: &'a InstallId,
    pub group: &'a GroupName,
    pub tag: &'a Tag,
    /// Until when the plan is good that asks for it.
    pub not_after: Steady,
    /// What is asked before the delete is sent.
    pub leave: &'a Arc<dyn Leave>,
}

impl MayDelete {
    /// Judges a server that a GET by id has just shown.
    pub fn judge(fresh: &Server, who: Claimant<'_>) -> Result<Self, Forbidden> {
        if !fresh.has_tag(who.tag) {
            Err(Forbidden::Detached)
        } else if fresh.ownership(who.install, who.group) != Ownership::Ours {
            Err(Forbidden::NotOurs)
        } else if fresh.locked {
            Err(Forbidden::Locked)
        } else if fresh.protected() {
            Err(Forbidden::Protected)
        } else {
            let (not_after, leave) = (who.not_after, Arc::clone(who.leave));
            Ok(Self { id: fresh.id.clone(), not_after, leave })
        }
    }

    pub fn id(&self) -> &ServerId {
        &self.id
    }

    /// A call that has not been sent by then is not sent.
    pub fn not_after(&self) -> Steady {
        self.not_after
    }

    /// Nor is one that this refuses.
    pub fn leave(&self) -> &Arc<dyn Leave> {
        &self.leave
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::freeze::NoBrake;
    use crate::domain::id::{LaunchId, Region, mark};
    use crate::domain::server::Status;
    use crate::domain::time::Wall;

    fn server() -> Server {
        let marks = [
            (mark::INSTALL, "0".repeat(32)),
            (mark::GROUP, "web".into()),
            (mark::LAUNCH, LaunchId::from_bits(1).to_string()),
        ];
        Server {
            id: ServerId::new("s1").unwrap(),
            name: "web-1".into(),
            status: Status::Active,
            deleting: false,
            launched: true,
            created: Wall(0),
            tags: vec!["novascale:WEB".into()],
            metadata: marks.map(|(k, v)| (k.to_owned(), v)).into_iter().collect::<BTreeMap<_, _>>(),
            locked: false,
            region: Region::new("R1").unwrap(),
            zone: None,
            flavor: "d2-2".into(),
            addresses: Vec::new(),
            fault: None,
        }
    }

    /// The id of the server that may go.
    fn judge(change: impl Fn(&mut Server)) -> Result<ServerId, Forbidden> {
        let mut fresh = server();
        change(&mut fresh);
        let install = InstallId::from_bits(0);
        let (group, tag) = (GroupName::new("web").unwrap(), Tag::new("novascale:web").unwrap());
        let (install, group, tag, not_after) = (&install, &group, &tag, Steady(0));
        let leave: &Arc<dyn Leave> = &(Arc::new(NoBrake) as _);
        let who = Claimant { install, group, tag, not_after, leave };
        MayDelete::judge(&fresh, who).map(|permit| permit.id().clone())
    }

    #[test]
    fn only_our_own_unlocked_unprotected_members_may_go() {
        assert!(judge(|_| ()).is_ok_and(|id| id.as_str() == "s1"));
        assert_eq!(judge(|s| s.tags.clear()), Err(Forbidden::Detached));
        assert_eq!(judge(|s| s.metadata.clear()), Err(Forbidden::NotOurs));
        assert_eq!(judge(|s| s.locked = true), Err(Forbidden::Locked));
        let protect = |value: &str| {
            judge(|s| {
                s.metadata.insert(mark::PROTECT.into(), value.into());
            })
        };
        assert_eq!(protect("yes"), Err(Forbidden::Protected));
        assert!(protect("False").is_ok());
        let stranger = |s: &mut Server| {
            s.metadata.insert(mark::INSTALL.into(), "f".repeat(32));
        };
        assert_eq!(judge(stranger), Err(Forbidden::NotOurs));
    }
}
