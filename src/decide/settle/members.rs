//! Members: what each counts as, and the sum of it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Fleet;
use super::known::Records;
use super::sight::{Sight, overdue};
use crate::decide::snapshot::Snapshot;
use crate::decide::sooner;
use crate::domain::fleet::{Member, Standing, Tally};
use crate::domain::id::{LaunchId, Region, ServerId, mark};
use crate::domain::intent::{Intent, Launch, State};
use crate::domain::server::{Known, Ownership, Server, Status};

/// Judges every member and adds up.
pub(super) fn gather(
    snapshot: &Snapshot<'_>,
    sight: &Sight<'_>,
    known: &Records<'_>,
    intents: Vec<Intent>,
) -> Fleet {
    let leaving: BTreeSet<&ServerId> = intents
        .iter()
        .filter(|i| i.state.live())
        .filter_map(|i| i.terminate().map(|t| &t.server))
        .collect();
    let (mut fleet, mut stood) = (Fleet::default(), Stood::default());
    for record in known.values().filter(|k| k.state.lives()) {
        let server = sight.server(&record.id);
        let standing = stand(snapshot, record, server, leaving.contains(&record.id));
        count(&mut fleet.tally, standing, record.ownership);
        stood.note(record, standing);
        fleet.living += 1;
        fleet.note_elsewhere(&snapshot.group.region, &record.region, 1);
        let expected = leaving.contains(&record.id);
        fleet.missing += u32::from(server.is_none() && !expected && snapshot.seen().is_some());
        if standing == Standing::Building {
            let end = record.first_seen.plus(snapshot.group.patience.build);
            let end = Some(end.plus(Duration::from_millis(1)));
            // Once it is over, the next listing tells.
            fleet.wake = sooner(fleet.wake, end.filter(|end| *end > snapshot.now.steady));
        }
        fleet.members.push(member(snapshot, record, server, standing));
    }
    fleet.found = stood.capacity();
    // Most groups have nothing under way, and then nothing is counted.
    let under_way = intents.iter().filter(|i| i.state.live()).filter_map(Intent::launch);
    let under_way: Vec<&Launch> = under_way.collect();
    let arrived = if under_way.is_empty() { BTreeMap::new() } else { arrivals(known) };
    for launch in under_way {
        let came = arrived.get(&launch.launch).copied().unwrap_or(0);
        let coming = launch.n.saturating_sub(came);
        fleet.tally.coming = fleet.tally.coming.saturating_add(coming);
        fleet.note_elsewhere(&snapshot.group.region, &launch.region, coming);
    }
    fleet.watched = watched(&snapshot.group.region, known, &intents);
    let left = known.values().filter(|k| !k.state.lives() && k.served);
    fleet.left = left.map(|k| k.since).collect();
    let changed = known.values().filter_map(|record| match record {
        Cow::Borrowed(_) => None,
        Cow::Owned(known) => Some(known.clone()),
    });
    fleet.changed_known = changed.collect();
    fleet.changed_intents = intents
        .iter()
        .zip(snapshot.intents)
        .filter(|(next, last)| next != last)
        .map(|(next, _)| next.clone())
        .collect();
    fleet.intents = intents;
    fleet
}

/// Whoever lives, and the first server of a launch that Nova accepted but no listing showed.
fn watched(region: &Region, known: &Records<'_>, intents: &[Intent]) -> Vec<ServerId> {
    let living = known.values().filter(|k| k.state.lives() && k.region == *region).map(|k| &k.id);
    let here = intents.iter().filter(|i| i.launch().is_some_and(|l| l.region == *region));
    let promised = here.filter_map(|i| match &i.state {
        State::Accepted { first: Some(first), .. } => Some(first),
        State::Accepted { first: None, .. }
        | State::Open
        | State::Unsettled { .. }
        | State::Abandoned { .. }
        | State::Closed { .. } => None,
    });
    let unknown = promised.filter(|id| !known.contains_key(*id));
    living.chain(unknown).cloned().collect()
}

fn arrivals<'a>(known: &'a Records<'_>) -> BTreeMap<&'a LaunchId, u32> {
    let mut arrived = BTreeMap::new();
    for launch in known.values().filter_map(|k| k.launch.as_ref()) {
        *arrived.entry(launch).or_insert(0) += 1;
    }
    arrived
}

fn stand(
    snapshot: &Snapshot<'_>,
    record: &Known,
    server: Option<&Arc<Server>>,
    leaving: bool,
) -> Standing {
    if leaving || server.is_some_and(|s| s.deleting) {
        return Standing::Leaving;
    }
    let Some(status) = server.map(|s| &s.status).filter(|status| status.tells()) else {
        return as_before(record);
    };
    let building = *status == Status::Build;
    if status.serves() {
        Standing::Serving
    } else if status.rests() {
        Standing::Idle
    } else if building && !overdue(snapshot, record.first_seen) {
        Standing::Building
    } else {
        Standing::Failed
    }
}

/// Not listed, or of a status that tells nothing: what it was is what it counts as.
fn as_before(record: &Known) -> Standing {
    if record.rests {
        Standing::Idle
    } else if record.failure.is_some() {
        Standing::Failed
    } else {
        Standing::Unsure
    }
}

/// What counts as capacity though nothing in the journal tells of its launch.
#[derive(Default)]
struct Stood {
    n: u32,
    ours: bool,
}

impl Stood {
    fn note(&mut self, record: &Known, standing: Standing) {
        let counts = match standing {
            Standing::Serving | Standing::Building | Standing::Unsure => true,
            Standing::Idle | Standing::Failed | Standing::Leaving => false,
        };
        if record.found && counts {
            self.n += 1;
            self.ours |= record.ownership == Ownership::Ours;
        }
    }

    /// Servers that people tagged stand beside any journal: only one of our own tells that it
    /// was lost.
    fn capacity(&self) -> u32 {
        if self.ours { self.n } else { 0 }
    }
}

fn count(tally: &mut Tally, standing: Standing, ownership: Ownership) {
    let place = match standing {
        Standing::Serving => &mut tally.serving,
        Standing::Building => &mut tally.building,
        Standing::Unsure => &mut tally.unsure,
        Standing::Idle => &mut tally.idle,
        Standing::Failed => &mut tally.failed,
        Standing::Leaving => &mut tally.leaving,
    };
    *place += 1;
    tally.foreign += u32::from(ownership != Ownership::Ours);
}

fn member(
    snapshot: &Snapshot<'_>,
    record: &Known,
    server: Option<&Arc<Server>>,
    standing: Standing,
) -> Member {
    let outdated = server
        .and_then(|s| s.metadata.get(mark::TEMPLATE))
        .is_some_and(|template| *template != *snapshot.group.template.hash.as_str());
    Member {
        id: record.id.clone(),
        standing,
        ownership: record.ownership,
        kept: server.is_some_and(|s| s.locked || s.protected()),
        served: record.served,
        serves_since: record.serves_since,
        outdated,
        launch: record.launch.clone(),
        server: server.cloned(),
    }
}
