//! Another configuration while the program runs: by SIGHUP, or by `novascale reload`.
//!
//! One task does it, one reload after the other. An invalid file changes nothing. A valid one
//! counts at once for the groups: the loops end as at a stop, and the next generation begins.
//! Nothing else is touched: store, lease, listeners, tokens and the conversation with the cloud
//! stay what they are, and what of the file is about them waits for a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::timeout;

use super::announce;
use super::brake::{self, Configured};
use super::generation::Generation;
use super::upkeep;
use crate::cloud::openstack::OpenStack;
use crate::config::change::waits_for_restart;
use crate::config::{Config, Faults, Loaded};
use crate::control::Parts;
use crate::control::absent::{Absent, absent};
use crate::control::handle::Handle;
use crate::domain::group::Group;
use crate::domain::signal::{Command, Ordered};
use crate::http::reload::{Asked, CutView, Refused, Report, Standing};
use crate::killpoint;
use crate::store::{Admit, Gathered, StoreError, What, Window};

/// Reads the configuration as it was read at the start: the same file, the same environment.
pub type Reread = Arc<dyn Fn() -> Result<Loaded, Faults> + Send + Sync>;

/// How long reading may take: a file system that hangs must not hold up the next reload.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Reloads that may wait for the one under way.
pub(super) const WAITING_MOST: usize = 4;

/// Whoever reloads, and what is needed for it.
pub(super) struct Reloader {
    pub(super) parts: Parts,
    /// What all but the loops was started with.
    pub(super) running: Config,
    pub(super) loops: Generation,
    pub(super) configured: Configured,
    pub(super) read: Reread,
    pub(super) openstack: OpenStack,
    pub(super) hangup: Arc<Notify>,
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) shown: watch::Sender<Handle>,
    pub(super) standing: watch::Sender<Standing>,
}

impl Reloader {
    /// Reloads whenever it is asked to, until we stop; then it waits for the loops.
    pub(super) async fn run(mut self) {
        let stopping = self.parts.stopping.clone();
        tokio::select! {
            biased;
            () = stopping.cancelled() => {}
            () = self.reloads() => {}
        }
        self.loops.ended().await;
    }

    async fn reloads(&mut self) {
        loop {
            let asked = tokio::select! {
                biased;
                () = self.hangup.notified() => None,
                asked = self.asked.recv() => match asked {
                    Some(asked) => Some(asked),
                    None => return,
                },
            };
            announce::reloading();
            let by = asked.as_ref().filter(|asked| asked.confirm).map(|asked| asked.by.clone());
            let done = self.reload(by).await;
            self.tell(&done);
            announce::reloaded();
            if let Some(asked) = asked {
                // Whoever asked may be gone by now; it is done all the same.
                let _gone = asked.answer.send(done);
            }
        }
    }

    /// One reload; `confirmed_by` says that large cuts are meant, and whose word it is.
    async fn reload(&mut self, confirmed_by: Option<String>) -> Result<Report, Refused> {
        let Loaded { config, warnings, .. } = self.read().await?;
        config.fits(&self.running).map_err(Refused::Faults)?;
        let waits_for_restart = waits_for_restart(&self.running, &config);
        let groups: Vec<Arc<Group>> = config.groups.into_iter().map(Arc::new).collect();
        let mut report = difference(&self.loops.groups, &groups);
        (report.warnings, report.waits_for_restart) = (warnings, waits_for_restart);
        killpoint::reached("reload.read");
        let turns = report.turns();
        if turns && !self.loops.end().await {
            self.parts.broken.cancel();
            let why = "the loops did not end in time: novascale stops, to be started again whole";
            return Err(Refused::Failed(why.to_owned()));
        }
        killpoint::reached("reload.ended");
        self.weigh_cuts(&groups, confirmed_by.as_deref(), &mut report).await;
        if turns {
            self.turn_over(groups, &mut report).await;
        } else {
            self.loops.handle.groups().for_each(|group| group.nudge());
        }
        killpoint::reached("reload.turned");
        Ok(report)
    }

    async fn read(&self) -> Result<Loaded, Refused> {
        let read = Arc::clone(&self.read);
        match timeout(READ_WITHIN, tokio::task::spawn_blocking(move || read())).await {
            Ok(Ok(read)) => read.map_err(Refused::Faults),
            Ok(Err(_)) => Err(Refused::Failed("reading the configuration failed".to_owned())),
            Err(_) => Err(Refused::Failed(format!(
                "the configuration could not be read within {} s",
                READ_WITHIN.as_secs()
            ))),
        }
    }

