//! What a server is: its identity, its place, its marks, its state, and what will happen to it
//! next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::Millis;
use super::catalogue::Flavor;
use super::identity::Account;

/// One server, from the 202 of its create to the end of its delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub hostname: String,
    pub owner: Account,
    /// What one create call made shares this.
    pub reservation_id: String,
    /// The flavor as it was at the create, as Nova embeds it.
    pub flavor: Flavor,
    /// `None` when booted from a volume.
    pub image: Option<String>,
    pub volumes: Vec<Volume>,
    /// The zone asked for, or the zone of the host.
    pub zone: Option<String>,
    /// `None` while it has no host, for ever if none was found.
    pub host: Option<String>,
    pub group: Option<String>,
    pub nics: Vec<Nic>,
    pub security_groups: Vec<String>,
    pub key_name: Option<String>,
    pub config_drive: bool,
    pub disk_config: DiskConfig,
    pub metadata: BTreeMap<String, String>,
    pub tags: BTreeSet<String>,
    pub vm: VmState,
    pub task: Option<Task>,
    pub fault: Option<Fault>,
    pub lock: Option<Lock>,
    pub created: Millis,
    pub updated: Millis,
    pub launched: Option<Millis>,
    /// Rank among all servers ever made.
    pub order: u64,
    pub events: Vec<Event>,
    pub(super) steps: VecDeque<Step>,
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nic {
    pub port: String,
    pub network: String,
    pub address: String,
    pub mac: String,
}

/// A volume that came with the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Volume {
    pub id: String,
    pub delete_on_termination: bool,
}

/// `OS-DCF:diskConfig`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskConfig {
    Auto,
    Manual,
}

/// What the machine is, apart from what is being done to it (Nova `compute/vm_states.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VmState {
    Building,
    Active,
    Stopped,
    Error,
    /// Put aside: deleted for everybody who lists, there for who restores it.
    SoftDeleted,
    /// In a state that Nova's API has no word for.
    Unknown,
}

/// What is being done to it (Nova `compute/task_states.py`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    Scheduling,
    Spawning,
    Rebooting,
    RebootingHard,
    PoweringOff,
    PoweringOn,
    Rebuilding,
    Deleting,
}

/// Why it is in ERROR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    pub code: u16,
    pub message: String,
    pub created: Millis,
}

/// A lock, with its reason from microversion 2.73 on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    pub reason: Option<String>,
}

/// One line of `os-instance-actions`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub action: String,
    pub request_id: String,
    pub account: Account,
    pub at: Millis,
}

/// What will happen at an instant, unless something else is asked first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Step {
    pub(super) due: Millis,
    pub(super) then: Then,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Then {
    /// A host was found; building goes on.
    Spawn,
    /// The task is done and leaves this state.
    Settle(VmState),
    /// The server is in ERROR from here on.
    Fail { code: u16, message: String },
    /// The delete is complete.
    Vanish,
}

/// The name of servers that somebody made by hand.
pub const BY_HAND: &str = "by-hand";

impl Server {
    /// One that runs and that nothing but its id tells of.
    pub(super) fn by_hand(id: String, flavor: Flavor, now: Millis) -> Server {
        Server {
            id,
            name: BY_HAND.to_owned(),
            description: None,
            hostname: BY_HAND.to_owned(),
            owner: Account::Operator,
            reservation_id: "r-by-hand".to_owned(),
            flavor,
            image: None,
            volumes: Vec::new(),
            zone: None,
            host: None,
            group: None,
            nics: Vec::new(),
            security_groups: Vec::new(),
            key_name: None,
            config_drive: false,
            disk_config: DiskConfig::Manual,
            metadata: BTreeMap::new(),
            tags: BTreeSet::new(),
            vm: VmState::Active,
            task: None,
            fault: None,
            lock: None,
            created: now,
            updated: now,
            launched: Some(now),
            order: 0,
            events: Vec::new(),
            steps: VecDeque::new(),
        }
    }

    /// The word of the API (Nova `api/openstack/common.py`): the machine's state, seen through its
    /// task.
    ///
    /// A server that is being deleted keeps its word until it is gone.
    pub fn status(&self) -> &'static str {
        match (self.vm, self.task) {
            (VmState::Active, Some(Task::Rebooting)) => "REBOOT",
            (VmState::Active, Some(Task::RebootingHard)) => "HARD_REBOOT",
            (VmState::Active | VmState::Stopped | VmState::Error, Some(Task::Rebuilding)) => {
                "REBUILD"
            }
            (VmState::Building, _) => "BUILD",
            (VmState::Active, _) => "ACTIVE",
            (VmState::Stopped, _) => "SHUTOFF",
            (VmState::Error, _) => "ERROR",
            (VmState::SoftDeleted, _) => "SOFT_DELETED",
            (VmState::Unknown, _) => "UNKNOWN",
        }
    }

    /// Whether a delete has begun.
    pub fn is_deleting(&self) -> bool {
        self.task == Some(Task::Deleting)
    }
}

impl VmState {
    /// `OS-EXT-STS:vm_state`.
    pub fn word(self) -> &'static str {
        match self {
            VmState::Building => "building",
            VmState::Active => "active",
            VmState::Stopped => "stopped",
            VmState::Error => "error",
            VmState::SoftDeleted => "soft-delete",
            VmState::Unknown => "unknown",
        }
    }

    /// `OS-EXT-STS:power_state`: 0 none, 1 running, 4 shut down.
    pub fn power(self) -> u8 {
        match self {
            VmState::Active => 1,
            VmState::Stopped | VmState::SoftDeleted => 4,
            VmState::Building | VmState::Error | VmState::Unknown => 0,
        }
    }
}

impl Task {
    /// `OS-EXT-STS:task_state`.
    pub fn word(self) -> &'static str {
        match self {
            Task::Scheduling => "scheduling",
            Task::Spawning => "spawning",
            Task::Rebooting => "rebooting",
            Task::RebootingHard => "rebooting_hard",
            Task::PoweringOff => "powering-off",
            Task::PoweringOn => "powering-on",
            Task::Rebuilding => "rebuilding",
            Task::Deleting => "deleting",
        }
    }
}

impl DiskConfig {
    /// The word of the API.
    pub fn word(self) -> &'static str {
        match self {
            DiskConfig::Auto => "AUTO",
            DiskConfig::Manual => "MANUAL",
        }
    }
}
