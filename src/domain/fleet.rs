//! What was seen of a group's servers, and what each of them counts as.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{LaunchId, ServerId, Tag};
use super::server::{Ownership, Server};
use super::time::{Now, Steady};

/// The last look at a group's servers: complete, or not a look at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    Seen(Seen),
    /// Nothing is known now; what was known before still stands.
    Unseen {
        since: Now,
        why: String,
    },
}

/// A complete listing of the servers that carry the group's tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    pub servers: Vec<Arc<Server>>,
    /// When the listing began: it says nothing about what began after that.
    pub began: Now,
    /// For how long after `began` it may be acted upon: two cycles of the observer.
    pub fresh_for: Duration,
    /// What GET by id said of known servers that the listing lacked, or showed in ERROR
    /// without a reason.
    pub lookups: Vec<Lookup>,
    /// What else was listed on demand.
    pub sought: Sought,
}

/// Servers of other tags than the group's own, listed because the last decision asked for them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sought {
    /// These tags the listing covered.
    pub tags: Vec<Tag>,
    /// They carry one of them, and not the group's: no members.
    pub servers: Vec<Arc<Server>>,
}

/// One GET by id of a server of which a listing told too little.
#[derive(Debug, Clone, PartialEq)]
pub struct Lookup {
    pub id: ServerId,
    pub began: Now,
    pub found: Found,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nova's own 404: proof of absence.
    Absent,
    Present(Arc<Server>),
    /// No proof of anything.
    Unclear(String),
}

/// What a member counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Capacity.
    Serving,
    /// In BUILD within its patience: counts as capacity to come.
    Building,
    /// Not listed, or UNKNOWN: counts as what it was.
    Unsure,
    /// Stopped, paused, shelved or rescued by somebody: no capacity, left alone.
    Idle,
    /// In ERROR, or in BUILD beyond its patience: to be replaced.
    Failed,
    /// Being deleted.
    Leaving,
}

impl Standing {
    pub fn word(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Building => "building",
            Self::Unsure => "unsure",
            Self::Idle => "idle",
            Self::Failed => "failed",
            Self::Leaving => "leaving",
        }
    }
}

/// One member, judged. `server` is absent while only its id is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    pub id: ServerId,
    pub standing: Standing,
    pub ownership: Ownership,
    /// Nobody may delete it: locked in Nova, or protected by metadata.
    pub kept: bool,
    /// It serves or has served: its termination counts against velocity.
    pub served: bool,
    /// When it was first seen to serve; none if that was not noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves_since: Option<Steady>,
    /// Made from a template that is no longer the group's.
    pub outdated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch: Option<LaunchId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<Arc<Server>>,
}

/// The members counted by what they count as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub serving: u32,
    pub building: u32,
    pub unsure: u32,
    pub idle: u32,
    pub failed: u32,
    pub leaving: u32,
    /// Servers that open intents may still bring.
    pub coming: u32,
    /// Of all members, those that are not ours to delete.
    pub foreign: u32,
}

impl Tally {
    /// What stands or may stand, in any state: what the ceiling is held against.
    pub fn occupied(&self) -> u32 {
        [
            self.serving,
            self.building,
            self.unsure,
            self.idle,
            self.failed,
            self.leaving,
            self.coming,
        ]
        .iter()
        .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// What serves, or is on its way to serve.
    pub fn capacity(&self) -> u32 {
        [self.serving, self.building, self.unsure, self.coming]
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// Servers that exist or may exist, without those only intended.
    pub fn servers(&self) -> u32 {
        self.occupied() - self.coming
    }
}
