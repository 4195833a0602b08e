//! What this observation showed, by a listing or by id; and what each status means.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::decide::snapshot::Snapshot;
use crate::domain::fleet::Found;
use crate::domain::id::ServerId;
use crate::domain::intent::State;
use crate::domain::outcome::FailureKind;
use crate::domain::server::{Fault, Server, Status};
use crate::domain::time::Steady;

/// Every server that this observation showed, by a listing or by id.
#[derive(Default)]
pub(super) struct Sight<'a> {
    pub(super) shown: BTreeMap<&'a ServerId, Shown<'a>>,
    pub(super) absent: BTreeSet<&'a ServerId>,
    pub(super) detached: BTreeSet<&'a ServerId>,
}

/// One server that was shown.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) server: &'a Arc<Server>,
    /// By the listing, not only by id.
    pub(super) listed: bool,
}

impl<'a> Sight<'a> {
    pub(super) fn of(snapshot: &Snapshot<'a>) -> Self {
        let mut sight = Self::default();
        let Some(seen) = snapshot.seen() else { return sight };
        let tag = &snapshot.group.tag;
        sight.absent = gone_since(snapshot, seen.began.steady);
        let tagged = seen.servers.iter().filter(|s| s.has_tag(tag) && !gone(&s.status));
        let current = tagged.filter(|s| !sight.absent.contains(&s.id));
        sight.shown = current.map(|s| (&s.id, Shown { server: s, listed: true })).collect();
        for lookup in &seen.lookups {
            match &lookup.found {
                Found::Absent => _ = sight.absent.insert(&lookup.id),
                Found::Present(server) if gone(&server.status) => {
                    sight.absent.insert(&lookup.id);
                }
                Found::Present(server) if !server.has_tag(tag) => {
                    sight.detached.insert(&lookup.id);
                }
                Found::Present(server) => {
                    let fresh = Shown { server, listed: false };
                    let told = sight.shown.entry(&lookup.id).or_insert(fresh);
                    // A listing may lack the fault that GET by id tells.
                    if server.fault.is_some() {
                        told.server = server;
                    }
                }
                Found::Unclear(_) => {}
            }
        }
        sight
    }

    pub(super) fn server(&self, id: &ServerId) -> Option<&'a Arc<Server>> {
        self.shown.get(id).map(|shown| shown.server)
    }
}

/// Servers that Nova's 404 to a delete proved gone after the listing had begun: what it still
/// shows of them is older than that.
fn gone_since<'a>(snapshot: &Snapshot<'a>, began: Steady) -> BTreeSet<&'a ServerId> {
    let late =
        |state: &State| matches!(state, State::Closed { at, done: 1.. } if at.steady > began);
    let proved = snapshot.intents.iter().filter(|i| late(&i.state));
    proved.filter_map(|i| i.terminate().map(|t| &t.server)).collect()
}

/// SOFT_DELETED is hidden, free of quota and no capacity: gone, though it can be restored.
fn gone(status: &Status) -> bool {
    matches!(status, Status::Deleted | Status::SoftDeleted)
}

/// In a state that only a server which once was ACTIVE reaches.
pub(super) fn served(server: &Server) -> bool {
    server.launched || server.status.serves()
}

pub(super) fn failure_of(
    snapshot: &Snapshot<'_>,
    server: &Server,
    first_seen: Steady,
) -> Option<FailureKind> {
    if server.status == Status::Error {
        Some(server.fault.as_ref().map_or(FailureKind::Unclear, Fault::kind))
    } else if server.status == Status::Build && overdue(snapshot, first_seen) {
        Some(FailureKind::Capacity)
    } else {
        None
    }
}

/// Whether it was out of patience when it was seen: an old listing does not tell that it is
/// still in BUILD.
pub(super) fn overdue(snapshot: &Snapshot<'_>, first_seen: Steady) -> bool {
    let seen = snapshot.seen().map_or(snapshot.now, |seen| seen.began).steady;
    seen.since(first_seen) > snapshot.group.patience.build
}
