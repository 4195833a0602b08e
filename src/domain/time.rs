//! Instants and their arithmetic. There is no `now` here: time is handed in.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A point of wall time, in milliseconds since 1970 (UTC). It may jump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wall(pub i64);

impl Wall {
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span).cast_signed()))
    }

    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span).cast_signed()))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The calendar's view; out of its range, the nearest end of it.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
    }

    /// Reads RFC 3339, as `2026-11-23T18:00:00Z`.
    pub fn parse(text: &str) -> Result<Self, jiff::Error> {
        text.parse::<Timestamp>().map(|t| Self(t.as_millisecond()))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.timestamp())
    }
}

impl Serialize for Wall {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.timestamp())
    }
}

impl<'de> Deserialize<'de> for Wall {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A point on a clock that only goes forward, in milliseconds, continued over
/// restarts: what cooldowns, patience and settling are measured with.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Steady(pub u64);

impl Steady {
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this is; zero if it is not.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    pub wall: Wall,
    pub steady: Steady,
}

impl Now {
    /// Both clocks moved on by the same span.
    pub fn plus(self, span: Duration) -> Self {
        Self { wall: self.wall.plus(span), steady: self.steady.plus(span) }
    }

    /// The wall time at which the steady clock will read (or read) `then`.
    pub fn wall_at(self, then: Steady) -> Wall {
        if then >= self.steady {
            self.wall.plus(then.since(self.steady))
        } else {
            self.wall.minus(self.steady.since(then))
        }
    }
}

/// Where readings come from. The daemon hands in the machine's clocks, tests hand in theirs.
pub trait Clock: Send + Sync {
    fn now(&self) -> Now;
}

/// What is left of a span, in whole seconds: never 0 while anything is left.
pub fn left_secs(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// A span as people say it: `45 s`, `3 min`, `2 h 5 min`.
pub fn spoken(span: Duration) -> String {
    let secs = span.as_secs() + u64::from(span.subsec_millis() >= 500);
    match (secs / 86_400, secs % 86_400 / 3600, secs % 3600 / 60, secs % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, 0, _, _) => format!("{d} d"),
        (d, h, _, _) => format!("{d} d {h} h"),
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).min(i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Steady(5).minus(Duration::from_secs(1)), Steady(0));
        assert_eq!(Steady(5).since(Steady(9)), Duration::ZERO);
        assert_eq!(Wall(i64::MAX).plus(Duration::MAX), Wall(i64::MAX));
        assert_eq!(Wall(0).since(Wall(i64::MAX)), Duration::ZERO);
    }

    #[test]
    fn wall_time_reads_and_writes_rfc_3339() {
        let text = "\"2026-01-02T03:00:00Z\"";
        let wall: Wall = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&wall).unwrap(), text);
    }

    #[test]
    fn spans_are_spoken() {
        let said: Vec<String> =
            [0, 45, 60, 90, 3600, 7500, 90_000].map(|s| spoken(Duration::from_secs(s))).into();
        assert_eq!(said, ["0 s", "45 s", "1 min", "1 min 30 s", "1 h", "2 h 5 min", "1 d 1 h"]);
    }
}
