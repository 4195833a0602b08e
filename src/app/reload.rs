//! Another configuration while the program runs: by SIGHUP, or by `novascale reload`.
//!
//! One task does it, one reload after the other. An invalid file changes nothing. A valid one
//! counts at once for the groups: the loops of those that it changes or has no more end, and the
//! next ones begin; all others go on undisturbed. Nothing else is touched: store, lease,
//! listeners, tokens and the conversation with the cloud stay what they are, and what of the file
//! is about them waits for a restart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use super::announce;
use super::brake::{self, Configured};
use super::pull::Pullers;
use super::{sources, upkeep};
use crate::clock;
use crate::cloud::openstack::OpenStack;
use crate::config::change::waits_for_restart;
use crate::config::{Config, Faults, Loaded};
use crate::control::Parts;
use crate::control::absent::{Absent, Absentees, LOOK_EVERY};
use crate::control::handle::{GroupHandle, Handle};
use crate::control::run::Loops;
use crate::domain::group::Group;
use crate::domain::signal::{Command, Ordered};
use crate::http::reload::{Asked, CutView, Refused, Report, Standing};
use crate::http::source::keys::Sources;
use crate::killpoint;
use crate::store::{Admit, Gathered, StoreError, What, Window};

/// Reads the configuration as it was read at the start: the same file, the same environment.
pub type Reread = Arc<dyn Fn() -> Result<Loaded, Faults> + Send + Sync>;

/// How long reading may take: a file system that hangs must not hold up the next reload.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// How long a look for servers of groups that are not configured may hold up a reload.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// After a reload that comes soon: what was in flight then has ended, as a rule.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// Reloads that may wait for the one under way.
pub(super) const WAITING_MOST: usize = 4;

