//! The plain store: everything in memory, with explicit sync points.
//!
//! The simulation runs on it, so it has no clock, no thread, no file and no chance: the
//! same calls give the same state. A write is visible at once; [`Memory::crash`] takes
//! back what was not synced. By default every method syncs, as SQLite does; a simulation
//! that wants to lose signals lets them wait ([`Memory::sync_admits`]) and acknowledges
//! them only after [`Memory::sync`].
//!
//! What one group has lies on its `shelf`; what is kept and for how long stands in
//! [`super::keep`], for both stores alike.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use self::shelf::Shelf;
use super::lease::fence;
use super::{Admit, Admitted, Gathered, IdempotencyKey, Lease, Origin, Store, StoreError, Window};
use crate::domain::freeze::{Freeze, Freezes};
use crate::domain::id::{GroupName, InstallId, SignalName};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Decision;
use crate::domain::signal::{Ordered, Sample};
use crate::domain::time::{Now, Steady};

mod shelf;

/// State in memory.
#[derive(Debug)]
pub struct Memory {
    install: InstallId,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    live: State,
    /// What a crash goes back to, if anything waits to be synced.
    synced: Option<State>,
    sync_admits: bool,
}

#[derive(Debug, Clone, Default)]
struct State {
    epoch: u64,
    holder: String,
    marked: Option<Now>,
    all_frozen: Option<Freeze>,
    project: Option<String>,
    groups: BTreeMap<GroupName, Arc<Shelf>>,
}

impl State {
    fn note(&mut self, now: Now) {
        if self.marked.is_none_or(|marked| marked.steady <= now.steady) {
            self.marked = Some(now);
        }
    }

    /// Works on the group's shelf; one that was new is gone again if nothing was put on it.
    fn on_shelf<T>(
        &mut self,
        group: &GroupName,
        work: impl FnOnce(&mut Shelf) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let fresh = !self.groups.contains_key(group);
        let done = work(Arc::make_mut(self.groups.entry(group.clone()).or_default()));
        if fresh && done.is_err() {
            self.groups.remove(group);
        }
        done
    }
}

/// Whether a write may wait for a later sync.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    Later,
}

impl Memory {
    pub fn new(install: InstallId) -> Self {
        let inner = Inner { live: State::default(), synced: None, sync_admits: true };
        Self { install, inner: Mutex::new(inner) }
    }

    /// Whether `admit` syncs by itself; it does unless told otherwise.
    pub fn sync_admits(&self, yes: bool) {
        self.lock().sync_admits = yes;
    }

    /// Makes everything so far survive a crash.
    pub fn sync(&self) {
        self.lock().synced = None;
    }

    /// Forgets whatever was written since the last sync.
    pub fn crash(&self) {
        let mut inner = self.lock();
        if let Some(synced) = inner.synced.take() {
            inner.live = synced;
        }
    }

    /// Takes the lease: every earlier one is void. `holder` says to people who took it.
    pub fn acquire(&self, holder: &str) -> Lease {
        let mut inner = self.lock();
        inner.live.epoch += 1;
        inner.live.holder = holder.to_owned();
        inner.synced = None;
        Lease::granted(inner.live.epoch)
    }

    /// Whose state it is, and how the clocks stood when it was last written.
    pub fn origin(&self) -> Origin {
        Origin { install: self.install.clone(), marked: self.lock().live.marked }
    }

