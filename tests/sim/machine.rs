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
use novascale::domain::time::{Now, Steady};
use novascale::store::StoreError;
use tokio::sync::watch;

use super::dice::Dice;
use super::nova::Nova;
use super::oracle::Context;

/// As the daemon has it: the wait after a pass that failed.
const AFTER_FAILURE: Duration = Duration::from_secs(5);
/// At most one pass a second.
const PASS_LEAST: Duration = Duration::from_secs(1);

pub struct Machine {
    pub parts: Parts,
    loops: Vec<Loop>,
    watched: Vec<Watched>,
    round: Round,
    haste: Haste,
    listed: Option<Steady>,
    /// The last listing succeeded: after one that failed nothing hurries the next.
    seen: bool,
    pub next_listing: Steady,
}

struct Loop {
    /// Its place among the groups of the world.
    of: usize,
    group: Arc<Group>,
    seen: watch::Receiver<Observation>,
    latest: watch::Sender<Option<Arc<Decision>>>,
    last: Option<Steady>,
    next: Steady,
    nudged: bool,
    /// Its last pass changed nothing, and had nothing to do.
    still: bool,
}

/// A pass that has begun.
struct Turn {
    /// Its group's place among the loops.
    at: usize,
    now: Now,
    observation: Observation,
    /// The pass in the middle of which it began.
    around: Option<Context>,
}

