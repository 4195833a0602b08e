//! Behaviour: how wanted becomes desired, for the way out and the way in apart.
//!
//! Stabilization, rates and their selection mean what HPA v2's `behavior` means by
//! `stabilizationWindowSeconds`, `policies` and `selectPolicy`; `docs/behaviour.md` has the formulas.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How wanted becomes desired.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Behaviour {
    pub scale_out: ScaleOut,
    pub scale_in: ScaleIn,
    pub meltdown: Meltdown,
}

/// What slows the way up, as far as signals drive it: what was declared or ordered counts at once.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScaleOut {
    /// Measured claims raise desired at most to the smallest that they wanted within this window.
    pub stabilization: Duration,
    /// After desired changed, signals do not raise it for this long.
    pub cooldown: Duration,
    /// None by default, unlike HPA's: batches and the room that Nova has bound it.
    pub rates: Rates,
    /// So far above its target, in percent, a load asks for no more; 0 ≤ percent ≤ 100.
    pub tolerance: Option<f64>,
}

impl ScaleOut {
    /// Something may hold back what signals want.
    pub fn slows(&self) -> bool {
        !self.stabilization.is_zero() || !self.cooldown.is_zero() || self.rates.limit()
    }
}

/// What slows the way down.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleIn {
    /// Measured claims count with the largest they were within this window (HPA v2's
    /// `stabilizationWindowSeconds`); what is announced or ordered does not wait.
    pub stabilization: Duration,
    /// After desired changed it is not lowered for this long, unless an operator spoke since.
    pub cooldown: Duration,
    /// Of the servers that serve; what desired falls by is what `rates` bound.
    pub velocity: Velocity,
    /// None by default: velocity bounds what is taken away.
    pub rates: Rates,
    /// So far below its target, in percent, a load asks for no fewer; 0 ≤ percent ≤ 100.
    pub tolerance: Option<f64>,
}

impl Default for ScaleIn {
    fn default() -> Self {
        Self {
            stabilization: Duration::from_secs(300),
            cooldown: Duration::from_secs(60),
            velocity: Velocity { percent: 25.0 },
            rates: Rates::default(),
            tolerance: None,
        }
    }
}

/// How fast desired may move one way.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    pub select: Select,
    /// At most [`Rates::MOST`]; none is no limit.
    pub rates: Vec<Rate>,
}

impl Rates {
    pub const MOST: usize = 8;

    /// Whether they can hold anything back.
    pub fn limit(&self) -> bool {
        self.select == Select::Disabled || !self.rates.is_empty()
    }

    /// How far back they look.
    pub fn longest(&self) -> Duration {
        self.rates.iter().map(|rate| rate.per).max().unwrap_or_default()
    }
}

/// Which of several rates counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Select {
    /// The one that allows the largest change.
    #[default]
    Max,
    /// The one that allows the smallest.
    Min,
    /// Desired does not move this way at all.
    Disabled,
}

/// The largest change within a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    pub change: Change,
    /// 1 s to [`Rate::PER_MOST`].
    pub per: Duration,
}

impl Rate {
    /// As HPA's: the history that is kept is as long.
    pub const PER_MOST: Duration = Duration::from_secs(1800);
}

/// By how much.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// So many servers; at least 1.
    Count(u32),
    /// Of what was desired when the period began; finite and above 0, on the way in at most 100.
    Percent(f64),
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
