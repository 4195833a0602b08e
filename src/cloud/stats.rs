//! Counts of calls, for /metrics, benchmarks and people. Labels are bounded: services,
//! methods and outcome words, never an id or a URL.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the latency histogram's buckets, in milliseconds; above the last is one more.
pub const BUCKETS_MS: [u64; 11] = [10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/// How often a service was asked so, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCount {
    pub service: &'static str,
    pub method: String,
    /// `ok`, or the word of a [failure's kind](crate::domain::outcome::FailureKind::word).
    pub outcome: &'static str,
    pub count: u64,
}

/// How long a service took to answer, or to fail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    pub service: &'static str,
    /// Calls by [`BUCKETS_MS`], each counted once; the last entry is those beyond.
    pub buckets: [u64; BUCKETS_MS.len() + 1],
    pub count: u64,
    pub sum: Duration,
}

/// The counters of one cloud.
#[derive(Debug, Default)]
pub struct Stats {
    inner: Mutex<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    calls: BTreeMap<(&'static str, String, &'static str), u64>,
    latencies: BTreeMap<&'static str, Latency>,
}

impl Stats {
    pub fn note(&self, service: &'static str, method: &str, outcome: &'static str, took: Duration) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        *inner.calls.entry((service, method.to_owned(), outcome)).or_default() += 1;
        let latency = inner.latencies.entry(service).or_default();
        let bucket = BUCKETS_MS.partition_point(|most| u128::from(*most) < took.as_millis());
        latency.service = service;
        latency.buckets[bucket] += 1;
        latency.count += 1;
        latency.sum += took;
    }

    /// All counts so far, in order of service, method and outcome.
    pub fn calls(&self) -> Vec<CallCount> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = inner.calls.iter();
        counted
            .map(|((service, method, outcome), count)| CallCount {
                service,
                method: method.clone(),
                outcome,
                count: *count,
            })
            .collect()
    }

    pub fn latencies(&self) -> Vec<Latency> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.latencies.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_what_came_of_them() {
        let stats = Stats::default();
        stats.note("compute", "GET", "ok", Duration::from_millis(10));
        stats.note("compute", "GET", "ok", Duration::from_millis(11));
        stats.note("compute", "POST", "quota", Duration::from_secs(31));
        let counts: Vec<_> =
            stats.calls().into_iter().map(|c| (c.method, c.outcome, c.count)).collect();
        assert_eq!(counts, [("GET".into(), "ok", 2), ("POST".into(), "quota", 1)]);
        let latency = &stats.latencies()[0];
        assert_eq!((latency.buckets[0], latency.buckets[1], latency.buckets[11]), (1, 1, 1));
        assert_eq!((latency.count, latency.sum), (3, Duration::from_millis(31_021)));
    }
}
