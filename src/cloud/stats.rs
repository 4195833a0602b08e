//! Counts of calls, for /metrics. Labels are bounded: services,
//! methods and outcome words, never an id or a URL.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// How often a service was asked so, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCount {
    pub service: &'static str,
    pub method: String,
    /// `ok`, or the word of a [failure's kind](crate::domain::outcome::FailureKind::word).
    pub outcome: &'static str,
    pub count: u64,
}

/// The counters of one cloud.
#[derive(Debug, Default)]
pub struct Stats {
    inner: Mutex<Counters>,
}

/// By service, method and outcome.
type Counters = BTreeMap<(&'static str, String, &'static str), u64>;

impl Stats {
    pub fn note(&self, service: &'static str, method: &str, outcome: &'static str) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.entry((service, method.to_owned(), outcome)).or_default() += 1;
    }

    /// All counts so far, in order of service, method and outcome.
    pub fn calls(&self) -> Vec<CallCount> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = inner.iter();
        counted
            .map(|((service, method, outcome), count)| CallCount {
                service,
                method: method.clone(),
                outcome,
                count: *count,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_what_came_of_them() {
        let stats = Stats::default();
        stats.note("compute", "GET", "ok");
        stats.note("compute", "GET", "ok");
        stats.note("compute", "POST", "quota");
        let counts: Vec<_> =
            stats.calls().into_iter().map(|c| (c.method, c.outcome, c.count)).collect();
        assert_eq!(counts, [("GET".into(), "ok", 2), ("POST".into(), "quota", 1)]);
    }
}
