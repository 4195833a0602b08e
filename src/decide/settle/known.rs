//! Known servers: what was shown is taken in, what was lacking is questioned.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::sight::{Sight, failure_of, served};
use crate::decide::snapshot::Snapshot;
use crate::domain::fleet::Seen;
use crate::domain::id::ServerId;
use crate::domain::intent::{Intent, State};
use crate::domain::outcome::FailureKind;
use crate::domain::server::{Known, KnownState, Ownership, Server};
use crate::domain::time::Steady;

/// Known servers by id. One that nothing changes is never copied: a fleet at rest costs
/// no more than the look.
pub(super) type Records<'a> = BTreeMap<&'a ServerId, Cow<'a, Known>>;

pub(super) fn remembered<'a>(snapshot: &Snapshot<'a>) -> Records<'a> {
    snapshot.known.iter().map(|k| (&k.id, Cow::Borrowed(k))).collect()
}

/// Takes in every server that was shown.
pub(super) fn welcome<'a>(
    snapshot: &Snapshot<'a>,
    seen: &Seen,
    sight: &Sight<'a>,
    known: &mut Records<'a>,
) {
    for (id, shown) in &sight.shown {
        let state = if shown.listed { KnownState::Listed } else { KnownState::Missing };
        let fresh = || Cow::Owned(newcomer(snapshot, shown.server, state));
        let record = known.entry(id).or_insert_with(fresh);
        // A listing says nothing about what was proved after it began.
        if !record.state.lives() && seen.began.steady < record.since {
            continue;
        }
        if record.state != state {
            let record = record.to_mut();
            (record.state, record.since) = (state, snapshot.now.steady);
        }
        learn(snapshot, shown.server, record);
    }
}

fn newcomer(snapshot: &Snapshot<'_>, server: &Server, state: KnownState) -> Known {
    let (now, launch) = (snapshot.now.steady, server.launch());
    let mut journal = snapshot.intents.iter().filter_map(Intent::launch);
    let told = launch.is_some_and(|launch| journal.any(|line| line.launch == launch));
    Known {
        id: server.id.clone(),
        region: server.region.clone(),
        zone: None,
        launch: None,
        ownership: Ownership::Foreign,
        state,
        since: now,
        first_seen: now,
        served: false,
        serves_since: None,
        failure: None,
        rests: false,
        found: !told,
    }
}

/// What the server now says of itself.
fn learn(snapshot: &Snapshot<'_>, server: &Server, record: &mut Cow<'_, Known>) {
    if server.zone.is_some() && record.zone != server.zone {
        record.to_mut().zone.clone_from(&server.zone);
    }
    // A launch id is for life.
    if record.launch.is_none()
        && let Some(launch) = server.launch()
    {
        record.to_mut().launch = Some(launch);
    }
    let ownership = server.ownership(snapshot.install, &snapshot.group.name);
    if record.ownership != ownership {
        record.to_mut().ownership = ownership;
    }
    if served(server) && !record.served {
        let record = record.to_mut();
        (record.served, record.serves_since) = (true, Some(snapshot.now.steady));
    }
    let failure = failure(snapshot, server, record);
    if record.failure != failure {
        record.to_mut().failure = failure;
    }
    let rests = if server.status.tells() { server.status.rests() } else { record.rests };
    if record.rests != rests {
        record.to_mut().rests = rests;
    }
}

/// Why it failed, as far as it is told by now: Nova may tell the reason later than the ERROR.
fn failure(snapshot: &Snapshot<'_>, server: &Server, record: &Known) -> Option<FailureKind> {
    if server.status.serves() {
        return None;
    }
    match record.failure {
        None | Some(FailureKind::Unclear) => {
            failure_of(snapshot, server, record.first_seen).or(record.failure)
        }
        told => told,
    }
}

/// Notes what the listing lacked, and what a GET by id said of it.
pub(super) fn question(
    snapshot: &Snapshot<'_>,
    seen: &Seen,
    sight: &Sight<'_>,
    known: &mut Records<'_>,
) {
    let deleted: BTreeMap<&ServerId, Steady> =
        snapshot.intents.iter().filter_map(proved_gone).collect();
    // What one region says, a 404 included, is no word on a server of another.
    let here = |k: &&mut Cow<'_, Known>| k.state.lives() && k.region == snapshot.group.region;
    for record in known.values_mut().filter(here) {
        if sight.shown.contains_key(&record.id) {
            continue;
        }
        // A server that was restored since is not gone by the proof of that time.
        let proved = deleted.get(&record.id).is_some_and(|at| *at >= record.since);
        let state = if sight.absent.contains(&record.id) || proved {
            KnownState::Gone
        } else if sight.detached.contains(&record.id) {
            KnownState::Detached
        } else if record.first_seen >= seen.began.steady {
            record.state
        } else {
            KnownState::Missing
        };
        if record.state != state {
            // What began after the proof is newer, though it may have begun before this pass.
            let lookup = seen.lookups.iter().find(|lookup| lookup.id == record.id);
            let proof = lookup.map(|lookup| lookup.began.steady).filter(|_| !state.lives());
            let record = record.to_mut();
            (record.state, record.since) = (state, proof.unwrap_or(snapshot.now.steady));
        }
    }
}

/// A delete that Nova answered with its own 404, and when.
fn proved_gone(intent: &Intent) -> Option<(&ServerId, Steady)> {
    let State::Closed { at, done: 1.. } = intent.state else { return None };
    intent.terminate().map(|t| (&t.server, at.steady))
}
