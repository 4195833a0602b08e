//! Signals that novascale asks for itself: one task for each `[signal.NAME]`.
//!
//! [`mod@ask`] asks once and says what was found. Here it is asked again and again, what was found
//! is stored as if a sender had sent it, and the group's loop is nudged. What fails is missing
//! data: nothing is stored, never a zero, and the group's policies hold what stands. The reloader
//! owns the tasks: a reload ends all of them and begins the next ones, which read their secrets
//! anew; the stop of the daemon ends them at once, for a question that is dropped changes nothing.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, Owned};
use crate::config::pull::Pull;
use crate::config::secret::SecretEnv;
use crate::control::handle::Handle;
use crate::domain::signal::Sample;
use crate::domain::time::{Clock, Now};
use crate::store::{Admit, Admitted, Identified, Lease, Store, What};
use crate::telemetry::{Counters, count};

pub mod ask;

use ask::{Asker, Found, Kind, Trouble};

/// What all pulls need.
#[derive(Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub lease: Lease,
    pub clock: Arc<dyn Clock>,
    /// The loops of the configuration that counts now.
    pub handle: watch::Receiver<Handle>,
    pub counters: Counters,
    pub env: SecretEnv,
    pub tasks: TaskTracker,
    pub stopping: CancellationToken,
    /// Cancelled if a task ends though nobody stopped it.
    pub broken: CancellationToken,
}

impl Parts {
    pub(super) fn of(
        app: &App,
        handle: watch::Receiver<Handle>,
        counters: &Counters,
        tasks: &TaskTracker,
    ) -> Self {
        Self {
            store: Arc::clone(&app.store) as Arc<dyn Store>,
            lease: app.lease.clone(),
            clock: Arc::clone(&app.clock),
            handle,
            counters: counters.clone(),
            env: SecretEnv::from_process(),
            tasks: tasks.clone(),
            stopping: app.stopping.clone(),
            broken: app.broken.clone(),
        }
    }
}

/// The tasks of the configuration that counts.
pub struct Pullers {
    parts: Parts,
    /// Ends the tasks that run now.
    running: CancellationToken,
}

impl Pullers {
    pub fn new(parts: Parts) -> Self {
        let running = parts.stopping.child_token();
        Self { parts, running }
    }

    /// Ends all tasks and begins these.
    pub fn keep(&mut self, pulls: Vec<Pull>) {
        self.running.cancel();
        self.running = self.parts.stopping.child_token();
        for pull in pulls {
            let puller = Puller { parts: self.parts.clone(), pull: Arc::new(pull), asker: None };
            let (stop, broken) = (self.running.clone(), self.parts.broken.clone());
            let owned = Owned { what: "the pull of a signal", stopping: stop.clone(), broken };
            let task = async move {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => {}
                    () = puller.run() => {}
                }
            };
            self.parts.tasks.spawn(owned.run(task));
        }
    }
}

struct Puller {
    parts: Parts,
    pull: Arc<Pull>,
    /// None until its secrets could be read.
    asker: Option<Asker>,
}

impl Puller {
    async fn run(mut self) {
        let mut last = None;
        let mut next = Instant::now();
        loop {
            sleep_until(next).await;
            next = Instant::now() + self.pull.every;
            let trouble = self.once().await.err();
            if trouble.is_some() {
                let labels = [("signal", self.pull.name.as_str())];
                self.parts.counters.add(count::PULL_FAILURES, &labels, 1);
            }
            self.tell(last, trouble.as_ref());
            last = trouble.map(|trouble| trouble.kind);
        }
    }

    async fn once(&mut self) -> Result<(), Trouble> {
        let asker = match &self.asker {
            Some(asker) => asker,
            None => self.asker.insert(prepare(&self.pull, &self.parts.env).await?),
        };
        // What is measured was so when the question came, or after.
        let asked = self.parts.clock.now();
        let Found { values, passed } = asker.ask().await?;
        let name = self.pull.signal.clone();
        let received = self.parts.clock.now();
        let sample = |(server, value)| Identified {
            sample: Sample { name: name.clone(), value, at: asked.wall, received, server },
            id: None,
        };
        let samples = values.into_iter().map(sample).collect();
        self.keep(samples, received).await?;
        passed.map_or(Ok(()), Err)
    }

    /// Makes it durable, then nudges the loop.
    async fn keep(&self, samples: Vec<Identified>, at: Now) -> Result<(), Trouble> {
        let name = &self.pull.group;
        let group = self.parts.handle.borrow().group(name.as_str()).cloned();
        let Some(group) = group else {
            return Err(Trouble::new(Kind::Store, format!("the group {name} is not kept now")));
        };
        let names = group.group.signals().cloned().collect();
        let what = What::Samples(samples, names);
        let admit = Admit { group: name.clone(), what, key: None, at };
        let fresh = match self.parts.store.admit(&self.parts.lease, admit).await {
            Ok(Admitted::Stored { fresh, .. }) => fresh,
            Ok(Admitted::Repeated { .. }) => 0,
            Err(error) => {
                let said = format!("what it answered could not be stored: {error}");
                return Err(Trouble::new(Kind::Store, said));
            }
        };
        self.parts.counters.add(count::SIGNALS, &[("group", name.as_str())], u64::from(fresh));
        group.nudge();
        Ok(())
    }

    /// Says what changed: trouble of another kind than last time, or that it is over.
    fn tell(&self, last: Option<Kind>, trouble: Option<&Trouble>) {
        let Pull { name, group, .. } = &*self.pull;
        let place = self.pull.from.place();
        match trouble {
            Some(trouble) if Some(trouble.kind) != last => tracing::warn!(
                %group,
                "the signal {name} could not be pulled from {place}: {}. Until it can it is missing \
                 data, not zero; [signal.{name}] in the configuration says what is asked",
                trouble.said
            ),
            Some(_) => {}
            None if last.is_some() => {
                tracing::info!(%group, "the signal {name} is pulled from {place} again");
            }
            None => {}
        }
    }
}

/// Files are read where they hold up nobody else.
async fn prepare(pull: &Arc<Pull>, env: &SecretEnv) -> Result<Asker, Trouble> {
    let (pull, env) = (Arc::clone(pull), env.clone());
    let made = tokio::task::spawn_blocking(move || Asker::new(&pull, &env)).await;
    made.unwrap_or_else(|_| Err(Trouble::new(Kind::Setup, "its settings could not be read")))
}
