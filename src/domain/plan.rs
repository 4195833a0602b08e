//! A decision: what one look at one group concluded, and why.
//!
//! It is a value: stored, shown on the command line and the API, and judged by
//! [`crate::decide::verify`], all from the same fields. [`super::explain`] reads
//! it as sentences.

use serde::{Deserialize, Serialize};

use super::adoption::{Adopt, Over};
use super::behaviour::Change;
use super::claim::{Claim, Memory};
use super::count::Bounds;
use super::fleet::{Member, Tally};
use super::freeze::Frozen;
use super::id::{GroupName, InstallId, IntentId, Region, ServerId, Tag, TemplateHash};
use super::intent::{Intent, Launch};
use super::outcome::Failure;
use super::pause::{Pauses, Process};
use super::schedule::InForce;
use super::server::Known;
use super::time::{Now, Steady};

/// What one pass decided for one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    pub group: GroupName,
    pub at: Now,
    /// The identity of the configuration that it was made for.
    pub config_hash: TemplateHash,
    /// In force, with what the schedules made of them.
    pub bounds: Bounds,
    /// The windows that count, in the file's order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub schedules: Vec<InForce>,
    pub claims: Vec<Claim>,
    /// The largest claim; none if no claim is known.
    pub wanted: Option<u32>,
    pub desired: u32,
    /// What turned wanted into desired, in order.
    pub tempering: Vec<Tempering>,
    pub tally: Tally,
    pub plan: Vec<Action>,
    /// Why less is done than desired asks for.
    pub waiting: Vec<Waiting>,
    /// What rests, whether it keeps anything from being done or not.
    #[serde(default, skip_serializing_if = "Pauses::is_empty")]
    pub pauses: Pauses,
    /// When the group wants to be looked at again, at the latest.
    pub next_look: Steady,
    /// What else is to be stored with it.
    #[serde(skip)]
    pub changes: Changes,
}

/// What a decision changes in the store besides itself; one transaction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The next memory, if it differs from the last.
    pub memory: Option<Memory>,
    /// New intents, and those whose state moved on.
    pub intents: Vec<Intent>,
    /// Servers newly known, or whose record moved on.
    pub known: Vec<Known>,
    /// The members as judged; not stored, shown by the API.
    pub members: Vec<Member>,
    /// The servers to ask for by id when a listing lacks them; not stored.
    pub watched: Vec<ServerId>,
    /// Tags beside the group's own whose servers are to be listed; not stored.
    pub sought: Vec<Tag>,
    /// Orders to adopt that are over.
    pub adopted: Over,
}

impl Decision {
    /// Nothing to store but the decision itself.
    pub fn quiet(&self) -> bool {
        let changes = &self.changes;
        changes.memory.is_none()
            && changes.intents.is_empty()
            && changes.known.is_empty()
            && changes.adopted.is_empty()
    }

    /// The same, with what holds the group by now in place of what held it then.
    #[must_use]
    pub fn held(&self, holds: Vec<Waiting>) -> Self {
        let held = |w: &Waiting| matches!(w, Waiting::Frozen { .. } | Waiting::OtherProject { .. });
        let others = self.waiting.iter().filter(|waiting| !held(waiting)).cloned();
        Self { waiting: holds.into_iter().chain(others).collect(), ..self.clone() }
    }

    /// Whether anything is in flight: calls to come, or servers to arrive or leave.
    pub fn in_flight(&self) -> bool {
        !self.plan.is_empty()
            || self.tally.building > 0
            || self.tally.coming > 0
            || self.tally.leaving > 0
            || self.tally.unsure > 0
            || self.waiting.iter().any(|w| matches!(w, Waiting::Adopting { .. }))
    }
}

/// One call to make. `act` chooses nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case")]
pub enum Action {
    Launch {
        intent: IntentId,
        #[serde(flatten)]
        launch: Launch,
    },
    Terminate {
        intent: IntentId,
        server: ServerId,
        cause: Cause,
    },
    Adopt {
        intent: IntentId,
        #[serde(flatten)]
        adopt: Adopt,
    },
}

impl Action {
    /// Its line in the journal.
    pub fn intent(&self) -> &IntentId {
        match self {
            Self::Launch { intent, .. }
            | Self::Terminate { intent, .. }
            | Self::Adopt { intent, .. } => intent,
        }
    }
}

/// Why a server is terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// There are more than desired.
    Surplus,
    /// It ended in ERROR.
    Error,
    /// It did not leave BUILD in time.
    Stuck,
}

