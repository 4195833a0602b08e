//! What has landed and what is given up: the observation held against memory.
//!
//! It answers who the members are, what each counts as, and how far every intent has
//! got. It never concludes from absence: a server that a listing lacks is missing until
//! Nova's 404 says that it is gone, and an unclear launch counts in full until its
//! settling time and two complete listings have passed.

use std::time::Duration;

mod journal;
mod known;
mod losses;
mod members;
mod sight;

use super::snapshot::Snapshot;
use super::sooner;
use crate::domain::fleet::{Member, Tally};
use crate::domain::id::{Region, ServerId};
use crate::domain::intent::Intent;
use crate::domain::server::Known;
use crate::domain::time::Steady;
use sight::Sight;

pub use losses::Losses;

/// The fleet as far as it is known, with everything that moved on.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    pub members: Vec<Member>,
    pub tally: Tally,
    /// All intents of the snapshot, moved on.
    pub intents: Vec<Intent>,
    pub changed_intents: Vec<Intent>,
    pub changed_known: Vec<Known>,
    /// The servers to ask for by id when a listing lacks them.
    pub watched: Vec<ServerId>,
    /// Known servers that the listing lacks without proof or expectation.
    pub missing: u32,
    /// Of this many servers that live by what is known.
    pub living: u32,
    /// When those left that served once.
    pub left: Vec<Steady>,
    /// Capacity that stands though its launches were forgotten with the journal.
    pub found: u32,
    /// Servers, there or to come, of a region that is no longer the group's; and one such region.
    pub elsewhere: Option<(u32, Region)>,
    /// How long servers that serve for the first time took from their launch.
    pub boots: Vec<Duration>,
    /// What was lost of those that served.
    pub losses: Losses,
    /// When something here changes by time alone.
    pub wake: Option<Steady>,
}

impl Fleet {
    fn note_elsewhere(&mut self, here: &Region, there: &Region, n: u32) {
        if here == there || n == 0 {
            return;
        }
        let (before, region) = self.elsewhere.take().unwrap_or((0, there.clone()));
        self.elsewhere = Some((before.saturating_add(n), region));
    }

    /// More known servers are missing at once than a fleet loses by itself: the listing is
    /// not believed.
    pub fn implausible(&self) -> bool {
        f64::from(self.missing) > (f64::from(self.living) * 0.2).max(2.0)
    }
}

/// Holds what was seen against what is remembered.
pub fn settle(snapshot: &Snapshot<'_>) -> Fleet {
    let sight = Sight::of(snapshot);
    let mut known = known::remembered(snapshot);
    if let Some(seen) = snapshot.seen() {
        known::welcome(snapshot, seen, &sight, &mut known);
        known::question(snapshot, seen, &sight, &mut known);
    }
    let ledger = journal::Ledger::new(snapshot, &known, &sight);
    let intents = snapshot.intents.iter().map(|intent| ledger.move_on(intent)).collect();
    let mut fleet = members::gather(snapshot, &sight, &known, intents);
    fleet.losses = losses::count(snapshot, &fleet);
    fleet.boots = boots(snapshot, &fleet.changed_known);
    fleet.wake = sooner(fleet.wake, fleet.losses.wake);
    fleet
}

/// Of those that were launched by an intent that is still remembered.
fn boots(snapshot: &Snapshot<'_>, changed: &[Known]) -> Vec<Duration> {
    let opened = |known: &Known| {
        let mut launches = snapshot.intents.iter();
        let by = |it: &&Intent| it.launch().map(|line| &line.launch) == known.launch.as_ref();
        known.launch.as_ref().and_then(|_| launches.find(by)).map(|it| it.opened.steady)
    };
    let served_before = |id: &ServerId| {
        let at = snapshot.known.binary_search_by(|known| known.id.cmp(id));
        at.is_ok_and(|at| snapshot.known[at].served)
    };
    let first = changed.iter().filter(|known| known.served && !served_before(&known.id));
    first.filter_map(opened).map(|opened| snapshot.now.steady.since(opened)).collect()
}
