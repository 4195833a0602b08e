//! Pulls: signals that novascale asks for itself.

use std::path::PathBuf;
use std::time::Duration;

use ::url::Url;

use super::secret::Secret;
use crate::domain::id::{GroupName, SignalName};

/// One question, asked again and again.
#[derive(Debug, Clone, PartialEq)]
pub struct Pull {
    /// The section's.
    pub name: SignalName,
    pub group: GroupName,
    pub signal: SignalName,
    pub from: From,
    pub every: Duration,
    /// From the question to the last byte of the answer; shorter than `every`.
    pub timeout: Duration,
    pub login: Option<Login>,
    /// A file of PEM certificates, trusted beside the system's.
    pub cacert: Option<PathBuf>,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub enum From {
    /// The API of Prometheus, and of what speaks like it.
    Prometheus {
        /// What stands before `/api/v1/query`.
        base: Url,
        query: String,
        /// Each element is a server's, which this label names.
        server: Option<String>,
    },
    /// A JSON document, in which this pointer (RFC 6901) leads to a number.
    Json { url: Url, pointer: String },
}

/// What novascale shows where it asks.
#[derive(Debug, Clone, PartialEq)]
pub enum Login {
    Bearer(Secret),
    Basic { username: String, password: Secret },
}
