//! A server: what Nova says of it, and what we remember.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::id::{
    GroupName, InstallId, LAUNCH_TAG_PREFIX, LaunchId, Region, ServerId, Tag, TemplateHash, Zone,
    mark,
};
use super::outcome::FailureKind;
use super::time::{Steady, Wall};

/// Nova's `status`. Source: Nova API reference, "Server status values".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Status {
    Active,
    Build,
    Deleted,
    Error,
    HardReboot,
    Migrating,
    Password,
    Paused,
    Reboot,
    Rebuild,
    Rescue,
    Resize,
    RevertResize,
    Shelved,
    ShelvedOffloaded,
    Shutoff,
    SoftDeleted,
    Suspended,
    Unknown,
    VerifyResize,
    /// A word that Nova had not when this was written.
    Other(String),
}

const WORDS: [(&str, Status); 20] = [
    ("ACTIVE", Status::Active),
    ("BUILD", Status::Build),
    ("DELETED", Status::Deleted),
    ("ERROR", Status::Error),
    ("HARD_REBOOT", Status::HardReboot),
    ("MIGRATING", Status::Migrating),
    ("PASSWORD", Status::Password),
    ("PAUSED", Status::Paused),
    ("REBOOT", Status::Reboot),
    ("REBUILD", Status::Rebuild),
    ("RESCUE", Status::Rescue),
    ("RESIZE", Status::Resize),
    ("REVERT_RESIZE", Status::RevertResize),
    ("SHELVED", Status::Shelved),
    ("SHELVED_OFFLOADED", Status::ShelvedOffloaded),
    ("SHUTOFF", Status::Shutoff),
    ("SOFT_DELETED", Status::SoftDeleted),
    ("SUSPENDED", Status::Suspended),
    ("UNKNOWN", Status::Unknown),
    ("VERIFY_RESIZE", Status::VerifyResize),
];

impl From<String> for Status {
    fn from(word: String) -> Self {
        let known = WORDS.iter().find(|(w, _)| *w == word);
        known.map_or(Self::Other(word), |(_, status)| status.clone())
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        status.word().to_owned()
    }
}

impl Status {
    pub fn word(&self) -> &str {
        if let Self::Other(word) = self {
            return word;
        }
        WORDS.iter().find(|(_, status)| status == self).map_or("", |(word, _)| word)
    }

    /// Up, or for a moment away from it.
    pub fn serves(&self) -> bool {
        matches!(
            self,
            Self::Active
                | Self::HardReboot
                | Self::Migrating
                | Self::Password
                | Self::Reboot
                | Self::Rebuild
                | Self::Resize
                | Self::RevertResize
                | Self::VerifyResize
        )
    }

    /// Put to rest by somebody: no capacity, and left alone.
    pub fn rests(&self) -> bool {
        matches!(
            self,
            Self::Paused
                | Self::Rescue
                | Self::Shelved
                | Self::ShelvedOffloaded
                | Self::Shutoff
                | Self::Suspended
        )
    }

    /// It says what the server is: UNKNOWN, and a word that is new, do not.
    pub fn tells(&self) -> bool {
        !matches!(self, Self::Unknown | Self::Other(_))
    }
}

/// One server as a listing or a GET showed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    pub id: ServerId,
    pub name: String,
    pub status: Status,
    /// `task_state` is `deleting` or `soft-deleting`: on its way out, whatever the status says.
    pub deleting: bool,
    /// It has been ACTIVE at some time (`OS-SRV-USG:launched_at` is set).
    pub launched: bool,
    pub created: Wall,
    pub tags: Vec<String>,
    pub metadata: BTreeMap<String, String>,
    pub locked: bool,
    pub region: Region,
    pub zone: Option<Zone>,
    /// The flavor's name, or its id where Nova tells no name.
    pub flavor: String,
    pub addresses: Vec<String>,
    pub fault: Option<Fault>,
}

/// Nova's reason for an ERROR.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub code: u16,
    pub message: String,
}

impl Fault {
    /// What the fault says about the place, as far as it changes what happens next: no host
    /// is `Capacity`, a quota found late is `Quota`, all else says nothing of the kind.
    /// Source: nova/exception.py NoValidHost, MaxRetriesExceeded; nova/conductor/manager.py
    /// `_recheck_quota`.
    pub fn kind(&self) -> FailureKind {
        let says = |text: &str| self.message.contains(text);
        if self.code == 413 || says("Quota exceeded") {
            FailureKind::Quota { fits: None }
        } else if says("No valid host") || says("Exceeded maximum number of retries") {
            FailureKind::Capacity
        } else {
            FailureKind::Unclear
        }
    }
}

