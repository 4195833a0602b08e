//! A group: what is configured, and what has been ordered since.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::adoption::Adoption;
use super::alert::Alerted;
use super::behaviour::Behaviour;
use super::count::Bounds;
use super::cut::Confirmed;
use super::freeze::Freeze;
use super::id::{AlertName, GroupName, Owner, Region, SignalName, Tag, TemplateHash, Zone};
use super::pause::Pauses;
use super::policy::{Alert, Policy};
use super::schedule::{self, Schedule};
use super::time::{Now, Wall};

/// A fleet of like servers, as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    pub name: GroupName,
    /// Carried by every member; unique over all groups without regard to case.
    pub tag: Tag,
    pub region: Region,
    pub bounds: Bounds,
    pub template: Template,
    pub policies: Vec<Policy>,
    /// In the file's order: of those whose windows are open the last decides.
    pub schedules: Vec<Schedule>,
    pub behaviour: Behaviour,
    pub patience: Patience,
    pub launch: LaunchLimits,
    /// Digest of the group's configuration: a decision says which one it was made for.
    pub config_hash: TemplateHash,
}

impl Group {
    /// The bounds in force: the group's own, and what the windows that are open make of them.
    pub fn bounds_at(&self, now: Wall) -> Bounds {
        let open = self.schedules.iter().filter(|schedule| schedule.when.open(now).is_some());
        schedule::bounds(self.bounds, open.map(|schedule| schedule.gives))
    }

    /// The signals that its policies read.
    pub fn signals(&self) -> impl Iterator<Item = &SignalName> {
        let readings = self.policies.iter().flat_map(|policy| policy.readings());
        readings.map(|reading| &reading.signal)
    }

    /// The alerts that its policies follow.
    pub fn alerts(&self) -> impl Iterator<Item = &AlertName> {
        self.policies.iter().filter_map(|policy| match policy {
            Policy::Alert(Alert { alert, .. }) => Some(alert),
            Policy::Total(_) | Policy::Average(_) | Policy::Step(_) | Policy::Expression(_) => None,
        })
    }

    /// The largest max that the group ever has: what a large cut is held against.
    pub fn max_ever(&self) -> u32 {
        let windows = self.schedules.iter().filter_map(|schedule| schedule.gives.max);
        windows.fold(self.bounds.max, u32::max)
    }
}

/// What the group's servers are made from. Names are resolved by the cloud's side.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Names or ids, in order of preference; never empty.
    pub flavors: Vec<String>,
    pub image: ImageRef,
    pub networks: Networks,
    pub security_groups: Vec<String>,
    pub key_name: Option<String>,
    /// Spread over these; empty leaves the choice to Nova.
    pub zones: Vec<Zone>,
    pub user_data: Option<UserData>,
    pub metadata: BTreeMap<String, String>,
    /// Servers are called `PREFIX-xxxxxx`, Nova appends `-1`, `-2`, … in a batch.
    pub name_prefix: String,
    pub config_drive: bool,
    pub boot_volume: Option<BootVolume>,
    pub placement: Placement,
    /// Digest of all the above: which servers are of an old template.
    pub hash: TemplateHash,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageRef {
    Id(String),
    /// The newest active image of exactly this name.
    Name(String),
    /// The newest active image whose name fits the pattern; `*` stands for any text.
    Newest(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Networks {
    /// Nova chooses (`"auto"`, microversion 2.37).
    Auto,
    /// No network (`"none"`, microversion 2.37).
    None,
    /// Names or ids, in the order of the server's interfaces; never empty.
    Named(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootVolume {
    pub size_gib: u32,
    pub volume_type: Option<String>,
    /// Whether the volume goes with its server. False leaves a billed volume behind.
    pub delete_on_termination: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    Anywhere,
    /// In an existing server group, by name or id.
    ServerGroup(String),
    /// In a server group that novascale makes for the group, with this policy.
    AntiAffinity(AntiAffinity),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AntiAffinity {
    /// Apart where possible (`soft-anti-affinity`).
    Soft,
    /// Apart or not at all (`anti-affinity`): a create without a free host ends in ERROR.
    Strict,
}

impl AntiAffinity {
    /// Nova's name of the policy.
    pub fn policy(self) -> &'static str {
        match self {
            Self::Soft => "soft-anti-affinity",
            Self::Strict => "anti-affinity",
        }
    }
}

/// What a server is told at boot. It may hold secrets, so it never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(pub Arc<[u8]>);

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes)", self.0.len())
    }
}

/// How long a server may take before it counts as failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// In BUILD, from creation on.
    pub build: Duration,
    /// From an accepted delete until Nova answers 404; then it is asked again.
    pub delete: Duration,
    /// Until an unclear create is given up; above every timeout on the way.
    pub settle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            build: Duration::from_secs(15 * 60),
            delete: Duration::from_secs(5 * 60),
            settle: Duration::from_secs(10 * 60),
        }
    }
}

/// How launches are sized and repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaunchLimits {
    /// The most servers of one create call. Nova schedules a call all or nothing.
    pub batch: u32,
    pub backoff: Backoff,
}

/// Full jitter: a wait is drawn between nothing and `first × 2^(failures−1)`, at most `most`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    pub first: Duration,
    pub most: Duration,
}

impl Default for LaunchLimits {
    fn default() -> Self {
        let backoff = Backoff { first: Duration::from_secs(30), most: Duration::from_secs(300) };
        Self { batch: 50, backoff }
    }
}

/// What operators and senders ordered; kept in the store.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupState {
    /// Set by `set` and `adjust`; unset, the min in force stands for it.
    pub base: Option<u32>,
    #[serde(default)]
    pub base_reason: Option<String>,
    #[serde(default)]
    pub reservations: Vec<Reservation>,
    #[serde(default)]
    pub pin: Option<Pin>,
    /// Nothing is changed until it is taken back.
    #[serde(default)]
    pub freeze: Option<Freeze>,
    /// When the group was last unfrozen: what was lost before that has been looked at.
    #[serde(default)]
    pub unfrozen: Option<Now>,
    /// The last max of which a person said that it may take servers away.
    #[serde(default)]
    pub confirmed: Option<Confirmed>,
    /// When the last command arrived.
    #[serde(default)]
    pub ordered: Option<Now>,
    /// When the last one arrived that says how large the fleet is to be: `set`, `adjust`,
    /// `percent`, a pin or its end.
    #[serde(default)]
    pub steered: Option<Now>,
    /// Alerts that fire, and those that ended, as long as they are remembered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alerted>,
    /// Servers that are to be taken over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adoptions: Vec<Adoption>,
    /// What rests, and until when; pauses that are over go with the next word on any.
    #[serde(default, skip_serializing_if = "Pauses::is_empty")]
    pub pauses: Pauses,
}

/// Capacity that somebody asked for until an announced end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reservation {
    pub owner: Owner,
    pub capacity: u32,
    pub until: Now,
    #[serde(default)]
    pub reason: Option<String>,
}

/// An operator's number in place of all claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pin {
    pub capacity: u32,
    pub until: Option<Now>,
    #[serde(default)]
    pub reason: Option<String>,
}
