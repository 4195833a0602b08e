//! Intents: the journal lines that stand before every change in the cloud.

use serde::{Deserialize, Serialize};

use super::adoption::Adopt;
use super::id::{GroupName, IntentId, LaunchId, Region, ServerId, TemplateHash, Zone};
use super::outcome::{CallResult, Failure, FailureKind, Outcome};
use super::plan::Cause;
use super::time::Now;

/// One journal line: what was to be done, and how far it got.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub id: IntentId,
    pub group: GroupName,
    pub opened: Now,
    pub what: What,
    pub state: State,
    /// The failure that its call met, or that its servers met later.
    #[serde(default)]
    pub trouble: Option<Trouble>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    Launch(Launch),
    Terminate(Terminate),
    Adopt(Adopt),
}

/// One create call for `n` servers, all or nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    pub launch: LaunchId,
    pub n: u32,
    pub region: Region,
    #[serde(default)]
    pub zone: Option<Zone>,
    /// Name or id, as the template has it.
    pub flavor: String,
    pub template: TemplateHash,
    /// One of its servers was seen ACTIVE: the place and flavor work.
    #[serde(default)]
    pub proven: bool,
}

/// One delete by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Terminate {
    pub server: ServerId,
    pub cause: Cause,
    /// The server serves or served, and does not leave already: this counts against velocity.
    pub served: bool,
    /// How often the delete was asked for.
    #[serde(default)]
    pub attempts: u32,
}

/// How far an intent got. Only `Closed` and `Abandoned` take no room under the ceiling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Recorded; the call may or may not have begun.
    Open,
    /// Nova said 202 (or 204). `first` is the first server's id of a launch;
    /// `short` is when a complete listing first showed fewer than asked for.
    Accepted { at: Now, first: Option<ServerId>, short: Option<Now> },
    /// Nobody knows. It counts in full and is never sent again. `absent` is when the first
    /// complete listing after the settling time lacked it.
    Unsettled { since: Now, absent: Option<Now> },
    /// Given up as lost; what appears later is adopted, the surplus trimmed.
    Abandoned { since: Now },
    /// Over: `done` servers came (launch) or went (terminate).
    Closed { at: Now, done: u32 },
}

impl State {
    /// Whether the intent may still change the cloud.
    pub fn live(&self) -> bool {
        matches!(self, Self::Open | Self::Accepted { .. } | Self::Unsettled { .. })
    }
}

/// A failure with when it was met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    pub at: Now,
    pub failure: Failure,
}

impl Intent {
    pub fn launch(&self) -> Option<&Launch> {
        match &self.what {
            What::Launch(launch) => Some(launch),
            What::Terminate(_) | What::Adopt(_) => None,
        }
    }

    pub fn adopt(&self) -> Option<&Adopt> {
        match &self.what {
            What::Adopt(adopt) => Some(adopt),
            What::Launch(_) | What::Terminate(_) => None,
        }
    }

    pub fn terminate(&self) -> Option<&Terminate> {
        match &self.what {
            What::Launch(_) | What::Adopt(_) => None,
            What::Terminate(terminate) => Some(terminate),
        }
    }
}

impl Intent {
    /// The journal line after its call ended so. A launch whose fate is unclear is
    /// unsettled and never sent again; deletes and adoptions are idempotent and may be.
    #[must_use]
    pub fn after(&self, outcome: &Outcome) -> Self {
        let mut next = self.clone();
        if let What::Terminate(terminate) = &mut next.what {
            terminate.attempts = terminate.attempts.saturating_add(1);
        }
        let (at, closed) = (outcome.at, |done| State::Closed { at: outcome.at, done });
        next.state = match &outcome.result {
            CallResult::Launched { first } => {
                State::Accepted { at, first: first.clone(), short: None }
            }
            CallResult::Deleting => State::Accepted { at, first: None, short: None },
            CallResult::Gone | CallResult::Adopted => closed(1),
            CallResult::Detached
            | CallResult::Withheld { .. }
            | CallResult::NotSent { .. }
            | CallResult::Refused(_) => closed(0),
            CallResult::Unclear(_) => State::Unsettled { since: at, absent: None },
        };
        next.trouble = match &outcome.result {
            CallResult::Refused(failure) | CallResult::Unclear(failure) => {
                Some(Trouble { at, failure: failure.clone() })
            }
            CallResult::Withheld { why } => {
                Some(Trouble { at, failure: Failure::new(FailureKind::Conflict, why) })
            }
            CallResult::Launched { .. }
            | CallResult::Deleting
            | CallResult::Adopted
            | CallResult::Gone
            | CallResult::Detached
            | CallResult::NotSent { .. } => None,
        };
        next
    }
}
