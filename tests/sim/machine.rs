//! The controller as one process: the observer and the loops of `control`, driven by hand in
//! virtual time. What it keeps here is what a crash takes away.

use std::sync::Arc;
use std::time::Duration;

use novascale::control::Parts;
use novascale::control::observe::{
    AFTER_CALLS, BUSY_CYCLE, Haste, REST_CYCLE, Round, Watched, observe,
};
use novascale::control::pass::{PassError, pass};
use novascale::domain::fleet::Observation;
use novascale::domain::group::Group;
use novascale::domain::plan::Decision;
use novascale::domain::time::Steady;
use novascale::store::StoreError;
use tokio::sync::watch;

use super::dice::Dice;
use super::nova::Nova;

/// As the daemon has it: the wait after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// At most one pass a second.
const PASS_LEAST: Duration = Duration::from_secs(1);

pub struct Machine {
    pub parts: Parts,
    pub groups: Vec<Arc<Group>>,
    loops: Vec<Loop>,
    watched: Vec<Watched>,
    round: Round,
    haste: Haste,
    listed: Option<Steady>,
    pub next_listing: Steady,
}

struct Loop {
    seen: watch::Receiver<Observation>,
    latest: watch::Sender<Option<Arc<Decision>>>,
    last: Option<Steady>,
    next: Steady,
    nudged: bool,
}

/// How a pass ended.
pub enum Passed {
    Quietly,
    WithCalls,
    /// It broke a rule of `verify`.
    Refused(String),
    /// Another one has the lease.
    Fenced,
    Failed,
    Crashed,
}

impl Machine {
    pub fn start(parts: Parts, groups: Vec<Group>, now: Steady) -> Self {
        let groups: Vec<Arc<Group>> = groups.into_iter().map(Arc::new).collect();
        let (mut loops, mut watched) = (Vec::new(), Vec::new());
        for group in &groups {
            let unseen = Observation::Unseen { since: parts.clock.now(), why: "start".to_owned() };
            let (out, seen) = watch::channel(unseen);
            let (latest, shown) = watch::channel(None);
            watched.push(Watched { group: Arc::clone(group), latest: shown, out });
            loops.push(Loop { seen, latest, last: None, next: now, nudged: false });
        }
        let (round, haste) = (Round::default(), Haste::default());
        Self { parts, groups, loops, watched, round, haste, listed: None, next_listing: now }
    }

    /// What the group's next pass will look at.
    pub fn observation(&self, group: usize) -> Observation {
        self.loops[group].seen.borrow().clone()
    }

    pub fn latest(&self, group: usize) -> Option<Arc<Decision>> {
        self.loops[group].latest.borrow().clone()
    }

    pub fn nudge(&mut self, group: usize) {
        self.loops[group].nudged = true;
    }

    /// When group or observer want to be run next, and which.
    pub fn due(&self) -> (Steady, Option<usize>) {
        let mut next = (self.next_listing, None);
        if self.listed.is_none() {
            return next;
        }
        for (at, group) in self.loops.iter().enumerate() {
            let earliest = group.last.map_or(Steady(0), |last| last.plus(PASS_LEAST));
            let news = group.nudged || group.seen.has_changed().unwrap_or(false);
            let due = if news { earliest } else { group.next.max(earliest) };
            if due < next.0 {
                next = (due, Some(at));
            }
        }
        next
    }

    /// One cycle of the observer; false if the machine crashed in it.
    pub fn listing(&mut self, nova: &Nova) -> bool {
        let began = self.parts.clock.now().steady;
        let region = self.groups[0].region.clone();
        let Self { parts, watched, round, .. } = self;
        let look =
            observe(&*parts.compute, &*parts.clock, &region, watched, round, std::future::pending);
        let Some(result) = nova.gate.run(Box::pin(look)) else { return false };
        self.listed = Some(began);
        let now = self.parts.clock.now().steady;
        let busy = result.is_ok() && self.haste.needed(&self.watched, now);
        self.next_listing = began.plus(if busy { BUSY_CYCLE } else { REST_CYCLE }).max(now);
        true
    }

    /// One pass of one group.
    pub fn pass(&mut self, at: usize, nova: &Nova, dice: &mut Dice) -> Passed {
        let now = self.parts.clock.now();
        let group = Arc::clone(&self.groups[at]);
        let observation = self.loops[at].seen.borrow_and_update().clone();
        let latest = &self.loops[at].latest;
        let publish = |decision: &Arc<Decision>| {
            nova.state().published(at, decision, &nova.trace);
            latest.send_replace(Some(Arc::clone(decision)));
        };
        let run = pass(&self.parts, &group, &observation, now, dice, publish);
        let Some(result) = nova.gate.run(Box::pin(run)) else { return Passed::Crashed };
        let group = &mut self.loops[at];
        (group.last, group.nudged) = (Some(now.steady), false);
        group.next = match &result {
            Ok(decision) => decision.next_look,
            Err(_) => now.steady.plus(AFTER_FAILURE),
        };
        self.report(result)
    }

    fn report(&mut self, result: Result<Arc<Decision>, PassError>) -> Passed {
        match result {
            Ok(decision) if decision.plan.is_empty() => {
                if decision.in_flight() && self.haste.needed(&self.watched, decision.at.steady) {
                    let soon = self.listed.unwrap_or_default().plus(BUSY_CYCLE);
                    self.next_listing = self.next_listing.min(soon);
                }
                Passed::Quietly
            }
            Ok(_) => {
                let soon = self.listed.unwrap_or_default().plus(AFTER_CALLS);
                self.next_listing = self.next_listing.min(soon);
                Passed::WithCalls
            }
            Err(PassError::Refused(broken)) => Passed::Refused(format!("{broken:?}")),
            Err(PassError::Store(StoreError::Fenced(_))) => Passed::Fenced,
            Err(PassError::Store(_)) => Passed::Failed,
        }
    }
}
