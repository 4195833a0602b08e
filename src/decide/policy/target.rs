//! Target tracking of the whole load: `desired = ceil(load ÷ per_server)`.

use super::load::Load;
use super::series::Series;
use super::{Fleet, Verdict, needed};
use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::policy::Total;

pub(super) fn claim(fleet: &Fleet<'_>, target: &Total) -> Verdict {
    let series = Series::new(fleet, &target.reading);
    let Load { load, silent, shifting, whole_silent } = Load::of(&series, fleet.members);
    let wants = load.map(|load| needed(load, target.per_server));
    let tolerated = load.and_then(|load| tolerated(fleet.snapshot, target, load));
    let source = Source::Target {
        signal: target.reading.signal.clone(),
        per_server: target.per_server,
        load,
        age_secs: series.age_secs(),
        silent,
        shifting,
        whole_silent,
        over: series.over(),
        tolerated: tolerated.is_some(),
    };
    let wants = tolerated.or(wants).map_or(Wants::Unknown, Wants::Servers);
    Verdict::of(Claim { source, wants })
}

/// What was desired last, if the load is near enough to what so many servers carry.
fn tolerated(snapshot: &Snapshot<'_>, target: &Total, load: f64) -> Option<u32> {
    let last = snapshot.memory?.desired.filter(|last| *last > 0)?;
    let ratio = load / (target.per_server * f64::from(last));
    target.tolerance.covers(ratio).then_some(last)
}
