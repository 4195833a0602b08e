//! An operator's order to take servers over, kept in the group's state until it is carried out.
//!
//! What is adopted is written on Nova itself: the server gets our marks, and the group's tag if
//! it lacks it. So it outlives our state, and whoever lists the server sees whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{GroupName, InstallId, LaunchId, ServerId, Tag, mark};
use super::server::Server;
use super::time::{Now, Steady};

/// The most servers that wait for their adoption in one group.
pub const ADOPTED_MOST: usize = 500;
/// The most former groups that one group takes over at a time.
pub const FORMER_MOST: usize = 8;
/// An order that could not be carried out within this time ends: whoever gave it has forgotten
/// it by then, and who the servers belong to may have changed.
pub const ADOPT_FOR: Duration = Duration::from_secs(86_400);

/// What is to be adopted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "adopt", rename_all = "snake_case")]
pub enum Adoptees {
    /// These servers; those without the group's tag only if `untagged` says so.
    Servers { servers: BTreeSet<ServerId>, untagged: bool },
    /// What this installation launched for a group that is called otherwise now.
    Renamed {
        #[serde(flatten)]
        former: Former,
        /// What was still being launched for it when it was last looked after: of each launch
        /// the servers that may come.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        coming: BTreeMap<LaunchId, u32>,
    },
}

impl Adoptees {
    /// All of a former group for which nothing was being launched any more.
    pub fn renamed(former: Former) -> Self {
        Self::Renamed { former, coming: BTreeMap::new() }
    }

    pub fn former(&self) -> Option<&Former> {
        match self {
            Self::Renamed { former, .. } => Some(former),
            Self::Servers { .. } => None,
        }
    }
}

/// A group's former name, and the tag that its servers carried.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Former {
    pub group: GroupName,
    pub tag: Tag,
}

/// The order with who gave it, when and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adoption {
    pub what: Adoptees,
    pub at: Now,
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// One server's adoption, as the journal has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adopt {
    pub server: ServerId,
    /// The launch id that it gets if it carries none.
    pub launch: LaunchId,
    /// It may lack the group's tag, and gets it then.
    pub untagged: bool,
    /// The group that it is taken over from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Former>,
}

/// Orders, or parts of them, that are over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Over {
    pub servers: BTreeSet<ServerId>,
    pub former: BTreeSet<Former>,
}

impl Over {
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.former.is_empty()
    }

    /// Of the orders given until then, those that are left.
    pub fn leaves(&self, orders: &[Adoption], until: Steady) -> Vec<Adoption> {
        let mut left = orders.to_vec();
        for order in left.iter_mut().filter(|order| order.at.steady <= until) {
            order.forget(&self.servers);
        }
        left.retain(|order| {
            order.at.steady > until || !order.is_empty() && !order.is_of(&self.former)
        });
        left
    }
}

impl Adoption {
    /// Without these servers.
    pub(super) fn forget(&mut self, over: &BTreeSet<ServerId>) {
        if let Adoptees::Servers { servers, .. } = &mut self.what {
            servers.retain(|id| !over.contains(id));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        matches!(&self.what, Adoptees::Servers { servers, .. } if servers.is_empty())
    }

    fn is_of(&self, groups: &BTreeSet<Former>) -> bool {
        self.what.former().is_some_and(|former| groups.contains(former))
    }
}

impl Former {
    /// Whether the server is still to be taken over for the group: it has the former group's
    /// mark, or was left half way, marked for the new group with the former one's tag.
    pub fn holds(
        &self,
        server: &Server,
        install: &InstallId,
        (group, tag): (&GroupName, &Tag),
    ) -> bool {
        let get = |key| server.metadata.get(key).map(String::as_str);
        let ours = get(mark::INSTALL) == Some(install.as_str());
        let half = get(mark::GROUP) == Some(group.as_str()) && self.leaves_tag(server, tag);
        ours && (get(mark::GROUP) == Some(self.group.as_str()) || half)
    }

    /// Whether the server carries the former tag, and that is not the group's own.
    pub fn leaves_tag(&self, server: &Server, tag: &Tag) -> bool {
        !tag.same(self.tag.as_str()) && server.has_tag(&self.tag)
    }
}
