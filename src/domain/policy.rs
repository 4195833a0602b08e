//! The numbers that policies and behaviour have.

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

/// How wanted becomes desired.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Behaviour {
    pub scale_in: ScaleIn,
    pub meltdown: Meltdown,
}

/// When so many servers that served are lost at once that a person has to look.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Meltdown {
    /// More of those that served than this, 0 < percent ≤ 100: never at 100.
    pub percent: f64,
    /// And more servers than this: a small fleet heals by itself.
    pub most: u32,
    /// Lost within this span.
    pub within: Duration,
}

impl Meltdown {
    /// Whether `lost` of `of` servers are too many.
    pub fn trips(self, lost: u32, of: u32) -> bool {
        lost > self.most && f64::from(lost) * 100.0 > self.percent * f64::from(of)
    }
}

/// Cluster Autoscaler stops above 45 % and 3 nodes that are not ready, Kubernetes' node life
/// cycle at 55 %.
impl Default for Meltdown {
    fn default() -> Self {
        Self { percent: 45.0, most: 3, within: Duration::from_secs(600) }
    }
}

/// What slows the way down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleIn {
    /// Measured claims count with the largest they were within this window (HPA v2's
    /// `stabilizationWindowSeconds`); what is announced or ordered does not wait.
    pub stabilization: Duration,
    /// After desired changed it is not lowered for this long, unless an operator spoke since.
    pub cooldown: Duration,
    pub velocity: Velocity,
}

/// How many servers that serve may be terminated per [`Velocity::PERIOD`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Velocity {
    /// Of the servers that serve at the period's start; 0 < percent ≤ 100. At least one may go.
    pub percent: f64,
}

impl Velocity {
    pub const PERIOD: Duration = Duration::from_secs(60);

    /// How many of `serving` servers may go in one period: at least one.
    pub fn allows(self, serving: u32) -> u32 {
        ((f64::from(serving) * self.percent / 100.0).floor() as u32).max(1)
    }
}

impl Default for Behaviour {
    fn default() -> Self {
        let velocity = Velocity { percent: 25.0 };
        let (stabilization, cooldown) = (Duration::from_secs(300), Duration::from_secs(60));
        let scale_in = ScaleIn { stabilization, cooldown, velocity };
        Self { scale_in, meltdown: Meltdown::default() }
    }
}
