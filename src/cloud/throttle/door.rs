//! What stands between us and one service in one region, for one class of calls: its breaker,
//! and how long it asked to be left alone. Another service's trouble is not this one's.

use std::time::Duration;

use super::Heard;
use crate::domain::time::Steady;

/// So many failures in a row open a breaker: fewer happen in any restart behind a proxy.
pub(super) const BREAK_AFTER: u32 = 5;

/// How long a breaker stays open: first, and at most, doubling with each failed trial.
pub(super) const OPEN_FIRST: Duration = Duration::from_secs(5);
const OPEN_MOST: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(super) struct Door {
    pub breaker: Breaker,
    blocked_until: Steady,
}

impl Door {
    /// How long nothing will be sent, by a Retry-After.
    pub(super) fn blocked(&self, now: Steady) -> Duration {
        self.blocked_until.since(now)
    }

    pub(super) fn heard(&mut self, heard: Heard, now: Steady) {
        if let Some(after) = heard.after {
            self.blocked_until = self.blocked_until.max(now.plus(after));
        }
        self.breaker.heard(heard.broken, now);
    }
}

/// Whether a service is asked at all.
#[derive(Debug, Clone, Copy)]
pub(super) enum Breaker {
    Closed {
        failures: u32,
    },
    Open {
        until: Steady,
        wait: Duration,
    },
    /// One call is trying.
    Trying {
        wait: Duration,
    },
}

impl Default for Breaker {
    fn default() -> Self {
        Self::Closed { failures: 0 }
    }
}

impl Breaker {
    /// Whether the service is left alone, but for trials.
    pub(super) fn open(self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    /// An error is how long nothing will be sent.
    pub(super) fn refuses(&mut self, now: Steady) -> Result<(), Duration> {
        match *self {
            Self::Open { until, .. } if now < until => Err(until.since(now)),
            Self::Trying { wait } => Err(wait),
            Self::Closed { .. } | Self::Open { .. } => Ok(()),
        }
    }

    /// Whether the call that begins is a trial.
    pub(super) fn begin(&mut self, now: Steady) -> Result<bool, Duration> {
        self.refuses(now)?;
        if let Self::Open { wait, .. } = *self {
            *self = Self::Trying { wait };
            return Ok(true);
        }
        Ok(false)
    }

    fn heard(&mut self, broken: bool, now: Steady) {
        *self = match *self {
            _ if !broken => Self::default(),
            Self::Closed { failures } if failures + 1 < BREAK_AFTER => {
                Self::Closed { failures: failures + 1 }
            }
            Self::Closed { .. } => Self::opened(OPEN_FIRST, now),
            Self::Trying { wait } => Self::opened((wait * 2).min(OPEN_MOST), now),
            open @ Self::Open { .. } => open,
        };
    }

    /// The trial was given up without an answer: the next call tries.
    pub(super) fn abandon(&mut self, now: Steady) {
        if let Self::Trying { wait } = *self {
            *self = Self::Open { until: now, wait };
        }
    }

    fn opened(wait: Duration, now: Steady) -> Self {
        Self::Open { until: now.plus(wait), wait }
    }
}
