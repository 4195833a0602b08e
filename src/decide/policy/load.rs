//! The group's whole load, by who reports it.
//!
//! A sample without a server is the group's whole load. Samples with a server are
//! summed, one for each server. Where both kinds are fresh the larger load counts, so
//! that more load never lowers desired. A stale sample is no sample: absence of data is
//! not absence of load. What a server reported that has left counts no more: its load is with
//! the others. While a server leaves, rests or has failed and its last word is fresh, and after it
//! left until all others were measured anew, they may not have told yet what they took over: the sum
//! is known in part.

use std::collections::{BTreeMap, BTreeSet};

use super::series::Series;
use crate::decide::snapshot::Snapshot;
use crate::domain::fleet::{Member, Standing};
use crate::domain::id::ServerId;
use crate::domain::signal::Sample;

/// What is known of the whole load.
pub(super) struct Load {
    pub(super) load: Option<f64>,
    /// Servers that no longer report, and may carry load.
    pub(super) silent: u32,
    /// Servers whose load others take over.
    pub(super) shifting: u32,
    /// Who reported for the whole group has fallen silent.
    pub(super) whole_silent: bool,
}

impl Load {
    pub(super) fn of(series: &Series<'_>, members: &[Member]) -> Self {
        let value = |sample: &Sample| series.value(sample, |s| s.value.get());
        let whole = || series.newest().filter(|sample| sample.server.is_none());
        let whole = whole().filter(|sample| series.fresh(sample)).map(value).fold(None, larger);
        let shares = if series.newest().any(|sample| sample.server.is_some()) {
            Shares::of(series, &Senders::of(series.snapshot(), members))
        } else {
            Shares::default()
        };
        // Who reports for the whole group covers for everybody.
        let lacking = |n| if whole.is_some() { 0 } else { n };
        Self {
            load: [whole, shares.summed].into_iter().flatten().fold(None, larger),
            silent: lacking(shares.silent),
            shifting: lacking(shares.shifting),
            whole_silent: series.missed() && whole.is_none(),
        }
    }

    /// Nothing of it is missing.
    pub(super) fn whole(&self) -> Option<f64> {
        self.load.filter(|_| !self.silenced() && self.shifting == 0)
    }

    /// Nothing of it is missing but what others are about to tell.
    pub(super) fn told(&self) -> bool {
        self.load.is_some() && !self.silenced()
    }

    /// Somebody who told a part of it does so no more.
    fn silenced(&self) -> bool {
        self.silent > 0 || self.whole_silent
    }
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
    fn of(series: &Series<'_>, senders: &Senders<'_>) -> Self {
        let (mut shares, mut counting) = (Self::default(), Vec::new());
        for sample in series.newest() {
            let Some(id) = &sample.server else { continue };
            let mut add = || {
                counting.push(sample);
                let share = series.value(sample, |s| s.value.get());
                shares.summed = Some(shares.summed.unwrap_or(0.0) + share);
            };
            match (senders.carries(id), series.fresh(sample)) {
                (Some(true), false) => shares.silent += 1,
                (Some(false), true) => shares.shifting += 1,
                (Some(true), true) => add(),
                (None, true) if !senders.known.contains(id) => add(),
                (Some(false) | None, _) => {}
            }
        }
        shares.shifting += series.untold(counting.into_iter());
        shares
    }
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