/// What a pass decided, if that was durable.
pub type Made = Option<Arc<Decision>>;

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
    /// Starts with these groups, each with its place in the world.
    pub fn start(parts: Parts, groups: Vec<(usize, Group)>) -> Self {
        let begun = parts.clock.now();
        let now = begun.steady;
        let (mut loops, mut watched) = (Vec::new(), Vec::new());
        for (of, group) in groups {
            let group = Arc::new(group);
            let unseen = Observation::Unseen { since: begun, why: "start".to_owned() };
            let (out, seen) = watch::channel(unseen);
            let (latest, shown) = watch::channel(None);
            watched.push(Watched { group: Arc::clone(&group), latest: shown, out });
            loops.push(Loop {
                of,
                group,
                seen,
                latest,
                last: None,
                next: now,
                nudged: false,
                still: false,
            });
        }
        let (round, haste) = (Round::default(), Haste::default());
        Self { parts, loops, watched, round, haste, listed: None, seen: false, next_listing: now }
    }

    pub fn groups(&self) -> impl Iterator<Item = (usize, &Group)> {
        self.loops.iter().map(|of| (of.of, &*of.group))
    }

    pub fn latest(&self, group: usize) -> Option<Arc<Decision>> {
        let of = self.loops.iter().find(|of| of.of == group)?;
        of.latest.borrow().clone()
    }

    pub fn nudge(&mut self, group: usize) {
        let of = self.loops.iter_mut().find(|of| of.of == group);
        of.into_iter().for_each(|of| of.nudged = true);
    }

    /// When group or observer want to be run next, and which.
    pub fn due(&self) -> (Steady, Option<usize>) {
        let mut next = (self.next_listing, None);
        if self.listed.is_none() {
            return next;
        }
        for group in &self.loops {
            let earliest = group.last.map_or(Steady(0), |last| last.plus(PASS_LEAST));
            let news = group.nudged || group.seen.has_changed().unwrap_or(false);
            let due = if news { earliest } else { group.next.max(earliest) };
            if due < next.0 {
                next = (due, Some(group.of));
            }
        }
        next
    }

    /// One cycle of the observer; false if the machine crashed in it.
    pub fn listing(&mut self, nova: &Nova) -> bool {
        nova.gate.run(Box::pin(self.list())).is_some()
    }

    async fn list(&mut self) {
        let began = self.parts.clock.now().steady;
        let region = self.watched[0].group.region.clone();
        let Self { parts, watched, round, .. } = self;
        let look =
            observe(&*parts.compute, &*parts.clock, &region, watched, round, std::future::pending);
        let result = look.await;
        self.listed = Some(began);
        let now = self.parts.clock.now().steady;
        self.seen = result.is_ok();
        let busy = self.seen && self.haste.needed(&self.watched, now);
        self.next_listing = began.plus(if busy { BUSY_CYCLE } else { REST_CYCLE }).max(now);
    }

    /// One pass of one group, judged by the oracle, and what it decided if that was durable.
    pub fn pass(&mut self, of: usize, nova: &Nova, dice: &mut Dice) -> (Passed, Made) {
        let Some(turn) = self.turn(of, nova) else { return (Passed::Quietly, None) };
        let result = nova.gate.run(Box::pin(self.take(&turn, nova, dice)));
        let passed = result.map_or(Passed::Crashed, |result| self.taken(&turn, result));
        (passed, nova.pass_ends(of, turn.around))
    }

    fn turn(&mut self, of: usize, nova: &Nova) -> Option<Turn> {
        let at = self.loops.iter().position(|group| group.of == of)?;
        let now = self.parts.clock.now();
        let observation = self.loops[at].seen.borrow_and_update().clone();
        let around = nova.pass_begins(of, observation.clone(), self.parts.lease.epoch());
        Some(Turn { at, now, observation, around })
    }

    async fn take(
        &self,
        turn: &Turn,
        nova: &Nova,
        dice: &mut Dice,
    ) -> Result<Arc<Decision>, PassError> {
        let Loop { of, group, latest, .. } = &self.loops[turn.at];
        let publish = |decision: &Arc<Decision>| {
            nova.state().published(*of, decision, &nova.trace);
            latest.send_replace(Some(Arc::clone(decision)));
        };
        pass(&self.parts, group, &turn.observation, turn.now, dice, publish).await
    }

    fn taken(&mut self, turn: &Turn, result: Result<Arc<Decision>, PassError>) -> Passed {
        let (group, now) = (&mut self.loops[turn.at], turn.now.steady);
        (group.last, group.nudged) = (Some(now), false);
        group.still = result.as_ref().is_ok_and(|d| d.quiet() && d.plan.is_empty());
        group.next = match &result {
            Ok(decision) => decision.next_look,
            Err(_) => now.plus(AFTER_FAILURE),
        };
        self.report(result)
    }

    /// A cycle of the observer, then a pass of every group.
    pub async fn once(&mut self, nova: &Nova, dice: &mut Dice) {
        self.list().await;
        let groups: Vec<usize> = self.loops.iter().map(|group| group.of).collect();
        for of in groups {
            let Some(turn) = self.turn(of, nova) else { continue };
            let result = self.take(&turn, nova, dice).await;
            self.taken(&turn, result);
            nova.pass_ends(of, turn.around);
        }
    }

    /// No pass has anything left to do, and another listing is what comes next.
    pub fn still(&self) -> bool {
        self.due().1.is_none() && self.loops.iter().all(|group| group.still)
    }

    /// When it next does something by itself, but for looking whether anything has changed.
    pub fn next_look(&self) -> Steady {
        self.loops.iter().map(|group| group.next).min().unwrap_or_default()
    }

    /// The observer's next cycle is that late.
    pub fn look_at(&mut self, then: Steady) {
        self.next_listing = then;
    }

    fn report(&mut self, result: Result<Arc<Decision>, PassError>) -> Passed {
        match result {
            Ok(decision) if decision.plan.is_empty() => {
                let hurries = self.seen && decision.in_flight();
                if hurries && self.haste.needed(&self.watched, decision.at.steady) {
                    let soon = self.listed.unwrap_or_default().plus(BUSY_CYCLE);
                    self.next_listing = self.next_listing.min(soon);
                }
                Passed::Quietly
            }
            Ok(_) => {
                let soon = self.listed.unwrap_or_default().plus(AFTER_CALLS);
                if self.seen {
                    self.next_listing = self.next_listing.min(soon);
                }
                Passed::WithCalls
            }
            Err(PassError::Refused(broken)) => Passed::Refused(format!("{broken:?}")),
            Err(PassError::Store(StoreError::Fenced(_))) => Passed::Fenced,
            Err(PassError::Store(_)) => Passed::Failed,
        }
    }
}
