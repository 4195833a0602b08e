//! Target tracking of the whole load: `desired = ceil(load ÷ per_server)`.
//!
//! A sample without a server is the group's whole load. Samples with a server are
//! summed, one for each server. Where both kinds are fresh the larger load counts, so
//! that more load never lowers desired. A stale sample is no sample: absence of data is
//! not absence of load.

use std::time::Duration;

use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::count::MOST;
use crate::domain::fleet::{Member, Standing};
use crate::domain::policy::TotalTarget;
use crate::domain::signal::Sample;

pub(super) fn claim(snapshot: &Snapshot<'_>, target: &TotalTarget, members: &[Member]) -> Claim {
    let samples: Vec<&Sample> =
        snapshot.samples.iter().filter(|s| s.name == target.signal).collect();
    let fresh = |s: &&&Sample| age(snapshot, s) <= target.stale_after;
    let whole = samples
        .iter()
        .filter(|s| s.server.is_none())
        .filter(fresh)
        .map(|s| s.value.get())
        .fold(None, larger);
    let shares: Vec<f64> = samples
        .iter()
        .filter(|s| s.server.is_some())
        .filter(fresh)
        .map(|s| s.value.get())
        .collect();
    let summed = (!shares.is_empty()).then(|| shares.iter().sum::<f64>());
    let load = [whole, summed].into_iter().flatten().fold(None, larger);
    let stale = |s: &&&Sample| age(snapshot, s) > target.stale_after;
    let silent = samples.iter().filter(stale).filter(|s| carries(members, s)).count();
    let source = Source::Target {
        signal: target.signal.clone(),
        per_server: target.per_server,
        load,
        age_secs: samples.iter().map(|s| age(snapshot, s).as_secs()).min(),
        silent: if whole.is_some() { 0 } else { u32::try_from(silent).unwrap_or(u32::MAX) },
    };
    let wants = load.map_or(Wants::Unknown, |l| Wants::Servers(needed(l, target.per_server)));
    Claim { source, wants }
}

/// How old a sample is: measured before it came by the sender's clock, and since then by ours.
pub(crate) fn age(snapshot: &Snapshot<'_>, sample: &Sample) -> Duration {
    let before = sample.received.wall.since(sample.at);
    before.saturating_add(snapshot.now.steady.since(sample.received.steady))
}

fn larger(most: Option<f64>, next: f64) -> Option<f64> {
    Some(most.map_or(next, |m: f64| m.max(next)))
}

/// Whether the sample's server may carry load that nobody tells of. One that was stopped, has
/// failed or is being deleted carries none.
fn carries(members: &[Member], sample: &Sample) -> bool {
    let able = |m: &Member| match m.standing {
        Standing::Serving | Standing::Building | Standing::Unsure => true,
        Standing::Idle | Standing::Failed | Standing::Leaving => false,
    };
    sample.server.as_ref().is_some_and(|id| members.iter().any(|m| m.id == *id && able(m)))
}

/// Servers for a load. A quotient that only rounding error lifts above a whole number
/// counts as that number.
fn needed(load: f64, per_server: f64) -> u32 {
    let servers = load / per_server;
    if !servers.is_finite() {
        return MOST;
    }
    let whole = servers.round();
    let near = (servers - whole).abs() <= 1e-9 * whole.max(1.0);
    let servers = if near { whole } else { servers.ceil() };
    servers.clamp(0.0, f64::from(MOST)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_rounded_up() {
        let cases = [(0.0, 100.0, 0), (1.0, 100.0, 1), (100.0, 100.0, 1), (540.0, 100.0, 6)];
        for (load, per, servers) in cases {
            assert_eq!(needed(load, per), servers, "{load} / {per}");
        }
        assert_eq!(needed(0.3, 0.1), 3, "rounding error adds no server");
        assert_eq!(needed(f64::MAX, f64::MIN_POSITIVE), MOST);
    }

    proptest::proptest! {
        #[test]
        fn more_load_never_needs_fewer(a in 0.0..1e12f64, b in 0.0..1e12f64, per in 1e-6..1e6f64) {
            let (less, more) = if a < b { (a, b) } else { (b, a) };
            proptest::prop_assert!(needed(less, per) <= needed(more, per));
        }
    }
}
