//! What stops everything without the database's help, as the loops ask for it: the freeze file
//! and the project fence.
//!
//! Each question has the file read anew, by a thread of its own: a disk that hangs holds every
//! group and nothing else. Beside that the file is looked at each second, so that a person who
//! touched it sees at once what it did.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::fence::ProjectFence;
use crate::domain::freeze::{Brake, Braked};
use crate::domain::group::Group;
use crate::domain::id::GroupName;
use crate::store::freeze_file::{FreezeFile, Look, Said};

mod reader;

use reader::Reader;

/// The groups of the configuration: a reload changes them.
pub(super) type Configured = Arc<Mutex<BTreeSet<GroupName>>>;

/// From here on there are these groups.
pub(super) fn configure(configured: &Configured, groups: &[Arc<Group>]) {
    let names = groups.iter().map(|group| group.name.clone()).collect();
    *configured.lock().unwrap_or_else(PoisonError::into_inner) = names;
}

/// How often the file is looked at where nobody asks for it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The daemon's brake.
pub(super) struct Brakes {
    file: Reader,
    fence: Arc<ProjectFence>,
    groups: Configured,
}

impl Brakes {
    pub(super) fn new(file: FreezeFile, fence: Arc<ProjectFence>, groups: Configured) -> Self {
        Self { file: Reader::start(file), fence, groups }
    }

    fn knows(&self, group: &GroupName) -> bool {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner).contains(group)
    }

    /// Somebody wanted something stopped, and named no group that there is.
    fn misspelt(&self, look: &Look) -> Option<Braked> {
        let Said::These(names) = &look.said else { return None };
        let fault = "it names no group of the configuration".to_owned();
        (!names.iter().any(|name| self.knows(name))).then(|| look.every(fault))
    }

    /// Whenever the file comes to say something else, tells it and calls `changed`, until we
    /// stop.
    pub(super) async fn watch(self: Arc<Self>, changed: impl Fn(), stopping: CancellationToken) {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Said::Nothing;
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                _ = look.tick() => {}
            }
            let Look { said, path, .. } = self.file.look();
            if said != last {
                self.tell(&said, &path);
                changed();
                last = said;
            }
        }
    }

    fn tell(&self, said: &Said, path: &str) {
        match said {
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
    }
}

impl Brake for Brakes {
    fn on(&self, group: &GroupName) -> Option<Braked> {
        self.fence.on().or_else(|| {
            let look = self.file.look();
            look.on(group).or_else(|| self.misspelt(&look))
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::domain::id::InstallId;
    use crate::store::memory::Memory;

    #[tokio::test(start_paused = true)]
    async fn whoever_touches_the_file_has_the_groups_look_within_a_second() {
        let home = tempfile::tempdir().unwrap();
        let (file, store) = (FreezeFile::of(home.path()), Memory::new(InstallId::from_bits(0)));
        let lease = store.acquire("the test");
        let fence = Arc::new(ProjectFence::new(Arc::new(store), lease));
        let brakes = Arc::new(Brakes::new(file.clone(), fence, Configured::default()));
        let (told, mut hears) = mpsc::unbounded_channel();
        let changed = move || told.send(()).unwrap();
        tokio::spawn(Arc::clone(&brakes).watch(changed, CancellationToken::new()));
        let within = Duration::from_secs(2);
        let mut news = async || tokio::time::timeout(within, hears.recv()).await.is_ok();
        assert!(!news().await, "there is no file");
        for text in ["", "web\n"] {
            std::fs::write(file.path(), text).unwrap();
            assert!(news().await, "{text:?}");
            assert!(!news().await, "it is told once");
        }
        std::fs::remove_file(file.path()).unwrap();
        assert!(news().await);
    }
}
