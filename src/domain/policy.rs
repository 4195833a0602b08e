//! The numbers that policies have.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::formula::Formula;
use super::id::{AlertName, SignalName};

/// A rule that turns signals into a claim.
#[derive(Debug, Clone, PartialEq)]
pub enum Policy {
    Total(Total),
    Average(Average),
    Step(Step),
    Alert(Alert),
    Expression(Box<Expression>),
}

/// The longest `stale_after`: whoever measures more seldom than weekly announces capacity instead.
pub const STALE_MOST: Duration = Duration::from_secs(7 * 86_400);
/// The longest window: samples are kept for so long.
pub const WINDOW_MOST: Duration = Duration::from_secs(3600);

/// What keys of alerts begin with.
pub const ALERT_KEY: &str = "alert ";

impl Policy {
    /// How it reads the signals that it follows.
    pub fn readings(&self) -> &[Reading] {
        match self {
            Self::Total(Total { reading, .. })
            | Self::Average(Average { reading, .. })
            | Self::Step(Step { reading, .. }) => std::slice::from_ref(reading),
            Self::Alert(_) => &[],
            Self::Expression(expression) => &expression.readings,
        }
    }

    /// What it is known by: in its group no two are alike.
    pub fn key(&self) -> String {
        match self {
            Self::Total(Total { reading, .. }) | Self::Average(Average { reading, .. }) => {
                format!("target {}", reading.signal)
            }
            Self::Step(Step { reading, .. }) => format!("step {}", reading.signal),
            Self::Alert(Alert { alert, .. }) => format!("{ALERT_KEY}{alert}"),
            Self::Expression(expression) => format!("expression {}", expression.name),
        }
    }

    /// What it asks for once its signals have been unknown for long.
    pub fn fallback(&self) -> Option<Fallback> {
        match self {
            Self::Total(Total { fallback, .. })
            | Self::Average(Average { fallback, .. })
            | Self::Step(Step { fallback, .. }) => *fallback,
            Self::Expression(expression) => expression.fallback,
            Self::Alert(_) => None,
        }
    }
}

/// How a signal is read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub signal: SignalName,
    pub aggregate: Aggregate,
    /// The samples measured within this span count; zero leaves the newest alone. At most
    /// [`WINDOW_MOST`].
    pub window: Duration,
    /// A sample older than this is stale, and its signal unknown. At most [`STALE_MOST`].
    pub stale_after: Duration,
}

impl Reading {
    /// The newest sample alone.
    pub fn newest(signal: SignalName, stale_after: Duration) -> Self {
        Self { signal, aggregate: Aggregate::Last, window: Duration::ZERO, stale_after }
    }
}

/// What the samples of a window count as. Of several servers each has a window of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Aggregate {
    Last,
    Avg,
    Max,
    Min,
    Sum,
    /// By the nearest rank: the smallest sample that so many of a hundred do not exceed, 50 to 99.
    Percentile(u8),
}

impl Aggregate {
    pub const WORDS: &str = "last, avg, max, min, sum or p50 to p99";

    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "last" => Self::Last,
            "avg" => Self::Avg,
            "max" => Self::Max,
            "min" => Self::Min,
            "sum" => Self::Sum,
            other => {
                let percent = other.strip_prefix('p').filter(|digits| digits.len() == 2)?;
                Self::Percentile(percent.parse().ok().filter(|p| (50..=99).contains(p))?)
            }
        })
    }

    /// Of finite values, 0 or more; none of no values. A sum beyond all numbers is the largest one.
    pub fn of(self, values: &mut [f64]) -> Option<f64> {
        let last = *values.last()?;
        let sum = || values.iter().sum::<f64>().min(f64::MAX);
        Some(match self {
            Self::Last => last,
            Self::Avg => mean(values)?,
            Self::Max => values.iter().copied().fold(0.0, f64::max),
            Self::Min => values.iter().copied().fold(f64::MAX, f64::min),
            Self::Sum => sum(),
            Self::Percentile(percent) => {
                values.sort_unstable_by(f64::total_cmp);
                let rank = (values.len() * usize::from(percent)).div_ceil(100);
                values.get(rank.saturating_sub(1)).copied().unwrap_or(last)
            }
        })
    }
}

