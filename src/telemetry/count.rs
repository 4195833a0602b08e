//! Numbers that only grow, kept by name and labels.
//!
//! A counter is a name and a few labels, both plain text, so that any part may count
//! without knowing who reads. Labels must come from bounded sets (a group, a route, a
//! reason): never an id, an address or anything that a stranger chooses. As a last guard
//! the number of series is bounded; what would exceed it is counted in [`OVERFLOW`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Series kept at most: 1,000 groups with a handful of reasons each fit well.
const SERIES_MOST: usize = 20_000;

/// Passes' conclusions by what they rest on: labels `group`, `reason`.
pub const DECISIONS: &str = "novascale_decisions";
/// Calls that launch or terminate: labels `group`, `action`, `result`.
pub const ACTIONS: &str = "novascale_actions";
/// Servers launched by accepted creates: label `group`.
pub const LAUNCHED: &str = "novascale_servers_launched";
/// Servers whose delete was accepted: label `group`.
pub const TERMINATED: &str = "novascale_servers_terminated";
/// Answered HTTP requests: labels `route`, `method`, `status`.
pub const REQUESTS: &str = "novascale_http_requests";
/// Connections closed because there were too many: no label.
pub const TURNED_AWAY: &str = "novascale_http_connections_refused";
/// Requests without a valid token: no label.
pub const SIGN_IN_FAILURES: &str = "novascale_http_sign_in_failures";
/// Samples that were accepted and not known before: label `group`.
pub const SIGNALS: &str = "novascale_signals";
/// Requests to sources: labels `source`, `result` (`taken`, `refused`).
pub const SOURCES: &str = "novascale_source_requests";
/// Pulls that failed, in part or whole: label `signal`.
pub const PULL_FAILURES: &str = "novascale_pull_failures";
/// What the store could not do for a request: label `kind`.
pub const STORE_ERRORS: &str = "novascale_store_errors";
/// Increments that found no room: no label.
pub const OVERFLOW: &str = "novascale_counter_overflow";

/// A counter's name and its labels, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    pub name: &'static str,
    pub labels: Vec<(&'static str, String)>,
}

/// All counters of one running program. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Mutex<BTreeMap<Series, u64>>>);

impl Counters {
    /// Adds to a counter, which begins at zero.
    pub fn add(&self, name: &'static str, labels: &[(&'static str, &str)], n: u64) {
        let labels = labels.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let series = Series { name, labels };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = all.len() < SERIES_MOST || all.contains_key(&series);
        let series = if room { series } else { Series { name: OVERFLOW, labels: Vec::new() } };
        let count = all.entry(series).or_default();
        *count = count.saturating_add(n);
    }

    /// A pass concluded something for this reason (`launch`, `cooling`, `backoff`, …).
    pub fn decided(&self, group: &str, reason: &str) {
        self.add(DECISIONS, &[("group", group), ("reason", reason)], 1);
    }

    /// A call to launch (`action` is `launch`) or terminate (`terminate`) ended with this
    /// result (`launched`, `deleting`, `refused`, …) for `servers` servers.
    pub fn acted(&self, group: &str, action: &'static str, result: &str, servers: u64) {
        self.add(ACTIONS, &[("group", group), ("action", action), ("result", result)], 1);
        match result {
            "launched" => self.add(LAUNCHED, &[("group", group)], servers),
            "deleting" => self.add(TERMINATED, &[("group", group)], servers),
            _ => {}
        }
    }

    /// All series of one counter as they stand.
    pub fn of(&self, name: &str) -> Vec<(Series, u64)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().filter(|(s, _)| s.name == name).map(|(s, n)| (s.clone(), *n)).collect()
    }

    /// The sum over a counter's series.
    pub fn total(&self, name: &str) -> u64 {
        self.of(name).iter().fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }
}

/// Whether a service of the cloud is asked at all, as the cloud's side has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerState {
    /// The service, with its region: `compute in GRA11`.
    pub service: String,
    /// `read`, `write` or `sign_in`.
    pub class: &'static str,
    pub open: bool,
}

/// How many calls of one kind the cloud's side made, as it counts them itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallCount {
    /// `compute`, `identity`, `image`, `network`.
    pub service: String,
    /// `GET`, `POST`, `DELETE`.
    pub method: String,
    /// A status class or a failure's word: `2xx`, `4xx`, `5xx`, `unreached`.
    pub outcome: String,
    pub calls: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_by_series() {
        let counters = Counters::default();
        counters.acted("web", "launch", "launched", 4);
        counters.acted("web", "launch", "refused", 4);
        counters.acted("db", "terminate", "deleting", 1);
        assert_eq!(counters.total(ACTIONS), 3);
        assert_eq!(counters.total(LAUNCHED), 4);
        assert_eq!(counters.total(TERMINATED), 1);
        assert_eq!(counters.of(LAUNCHED)[0].0.labels, [("group", "web".to_owned())]);
    }

    #[test]
    fn the_number_of_series_is_bounded() {
        let counters = Counters::default();
        for n in 0..SERIES_MOST + 5 {
            counters.add(SIGNALS, &[("group", &n.to_string())], 1);
        }
        assert_eq!(counters.of(SIGNALS).len(), SERIES_MOST);
        assert_eq!(counters.total(OVERFLOW), 5);
        counters.add(SIGNALS, &[("group", "0")], 1);
        assert_eq!(counters.total(SIGNALS), SERIES_MOST as u64 + 1, "known series go on counting");
    }
}
