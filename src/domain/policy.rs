//! The numbers that policies have.

use std::time::Duration;

use super::id::SignalName;

/// A rule that turns signals into a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    Target(TotalTarget),
}

/// The longest `stale_after`: whoever measures more seldom than weekly announces capacity instead.
pub const STALE_MOST: Duration = Duration::from_secs(7 * 86_400);

impl Policy {
    pub fn signal(&self) -> &SignalName {
        match self {
            Self::Target(target) => &target.signal,
        }
    }
}

/// `desired = ceil(load ÷ per_server)`, of the group's whole load.
#[derive(Debug, Clone, PartialEq)]
pub struct TotalTarget {
    pub signal: SignalName,
    /// The load that one server carries; finite and above 0.
    pub per_server: f64,
    /// A sample older than this is stale, and the claim unknown. At most [`STALE_MOST`].
    pub stale_after: Duration,
}