    /// The newest commands first.
    pub fn orders(&self, group: &GroupName, limit: u32) -> Vec<Ordered> {
        self.read(group, |shelf| shelf.orders(limit))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No write leaves the state half changed, so a panic elsewhere spoils nothing.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read<T>(&self, group: &GroupName, look: impl FnOnce(&Shelf) -> T) -> T {
        match self.lock().live.groups.get(group) {
            Some(shelf) => look(shelf),
            None => look(&Shelf::default()),
        }
    }

    /// One transaction: `change` either does all of its work or returns an error with
    /// nothing changed.
    fn write<T>(
        &self,
        lease: &Lease,
        sync: Sync,
        change: impl FnOnce(&mut State) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut inner = self.lock();
        fence(lease.epoch(), inner.live.epoch, &inner.live.holder)?;
        if sync == Sync::Later && inner.synced.is_none() {
            inner.synced = Some(inner.live.clone());
        }
        let done = change(&mut inner.live)?;
        if sync == Sync::Now {
            inner.synced = None;
        }
        Ok(done)
    }
}

#[async_trait]
impl Store for Memory {
    async fn admit(&self, lease: &Lease, admit: Admit) -> Result<Admitted, StoreError> {
        let sync = if self.lock().sync_admits { Sync::Now } else { Sync::Later };
        self.write(lease, sync, |state| {
            let admitted = state.on_shelf(&admit.group, |shelf| shelf.admit(&admit))?;
            if matches!(admitted, Admitted::Stored { .. }) {
                state.note(admit.at);
            }
            Ok(admitted)
        })
    }

    async fn repeated(
        &self,
        group: &GroupName,
        key: &IdempotencyKey,
        now: Now,
    ) -> Result<bool, StoreError> {
        self.read(group, |shelf| shelf.repeated(key, now))
    }

    async fn gather(&self, group: &GroupName, since: Window) -> Result<Gathered, StoreError> {
        let all_frozen = self.lock().live.all_frozen.clone();
        Ok(Gathered { all_frozen, ..self.read(group, |shelf| shelf.gather(since)) })
    }

    async fn record(&self, lease: &Lease, decision: &Decision) -> Result<(), StoreError> {
        self.write(lease, Sync::Now, |state| {
            let wrote = state.on_shelf(&decision.group, |shelf| Ok(shelf.record(decision)))?;
            if wrote {
                state.note(decision.at);
            }
            Ok(())
        })
    }

    async fn settle(
        &self,
        lease: &Lease,
        group: &GroupName,
        outcomes: &[Outcome],
    ) -> Result<(), StoreError> {
        self.write(lease, Sync::Now, |state| {
            state.on_shelf(group, |shelf| shelf.settle(group, outcomes))?;
            outcomes.iter().for_each(|outcome| state.note(outcome.at));
            Ok(())
        })
    }

    async fn history(
        &self,
        group: &GroupName,
        name: &SignalName,
        since: Steady,
    ) -> Result<Vec<Sample>, StoreError> {
        Ok(self.read(group, |shelf| shelf.history(name, since)))
    }

    async fn decisions(&self, group: &GroupName, limit: u32) -> Result<Vec<Decision>, StoreError> {
        Ok(self.read(group, |shelf| shelf.decisions(limit)))
    }

    async fn commands(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError> {
        Ok(self.orders(group, limit))
    }

    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        Ok(self.lock().live.groups.keys().cloned().collect())
    }

    async fn sweep(&self, lease: &Lease, now: Now) -> Result<u64, StoreError> {
        self.write(lease, Sync::Now, |state| {
            Ok(state.groups.values_mut().map(|shelf| Arc::make_mut(shelf).sweep(now)).sum())
        })
    }

    async fn mark_time(&self, lease: &Lease, now: Now) -> Result<(), StoreError> {
        self.write(lease, Sync::Now, |state| {
            state.note(now);
            Ok(())
        })
    }

    async fn freeze_all(&self, lease: &Lease, freeze: Option<Freeze>) -> Result<(), StoreError> {
        self.write(lease, Sync::Now, |state| {
            state.all_frozen = freeze;
            Ok(())
        })
    }

    async fn project(&self) -> Result<Option<String>, StoreError> {
        Ok(self.lock().live.project.clone())
    }

    async fn bind(&self, lease: &Lease, project: &str) -> Result<String, StoreError> {
        self.write(lease, Sync::Now, |state| {
            Ok(state.project.get_or_insert_with(|| project.to_owned()).clone())
        })
    }

    async fn freezes(&self, group: &GroupName) -> Result<Freezes, StoreError> {
        let all = self.lock().live.all_frozen.clone();
        Ok(Freezes { own: self.read(group, Shelf::freeze), all })
    }

    async fn probe(&self, lease: &Lease) -> Result<(), StoreError> {
        self.write(lease, Sync::Now, |_| Ok(()))
    }
}
