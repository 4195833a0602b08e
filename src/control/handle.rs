//! What the rest of the program holds of the loops: a way to nudge them, their latest
//! decision, their pulse, and a preview. Nothing here makes a loop do anything but look.
//!
//! A handle belongs to one configuration; whoever lives longer holds a `watch::Receiver` of it and
//! takes the newest whenever it needs one. A nudge by an older one is not lost.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{Notify, watch};

pub use super::absent::Absent;
use crate::domain::group::Group;
use crate::domain::id::{GroupName, Region};
use crate::domain::plan::Decision;
use crate::domain::time::{Now, Steady};
use crate::store::StoreError;

/// All groups' loops and the observers that feed them.
#[derive(Clone, Default)]
pub struct Handle {
    groups: Arc<BTreeMap<GroupName, GroupHandle>>,
    observers: Arc<Vec<watch::Receiver<ObserverPulse>>>,
    absent: Arc<Vec<Absent>>,
}

impl Handle {
    pub fn new(
        groups: impl IntoIterator<Item = GroupHandle>,
        observers: Vec<watch::Receiver<ObserverPulse>>,
    ) -> Self {
        let groups = groups.into_iter().map(|g| (g.group.name.clone(), g)).collect();
        Self { groups: Arc::new(groups), observers: Arc::new(observers), ..Self::default() }
    }

    /// The same beside groups that have no loop, for they are not configured.
    #[must_use]
    pub fn beside(self, absent: Vec<Absent>) -> Self {
        Self { absent: Arc::new(absent), ..self }
    }

    /// Groups that are kept though the configuration does not have them.
    pub fn absent(&self) -> &[Absent] {
        &self.absent
    }

    /// The groups in order of their names.
    pub fn groups(&self) -> impl Iterator<Item = &GroupHandle> {
        self.groups.values()
    }

    pub fn group(&self, name: &str) -> Option<&GroupHandle> {
        self.groups.get(name)
    }

    /// One pulse for each region.
    pub fn observers(&self) -> Vec<ObserverPulse> {
        self.observers.iter().map(|pulse| pulse.borrow().clone()).collect()
    }
}

/// One group's loop, from outside.
#[derive(Clone)]
pub struct GroupHandle {
    pub group: Arc<Group>,
    nudge: Arc<Notify>,
    latest: watch::Receiver<Option<Arc<Decision>>>,
    pulse: watch::Receiver<LoopPulse>,
    preview: Arc<dyn Preview>,
}

/// The loop's side of a [`GroupHandle`]: where nudges arrive, and where it shows itself.
pub struct GroupEnd {
    pub nudge: Arc<Notify>,
    pub latest: watch::Sender<Option<Arc<Decision>>>,
    pub pulse: watch::Sender<LoopPulse>,
}

impl GroupEnd {
    /// Goes on from where the group's loop stood under the configuration before: its counts, and
    /// the decision if that was made for the same servers.
    pub(super) fn follow(&self, group: &Group, before: &GroupHandle) {
        let LoopPulse { passes, failed, failure, due: _ } = before.pulse();
        self.pulse.send_replace(LoopPulse { due: None, passes, failed, failure });
        if before.same_servers(group) {
            self.latest.send_replace(before.latest());
        }
    }
}

impl GroupHandle {
    /// A handle, and the end that the group's loop keeps.
    pub fn new(group: Arc<Group>, preview: Arc<dyn Preview>) -> (Self, GroupEnd) {
        Self::with(group, preview, Arc::default())
    }

    /// The same for a group that had another configuration before. Whoever still holds the handle
    /// of that nudges this one's loop.
    pub(super) fn after(
        before: Option<&Self>,
        now: Now,
        group: Arc<Group>,
        preview: Arc<dyn Preview>,
    ) -> (Self, GroupEnd) {
        let Some(before) = before else { return Self::new(group, preview) };
        let (handle, end) = Self::with(group, preview, Arc::clone(&before.nudge));
        end.follow(&handle.group, before);
        // The last loop may have a call under way, but not for ever.
        end.pulse.send_modify(|pulse| pulse.due = Some(now.steady));
        (handle, end)
    }

    fn with(group: Arc<Group>, preview: Arc<dyn Preview>, nudge: Arc<Notify>) -> (Self, GroupEnd) {
        let (latest, shown) = watch::channel(None);
        let (pulse, felt) = watch::channel(LoopPulse::default());
        let handle = Self { group, nudge: Arc::clone(&nudge), latest: shown, pulse: felt, preview };
        (handle, GroupEnd { nudge, latest, pulse })
    }

    /// Whether this group's servers are those of the other configuration, too.
    pub(super) fn same_servers(&self, other: &Group) -> bool {
        (&self.group.region, &self.group.tag) == (&other.region, &other.tag)
    }

    /// Something changed: look soon. It carries nothing, and many count as one.
    pub fn nudge(&self) {
        self.nudge.notify_one();
    }

    /// The latest decision with its members; none before the first pass.
    pub fn latest(&self) -> Option<Arc<Decision>> {
        self.latest.borrow().clone()
    }

    /// To wait for the next decision.
    pub fn watch(&self) -> watch::Receiver<Option<Arc<Decision>>> {
        self.latest.clone()
    }

    pub fn pulse(&self) -> LoopPulse {
        self.pulse.borrow().clone()
    }

    /// What a pass would decide now, on the last observation. It changes nothing.
    pub async fn preview(&self) -> Result<Decision, StoreError> {
        self.preview.preview().await
    }
}

/// Decides without recording.
#[async_trait]
pub trait Preview: Send + Sync {
    async fn preview(&self) -> Result<Decision, StoreError>;
}

/// How a group's loop fares.
#[derive(Debug, Clone, Default)]
pub struct LoopPulse {
    /// When the loop should show that it lives: now while it is at work, as of the last step
    /// that a pass took, else at the look that it announced. None before the first listing,
    /// which it waits for.
    pub due: Option<Steady>,
    pub passes: u64,
    /// Passes that ended in an error of the store or were refused by `verify`.
    pub failed: u64,
    /// Why the last pass failed, if it did.
    pub failure: Option<String>,
}

/// How a region's observer fares.
#[derive(Debug, Clone)]
pub struct ObserverPulse {
    pub region: Region,
    /// When the last look at the region began, whatever became of it; before the first one,
    /// when the observer did.
    pub tried: Now,
    /// When the last complete listing began.
    pub seen: Option<Now>,
    pub listings: u64,
    pub failed: u64,
    /// Why the last listing failed, if it did.
    pub failure: Option<String>,
}

impl ObserverPulse {
    /// Of an observer that has not looked yet.
    pub fn fresh(region: Region, begun: Now) -> Self {
        Self { region, tried: begun, seen: None, listings: 0, failed: 0, failure: None }
    }
}
