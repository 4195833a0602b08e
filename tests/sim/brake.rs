//! People who freeze and unfreeze, by command and by file, between passes and in the middle of
//! one; and the rule that they rely on: while a group is frozen no call that changes anything
//! begins.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll, Waker};

use novascale::cloud::Leave;
use novascale::domain::freeze::{Brake, Braked, Freeze};
use novascale::domain::id::GroupName;
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::plan::Waiting;
use novascale::domain::signal::{Command, Ordered};
use novascale::domain::time::{Clock, Steady, Wall};
use novascale::store::{Admit, Store, What};

use super::dice::Dice;
use super::faults::Fault;
use super::nova::Nova;
use super::world::World;

/// The freeze file, and who touches it.
pub struct SimBrake {
    held: Mutex<BTreeSet<GroupName>>,
    people: Mutex<Dice>,
}

impl SimBrake {
    pub fn new(seed: u64) -> Self {
        Self { held: Mutex::default(), people: Mutex::new(Dice::new(seed, 16)) }
    }

    pub fn percent(&self, percent: u32) -> bool {
        self.people.lock().unwrap().percent(percent)
    }

    fn hold(&self, group: &GroupName) {
        self.held.lock().unwrap().insert(group.clone());
    }

    fn let_go(&self, group: &GroupName) {
        self.held.lock().unwrap().remove(group);
    }
}

impl Brake for SimBrake {
    fn on(&self, group: &GroupName) -> Option<Braked> {
        let held = self.held.lock().unwrap().contains(group);
        let (path, fault) = ("freeze".to_owned(), None);
        held.then_some(Braked::File { path, since: Wall(0), every: false, fault })
    }
}

/// What waits for nothing.
fn now_or_never<T>(work: impl Future<Output = T>) -> T {
    match pin!(work).poll(&mut Task::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the plain store waits for nothing"),
    }
}

impl Nova {
    /// Somebody touches the file while a call is on its way.
    pub fn brake_in_passing(&self) {
        let state = self.state();
        let percent = state.faults.of(Fault::Freezes) / 4;
        let under_way = state.oracle.context.as_ref().map(|context| context.group);
        let Some(at) = under_way.filter(|_| self.brake.percent(percent)) else { return };
        let group = state.oracle.groups[at].group.name.clone();
        drop(state);
        self.brake.hold(&group);
        self.event(60, at as u64, || format!("group {at}: the file freezes it during a pass"));
    }

    /// A change waits for its turn, during which somebody may touch the file.
    pub async fn take_turn(&self, leave: &Arc<dyn Leave>) -> Result<(), Failure> {
        self.brake_in_passing();
        let refused = leave.refused().await;
        refused.map_or(Ok(()), |why| Err(Failure::new(FailureKind::Held, why)))
    }

    /// The rule itself, as a call that changes something begins.
    pub fn judge_frozen(&self, at: Steady) {
        let state = self.state();
        let Some(context) = &state.oracle.context else { return };
        let group = state.oracle.groups[context.group].group.name.clone();
        let freezes = now_or_never(state.oracle.store.freezes(&group)).unwrap();
        drop(state);
        if self.brake.on(&group).is_some() || freezes.own.is_some() || freezes.all.is_some() {
            self.trace.broken(
                at,
                "freeze",
                &format!("a call that changes {group}, which is frozen"),
            );
        }
    }
}

impl World {
    /// Somebody freezes or unfreezes.
    pub fn brake(&mut self, group: usize) {
        let percent = self.nova.state().faults.of(Fault::Freezes);
        let people = Arc::clone(&self.nova.brake);
        if !people.percent(percent) {
            return;
        }
        let name = self.groups[group].name.clone();
        let freeze = people.percent(40);
        let by_command = people.percent(50);
        if freeze && by_command && people.percent(30) {
            let freeze = Freeze { since: self.clock.now(), by: "sim".into(), reason: None };
            self.freeze_all(Some(freeze));
        } else if freeze && by_command {
            self.told(group, Command::Freeze);
        } else if freeze {
            self.nova.brake.hold(&name);
        } else {
            self.let_go(group);
        }
        let how = u64::from(freeze) << 1 | u64::from(by_command);
        self.nova.event(61, how, || {
            format!("group {group}: frozen: {freeze}, by command: {by_command}")
        });
    }

    /// Most of a fleet is lost at once.
    pub fn melt(&mut self, group: usize) {
        let percent = self.nova.state().faults.of(Fault::Melts);
        if !self.nova.brake.percent(percent) {
            return;
        }
        let state = self.nova.state();
        let members = state.bodies.values().filter(|body| state.member(body, group));
        let ids: Vec<_> = members.map(|body| body.server.id.clone()).collect();
        drop(state);
        for id in ids {
            if self.nova.brake.percent(80) {
                self.harm(group, &id, Fault::Vanish);
            }
        }
    }

    /// A person has looked at it and lets it go on.
    pub fn let_go(&mut self, group: usize) {
        let name = self.groups[group].name.clone();
        self.nova.brake.let_go(&name);
        self.freeze_all(None);
        self.told(group, Command::Unfreeze);
    }

    /// A person who looks in now and then lets go on what stopped by itself, and says that a cut
    /// of max is meant where that is asked for.
    pub fn look_in(&mut self) {
        for group in 0..self.groups.len() {
            let Some(decision) = self.machine.latest(group) else { continue };
            if decision.frozen().is_some() {
                self.let_go(group);
            }
            if decision.waiting.iter().any(|w| matches!(w, Waiting::Unconfirmed { .. })) {
                self.order(group, Command::Confirm { max: self.groups[group].max_ever() });
            }
        }
    }

    fn freeze_all(&mut self, freeze: Option<Freeze>) {
        let lease = self.lease.lock().unwrap().clone();
        now_or_never(self.store.freeze_all(&lease, freeze)).unwrap();
    }

    fn told(&mut self, group: usize, command: Command) {
        let lease = self.lease.lock().unwrap().clone();
        let at = self.clock.now();
        if command == Command::Unfreeze {
            self.nova.state().oracle.groups[group].melt.let_go(at.steady);
        }
        let order = Ordered { command, at, by: "sim".into(), reason: None };
        let of = &self.groups[group];
        let what = What::Command(order, self.bounds(group));
        let admit = Admit { group: of.name.clone(), what, key: None, at };
        now_or_never(self.store.admit(&lease, admit)).unwrap();
        self.machine.nudge(group);
    }
}
