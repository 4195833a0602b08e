//! All that a decision may look at.

use std::sync::OnceLock;

use super::policy::schedule;
use crate::domain;
use crate::domain::claim::Memory;
use crate::domain::count::Bounds;
use crate::domain::fleet::{Observation, Seen};
use crate::domain::freeze::{Braked, Freeze, Holds};
use crate::domain::group::{Group, GroupState};
use crate::domain::id::InstallId;
use crate::domain::intent::Intent;
use crate::domain::pause::{self, Pause, Process};
use crate::domain::schedule::InForce;
use crate::domain::server::Known;
use crate::domain::signal::Sample;
use crate::domain::time::{Now, Wall};

/// The group, what was ordered and measured, what is remembered, what was seen.
#[derive(Debug, Clone, Copy)]
pub struct Snapshot<'a> {
    pub now: Now,
    pub group: &'a Group,
    pub install: &'a InstallId,
    pub state: &'a GroupState,
    /// None before the first decision, or when state was lost.
    pub memory: Option<&'a Memory>,
    /// The newest sample of each name and server.
    pub samples: &'a [Sample],
    /// Every sample of the windows that policies look at, in the order of their measuring.
    pub history: &'a [Sample],
    /// Live ones, and those of the recent past.
    pub intents: &'a [Intent],
    /// Living ones, and those of the recent past.
    pub known: &'a [Known],
    pub observation: &'a Observation,
    /// Every group was frozen by a command.
    pub all_frozen: Option<&'a Freeze>,
    /// What the brake holds the group by.
    pub brake: Option<&'a Braked>,
    pub open: &'a Open,
}

/// The windows that count, once they were looked for: all of a decision asks for them, and each
/// look is a search in the calendar. One belongs to one snapshot.
#[derive(Debug, Default)]
pub struct Open(OnceLock<Vec<InForce>>);

impl<'a> Snapshot<'a> {
    /// Who froze the group, and what else stops it.
    pub fn holds(&self) -> Holds<'a> {
        Holds { own: self.state.freeze.as_ref(), all: self.all_frozen, brake: self.brake }
    }

    /// The listing, if there is one.
    pub fn seen(&self) -> Option<&'a Seen> {
        match self.observation {
            Observation::Seen(seen) => Some(seen),
            Observation::Unseen { .. } => None,
        }
    }

    /// The pause of this process, if it is in force.
    pub fn paused(&self, process: Process) -> Option<&'a Pause> {
        self.state.pauses.get(&process).filter(|pause| pause.in_force(self.now))
    }

    /// The wall time that schedules go by.
    pub fn schedule_clock(&self) -> Wall {
        pause::schedule_clock(&self.state.pauses, self.now)
    }

    /// The bounds in force: the group's own, and what the windows that count make of them.
    pub fn bounds(&self) -> Bounds {
        let open = self.in_force().iter().map(|window| window.gives);
        domain::schedule::bounds(self.group.bounds, open)
    }

    /// The windows that count, in the file's order.
    pub fn in_force(&self) -> &'a [InForce] {
        self.open.0.get_or_init(|| schedule::in_force(self))
    }
}
