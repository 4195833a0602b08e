//! The meltdown guard: where others took too much of what served at once, nothing is changed
//! before that is put right or somebody lets the group go on.
//!
//! Who took a server is the truth's to say; since when that could be known, what passes were
//! shown. What a pass was shown that may have been recorded without being published counts for
//! nothing, and of how many the lost ones are is counted generously.

use std::collections::{BTreeMap, BTreeSet};

use novascale::domain::behaviour::Meltdown;
use novascale::domain::fleet::{Found, Seen};
use novascale::domain::id::{ServerId, Tag};
use novascale::domain::server::{Ownership, Server, Status};
use novascale::domain::time::{Now, Steady};

use super::{Context, Oracle};
use crate::servers::{State, up};
use crate::trace::Trace;

/// What became of the servers of one group that served.
#[derive(Default)]
pub struct Melt {
    /// Servers of ours that were shown to have served and not to be gone: whether they served,
    /// without a doubt, when they were shown last.
    stood: BTreeMap<ServerId, bool>,
    /// Others took them, and nobody was shown that yet.
    taken: BTreeSet<ServerId>,
    /// Shown to be lost, and when.
    lost: BTreeMap<ServerId, Steady>,
    melted: Option<Melted>,
    /// When somebody let the group go on.
    let_go: Steady,
}

/// Too many were lost at once.
struct Melted {
    since: Steady,
    lost: BTreeSet<ServerId>,
    of: usize,
}

impl Melt {
    /// Somebody else than the controller took it away.
    pub fn took(&mut self, id: &ServerId) {
        self.taken.insert(id.clone());
    }

    pub fn let_go(&mut self, now: Steady) {
        self.let_go = now;
    }

    /// It served for all that was recorded, and others took it.
    fn robbed(&self, id: &ServerId) -> bool {
        self.taken.contains(id) && self.stood.get(id) == Some(&true)
    }

    /// Nova said itself that there is no such server any more.
    pub fn gone(&mut self, id: &ServerId) {
        self.stood.remove(id);
        self.taken.remove(id);
    }

    /// These were shown to be lost.
    fn count(&mut self, robbed: BTreeSet<ServerId>, guard: Meltdown, now: Steady) {
        let Self { stood, lost, melted, let_go, .. } = self;
        lost.extend(robbed.iter().map(|id| (id.clone(), now)));
        lost.retain(|_, at| *at > *let_go && now.since(*at) <= guard.within);
        melted.take_if(|melted| melted.since <= *let_go);
        let of = stood.len() + lost.len();
        if let Some(melted) = melted {
            melted.lost.extend(robbed);
        } else if !robbed.is_empty() && trips(guard, lost.len(), of) {
            let lost = lost.keys().cloned().collect();
            *melted = Some(Melted { since: now, lost, of });
        }
    }

    /// A pass was shown this, and it was recorded; or it may have been, and of what did not serve
    /// nothing is certain any more.
    fn note<'a>(&mut self, shown: impl Iterator<Item = &'a Server>, recorded: bool) {
        for Server { id, status, deleting, launched, .. } in shown {
            if recorded && up(status) && !deleting {
                self.stood.insert(id.clone(), true);
            } else if up(status) || *launched {
                let stood = self.stood.entry(id.clone()).or_insert(false);
                *stood &= up(status) && !deleting;
            } else if let Some(stood) = self.stood.get_mut(id) {
                *stood = false;
            }
        }
    }
}

/// Everything that was shown, by the listing or by id.
fn shown(seen: &Seen) -> impl Iterator<Item = &Server> {
    let found = seen.lookups.iter().filter_map(|lookup| match &lookup.found {
        Found::Present(server) => Some(&**server),
        Found::Absent | Found::Unclear(_) => None,
    });
    seen.servers.iter().map(|server| &**server).chain(found)
}

/// Servers that were shown to be members no more.
fn gone<'a>(seen: &'a Seen, tag: &'a Tag) -> impl Iterator<Item = &'a ServerId> {
    let left = |server: &Server| !server.has_tag(tag) || server.status == Status::SoftDeleted;
    let gone = seen.lookups.iter().filter(move |lookup| match &lookup.found {
        Found::Absent => true,
        Found::Present(server) => left(server),
        Found::Unclear(_) => false,
    });
    gone.map(|lookup| &lookup.id)
}

impl Oracle {
    /// Servers that the controller took away itself, or meant to.
    fn ended(&self, group: usize, now: Now) -> BTreeSet<ServerId> {
        let journal = self.whole_journal(group, now).intents;
        journal.iter().filter_map(|i| i.terminate().map(|t| t.server.clone())).collect()
    }

    /// A decision was recorded on what it was shown.
    pub(super) fn judge_losses(&mut self, group: usize, seen: &Seen, now: Now) {
        let watch = &self.groups[group];
        let robbed = gone(seen, &watch.group.tag).filter(|id| watch.melt.robbed(id));
        let mut robbed: BTreeSet<ServerId> = robbed.cloned().collect();
        if !robbed.is_empty() {
            let ended = self.ended(group, now);
            robbed.retain(|id| !ended.contains(id));
        }
        let watch = &mut self.groups[group];
        gone(seen, &watch.group.tag).for_each(|id| watch.melt.gone(id));
        // What was shown to serve together with the loss stands beside it.
        self.note_shown(group, seen, true);
        let watch = &mut self.groups[group];
        watch.melt.count(robbed, watch.group.behaviour.meltdown, now.steady);
    }

    fn note_shown(&mut self, group: usize, seen: &Seen, recorded: bool) {
        let (watch, install) = (&mut self.groups[group], &self.install);
        let (name, tag) = (&watch.group.name, &watch.group.tag);
        let ours = |server: &&Server| {
            server.has_tag(tag) && server.ownership(install, name) == Ownership::Ours
        };
        watch.melt.note(shown(seen).filter(ours), recorded);
    }

    /// A pass has ended that published nothing.
    pub(super) fn doubt_losses(&mut self, group: usize, context: &Context) {
        let Some(seen) = context.seen() else { return };
        self.note_shown(group, seen, false);
        let watch = &mut self.groups[group];
        for id in gone(seen, &watch.group.tag) {
            watch.melt.stood.entry(id.clone()).and_modify(|stood| *stood = false);
        }
    }
}

fn trips(guard: Meltdown, lost: usize, of: usize) -> bool {
    lost > guard.most as usize && lost as f64 * 100.0 > guard.percent * of as f64
}

impl State {
    /// A change begins that was decided upon then.
    pub(super) fn judge_melt(&self, group: usize, decided: Steady, (at, trace): (Steady, &Trace)) {
        let watch = &self.oracle.groups[group];
        let (melt, guard) = (&watch.melt, watch.group.behaviour.meltdown);
        let melted = melt.melted.as_ref().filter(|m| m.since > melt.let_go && decided >= m.since);
        let Some(Melted { lost, of, .. }) = melted else { return };
        let back = |id: &ServerId| {
            let body = self.bodies.get(id);
            body.is_some_and(|body| body.serves() && self.member(body, group))
        };
        let away = lost.iter().filter(|id| !back(id)).count();
        if trips(guard, away, *of) {
            let said = format!("a change though {away} of {of} were lost at once");
            trace.broken(at, "meltdown", &said);
        }
    }
}
