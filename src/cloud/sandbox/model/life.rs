//! What happens to a server in time, and its end.

use super::super::faults::Faults;
use super::refusal::Refusal;
use super::server::{Event, Fault, Server, Step, Task, Then, VmState};
use super::{Millis, Model, Turn};
use crate::config::rehearsal::Fault as Wrong;

/// What was put aside is gone after so long (Nova `reclaim_instance_interval`).
const RECLAIM: Millis = 600_000;

/// Lines kept in a server's list of actions, so that a client in a loop cannot fill the memory.
const MAX_EVENTS: usize = 100;

impl Model {
    /// Carries out every step that is due at `now`, each at its own instant. Calling it twice
    /// changes nothing.
    pub fn advance(&mut self, now: Millis) {
        self.servers.retain(|_, server| server.advance(now));
    }

    /// Begins a delete (Nova `DELETE /servers/{id}`): in any state, and again while one is under
    /// way.
    ///
    /// # Errors
    /// [`Refusal::Missing`] when there is no such server, [`Refusal::Conflict`] when it is locked.
    pub fn delete_server(&mut self, id: &str, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        let gone_at = turn.now + turn.dice.within(&turn.rules.delete_ms);
        let server = self.server_mut(id)?;
        server.check_unlocked()?;
        if server.launched.is_some()
            && !server.is_deleting()
            && turn.faults.strikes(Wrong::DeleteSoft)
        {
            server.put_aside(turn);
            return Ok(());
        }
        let under_way = server.is_deleting() && !server.steps.is_empty();
        if !under_way {
            let hangs = turn.faults.strikes(Wrong::DeleteHangs);
            server.task = Some(Task::Deleting);
            server.plan((!hangs).then_some((gone_at, Then::Vanish)));
            server.note("delete", turn);
        }
        Ok(())
    }

    /// Lets go on what hangs because of faults that are over.
    pub fn release(&mut self, faults: &Faults, now: Millis) {
        let over = |fault| !faults.is_on(fault);
        let (deletes, aside) = (over(Wrong::DeleteHangs), over(Wrong::DeleteSoft));
        let (builds, unknown) = (over(Wrong::BuildNever), over(Wrong::BuildUnknown));
        let stopped = over(Wrong::BuildShutoff);
        for server in self.servers.values_mut() {
            server.expect_no_worse(unknown, stopped);
            let (is, hangs) = (|vm| server.vm == vm, server.steps.is_empty());
            let vanishes =
                server.is_deleting() && hangs && deletes || is(VmState::SoftDeleted) && aside;
            let settles =
                is(VmState::Building) && hangs && builds || is(VmState::Unknown) && unknown;
            let then = match (vanishes, settles && !server.is_deleting()) {
                (true, _) => Then::Vanish,
                (false, true) => Then::Settle(VmState::Active),
                (false, false) => continue,
            };
            server.plan([(now, then)]);
        }
    }
}

impl Server {
    /// What a build was to come to by a fault that is over, it comes to no more.
    fn expect_no_worse(&mut self, unknown: bool, stopped: bool) {
        for step in &mut self.steps {
            let odd = matches!(step.then, Then::Settle(VmState::Unknown) if unknown)
                || matches!(step.then, Then::Settle(VmState::Stopped) if stopped);
            if odd && self.vm == VmState::Building {
                step.then = Then::Settle(VmState::Active);
            }
        }
    }

    /// Carries out what is due; `false` once the server is gone.
    fn advance(&mut self, now: Millis) -> bool {
        while let Some(step) = self.steps.pop_front_if(|step| step.due <= now) {
            if !self.take(step) {
                return false;
            }
        }
        true
    }

    fn take(&mut self, step: Step) -> bool {
        self.updated = step.due;
        match step.then {
            Then::Spawn => self.task = Some(Task::Spawning),
            Then::Settle(vm) => self.settle(vm, step.due),
            Then::Fail { code, message } => self.fail(Fault { code, message, created: step.due }),
            Then::Vanish => return false,
        }
        true
    }

    fn settle(&mut self, vm: VmState, at: Millis) {
        self.vm = vm;
        self.task = None;
        self.fault = None;
        if vm == VmState::Active {
            self.launched.get_or_insert(at);
        }
    }

    fn put_aside(&mut self, turn: &Turn<'_>) {
        self.vm = VmState::SoftDeleted;
        self.task = None;
        self.plan([(turn.now + RECLAIM, Then::Vanish)]);
        self.note("delete", turn);
    }

    fn fail(&mut self, fault: Fault) {
        self.vm = VmState::Error;
        self.task = None;
        self.fault = Some(fault);
    }

    /// Puts these steps in place of all that was to come.
    pub(super) fn plan(&mut self, steps: impl IntoIterator<Item = (Millis, Then)>) {
        self.steps = steps.into_iter().map(|(due, then)| Step { due, then }).collect();
    }

    /// Writes a line into the server's list of actions.
    pub(super) fn note(&mut self, action: &str, turn: &Turn<'_>) {
        self.updated = turn.now;
        if MAX_EVENTS <= self.events.len() {
            self.events.remove(0);
        }
        self.events.push(Event {
            action: action.to_owned(),
            request_id: turn.request_id.to_owned(),
            account: turn.account,
            at: turn.now,
        });
    }

    /// # Errors
    /// [`Refusal::Conflict`] when the server is locked.
    pub(super) fn check_unlocked(&self) -> Result<(), Refusal> {
        match self.lock {
            Some(_) => Err(Refusal::Conflict(format!("Instance {} is locked", self.id))),
            None => Ok(()),
        }
    }

    /// # Errors
    /// [`Refusal::Conflict`], in Nova's words, when the machine is in none of these states.
    pub(super) fn check_vm(&self, action: &str, allowed: &[VmState]) -> Result<(), Refusal> {
        if allowed.contains(&self.vm) {
            return Ok(());
        }
        Err(self.wrong_state(action, "vm_state", self.vm.word()))
    }

    /// # Errors
    /// [`Refusal::Conflict`], in Nova's words, while a task runs that is none of these.
    pub(super) fn check_task(&self, action: &str, allowed: &[Task]) -> Result<(), Refusal> {
        match self.task {
            Some(task) if !allowed.contains(&task) => {
                Err(self.wrong_state(action, "task_state", task.word()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn wrong_state(&self, action: &str, attribute: &str, state: &str) -> Refusal {
        let id = &self.id;
        Refusal::Conflict(format!(
            "Cannot '{action}' instance {id} while it is in {attribute} {state}"
        ))
    }
}
