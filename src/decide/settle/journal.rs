//! Intents: how far each has got by what is known.

use std::collections::BTreeMap;

use super::known::Records;
use super::sight::Sight;
use crate::decide::snapshot::Snapshot;
use crate::domain::adoption::Adopt;
use crate::domain::id::{LaunchId, ServerId};
use crate::domain::intent::{Intent, Launch, State, Terminate, Trouble, What};
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::server::{Known, KnownState, Ownership, Status};
use crate::domain::time::{Now, Steady};

/// What intents are held against.
pub(super) struct Ledger<'a> {
    snapshot: &'a Snapshot<'a>,
    known: &'a Records<'a>,
    sight: &'a Sight<'a>,
    /// The known servers of each launch.
    came: BTreeMap<&'a LaunchId, Vec<&'a Known>>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot<'a>,
        known: &'a Records<'a>,
        sight: &'a Sight<'a>,
    ) -> Self {
        let mut came: BTreeMap<&LaunchId, Vec<&Known>> = BTreeMap::new();
        for record in known.values().map(AsRef::as_ref) {
            if let Some(launch) = &record.launch {
                came.entry(launch).or_default().push(record);
            }
        }
        Self { snapshot, known, sight, came }
    }

    /// The intent as far as what is known allows.
    pub(super) fn move_on(&self, intent: &Intent) -> Intent {
        let mut next = intent.clone();
        // A pass is over only when the outcomes are stored: an open intent at its start was
        // left by a crash, before, during or after the call.
        if next.state == State::Open {
            next.state = State::Unsettled { since: self.snapshot.now, absent: None };
        }
        match &intent.what {
            What::Launch(launch) => self.launch(launch, &mut next),
            What::Terminate(terminate) => self.terminate(terminate, &mut next),
            What::Adopt(adopt) => self.adopt(adopt, &mut next),
        }
        next
    }

    fn closed(&self, done: u32) -> State {
        State::Closed { at: self.snapshot.now, done }
    }

    /// Whether the listing began after then.
    fn listed_after(&self, then: Steady) -> bool {
        self.snapshot.seen().is_some_and(|seen| seen.began.steady > then)
    }

    fn launch(&self, launch: &Launch, next: &mut Intent) {
        let came = self.came.get(&launch.launch).map_or(&[][..], Vec::as_slice);
        let arrived = u32::try_from(came.len()).unwrap_or(u32::MAX);
        if next.state.live() && arrived >= launch.n {
            next.state = self.closed(launch.n);
            // All of it came after all: the lost answer is no reason to wait any more.
            next.trouble = next.trouble.take().filter(|t| t.failure.kind != FailureKind::Unclear);
        }
        if launch.region == self.snapshot.group.region {
            next.state = self.landed(&next.state, arrived);
        }
        if let What::Launch(launch) = &mut next.what {
            launch.proven |= came.iter().any(|k| k.served);
        }
        if let Some(failed) = self.worst(came) {
            let failure = self.failure_of(failed);
            if says_more(&failure, next.trouble.as_ref()) {
                next.trouble = Some(Trouble { at: self.snapshot.now, failure });
            }
        }
    }

    /// A launch's failed server, one whose reason is known if there is one.
    fn worst<'k>(&self, came: &[&'k Known]) -> Option<&'k Known> {
        let told = |k: &&&Known| self.sight.server(&k.id).is_some_and(|s| s.fault.is_some());
        let failed = || came.iter().filter(|k| k.failure.is_some() && !k.served);
        failed().find(told).or_else(|| failed().next()).copied()
    }

    /// What a launch's failed server says of the launch.
    fn failure_of(&self, failed: &Known) -> Failure {
        let kind = failed.failure.unwrap_or(FailureKind::Unclear);
        let shown = self.sight.server(&failed.id);
        let said = match shown.map(|server| (&server.status, server.fault.as_ref())) {
            Some((_, Some(fault))) => {
                format!("server {} ended in ERROR: {}", failed.id, fault.message)
            }
            Some((Status::Error, None)) => {
                format!("server {} ended in ERROR, and Nova does not say why", failed.id)
            }
            Some((_, None)) | None => format!("server {} did not leave BUILD in time", failed.id),
        };
        Failure::new(kind, said)
    }

    /// A launch of which fewer servers were seen than it asked for.
    fn landed(&self, state: &State, arrived: u32) -> State {
        match state {
            State::Accepted { at, first, short } if self.listed_after(at.steady) => {
                self.accepted(*at, first.as_ref(), *short, arrived)
            }
            State::Unsettled { since, absent } => self.unsettled(*since, *absent, arrived),
            State::Open
            | State::Accepted { .. }
            | State::Abandoned { .. }
            | State::Closed { .. } => state.clone(),
        }
    }

    /// A 202 promised exactly n. Listings have lagged behind creates for minutes
    /// (rackerlabs/otter issue 1629): a smaller number is believed only when two complete
    /// listings a settling time apart show it, and the first server is accounted for.
    fn accepted(
        &self,
        at: Now,
        first: Option<&ServerId>,
        short: Option<Now>,
        arrived: u32,
    ) -> State {
        let patience = self.snapshot.group.patience.settle;
        let elsewhere = |id| self.sight.absent.contains(id) || self.sight.detached.contains(id);
        let accounted = |id| self.known.contains_key(id) || elsewhere(id);
        match short {
            Some(before)
                if first.is_none_or(accounted)
                    && self.listed_after(before.steady.plus(patience)) =>
            {
                self.closed(arrived)
            }
            _ => {
                let began = self.snapshot.seen().map(|seen| seen.began);
                State::Accepted { at, first: first.cloned(), short: short.or(began) }
            }
        }
    }

    /// Given up only after the settling time and two complete listings begun later, while no
    /// known server is missing from them.
    fn unsettled(&self, since: Now, absent: Option<Now>, arrived: u32) -> State {
        let due = since.steady.plus(self.snapshot.group.patience.settle);
        let complete = !self.known.values().any(|k| k.state == KnownState::Missing);
        match absent {
            None if complete && self.listed_after(due) => {
                let absent = self.snapshot.seen().map(|seen| seen.began);
                State::Unsettled { since, absent }
            }
            Some(before) if complete && self.listed_after(before.steady) => {
                if arrived > 0 {
                    self.closed(arrived)
                } else {
                    State::Abandoned { since: self.snapshot.now }
                }
            }
            None | Some(_) => State::Unsettled { since, absent },
        }
    }

    fn terminate(&self, terminate: &Terminate, next: &mut Intent) {
        if !next.state.live() {
            return;
        }
        let record = self.known.get(&terminate.server);
        let state = record.map(|k| k.state);
        let shown = self.sight.server(&terminate.server);
        next.state = match (state, &next.state) {
            // No member any more, but on its way out by our doing: it counts for its minute.
            (Some(KnownState::Detached), State::Accepted { .. }) => {
                let said = "it lost its tag while it was being deleted";
                let failure = Failure::new(FailureKind::Unclear, said);
                next.trouble = Some(Trouble { at: self.snapshot.now, failure });
                self.closed(0)
            }
            (None | Some(KnownState::Detached), _) => self.closed(0),
            // As of the proof: what a later look shows was restored since.
            (Some(KnownState::Gone), _) => {
                let now = self.snapshot.now;
                let steady = record.map_or(now.steady, |k| k.since);
                State::Closed { at: Now { wall: now.wall_at(steady), steady }, done: 1 }
            }
            (_, State::Unsettled { since, .. }) if self.listed_after(since.steady) => match shown {
                Some(server) if server.deleting => {
                    State::Accepted { at: *since, first: None, short: None }
                }
                // The fresh listing shows it alive: the delete never reached Nova.
                Some(_) => self.closed(0),
                None => return,
            },
            // An old listing does not tell that it is still there.
            (_, State::Accepted { at, .. }) if shown.is_some() && self.overdue(*at) => {
                let said = "Nova accepted the delete, but the server is still there";
                let failure = Failure::new(FailureKind::Conflict, said);
                next.trouble = Some(Trouble { at: self.snapshot.now, failure });
                self.closed(0)
            }
            (Some(KnownState::Listed | KnownState::Missing), _) => return,
        };
    }

    /// Nobody knows how far a call without an answer got; a listing that began later shows it.
    /// What it does not show is asked for again: that changes nothing twice.
    fn adopt(&self, adopt: &Adopt, next: &mut Intent) {
        let State::Unsettled { since, .. } = next.state else { return };
        if self.listed_after(since.steady) {
            let known = self.known.get(&adopt.server);
            let ours = known.is_some_and(|k| k.state.lives() && k.ownership == Ownership::Ours);
            next.state = self.closed(u32::from(ours));
        }
    }

    fn overdue(&self, at: Now) -> bool {
        self.listed_after(at.steady.plus(self.snapshot.group.patience.delete))
    }
}

/// A reason that Nova tells later stands in place of an unclear one.
fn says_more(failure: &Failure, trouble: Option<&Trouble>) -> bool {
    let unclear = |failure: &Failure| failure.kind == FailureKind::Unclear;
    trouble.is_none_or(|trouble| unclear(&trouble.failure) && !unclear(failure))
}
