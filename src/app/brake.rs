//! What stops everything without the database's help, as the loops ask for it: the freeze file
//! and the project fence.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::fence::ProjectFence;
use crate::domain::freeze::{Brake, Braked};
use crate::domain::group::Group;
use crate::domain::id::GroupName;
use crate::store::freeze_file::{FreezeFile, Said};

/// The groups of the configuration: a reload changes them.
pub(super) type Configured = Arc<Mutex<BTreeSet<GroupName>>>;

/// From here on there are these groups.
pub(super) fn configure(configured: &Configured, groups: &[Arc<Group>]) {
    let names = groups.iter().map(|group| group.name.clone()).collect();
    *configured.lock().unwrap_or_else(PoisonError::into_inner) = names;
}

/// The daemon's brake.
pub(super) struct Brakes {
    file: FreezeFile,
    fence: Arc<ProjectFence>,
    groups: Configured,
    /// What was last told of the file.
    told: Mutex<Said>,
}

impl Brakes {
    pub(super) fn new(file: FreezeFile, fence: Arc<ProjectFence>, groups: Configured) -> Self {
        Self { file, fence, groups, told: Mutex::new(Said::Nothing) }
    }

    fn knows(&self, group: &GroupName) -> bool {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    /// Somebody wanted something stopped, and named no group that there is.
    fn misspelt(&self) -> Option<Braked> {
        let Said::These(names) = self.file.read() else { return None };
        let fault = "it names no group of the configuration".to_owned();
        (!names.iter().any(|name| self.knows(name))).then(|| self.file.every(fault))
    }

    /// Says once what the file came to say.
    fn tell(&self) {
        let said = self.file.read();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if *told == said {
            return;
        }
        let path = self.file.path().display();
        match &said {
            Said::Nothing => tracing::info!("the freeze file {path} is gone"),
            Said::Every => tracing::warn!("the freeze file {path} holds every group"),
            Said::Unclear(fault) => {
                tracing::error!(
                    "the freeze file {path} cannot be understood, so it holds every group: {fault}"
                );
            }
            Said::These(names) => {
                let all: Vec<&str> = names.iter().map(GroupName::as_str).collect();
                tracing::warn!("the freeze file {path} holds {}", all.join(", "));
                for name in names.iter().filter(|name| !self.knows(name)) {
                    tracing::warn!(
                        "the freeze file {path} names {name}, and there is no such group"
                    );
                }
            }
        }
        *told = said;
    }
}

impl Brake for Brakes {
    fn on(&self, group: &GroupName) -> Option<Braked> {
        self.tell();
        self.fence.on().or_else(|| self.file.on(group)).or_else(|| self.misspelt())
    }
}
