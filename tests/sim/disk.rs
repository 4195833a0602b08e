//! The store as the controller meets it: sometimes busy, sometimes committing without saying
//! so, and a place where the machine may crash. Behind it is the plain store.
//!
//! Some controllers under test are broken on purpose ([`Broken`]): most of these are told
//! something wrong here about their own past.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use novascale::domain::freeze::{Freeze, Freezes};
use novascale::domain::id::{GroupName, SignalName};
use novascale::domain::intent::State as Progress;
use novascale::domain::outcome::Outcome;
use novascale::domain::plan::Decision;
use novascale::domain::signal::{Ordered, Sample, Value};
use novascale::domain::time::{Now, Steady};
use novascale::store::{
    Admit, Admitted, Gathered, IdempotencyKey, Lease, MemoryStore, Store, StoreError, Window,
};

use super::broken::Broken;
use super::faults::Fault;
use super::nova::Nova;

pub struct Disk {
    pub inner: Arc<MemoryStore>,
    pub nova: Arc<Nova>,
    pub broken: Option<Broken>,
    /// The lease of whoever started last.
    pub latest: Arc<Mutex<Lease>>,
}

impl Disk {
    fn strikes(&self) -> bool {
        let mut state = self.nova.state();
        let busy = state.strikes(Fault::StoreBusy);
        let context = state.oracle.context.as_mut().filter(|_| busy);
        context.into_iter().for_each(|context| context.refused += 1);
        busy
    }

    /// A write that the disk may refuse, before or after it was done.
    async fn write<T>(
        &self,
        done: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let refused = || Err(StoreError::Unavailable("the disk is busy".to_owned()));
        self.nova.gate.pass().await;
        if self.strikes() {
            return refused();
        }
        let done = done.await;
        if done.is_ok() && self.strikes() {
            return refused();
        }
        self.nova.gate.pass().await;
        done
    }

    /// The lease to write under: a broken controller takes whichever is good.
    fn lease(&self, own: &Lease) -> Lease {
        if self.is(Broken::WritesUnfenced) {
            return self.latest.lock().unwrap().clone();
        }
        own.clone()
    }

    fn is(&self, broken: Broken) -> bool {
        self.broken == Some(broken)
    }

    /// What a broken controller believes of its past.
    fn mislead(&self, mut told: Gathered, now: Now) -> Gathered {
        if self.is(Broken::ForgetsOpenLaunches) {
            told.intents.retain(|i| i.launch().is_none() || !i.state.live());
        }
        if self.is(Broken::ForgetsTerminations) {
            told.intents.retain(|i| i.terminate().is_none() || i.state.live());
        }
        if self.is(Broken::TakesSilenceForZero) {
            for sample in &mut told.samples {
                if now.steady.since(sample.received.steady) > Duration::from_secs(120) {
                    sample.value = Value::new(0.0).unwrap();
                    (sample.received, sample.at) = (now, now.wall);
                }
            }
        }
        if self.is(Broken::LetsOldCount) {
            for sample in &mut told.samples {
                (sample.received, sample.at) = (now, now.wall);
            }
        }
        if self.is(Broken::ForgetsAlerts) {
            told.state.alerts.clear();
        }
        if self.is(Broken::ForgetsFailures) {
            told.intents.iter_mut().for_each(|intent| intent.trouble = None);
        }
        if self.is(Broken::ForgetsCooldown)
            && let Some(memory) = &mut told.memory
        {
            memory.changed = None;
        }
        if self.is(Broken::IgnoresFreezes) {
            (told.all_frozen, told.state.freeze) = (None, None);
        }
        if self.is(Broken::ForgetsTheOldMax)
            && let Some(memory) = &mut told.memory
        {
            // No max is a large cut of this one; of none what stands would be taken for it.
            memory.accepted.iter_mut().for_each(|accepted| accepted.max = 0);
        }
        if self.is(Broken::NeverSettles) {
            for intent in told.intents.iter_mut().filter(|i| i.launch().is_some()) {
                intent.state = Progress::Unsettled { since: now, absent: None };
            }
        }
        told
    }
}

#[async_trait]
impl Store for Disk {
    async fn admit(&self, lease: &Lease, mut admit: Admit) -> Result<Admitted, StoreError> {
        if self.is(Broken::IgnoresKeys) {
            admit.key = None;
        }
        self.write(self.inner.admit(lease, admit)).await
    }

    async fn repeated(
        &self,
        group: &GroupName,
        key: &IdempotencyKey,
        now: Now,
    ) -> Result<bool, StoreError> {
        self.inner.repeated(group, key, now).await
    }

    async fn gather(&self, group: &GroupName, since: Window) -> Result<Gathered, StoreError> {
        self.nova.gate.pass().await;
        let told = self.inner.gather(group, since).await?;
        Ok(if self.broken.is_some() { self.mislead(told, since.now) } else { told })
    }

    async fn record(&self, lease: &Lease, decision: &Decision) -> Result<(), StoreError> {
        if self.is(Broken::ActsBeforeItRecords) {
            let mut bare = decision.clone();
            bare.changes.intents.clear();
            return self.write(self.inner.record(lease, &bare)).await;
        }
        self.write(self.inner.record(&self.lease(lease), decision)).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        group: &GroupName,
        outcomes: &[Outcome],
    ) -> Result<(), StoreError> {
        if self.is(Broken::ActsBeforeItRecords) {
            return Ok(());
        }
        self.write(self.inner.settle(&self.lease(lease), group, outcomes)).await
    }

    async fn history(
        &self,
        group: &GroupName,
        name: &SignalName,
        since: Steady,
    ) -> Result<Vec<Sample>, StoreError> {
        self.inner.history(group, name, since).await
    }

    async fn decisions(&self, group: &GroupName, limit: u32) -> Result<Vec<Decision>, StoreError> {
        self.inner.decisions(group, limit).await
    }

    async fn commands(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError> {
        self.inner.commands(group, limit).await
    }

    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        self.inner.groups().await
    }

    async fn sweep(&self, lease: &Lease, now: Now) -> Result<u64, StoreError> {
        self.write(self.inner.sweep(lease, now)).await
    }

    async fn mark_time(&self, lease: &Lease, now: Now) -> Result<(), StoreError> {
        self.write(self.inner.mark_time(lease, now)).await
    }

    async fn freeze_all(&self, lease: &Lease, freeze: Option<Freeze>) -> Result<(), StoreError> {
        self.write(self.inner.freeze_all(lease, freeze)).await
    }

    async fn project(&self) -> Result<Option<String>, StoreError> {
        self.inner.project().await
    }

    async fn bind(&self, lease: &Lease, project: &str) -> Result<String, StoreError> {
        self.inner.bind(lease, project).await
    }

    async fn freezes(&self, group: &GroupName) -> Result<Freezes, StoreError> {
        if self.is(Broken::IgnoresFreezes) {
            return Ok(Freezes::default());
        }
        self.inner.freezes(group).await
    }

    async fn probe(&self, lease: &Lease) -> Result<(), StoreError> {
        self.write(self.inner.probe(lease)).await
    }
}
