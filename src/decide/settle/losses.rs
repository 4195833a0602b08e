//! What was lost of the servers that served, and whether so much of it at once that a person
//! has to look: the meltdown guard.
//!
//! A fleet that loses a server or two heals by itself. Where most of it goes at once, something
//! larger is wrong (a cell, a project, an operator's script), and launching into it or sweeping
//! after it makes that worse. A server that somebody stops is lost as well: another takes its
//! place. What our own terminations took does not count, nor what never served, nor what was lost
//! before somebody last let the group go on.

use std::collections::{BTreeMap, BTreeSet};

use super::Fleet;
use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Loss, Melted};
use crate::domain::fleet::Standing;
use crate::domain::id::ServerId;
use crate::domain::intent::{Intent, State};
use crate::domain::server::{Known, KnownState, Ownership};
use crate::domain::time::Steady;

/// The losses that count now, and what they stopped.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    pub recent: Vec<Loss>,
    pub melted: Option<Melted>,
    /// When the oldest of them ceases to count.
    pub wake: Option<Steady>,
}

pub(super) fn count(snapshot: &Snapshot<'_>, fleet: &Fleet) -> Losses {
    let guard = snapshot.group.behaviour.meltdown;
    let now = snapshot.now.steady;
    let let_go = snapshot.state.unfrozen.map(|at| at.steady);
    let since_then = |at: Steady| let_go.is_none_or(|let_go| at > let_go);
    let serving: BTreeSet<&ServerId> =
        fleet.members.iter().filter(|m| m.standing == Standing::Serving).map(|m| &m.id).collect();
    let fresh = fresh(snapshot, fleet);
    let before = snapshot.memory.into_iter().flat_map(|m| m.losses.iter());
    let young = before.filter(|loss| now.since(loss.at) <= guard.within && since_then(loss.at));
    let mut recent: Vec<Loss> = young.cloned().collect();
    recent.extend(fresh.iter().map(|id| Loss { server: id.clone(), at: now }));
    recent.retain(|loss| !serving.contains(&loss.server));

    let latched = snapshot.memory.and_then(|m| m.melted.clone()).filter(|m| since_then(m.since));
    let melted = match latched {
        Some(mut melted) => {
            melted.lost.extend(fresh);
            melted.lost.retain(|id| !serving.contains(id));
            Some(melted)
        }
        // Only a loss stops it: what we take away ourselves makes the fleet smaller, not worse.
        None if fresh.is_empty() => None,
        None => {
            let lost: BTreeSet<ServerId> = recent.iter().map(|l| l.server.clone()).collect();
            let of = standing(fleet).saturating_add(number(lost.len()));
            Some(Melted { since: now, lost, of })
        }
    };
    let melted = melted.filter(|melted| guard.trips(number(melted.lost.len()), melted.of));
    let wake = recent.iter().map(|loss| loss.at.plus(guard.within)).min();
    Losses { recent, melted, wake }
}

/// Servers that served until this look, and are gone, failed, stopped or untagged without our
/// doing.
fn fresh(snapshot: &Snapshot<'_>, fleet: &Fleet) -> BTreeSet<ServerId> {
    if fleet.changed_known.is_empty() {
        return BTreeSet::new();
    }
    let before: BTreeMap<&ServerId, &Known> = snapshot.known.iter().map(|k| (&k.id, k)).collect();
    let ours: BTreeSet<&ServerId> = snapshot.intents.iter().filter_map(taken).collect();
    let lost = fleet.changed_known.iter().filter(|after| {
        let served = before.get(&after.id).is_some_and(|before| stood(before));
        let gone = matches!(after.state, KnownState::Gone | KnownState::Detached);
        let down = after.failure.is_some() || after.rests;
        served && (gone || down) && !ours.contains(&after.id)
    });
    lost.map(|after| after.id.clone()).collect()
}

/// It served, and nothing was wrong with it.
fn stood(known: &Known) -> bool {
    let ours = known.ownership == Ownership::Ours;
    ours && known.served && known.state.lives() && known.failure.is_none() && !known.rests
}

/// The server that a termination of ours took, or may have taken.
fn taken(intent: &Intent) -> Option<&ServerId> {
    let spared = matches!(intent.state, State::Closed { done: 0, .. });
    let certain = intent.trouble.as_ref().is_none_or(|t| t.failure.kind.certain());
    intent.terminate().filter(|_| !(spared && certain)).map(|t| &t.server)
}

/// How many of those that served are still there.
fn standing(fleet: &Fleet) -> u32 {
    let there = fleet.members.iter().filter(|m| {
        let away = matches!(m.standing, Standing::Leaving | Standing::Failed | Standing::Idle);
        m.ownership == Ownership::Ours && m.served && !away
    });
    number(there.count())
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
