//! `POST /servers/{id}/action`: lock, unlock, reboot, start, stop, rebuild; and the new name of
//! `PUT /servers/{id}`.
//!
//! Which states allow what is Nova's (`compute/api.py`).

use std::collections::BTreeMap;

use super::refusal::Refusal;
use super::server::{DiskConfig, Lock, Server, Task, Then, VmState};
use super::{Model, Turn};

/// What to do to a server.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Lock { reason: Option<String> },
    Unlock,
    RebootSoft,
    RebootHard,
    Start,
    Stop,
    Rebuild(Rebuild),
}

/// The parts of a rebuild; what is `None` stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rebuild {
    pub image: String,
    pub name: Option<String>,
    pub metadata: Option<BTreeMap<String, String>>,
    pub description: Option<Option<String>>,
    /// `Some(None)` takes the key away.
    pub key_name: Option<Option<String>>,
}

/// What `PUT /servers/{id}` changes; `None` leaves as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Edit {
    pub name: Option<String>,
    pub description: Option<Option<String>>,
    pub hostname: Option<String>,
    pub disk_config: Option<DiskConfig>,
}

impl Model {
    /// Does the action, or begins it: what takes time is done when its time has passed.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Conflict`] (locked, wrong state), [`Refusal::Invalid`]
    /// (unknown image or key).
    pub fn act(&mut self, id: &str, action: Action, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        if let Action::Rebuild(rebuild) = &action {
            self.check_rebuild(rebuild, turn)?;
        }
        let server = self.server_mut(id)?;
        match action {
            Action::Lock { reason } => server.set_lock(Some(Lock { reason }), "lock", turn),
            Action::Unlock => server.set_lock(None, "unlock", turn),
            Action::RebootSoft => server.reboot_soft(turn)?,
            Action::RebootHard => server.reboot_hard(turn)?,
            Action::Start => server.start(turn)?,
            Action::Stop => server.stop(turn)?,
            Action::Rebuild(rebuild) => server.rebuild(rebuild, turn)?,
        }
        Ok(())
    }

    /// Changes the name and its like, in any state.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn edit(&mut self, id: &str, edit: Edit, turn: &Turn<'_>) -> Result<(), Refusal> {
        let server = self.server_mut(id)?;
        server.updated = turn.now;
        put(&mut server.name, edit.name);
        put(&mut server.description, edit.description);
        put(&mut server.hostname, edit.hostname);
        put(&mut server.disk_config, edit.disk_config);
        Ok(())
    }

    fn check_rebuild(&self, rebuild: &Rebuild, turn: &Turn<'_>) -> Result<(), Refusal> {
        if self.catalogue.image(&rebuild.image).is_none() {
            return Err(Refusal::Invalid("Cannot find image for rebuild".to_owned()));
        }
        match rebuild.key_name.iter().flatten().next() {
            Some(key) if self.keypair(turn.account, key).is_err() => {
                Err(Refusal::Invalid("Invalid key_name provided.".to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Server {
    fn set_lock(&mut self, lock: Option<Lock>, action: &str, turn: &Turn<'_>) {
        self.lock = lock;
        self.note(action, turn);
    }

    fn reboot_soft(&mut self, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.check_unlocked()?;
        self.check_vm("reboot", &[VmState::Active])?;
        self.check_task("reboot", &[])?;
        self.begin(Task::Rebooting, VmState::Active, "reboot", turn);
        Ok(())
    }

    fn reboot_hard(&mut self, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.check_unlocked()?;
        self.check_vm("reboot", &[VmState::Active, VmState::Stopped, VmState::Error])?;
        self.check_task("reboot", &[Task::Rebooting, Task::RebootingHard])?;
        self.check_host()?;
        self.begin(Task::RebootingHard, VmState::Active, "reboot", turn);
        Ok(())
    }

    fn start(&mut self, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.check_unlocked()?;
        self.check_vm("start", &[VmState::Stopped])?;
        self.check_task("start", &[])?;
        self.begin(Task::PoweringOn, VmState::Active, "start", turn);
        Ok(())
    }

    fn stop(&mut self, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.check_unlocked()?;
        self.check_host()?;
        self.check_vm("stop", &[VmState::Active, VmState::Error])?;
        self.check_task("stop", &[])?;
        self.begin(Task::PoweringOff, VmState::Stopped, "stop", turn);
        Ok(())
    }

    fn rebuild(&mut self, rebuild: Rebuild, turn: &mut Turn<'_>) -> Result<(), Refusal> {
        self.check_unlocked()?;
        self.check_image(&rebuild.image)?;
        self.check_vm("rebuild", &[VmState::Active, VmState::Stopped, VmState::Error])?;
        self.check_task("rebuild", &[])?;
        self.check_host()?;
        let after = if self.vm == VmState::Stopped { VmState::Stopped } else { VmState::Active };
        self.image = Some(rebuild.image);
        put(&mut self.name, rebuild.name);
        put(&mut self.metadata, rebuild.metadata);
        put(&mut self.description, rebuild.description);
        put(&mut self.key_name, rebuild.key_name);
        self.begin(Task::Rebuilding, after, "rebuild", turn);
        Ok(())
    }

    fn begin(&mut self, task: Task, after: VmState, action: &str, turn: &mut Turn<'_>) {
        let done_at = turn.now + turn.dice.within(&turn.rules.action_ms);
        self.task = Some(task);
        self.plan([(done_at, Then::Settle(after))]);
        self.note(action, turn);
    }

    /// The image of a boot volume stays what it was.
    fn check_image(&self, image: &str) -> Result<(), Refusal> {
        let why = "Unable to rebuild with a different image for a volume-backed server.";
        match self.image {
            Some(_) => Ok(()),
            None => Err(Refusal::Invalid(format!("Image {image} is unacceptable: {why}"))),
        }
    }

    fn check_host(&self) -> Result<(), Refusal> {
        match self.host {
            Some(_) => Ok(()),
            None => Err(Refusal::Conflict(format!("Instance {} is not ready", self.id))),
        }
    }
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}
