//! What is said at start and stop: to people, to the command line, to systemd.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::embedded::{FAULT_TOKEN, write_private};
use super::{App, Error};
use crate::config::paths;
use crate::control::absent::Absent;
use crate::domain::group::Group;
use crate::domain::intent::Intent;
use crate::domain::time::Now;
use crate::http::reload::{Refused, Report};
use crate::store::{Store, StoreError, Window};

/// What an earlier run left, found at the start.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    /// Groups that were decided for before.
    groups: usize,
    /// Servers known to live.
    servers: usize,
    /// Intents whose end is not known yet.
    open: usize,
}

impl Recovered {
    pub(super) async fn read(
        store: &dyn Store,
        groups: &[Arc<Group>],
        now: Now,
    ) -> Result<Self, StoreError> {
        let mut found = Self::default();
        let nothing = Duration::ZERO;
        for group in groups {
            let window = Window { now, signals: nothing, past: nothing };
            // A group whose rows cannot be read is told of by its own loop.
            let Ok(gathered) = store.gather(&group.name, window).await else { continue };
            found.groups += usize::from(gathered.memory.is_some());
            found.servers += gathered.known.iter().filter(|k| k.state.lives()).count();
            found.open += gathered.intents.iter().filter(|i: &&Intent| i.state.live()).count();
        }
        Ok(found)
    }
}

/// Says what runs from now on, before the loops say what they do.
pub(super) fn what_runs(app: &App) {
    let groups: Vec<String> = app
        .groups
        .iter()
        .map(|g| format!("{} ({} to {})", g.name, g.bounds.min, g.bounds.max))
        .collect();
    tracing::info!("novascale {} keeps {}", env!("CARGO_PKG_VERSION"), groups.join(", "));
    tracing::info!("cloud: {}", app.cloud);
    if let Some(embedded) = &app.embedded {
        let dir = paths::sandbox_dir(&app.root);
        tracing::info!(
            "to look into it: OS_CLIENT_CONFIG_FILE={} openstack --os-cloud sandbox server list",
            dir.join("clouds.yaml").display()
        );
        tracing::info!(
            "to let it go wrong: curl -H \"Authorization: Bearer $(cat {})\" {}/faults",
            dir.join(FAULT_TOKEN).display(),
            embedded.url()
        );
    }
    let found = &app.recovered;
    if found.groups > 0 {
        tracing::info!(
            "recovered: {} of {} known from before, {} still open",
            counted(found.servers, "server"),
            counted(found.groups, "group"),
            counted(found.open, "action"),
        );
    }
}

/// Everything runs, and the command line finds it: says where, and tells systemd.
pub(super) fn ready(app: &App, took: Duration) {
    tracing::info!(
        "signals at http://{}, API at http://{}, state and tokens in {}",
        app.webhook,
        app.admin,
        app.root.display()
    );
    tracing::debug!("started in {} ms", took.as_millis());
    notify(&[sd_notify::NotifyState::Ready]);
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// Groups of which something is kept though they are not configured.
pub(super) fn absent(groups: &[Absent]) {
    for absent in groups {
        tracing::warn!(group = %absent.name, "{absent}");
    }
}

/// Groups of which nothing is left, where something was.
pub(super) fn left(before: &[Absent], now: &[Absent]) {
    for gone in before.iter().filter(|last| !now.iter().any(|absent| absent.name == last.name)) {
        tracing::info!(group = %gone.name, "nothing is left of it: it is not shown any more");
    }
}

/// A reload was not begun.
pub(super) fn dropped() {
    tracing::warn!(
        "a reload with --confirm is dropped: whoever asked for it was gone before its turn came"
    );
}

/// A reload begins. The manager takes nothing for its end that came before this.
pub(super) fn reloading() {
    tracing::info!("reloading: the configuration is read again");
    match sd_notify::NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[sd_notify::NotifyState::Reloading, now]),
        Err(error) => tracing::warn!("systemd is not told of the reload: {error}"),
    }
}

/// The reload is over, whatever became of it.
pub(super) fn reloaded() {
    notify(&[sd_notify::NotifyState::Ready]);
}

/// A file was taken: what that changed, and what it did not.
pub(super) fn taken(report: &Report, left: &[Absent]) {
    let lists = [
        ("added", &report.added),
        ("changed", &report.changed),
        ("no longer configured", &report.removed),
    ];
    let some = lists.iter().filter(|(_, names)| !names.is_empty());
    let said: Vec<String> =
        some.map(|(what, names)| format!("{what} {}", names.join(", "))).collect();
    let said = if said.is_empty() { "no group differs".to_owned() } else { said.join("; ") };
    tracing::info!("the configuration was read again: {said}");
    if !report.waits_for_restart.is_empty() {
        tracing::warn!(
            "what the file changes in {} waits for a restart",
            report.waits_for_restart.join(", ")
        );
    }
    for cut in &report.confirmed {
        tracing::info!(group = cut.group, "max {} rather than {} is confirmed", cut.to, cut.from);
    }
    for warning in &report.warnings {
        tracing::warn!(key = warning.key.as_deref(), "{}", warning.reason);
    }
    for trouble in &report.troubles {
        tracing::error!("{trouble}");
    }
    if report.turns() {
        absent(left);
    }
}

/// A file was not taken, and why.
pub(super) fn refused(refused: &Refused) {
    let faults = match refused {
        Refused::Failed(_) => &[],
        Refused::Faults(faults) => faults.all(),
    };
    for fault in faults {
        let (file, line) = fault.file_and_line();
        let (key, hint) = (fault.key.as_deref(), fault.hint.as_deref());
        tracing::error!(key, file, line, hint, "{}", fault.reason);
    }
    tracing::error!("not reloaded: {refused}");
}

pub(super) fn stopping() {
    tracing::info!("stopping: no new call is begun, what is in flight may end");
    notify(&[sd_notify::NotifyState::Stopping]);
}

/// The last line; `ended` and `closed` tell whether tasks and store came to their end in time.
pub(super) fn stopped(took: Duration, ended: bool, closed: bool) {
    let after = took.as_millis();
    match (ended, closed) {
        (true, true) => tracing::info!("stopped after {after} ms; nothing is in flight"),
        (false, _) => tracing::warn!(
            "stopped after {after} ms in the middle of something; the next start recovers what \
             was in flight"
        ),
        (true, false) => tracing::warn!(
            "stopped after {after} ms; the state was not closed in time, the next start repairs it"
        ),
    }
}

/// Tells systemd, if there is one.
pub(super) fn notify(states: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("systemd could not be told {states:?}: {error}");
    }
}

/// Where the command line finds this daemon.
pub(super) fn daemon_file(app: &App) -> Result<(), Error> {
    let about = json!({
        "pid": std::process::id(),
        "admin": format!("http://{}", app.admin),
        "webhook": format!("http://{}", app.webhook),
        "started_at": app.clock.now().wall,
    });
    write_private(&paths::daemon_file(&app.root), about.to_string().as_bytes())
}

pub(super) fn remove_daemon_file(root: &Path) {
    let path = paths::daemon_file(root);
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!("{} could not be removed: {error}", path.display());
    }
}