    /// Says of each group whether its max was cut too far to go by it without a word, and gives
    /// that word if somebody did.
    async fn weigh_cuts(&self, groups: &[Arc<Group>], by: Option<&str>, report: &mut Report) {
        for group in groups {
            let done = match self.cut(group).await {
                Ok(None) => continue,
                Ok(Some((cut, _))) if by.is_some() => {
                    let confirmed = self.confirm(group, by.unwrap_or_default()).await;
                    confirmed.map(|()| report.confirmed.push(cut))
                }
                Ok(Some((_, false))) => continue,
                Ok(Some((cut, true))) => {
                    report.unconfirmed.push(cut);
                    continue;
                }
                Err(error) => Err(error),
            };
            if let Err(error) = done {
                let name = &group.name;
                report.troubles.push(format!("a cut of {name}'s max is not confirmed: {error}"));
            }
        }
    }

    /// A large cut of the group's max, and whether it takes anything away.
    async fn cut(&self, group: &Group) -> Result<Option<(CutView, bool)>, StoreError> {
        let (nothing, now) = (Duration::ZERO, self.parts.clock.now());
        let window = Window { now, signals: nothing, past: nothing };
        let Gathered { state, memory, intents, known, .. } =
            self.parts.store.gather(&group.name, window).await?;
        let max = group.bounds.max;
        let accepted = memory.and_then(|memory| memory.accepted);
        let Some(accepted) = accepted.filter(|last| last.doubts(max, state.confirmed)) else {
            return Ok(None);
        };
        let living = known.iter().filter(|known| known.state.lives()).count();
        let servers = u32::try_from(living).unwrap_or(u32::MAX);
        let live = intents.iter().filter(|intent| intent.state.live());
        let coming = live.filter_map(|intent| intent.launch()).map(|launch| launch.n);
        let takes = coming.fold(servers, u32::saturating_add) > max;
        let cut = CutView { group: group.name.to_string(), from: accepted.max, to: max, servers };
        Ok(Some((cut, takes)))
    }

    async fn confirm(&self, group: &Group, by: &str) -> Result<(), StoreError> {
        let (at, command) = (self.parts.clock.now(), Command::Confirm { max: group.bounds.max });
        let order = Ordered { command, at, by: by.to_owned(), reason: None };
        let what = What::Command(order, group.bounds);
        let admit = Admit { group: group.name.clone(), what, key: None, at };
        self.parts.store.admit(&self.parts.lease, admit).await.map(|_| ())
    }

    /// Starts the next generation; the one before has ended.
    async fn turn_over(&mut self, groups: Vec<Arc<Group>>, report: &mut Report) {
        let now = self.parts.clock.now();
        let absent = match absent(&*self.parts.store, &groups, now).await {
            Ok(absent) => absent,
            Err(error) => {
                report.troubles.push(format!("what is kept of other groups is unknown: {error}"));
                report.removed.iter().filter_map(|name| Absent::unread(name)).collect()
            }
        };
        let new = upkeep::new_regions(&self.loops.groups, &groups);
        let before = self.loops.handle.clone();
        brake::configure(&self.configured, &groups);
        self.loops = Generation::start(&self.parts, groups, absent, &before);
        self.shown.send_replace(self.loops.handle.clone());
        self.loops.look_at(self.openstack.clone(), new);
    }

    fn tell(&self, done: &Result<Report, Refused>) {
        let now = self.parts.clock.now().wall;
        match done {
            Ok(report) => {
                announce::taken(report, self.loops.handle.absent());
                let waits_for_restart = report.waits_for_restart.clone();
                self.standing.send_replace(Standing { waits_for_restart, ..Standing::taken(now) });
            }
            Err(refused) => {
                announce::refused(refused);
                self.standing.send_modify(|standing| {
                    (standing.read_at, standing.refused) = (now, Some(refused.to_string()));
                });
            }
        }
    }
}

/// Which groups came, changed, went and stayed.
fn difference(before: &[Arc<Group>], next: &[Arc<Group>]) -> Report {
    let before: BTreeMap<_, _> = before.iter().map(|group| (&group.name, group)).collect();
    let mut report = Report::default();
    for group in next {
        let list = match before.get(&group.name) {
            None => &mut report.added,
            Some(last) if *last == group => &mut report.unchanged,
            Some(_) => &mut report.changed,
        };
        list.push(group.name.to_string());
    }
    let gone = before.keys().filter(|name| !next.iter().any(|group| group.name == ***name));
    report.removed = gone.map(ToString::to_string).collect();
    report
}
