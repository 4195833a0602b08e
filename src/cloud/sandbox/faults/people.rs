//! What people do to servers behind everybody's back: at a listing, before it is answered.

use super::Faults;
use crate::cloud::sandbox::model::server::{BY_HAND, Lock, Server, VmState};
use crate::cloud::sandbox::model::{Model, Turn};
use crate::config::rehearsal::Fault;
use crate::domain::id::{LAUNCH_TAG_PREFIX, mark};

/// What somebody does to the server of this id.
type Deed = fn(&mut Model, &str, &mut Turn<'_>);

const DEEDS: [(Fault, Deed); 6] = [
    (Fault::Vanish, |model, id, _| model.remove(id)),
    (Fault::Stopped, |model, id, _| model.alter(id, |server| server.vm = VmState::Stopped)),
    (Fault::Untagged, |model, id, _| model.alter(id, |server| server.tags.clear())),
    (Fault::TaggedByHand, tag_by_hand),
    (Fault::Renamed, |model, id, _| model.alter(id, |server| server.name += "-renamed")),
    (Fault::Kept, keep),
];

/// No more of them, so that a fleet has room left.
const BY_HAND_MOST: usize = 2;

/// Whether any of this kind is on.
pub(in crate::cloud::sandbox) fn are_at_it(faults: &Faults) -> bool {
    DEEDS.iter().any(|(fault, _)| faults.is_on(*fault))
}

/// Everything of this kind that strikes now.
pub(in crate::cloud::sandbox) fn meddle(model: &mut Model, turn: &mut Turn<'_>) {
    for (fault, deed) in DEEDS {
        if turn.faults.is_on(fault)
            && let Some(id) = somebody(model, turn.faults)
            && turn.faults.strikes(fault)
        {
            deed(model, &id, turn);
        }
    }
}

/// One of the servers that carry a tag and run, by chance.
fn somebody(model: &Model, faults: &mut Faults) -> Option<String> {
    let tagged = |server: &&Server| {
        let runs = matches!(server.vm, VmState::Active | VmState::Stopped);
        runs && !server.tags.is_empty() && !server.is_deleting()
    };
    let all: Vec<&Server> = model.servers().filter(tagged).collect();
    let drawn = faults.dice.within(&(0..=(all.len() as u64).saturating_sub(1)));
    usize::try_from(drawn).ok().and_then(|at| all.get(at)).map(|server| server.id.clone())
}

/// Locks or protects it, or lets it go again.
fn keep(model: &mut Model, id: &str, turn: &mut Turn<'_>) {
    let locks = turn.faults.dice.percent(50);
    model.alter(id, |server| match locks {
        true => server.lock = toggled(server.lock.take()),
        false => protect(server),
    });
}

fn toggled(lock: Option<Lock>) -> Option<Lock> {
    lock.is_none().then(|| Lock { reason: Some("by hand".to_owned()) })
}

fn protect(server: &mut Server) {
    if server.metadata.remove(mark::PROTECT).is_none() {
        server.metadata.insert(mark::PROTECT.to_owned(), "yes".to_owned());
    }
}

/// A server of somebody else's, with the tag that this one has for its group.
fn tag_by_hand(model: &mut Model, like: &str, turn: &mut Turn<'_>) {
    let by_hand = model.servers().filter(|server| server.name == BY_HAND).count();
    let mut tags = model.server(like).into_iter().flat_map(|server| &server.tags);
    let group = tags.find(|tag| !tag.starts_with(LAUNCH_TAG_PREFIX)).cloned();
    if let Some(tag) = group.filter(|_| by_hand < BY_HAND_MOST) {
        model.add_by_hand(turn.faults.dice.uuid(), tag, turn.now);
    }
}
