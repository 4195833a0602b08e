//! What a payload tells, before it is known for which group.

use std::collections::BTreeMap;

use crate::domain::signal::Command;
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};

/// A payload as its format reads it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Payload {
    pub told: Vec<Told>,
    /// By which the sender's repetitions are known.
    pub id: Option<String>,
    /// What the sender should know of it, as that it was cut short.
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    Alert(Alert),
    Sample(Sample),
    Order(Order),
}

pub type Labels = BTreeMap<String, String>;

/// One alert, by level.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub name: String,
    pub labels: Labels,
    pub fingerprint: String,
    pub state: State,
    /// When it began, by its sender's clock.
    pub starts: Option<Wall>,
    /// When this was said, by its sender's clock.
    pub said: Option<Wall>,
    /// When it ended, if it is over and its sender tells.
    pub ends: Option<Wall>,
}

impl Alert {
    pub fn new(name: String, fingerprint: String, state: State) -> Self {
        let (labels, starts, said, ends) = (Labels::new(), None, None, None);
        Self { name, labels, fingerprint, state, starts, said, ends }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Firing,
    Resolved,
    /// Its sender has no data: what it said before holds.
    NoData,
}

/// One measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// What its sender calls it.
    pub metric: String,
    pub labels: Labels,
    pub value: f64,
    pub at: Option<Wall>,
    /// The signal itself and the server, where the sender speaks of those.
    pub server: Option<String>,
}

/// One word about capacity.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub labels: Labels,
    pub command: Command,
    pub reason: Option<String>,
}

impl Payload {
    pub fn of(told: Vec<Told>) -> Self {
        Self { told, ..Self::default() }
    }
}

impl Told {
    pub fn labels(&self) -> &Labels {
        match self {
            Self::Alert(alert) => &alert.labels,
            Self::Sample(sample) => &sample.labels,
            Self::Order(order) => &order.labels,
        }
    }

    pub fn labels_mut(&mut self) -> &mut Labels {
        match self {
            Self::Alert(alert) => &mut alert.labels,
            Self::Sample(sample) => &mut sample.labels,
            Self::Order(order) => &mut order.labels,
        }
    }
}

/// A moment by its sender's clock; year 1 is no time.
pub fn moment(text: &str) -> Result<Option<Wall>, Problem> {
    let at = Wall::parse(text).map_err(|_| {
        let said = "a time does not read: it must be RFC 3339, as 2026-11-23T18:00:00Z";
        Problem::new(Kind::Invalid, said)
    })?;
    Ok((at > Wall(0)).then_some(at))
}

/// A body that does not read as its format has it.
pub fn unreadable(format: &str, error: &serde_json::Error) -> Problem {
    let kind = match error.classify() {
        serde_json::error::Category::Data => Kind::Invalid,
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => Kind::Malformed,
    };
    Problem::new(kind, format!("the body is not what {format} sends: {error}"))
        .hint("does the sender fit the source's `format`?")
}
