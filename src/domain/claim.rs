//! Claims: what each source asks for, and the memory they keep.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cut::Accepted;
use super::id::{Owner, ServerId, SignalName};
use super::time::{Steady, left_secs};

/// One source's demand for capacity.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    pub source: Source,
    pub wants: Wants,
}

/// A number, or no knowledge. Unknown is never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wants {
    Servers(u32),
    Unknown,
}

impl Wants {
    pub fn number(self) -> Option<u32> {
        match self {
            Self::Servers(n) => Some(n),
            Self::Unknown => None,
        }
    }
}

/// Where a claim comes from, with the inputs that explain it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// `set` and `adjust`; `declared` is false while the min stands for it.
    Base {
        declared: bool,
        reason: Option<String>,
    },
    Reservation {
        owner: Owner,
        left_secs: u64,
        reason: Option<String>,
    },
    /// `load` is absent while every sample is stale, `age_secs` if none ever came;
    /// `silent` members have reported before and no longer do, and neither does, if
    /// `whole_silent`, who reported for the whole group.
    Target {
        signal: SignalName,
        per_server: f64,
        load: Option<f64>,
        age_secs: Option<u64>,
        #[serde(default)]
        silent: u32,
        /// Members that leave, rest or have failed, whose load others take over.
        #[serde(default)]
        shifting: u32,
        #[serde(default)]
        whole_silent: bool,
    },
    /// A window that is open for `left_secs` more, or for good; one that counts ahead of its
    /// hour opens in `early_secs`.
    Schedule {
        name: String,
        left_secs: Option<u64>,
        #[serde(default)]
        early_secs: u64,
    },
    Pin {
        left_secs: Option<u64>,
        reason: Option<String>,
    },
    /// What signals asked for when they were paused, in place of what they ask for now.
    Paused {
        left_secs: Option<u64>,
        by: String,
        reason: Option<String>,
    },
}

impl Source {
    /// Computed from samples: stabilised, and unknown when they are missing.
    pub fn measured(&self) -> bool {
        matches!(self, Self::Target { .. })
    }
}

impl Claim {
    /// Data is missing: what it asks for may be too little.
    pub fn blind(&self) -> bool {
        let partial = matches!(
            self.source,
            Source::Target { silent: 1.., .. }
                | Source::Target { shifting: 1.., .. }
                | Source::Target { whole_silent: true, .. }
        );
        self.wants == Wants::Unknown || partial
    }
}

/// What deciding remembers of a group between passes. Stored with the plan, in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// The last desired capacity; none before the first decision.
    pub desired: Option<u32>,
    /// When desired last changed.
    #[serde(default)]
    pub changed: Option<Steady>,
    /// Candidates for the largest measured want of the stabilisation window: later
    /// entries are smaller, so the first within the window is the largest.
    #[serde(default)]
    pub peaks: Vec<Peak>,
    /// Capacity found without state: held until measured claims have data or an operator acts.
    #[serde(default)]
    pub held: Option<Held>,
    /// The max that a smaller one is held against.
    #[serde(default)]
    pub accepted: Option<Accepted>,
    /// Servers that served and were lost without our doing, as long as they count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub losses: Vec<Loss>,
    /// How long the last launches took until they served, in seconds; the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boots: Vec<u32>,
    /// Too many were lost at once: nothing is changed until they serve or a person lets it go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub melted: Option<Melted>,
    /// The most that signals upheld at the last decision at which they were not paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upheld: Option<u32>,
}

/// So many boots tell how long the next will take.
const BOOTS: usize = 20;

impl Memory {
    /// Notes how long a server took from its launch until it served.
    pub fn booted(&mut self, took: Duration) {
        let surplus = (self.boots.len() + 1).saturating_sub(BOOTS);
        self.boots.drain(..surplus);
        self.boots.push(u32::try_from(left_secs(took)).unwrap_or(u32::MAX));
    }

    /// What nine of ten boots did not exceed; nothing while none is known.
    pub fn boot_time(&self) -> Duration {
        let mut boots = self.boots.clone();
        boots.sort_unstable();
        let rank = (boots.len() * 9).div_ceil(10);
        let secs = rank.checked_sub(1).and_then(|at| boots.get(at)).copied().unwrap_or(0);
        Duration::from_secs(u64::from(secs))
    }
}

/// A server that served, and when it was found to be gone, stopped or failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    pub server: ServerId,
    pub at: Steady,
}

/// The meltdown guard has stopped the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Melted {
    pub since: Steady,
    /// Those that do not serve again yet.
    pub lost: BTreeSet<ServerId>,
    /// Of so many that served before.
    pub of: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peak {
    /// Until when this was what the measured claims wanted.
    pub until: Steady,
    pub wanted: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub capacity: u32,
    pub since: Steady,
    /// It was adopted, not found again.
    #[serde(default)]
    pub adopted: bool,
    /// And a server was adopted since: an order that came to nothing holds nothing.
    #[serde(default)]
    pub took: bool,
}