/// One thing that made desired differ from wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "tempering", rename_all = "snake_case")]
pub enum Tempering {
    /// The bounds cut it.
    Bounded { from: u32, to: u32 },
    /// The largest measured want of the window counts.
    Stabilized { from: u32, to: u32, window_secs: u64, left_secs: u64 },
    /// The smallest measured want of scale_out's window counts, where that is more than before.
    StabilizedOut { from: u32, to: u32, least: u32, window_secs: u64, left_secs: u64 },
    /// The rates of scale_in allow no more to go yet.
    RatedIn { from: u32, to: u32, change: Change, per_secs: u64, left_secs: u64 },
    /// The rates of scale_out allow no more to come yet.
    RatedOut { from: u32, to: u32, change: Change, per_secs: u64, left_secs: u64 },
    /// Scaling this way is disabled: in where `from` is below `to`, else out.
    Disabled { from: u32, to: u32 },
    /// Desired changed so recently that it is not lowered yet.
    Cooling { from: u32, to: u32, left_secs: u64 },
    /// Desired changed so recently that signals do not raise it yet.
    CoolingOut { from: u32, to: u32, left_secs: u64 },
    /// A measured claim is unknown: desired may rise but not fall.
    Blind { from: u32, to: u32, signals: Vec<String> },
    /// State was lost: capacity is held until claims have data or an operator acts.
    Held { from: u32, to: u32 },
    /// Servers were adopted: capacity is held as after a loss.
    TakenOver { from: u32, to: u32 },
    /// An operator's pin stands in place of all claims.
    Pinned { to: u32 },
}

/// Why something is not done now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "waiting", rename_all = "snake_case")]
pub enum Waiting {
    /// The servers could not be listed.
    Unseen { why: String, for_secs: u64 },
    /// The last listing is too old to act upon.
    Stale { age_secs: u64 },
    /// Too many known servers are missing from the listing at once.
    Implausible { missing: u32, known: u32 },
    /// Servers are being built.
    Building { n: u32 },
    /// Creates were accepted or are unclear; their servers have not been listed yet.
    Coming { n: u32, unclear: u32 },
    /// Servers are being deleted.
    Leaving { n: u32 },
    /// Launching failed; not before then.
    Backoff { until: Steady, wait_secs: u64, attempts: u32, failure: Failure },
    /// The ceiling is reached, counting servers in any state.
    Ceiling { max: u32, occupied: u32 },
    /// No more may be terminated within this minute.
    Velocity { allowed: u32, per_secs: u64, left_secs: u64 },
    /// These would have to go, but may not be deleted.
    Kept { n: u32 },
    /// Deleting a server failed; not before then.
    DeleteBackoff { server: ServerId, wait_secs: u64, failure: Failure },
    /// Servers are being adopted, or looked for.
    Adopting {
        n: u32,
        former: Vec<GroupName>,
        /// Servers that were being launched for these groups and may still come.
        #[serde(default)]
        coming: u32,
    },
    /// Adopting a server failed; not before then.
    AdoptBackoff { server: ServerId, wait_secs: u64, failure: Failure },
    /// Members carry the mark of another installation, which was there before us.
    OtherInstall { n: u32, install: Option<InstallId> },
    /// Members carry the mark of another installation, which came after us.
    Rival { n: u32, install: Option<InstallId> },
    /// Members stand, or may come, in a region that is no longer the group's.
    Elsewhere { n: u32, region: Region },
    /// Somebody said that nothing is to be changed.
    Frozen { group: GroupName, for_secs: u64, frozen: Frozen },
    /// So many of those that served were lost at once that a person has to look.
    Meltdown { group: GroupName, lost: u32, of: u32, for_secs: u64 },
    /// The token is for another project than the state.
    OtherProject { ours: String, theirs: String },
    /// Max was cut by more than half: nothing goes below the old one without a person's word.
    Unconfirmed { from: u32, to: u32 },
    /// It would be done, but its process is paused.
    Paused {
        group: GroupName,
        process: Process,
        /// None: until it is taken back.
        left_secs: Option<u64>,
        by: String,
        reason: Option<String>,
        held: Held,
    },
}

/// What a pause keeps from being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// So many servers are not launched.
    Launched(u32),
    /// So many more than desired stay.
    Terminated(u32),
    /// So many that failed are left as they are.
    Swept(u32),
    /// Other windows would count by now.
    Windows,
    /// Signals would ask for so many by now; none if that is not known.
    Wanted(Option<u32>),
}