/// Whoever reloads, and what is needed for it.
pub(super) struct Reloader {
    pub(super) parts: Parts,
    /// What all but the loops was started with.
    pub(super) running: Config,
    pub(super) loops: Loops,
    /// All that runs for the groups.
    pub(super) tasks: TaskTracker,
    pub(super) configured: Configured,
    pub(super) read: Reread,
    pub(super) openstack: OpenStack,
    pub(super) absentees: Absentees,
    pub(super) hangup: Arc<Notify>,
    pub(super) asked: mpsc::Receiver<Asked>,
    pub(super) shown: watch::Sender<Handle>,
    pub(super) sources: watch::Sender<Arc<Sources>>,
    pub(super) pullers: Pullers,
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
        self.tasks.wait().await;
    }

    async fn reloads(&mut self) {
        let mut look = Instant::now() + LOOK_SOON;
        loop {
            let asked = tokio::select! {
                biased;
                () = self.hangup.notified() => None,
                asked = self.asked.recv() => match asked {
                    Some(asked) => Some(asked),
                    None => return,
                },
                () = sleep_until(look) => {
                    self.look_for_absent().await;
                    look = Instant::now() + LOOK_EVERY;
                    continue;
                }
            };
            self.answer(asked).await;
            look = Instant::now() + LOOK_SOON;
        }
    }

    async fn answer(&mut self, asked: Option<Asked>) {
        if asked.as_ref().is_some_and(Asked::is_void) {
            return announce::dropped();
        }
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

    /// One reload; `confirmed_by` says that the large cuts that waited are meant, and whose word
    /// it is.
    async fn reload(&mut self, confirmed_by: Option<String>) -> Result<Report, Refused> {
        let Loaded { config, warnings, .. } = self.read().await?;
        config.fits(&self.running).map_err(Refused::Faults)?;
        let waits_for_restart = waits_for_restart(&self.running, &config);
        let (sources, pulls) = (config.sources, config.pulls);
        let groups: Vec<Arc<Group>> = config.groups.into_iter().map(Arc::new).collect();
        let mut report = difference(&self.loops.groups(), &groups);
        (report.warnings, report.waits_for_restart) = (warnings, waits_for_restart);
        killpoint::reached("reload.read");
        self.loops.part(&groups);
        killpoint::reached("reload.parted");
        for group in &groups {
            self.weigh_cut(group, confirmed_by.as_deref(), &mut report).await;
        }
        if report.turns() {
            self.turn_over(&groups, &mut report).await;
        }
        killpoint::reached("reload.turned");
        // Last: a new source may speak to a new group.
        let read = tokio::task::spawn_blocking(move || sources::read(&sources)).await;
        match read {
            Ok(sources) => drop(self.sources.send_replace(sources)),
            Err(_) => report.troubles.push("the sources could not be read".to_owned()),
        }
        self.pullers.keep(pulls);
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

    /// Says whether the group's max was cut too far to go by it without a word, and gives that
    /// word if somebody did: for a cut that waited before this reload, so that nobody confirms
    /// what nobody has been shown.
    async fn weigh_cut(&self, group: &Group, by: Option<&str>, report: &mut Report) {
        let name = &group.name;
        let (cut, takes) = match self.cut(group).await {
            Ok(Some(cut)) => cut,
            Ok(None) => return,
            Err(error) => {
                let trouble = format!("whether {name}'s max was cut too far is unknown: {error}");
                return report.troubles.push(trouble);
            }
        };
        let stood = self.loops.groups().iter().any(|last| same_max(last, group));
        match by.filter(|_| stood) {
            Some(by) => match self.confirm(group, by).await {
                Ok(()) => report.confirmed.push(cut),
                Err(error) => {
                    report
                        .troubles
                        .push(format!("the cut of {name}'s max is not confirmed: {error}"));
                }
            },
            None if takes => report.unconfirmed.push(cut),
            None => {}
        }
    }

    /// A large cut of the group's max, and whether it takes anything away.
    async fn cut(&self, group: &Group) -> Result<Option<(CutView, bool)>, StoreError> {
        let (nothing, now) = (Duration::ZERO, self.parts.clock.now());
        let window = Window { now, signals: nothing, past: nothing };
        let Gathered { state, memory, intents, known, .. } =
            self.parts.store.gather(&group.name, window).await?;
        let max = group.max_ever();
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
        let (at, command) = (self.parts.clock.now(), Command::Confirm { max: group.max_ever() });
        let order = Ordered { command, at, by: by.to_owned(), reason: None };
        let what = What::Command(order, group.bounds);
        let admit = Admit { group: group.name.clone(), what, key: None, at };
        self.parts.store.admit(&self.parts.lease, admit).await?;
        self.shown.borrow().group(group.name.as_str()).into_iter().for_each(GroupHandle::nudge);
        Ok(())
    }

    /// Starts the loops of the groups that are new or changed.
    async fn turn_over(&mut self, groups: &[Arc<Group>], report: &mut Report) {
        report.added.iter().for_each(|name| self.absentees.forget(name));
        let now = self.parts.clock.now();
        let absent = match self.absentees.of(&*self.parts.store, groups, now).await {
            Ok(absent) => absent,
            Err(error) => {
                report.troubles.push(format!("what is kept of other groups is unknown: {error}"));
                Absent::as_before(self.shown.borrow().absent(), groups, &report.removed)
            }
        };
        let new = upkeep::new_regions(&self.loops.groups(), groups);
        brake::configure(&self.configured, groups);
        let handle = self.loops.keep(groups, || clock::entropy() as u64);
        self.shown.send_replace(handle.beside(absent));
        let (stopping, openstack) = (self.parts.stopping.clone(), self.openstack.clone());
        self.tasks.spawn(upkeep::look_at(stopping, openstack, new));
    }

    /// Asks for the servers of groups that are not configured, and shows what is left of those.
    async fn look_for_absent(&mut self) {
        let (groups, now) = (self.loops.groups(), self.parts.clock.now());
        let store = &*self.parts.store;
        let look = self.absentees.look((&*self.parts.compute, store), &groups, now);
        // What had no answer is asked for again; what cannot be read is shown as before.
        let _cut_short = timeout(LOOK_WITHIN, look).await;
        let Ok(absent) = self.absentees.of(store, &groups, now).await else { return };
        announce::left(self.shown.borrow().absent(), &absent);
        self.shown.send_modify(|shown| *shown = shown.clone().beside(absent));
    }

    fn tell(&self, done: &Result<Report, Refused>) {
        let now = self.parts.clock.now().wall;
        match done {
            Ok(report) => {
                announce::taken(report, self.shown.borrow().absent());
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

/// Whether the other configuration had the group with this max.
fn same_max(last: &Group, group: &Group) -> bool {
    last.name == group.name && last.max_ever() == group.max_ever()
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