/// Whose server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ownership {
    /// It carries our tag and our metadata: we launched it, or adopted it.
    Ours,
    /// It carries the tag, but nobody here made it: counted, shown, never touched.
    Foreign,
    /// It carries the tag and another novascale's mark, whatever its group is called there.
    OtherInstall,
}

impl Server {
    pub fn has_tag(&self, tag: &Tag) -> bool {
        self.tags.iter().any(|t| tag.same(t))
    }

    /// Up, and not on its way out.
    pub fn serves(&self) -> bool {
        self.status.serves() && !self.deleting
    }

    /// The launch that made it, by its metadata or, if that was lost, its tag.
    pub fn launch(&self) -> Option<LaunchId> {
        LaunchId::new(self.launch_text()?).ok()
    }

    fn launch_text(&self) -> Option<&str> {
        let marked = self.metadata.get(mark::LAUNCH).map(String::as_str);
        let tagged = || self.tags.iter().find_map(|t| t.strip_prefix(LAUNCH_TAG_PREFIX));
        marked.or_else(tagged)
    }

    fn launched_by_us(&self) -> bool {
        self.launch_text().is_some_and(LaunchId::is_valid)
    }

    pub fn template(&self) -> Option<TemplateHash> {
        TemplateHash::new(self.metadata.get(mark::TEMPLATE)?.as_str()).ok()
    }

    pub fn ownership(&self, install: &InstallId, group: &GroupName) -> Ownership {
        match self.installation() {
            Some(mark) if mark != install.as_str() => Ownership::OtherInstall,
            Some(_) if self.marked_for(group) && self.launched_by_us() => Ownership::Ours,
            Some(_) | None => Ownership::Foreign,
        }
    }

    /// The installation whose mark it carries, whatever group it is marked for.
    pub fn installation(&self) -> Option<&str> {
        self.metadata.get(mark::INSTALL).map(String::as_str)
    }

    fn marked_for(&self, group: &GroupName) -> bool {
        self.metadata.get(mark::GROUP).is_some_and(|name| name == group.as_str())
    }

    /// A person said that this server must stay.
    pub fn protected(&self) -> bool {
        self.metadata.get(mark::PROTECT).is_some_and(|v| {
            !matches!(v.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false")
        })
    }
}

/// What is remembered of a member, so that a listing that lacks it proves nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Known {
    pub id: ServerId,
    pub region: Region,
    #[serde(default)]
    pub zone: Option<Zone>,
    #[serde(default)]
    pub launch: Option<LaunchId>,
    pub ownership: Ownership,
    pub state: KnownState,
    /// Since when it is in that state.
    pub since: Steady,
    /// When it was first seen, by the steady clock: patience is counted from here.
    pub first_seen: Steady,
    /// It has served: it was seen ACTIVE (or in a state that only an active server reaches).
    pub served: bool,
    /// When it was first seen to serve, by the steady clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves_since: Option<Steady>,
    /// Why it failed, once it was seen in ERROR or out of patience.
    #[serde(default)]
    pub failure: Option<FailureKind>,
    /// Somebody had put it to rest when its status was last told.
    #[serde(default)]
    pub rests: bool,
    /// Nothing in the journal told of its launch when it was first seen.
    #[serde(default)]
    pub found: bool,
}

/// Where a known server stands. Ends are kept for a while, then forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KnownState {
    /// The last complete listing showed it.
    Listed,
    /// The last complete listing lacked it; it is still there until Nova's 404 says otherwise.
    Missing,
    /// Nova answered 404 to GET by id, or showed it SOFT_DELETED or DELETED.
    Gone,
    /// A GET showed it without our tag: somebody took it out of the group.
    Detached,
}

impl KnownState {
    /// Whether the server may still exist as a member.
    pub fn lives(self) -> bool {
        matches!(self, Self::Listed | Self::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_word_reads_back() {
        for (word, status) in WORDS {
            assert_eq!(Status::from(word.to_owned()), status);
            assert_eq!(status.word(), word);
        }
        assert_eq!(Status::from("FROZEN".to_owned()).word(), "FROZEN");
    }
}
