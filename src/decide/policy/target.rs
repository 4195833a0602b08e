//! Target tracking of the whole load: `desired = ceil(load ÷ per_server)`.
//!
//! A sample without a server is the group's whole load. Samples with a server are
//! summed, one for each server. Where both kinds are fresh the larger load counts, so
//! that more load never lowers desired. A stale sample is no sample: absence of data is
//! not absence of load. What a server reported that has left counts no more: its load is with
//! the others. While a server leaves, rests or has failed and its last word is fresh, others may
//! not have told yet what they took over: the sum is known in part.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::count::MOST;
use crate::domain::fleet::{Member, Standing};
use crate::domain::id::ServerId;
use crate::domain::policy::TotalTarget;
use crate::domain::signal::Sample;

/// For so long after it went stale, the word of who reported for the whole group is missed where
/// single servers report as well. After that they are taken to have taken its place.
const MISSED_FOR: Duration = Duration::from_secs(86_400);

pub(super) fn claim(snapshot: &Snapshot<'_>, target: &TotalTarget, members: &[Member]) -> Claim {
    let samples = || snapshot.samples.iter().filter(|s| s.name == target.signal);
    let fresh = |s: &&Sample| age(snapshot, s) <= target.stale_after;
    let whole = samples().filter(|s| s.server.is_none());
    let told = whole.clone().any(|s| age(snapshot, s) <= target.stale_after + MISSED_FOR);
    let whole = whole.filter(fresh).map(|s| s.value.get()).fold(None, larger);
    let shares = if samples().any(|s| s.server.is_some()) {
        Shares::of(samples(), fresh, &Senders::of(snapshot, members))
    } else {
        Shares::default()
    };
    // Who reports for the whole group covers for everybody.
    let lacking = |n| if whole.is_some() { 0 } else { n };
    let load = [whole, shares.summed].into_iter().flatten().fold(None, larger);
    let source = Source::Target {
        signal: target.signal.clone(),
        per_server: target.per_server,
        load,
        age_secs: samples().map(|s| age(snapshot, s).as_secs()).min(),
        silent: lacking(shares.silent),
        shifting: lacking(shares.shifting),
        whole_silent: told && whole.is_none(),
    };
    let wants = load.map_or(Wants::Unknown, |l| Wants::Servers(needed(l, target.per_server)));
    Claim { source, wants }
}

/// What single servers report.
#[derive(Default)]
struct Shares {
    summed: Option<f64>,
    /// Those that no longer report, and may carry load.
    silent: u32,
    /// Those whose load others take over.
    shifting: u32,
}

impl Shares {
    fn of<'a>(
        samples: impl Iterator<Item = &'a Sample>,
        fresh: impl Fn(&&Sample) -> bool,
        senders: &Senders<'_>,
    ) -> Self {
        let mut shares = Self::default();
        for sample in samples {
            let Some(id) = &sample.server else { continue };
            match (senders.carries(id), fresh(&sample)) {
                (Some(true), false) => shares.silent += 1,
                (Some(false), true) => shares.shifting += 1,
                (Some(true), true) => shares.add(sample),
                (None, true) if !senders.known.contains(id) => shares.add(sample),
                (Some(false) | None, _) => {}
            }
        }
        shares
    }

    fn add(&mut self, sample: &Sample) {
        self.summed = Some(self.summed.unwrap_or(0.0) + sample.value.get());
    }
}

/// How old a sample is: measured before it came by the sender's clock, and since then by ours.
pub(crate) fn age(snapshot: &Snapshot<'_>, sample: &Sample) -> Duration {
    let before = sample.received.wall.since(sample.at);
    before.saturating_add(snapshot.now.steady.since(sample.received.steady))
}

fn larger(most: Option<f64>, next: f64) -> Option<f64> {
    Some(most.map_or(next, |m: f64| m.max(next)))
}

/// Who may report, by what is known of the servers.
struct Senders<'a> {
    members: BTreeMap<&'a ServerId, Standing>,
    known: BTreeSet<&'a ServerId>,
}

impl<'a> Senders<'a> {
    fn of(snapshot: &Snapshot<'a>, members: &'a [Member]) -> Self {
        let members = members.iter().map(|m| (&m.id, m.standing)).collect();
        Self { members, known: snapshot.known.iter().map(|k| &k.id).collect() }
    }

    /// Whether a member carries load; none if it is no member. A server that was never seen may
    /// be so young that no listing shows it.
    fn carries(&self, id: &ServerId) -> Option<bool> {
        self.members.get(id).copied().map(able)
    }
}

/// One that was stopped, has failed or is being deleted carries no load.
fn able(standing: Standing) -> bool {
    match standing {
        Standing::Serving | Standing::Building | Standing::Unsure => true,
        Standing::Idle | Standing::Failed | Standing::Leaving => false,
    }
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
        assert_eq!(needed(90.000_000_001, 0.1), 900, "nor does that of a large quotient");
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