/// The mean of finite values, 0 or more; none of none. As many times the same value are that value,
/// so that a threshold which all servers just reach is reached: parts of it would only nearly sum
/// up to it again.
pub fn mean(values: &[f64]) -> Option<f64> {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let parts = || values.iter().map(|value| value / n).sum::<f64>().min(f64::MAX);
    (n > 0.0).then(|| if mean.is_finite() { mean } else { parts() })
}

impl TryFrom<String> for Aggregate {
    type Error = String;
    fn try_from(word: String) -> Result<Self, String> {
        Self::parse(&word).ok_or_else(|| format!("{word:?} is none of {}", Self::WORDS))
    }
}

impl From<Aggregate> for String {
    fn from(aggregate: Aggregate) -> Self {
        aggregate.to_string()
    }
}

impl fmt::Display for Aggregate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Avg => f.write_str("avg"),
            Self::Max => f.write_str("max"),
            Self::Min => f.write_str("min"),
            Self::Sum => f.write_str("sum"),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}

/// A number of servers in place of a claim whose signals have been unknown for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fallback {
    pub after: Duration,
    pub capacity: u32,
}

/// How far a measure may be from its target without a change, as shares of the target.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tolerance {
    /// Above it.
    pub out: f64,
    /// Below it.
    pub into: f64,
}

impl Tolerance {
    /// Whether the ratio of a measure to its target is near enough to 1. Source: HPA v2.
    pub fn covers(self, ratio: f64) -> bool {
        (1.0 - self.into..=1.0 + self.out).contains(&ratio)
    }
}

/// `desired = ceil(load ÷ per_server)`, of the group's whole load.
#[derive(Debug, Clone, PartialEq)]
pub struct Total {
    pub reading: Reading,
    /// The load that one server carries; finite and above 0.
    pub per_server: f64,
    pub tolerance: Tolerance,
    pub fallback: Option<Fallback>,
}

impl Total {
    /// Of the newest sample, without tolerance or fallback.
    pub fn of(reading: Reading, per_server: f64) -> Self {
        Self { reading, per_server, tolerance: Tolerance::default(), fallback: None }
    }
}

/// As many servers as bring the average of each to its target.
#[derive(Debug, Clone, PartialEq)]
pub struct Average {
    pub reading: Reading,
    /// What one server should measure; finite and above 0.
    pub target: f64,
    pub tolerance: Tolerance,
    /// For so long after it began to serve a server's own measure does not count.
    pub warm_up: Duration,
    pub fallback: Option<Fallback>,
}

/// A level that moves by steps, as far as the measure lies.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub reading: Reading,
    /// Ranges do not overlap.
    pub out: Vec<Adjustment>,
    pub into: Vec<Adjustment>,
    /// After a step, more of the same measure adds nothing for so long, and nothing is taken.
    pub warm_up: Duration,
    /// Fewer servers measure more each: what would step out again does not step in.
    pub flapping_guard: bool,
    pub fallback: Option<Fallback>,
}

/// What to do where the measure lies between two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjustment {
    /// Going out, from here on; going in, above this. None has no bound.
    pub from: Option<f64>,
    /// Going out, below this; going in, up to here. None has no bound.
    pub to: Option<f64>,
    pub change: Change,
}

/// How far a step goes. Source of the rounding: AWS's `PercentChangeInCapacity`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// So many servers.
    Servers(u32),
    /// A share of the level, towards zero, but of at least so many servers.
    Percent { by: f64, least: u32 },
    /// Exactly so many.
    Exact(u32),
}

/// While an alert fires, servers on top of what was desired when it began to.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub alert: AlertName,
    pub asks: Asks,
    /// An alert that nobody renewed for so long has ended.
    pub expires_after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Asks {
    /// So many more at once, and again after each interval, up to a cap.
    More { change: Change, every: Duration, most: u32 },
    /// So many as long as it fires.
    Capacity(u32),
}

/// A number of servers by a formula over signals.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    pub name: String,
    pub formula: Formula,
    /// One for each signal of the formula, in its order.
    pub readings: Vec<Reading>,
    pub fallback: Option<Fallback>,
}
