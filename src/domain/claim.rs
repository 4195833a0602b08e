//! Claims: what each source asks for, and the memory they keep.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cut::Accepted;
use super::id::{AlertName, Owner, ServerId, SignalName};
use super::policy::{Aggregate, STALE_MOST, WINDOW_MOST};
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
        #[serde(default)]
        over: Over,
        /// It is near enough to the target: what was desired stays.
        #[serde(default)]
        tolerated: bool,
    },
    /// `value` is what each of `servers` measures on average; absent while it is unknown.
    Average {
        signal: SignalName,
        target: f64,
        value: Option<f64>,
        servers: u32,
        over: Over,
        age_secs: Option<u64>,
        /// Servers without a sample, taken to be at the target or at nothing.
        missing: u32,
        /// Servers that serve too shortly, or not yet, to count by what they measure.
        young: u32,
        /// Of these, those that carry a part of a load that asks for fewer servers.
        #[serde(default)]
        warming: u32,
        /// Servers that leave, rest or have failed, whose load others take over.
        shifting: u32,
        /// Who reported for all of them has fallen silent.
        #[serde(default)]
        whole_silent: bool,
        tolerated: bool,
    },
    /// `value` is absent while it is unknown, `level` before the first step.
    Step {
        signal: SignalName,
        value: Option<f64>,
        over: Over,
        age_secs: Option<u64>,
        level: Option<u32>,
        /// What the measure asks for is not done.
        held: Option<StepHeld>,
    },
    /// It fires for `firing_secs`; beside `more` servers on top of those desired at its begin.
    Alert {
        alert: AlertName,
        firing_secs: u64,
        /// None where it asks for a number as long as it fires.
        more: Option<u32>,
    },
    /// Each signal with its value, absent while it is unknown.
    Expression {
        name: String,
        formula: String,
        values: Vec<(SignalName, Option<f64>)>,
    },
    /// What is asked for in place of a claim that was unknown for `unknown_secs`.
    Fallback {
        policy: String,
        unknown_secs: u64,
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
        match self {
            Self::Target { .. }
            | Self::Average { .. }
            | Self::Step { .. }
            | Self::Expression { .. }
            | Self::Fallback { .. } => true,
            Self::Base { .. }
            | Self::Reservation { .. }
            | Self::Alert { .. }
            | Self::Schedule { .. }
            | Self::Paused { .. }
            | Self::Pin { .. } => false,
        }
    }

    /// The signals that it lacks where it is unknown; itself where all of them are known.
    pub fn lacking(&self) -> Vec<String> {
        match self {
            Self::Target { signal, .. }
            | Self::Average { signal, .. }
            | Self::Step { signal, .. } => vec![signal.to_string()],
            Self::Expression { name, values, .. } => {
                let unknown = values.iter().filter(|(_, value)| value.is_none());
                let unknown: Vec<String> = unknown.map(|(signal, _)| signal.to_string()).collect();
                if unknown.is_empty() { vec![format!("the expression {name}")] } else { unknown }
            }
            Self::Base { .. }
            | Self::Reservation { .. }
            | Self::Alert { .. }
            | Self::Fallback { .. }
            | Self::Schedule { .. }
            | Self::Paused { .. }
            | Self::Pin { .. } => Vec::new(),
        }
    }
}

/// What a measured number was made from: the samples of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Over {
    pub aggregate: Aggregate,
    /// Zero where the newest sample alone counts.
    pub window_secs: u64,
}

impl Default for Over {
    fn default() -> Self {
        Self { aggregate: Aggregate::Last, window_secs: 0 }
    }
}

/// Why a step that the measure asks for is not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepHeld {
    /// The last step is still to show its effect, for so long.
    WarmingUp { left_secs: u64 },
    /// Nothing was measured since the last step.
    NothingNew,
    /// Servers have fallen silent, or others take over their load.
    KnownInPart,
    /// With so many servers the measure would be where it steps out again.
    WouldStepOut { servers: u32 },
}

impl Claim {
    /// Data is missing: what it asks for may be too little.
    pub fn blind(&self) -> bool {
        let partial = matches!(
            self.source,
            Source::Target { silent: 1.., .. }
                | Source::Target { shifting: 1.., .. }
                | Source::Target { whole_silent: true, .. }
                | Source::Average { shifting: 1.., .. }
                | Source::Average { value: None, .. }
                | Source::Average { whole_silent: true, .. }
                | Source::Average { warming: 1.., .. }
                | Source::Step { value: None, .. }
                | Source::Step { held: Some(StepHeld::KnownInPart), .. }
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
    /// The same for the smallest want of scale_out's window: later entries are larger. None where
    /// there is no such window.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troughs: Vec<Peak>,
    /// What desired was before, the oldest first, for as long as a rate looks back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub past: Vec<Past>,
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
    /// What policies remember, by their keys.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub policies: BTreeMap<String, PolicyMemory>,
    /// How many servers were ready, and until when; the last entry until now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ready: Vec<Ready>,
}

/// What a policy remembers from one pass to the next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyMemory {
    /// What steps have come to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u32>,
    /// What steps within one warm-up, or an alert's, are counted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anchor: Option<u32>,
    /// When the level last moved, or the alert began that the anchor belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Steady>,
    /// Since when its signals are unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Steady>,
}

/// So many servers were ready until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ready {
    pub until: Steady,
    pub servers: u32,
}

/// So many entries tell how many servers were ready when: a fleet that changes every half minute,
/// for the longest window.
const READY_MOST: usize = 120;

/// So many boots tell how long the next will take.
const BOOTS: usize = 20;

impl Memory {
    /// Notes how long a server took from its launch until it served.
    pub fn booted(&mut self, took: Duration) {
        let surplus = (self.boots.len() + 1).saturating_sub(BOOTS);
        self.boots.drain(..surplus);
        self.boots.push(u32::try_from(left_secs(took)).unwrap_or(u32::MAX));
    }

    /// Notes how many servers are ready. What lies further back than any window is forgotten.
    pub fn count_ready(&mut self, now: Steady, servers: u32) {
        match self.ready.last_mut() {
            Some(last) if last.servers == servers => return,
            Some(last) => last.until = now,
            None => {}
        }
        self.ready.push(Ready { until: now, servers });
        let last = self.ready.len() - 1;
        let mut index = 0;
        self.ready.retain(|entry| {
            index += 1;
            index > last || entry.until.plus(WINDOW_MOST + STALE_MOST) > now
        });
        let surplus = self.ready.len().saturating_sub(READY_MOST);
        self.ready.drain(..surplus);
    }

    /// How many servers were ready then; before the first note, as many as by it.
    pub fn ready_at(&self, then: Steady) -> Option<u32> {
        let (last, earlier) = self.ready.split_last()?;
        let entry = earlier.iter().find(|entry| entry.until > then).unwrap_or(last);
        Some(entry.servers)
    }

    /// Since when as many were ready as were counted last.
    pub fn counted(&self) -> Option<Steady> {
        let (_, earlier) = self.ready.split_last()?;
        Some(earlier.last().map_or(Steady(0), |entry| entry.until))
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
pub struct Past {
    /// Until when this was desired.
    pub until: Steady,
    pub desired: u32,
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
