//! What became of a call, and the kinds of failure one can branch on.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{IntentId, ServerId};
use super::time::Now;

/// What became of an intent's call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub intent: IntentId,
    pub at: Now,
    pub result: CallResult,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum CallResult {
    /// 202: exactly the servers asked for exist; this is the first of them.
    Launched { first: Option<ServerId> },
    /// 204: Nova took the delete.
    Deleting,
    /// It carries our marks and the group's tag.
    Adopted,
    /// Nova's own 404: it is not there.
    Gone,
    /// The server no longer carries our tag: it is not a member any more.
    Detached,
    /// The fresh GET forbade it (locked, protected, not ours): nothing was asked.
    Withheld { why: String },
    /// The call was not made: the plan had grown old, its reason was gone, or we stop.
    NotSent { why: String },
    /// Clearly refused: Nova did nothing.
    Refused(Failure),
    /// Nobody knows whether Nova did it.
    Unclear(Failure),
}

/// A failed call: what was tried, on what, why it failed and what to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    pub kind: FailureKind,
    /// A full sentence for people: service, step, call, status, reason.
    pub message: String,
    /// What to do about it, as a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The configuration key to mend, as `group.web.image`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Not before this long after the answer, if the other side said so; already capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

/// Why a call failed, as far as it changes what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum FailureKind {
    /// 429, 413 with Retry-After, 503: later. Nothing was done.
    Busy,
    /// A quota is used up; `fits` is how many servers of the request would still fit, if told.
    Quota { fits: Option<u32> },
    /// No host, no network port, no volume: the place or the flavor, not the request.
    Capacity,
    /// The request is wrong: a flavor, image or network does not exist, a value is invalid.
    Refused,
    /// A right is missing (403), or the sign-in was refused.
    Denied,
    /// The thing is not there (Nova's own 404).
    Gone,
    /// It stands in the way for now: locked, or in a state that forbids the call (409).
    Conflict,
    /// The other side was never reached: no connection, no TLS. Nothing was done.
    Unreached,
    /// Held back by ourselves when its turn came: its group was frozen meanwhile, or we stop.
    /// Nothing was sent, and it says nothing of the cloud; the message is the reason alone.
    Held,
    /// Timeout, reset, 5xx, or an answer that cannot be read: done or not, nobody knows.
    Unclear,
}

impl FailureKind {
    /// Whether a create that ended so certainly made nothing.
    pub fn certain(self) -> bool {
        !matches!(self, Self::Unclear)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Quota { .. } => "quota",
            Self::Capacity => "capacity",
            Self::Refused => "refused",
            Self::Denied => "denied",
            Self::Gone => "gone",
            Self::Conflict => "conflict",
            Self::Unreached => "unreached",
            Self::Held => "held",
            Self::Unclear => "unclear",
        }
    }
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        let message = message.into();
        let (hint, key, status, request_id, retry_after) = (None, None, None, None, None);
        Self { kind, message, hint, key, status, request_id, retry_after }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}
