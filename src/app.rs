//! The daemon: configuration → parts → running, and the order of stopping.
//!
//! It names every concrete type once and spawns what is not a loop. Starting: the state
//! directory, held against any other daemon ([`root`]), the embedded cloud if it is used,
//! the store with its lease, the conversation with the cloud, the loops, the listeners;
//! then `daemon.json` tells the command line where to find all this, and systemd that we
//! are ready. From then on the loops alone may change, with the configuration (`reload`).
//! Stopping goes the other way: no new request, no new call, what is in flight
//! ends or is recorded within [`STOP_WITHIN`]; the store last. It decides nothing and calls
//! nobody itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::{self, System};
use crate::cloud::Fence;
use crate::cloud::openstack::OpenStack;
use crate::cloud::openstack::transport::{Http, HttpError};
use crate::cloud::sandbox::SandboxError;
use crate::cloud::throttle::WAIT_MOST;
use crate::config::http::HttpLimits;
use crate::config::{Cloud, CloudSettings, Config, HttpSettings, Loaded, paths};
use crate::control::Parts;
use crate::control::absent::Absentees;
use crate::control::handle::GroupHandle;
use crate::control::run::Loops;
use crate::domain::freeze::Brake;
use crate::domain::group::Group;
use crate::domain::id::InstallId;
use crate::domain::time::Clock;
use crate::http;
use crate::http::reload::{Desk, Standing};
use crate::http::tls::{Certificates, TlsError};
use crate::http::tokens::{TokenError, Tokens};
use crate::killpoint;
use crate::store::freeze_file::FreezeFile;
use crate::store::sqlite::{Options as StoreOptions, Sqlite};
use crate::store::{Lease, Store, StoreError, continued, install};
use crate::telemetry::Counters;
use crate::telemetry::log::{self, LogError, LogOptions};

pub mod alone;
mod announce;
mod brake;
mod count;
mod descriptors;
mod embedded;
mod fence;
mod reload;
pub mod root;
pub mod sources;
mod upkeep;

use brake::Brakes;
use embedded::Embedded;
use fence::ProjectFence;
use reload::Reloader;
use root::make_private;

pub use reload::Reread;

/// What the wall clock shows, for commands that ask no daemon.
pub fn now() -> crate::domain::time::Wall {
    crate::clock::wall()
}

/// What the command line hands in.
#[derive(Debug)]
pub struct Options {
    pub loaded: Loaded,
    pub again: Again,
    pub log: LogOptions,
}

/// How the configuration comes to be read again.
pub struct Again {
    pub read: Reread,
    /// Notified at SIGHUP; many count as one.
    pub hangup: Arc<Notify>,
}

impl std::fmt::Debug for Again {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Again")
    }
}

/// From the signal to the end of the last task; with the two below it stays under systemd's
/// `TimeoutStopSec=30s`.
pub const STOP_WITHIN: Duration = Duration::from_secs(20);

/// After that, what the store may take for its last writes: what is not written then, a disk that
/// hangs would not write later either, and all that was answered is durable already.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// Last, what the embedded cloud may take to answer what it was asked.
const EMBEDDED_WITHIN: Duration = Duration::from_secs(2);

/// The keys of the two listeners.
const WEBHOOK: &str = "http.webhook";
const ADMIN: &str = "http.admin";

/// Why the daemon did not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(
        "could not {what} {path}: {source}. The state directory is that of --state-dir, else \
         $STATE_DIRECTORY, else `controller.state_dir`, else .novascale beside the configuration \
         file: it must be writable"
    )]
    State { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{path} cannot be understood: {source}. Restore it, or move it away to have new \
         credentials drawn"
    )]
    Garbled { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] HttpError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Tokens(#[from] TokenError),
    #[error(
        "could not listen on {address} (`{key}`): {source}. Stop what listens there (another \
         novascale?), or give `{key}` another value"
    )]
    Listen { key: &'static str, address: std::net::SocketAddr, source: io::Error },
    #[error("a part of the daemon ended by itself: {0}")]
    Ended(&'static str),
}

/// Runs the daemon until `shutdown` is ready.
pub async fn run(options: Options, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    log::start(&options.log, || clock::wall().timestamp())?;
    let started = std::time::Instant::now();
    let app = App::start(options.loaded, options.again).await?;
    announce::ready(&app, started.elapsed());
    let ended = tokio::select! {
        biased;
        () = shutdown => Ok(()),
        part = app.broken.cancelled() => { let () = part; Err(Error::Ended("see the log above")) }
    };
    app.stop().await;
    ended
}

/// Everything that runs.
struct App {
    root: PathBuf,
    /// The lock on `root`, let go of last: until then `daemon.json` there is ours.
    held: std::fs::File,
    groups: Vec<Arc<Group>>,
    cloud: String,
    recovered: announce::Recovered,
    webhook: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    store: Arc<Sqlite>,
    lease: Lease,
    clock: Arc<dyn Clock>,
    embedded: Option<Embedded>,
    /// Cancelled first: no new pass, call or request begins.
    stopping: CancellationToken,
    /// Cancelled by a part that ended though nobody stopped it.
    broken: CancellationToken,
    tasks: TaskTracker,
}

/// What lies in the state directory, and the clock that goes on from its last note.
struct State {
    install: InstallId,
    store: Arc<Sqlite>,
    lease: Lease,
    clock: Arc<dyn Clock>,
}

impl State {
    async fn open(root: &Path, cloud: &Cloud, id: Option<InstallId>) -> Result<Self, Error> {
        let home = paths::cloud_dir(root, cloud);
        make_private(&home)?;
        let id_file = paths::install_id_file(root);
        let (install, _) = install::load_or_draw(&id_file, clock::entropy(), id)?;
        killpoint::reached("start.drawn");
        let (store, origin) = Sqlite::open(&home, StoreOptions::new(install.clone())).await?;
        let base = continued(origin.marked, clock::wall());
        let lease = store.acquire(&format!("pid {}", std::process::id())).await?;
        Ok(Self { install, store: Arc::new(store), lease, clock: Arc::new(System::new(base)) })
    }
}

impl App {
    async fn start(loaded: Loaded, again: Again) -> Result<Self, Error> {
        let running = loaded.config.clone();
        let Config { controller, cloud, http: mut settings, sources, groups } = loaded.config;
        let root = controller.state_dir;
        let held = root::claim(&root).await?;
        killpoint::reached("start.held");
        // What an earlier run left there leads nowhere.
        announce::remove_daemon_file(&root);
        let State { install, store, lease, clock } =
            State::open(&root, &cloud, controller.id).await?;
        let (stopping, broken, tasks) =
            (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
        let (embedded, cloud_settings) = reach(cloud, &root, &broken).await?;
        let name = cloud_settings.name.clone();
        let call_timeout = cloud_settings.limits.call_timeout;
        let overdue = http::probe::overdue(call_timeout);
        let transport = Arc::new(Http::new(&cloud_settings.tls)?);
        let fence =
            Arc::new(ProjectFence::new(Arc::clone(&store) as Arc<dyn Store>, lease.clone()));
        let fenced = Arc::clone(&fence) as Arc<dyn Fence>;
        let openstack = OpenStack::fenced(fenced, *cloud_settings, transport, Arc::clone(&clock));
        let counters = Counters::default();
        let groups: Vec<Arc<Group>> = groups.into_iter().map(Arc::new).collect();
        let freeze_file = FreezeFile::of(&root);
        let configured = brake::Configured::default();
        brake::configure(&configured, &groups);
        let brakes = Arc::new(Brakes::new(freeze_file.clone(), fence, Arc::clone(&configured)));
        let brake = Arc::clone(&brakes) as Arc<dyn Brake>;
        let parts = Parts {
            compute: Arc::new(openstack.clone()),
            resolve: Arc::new(openstack.clone()),
            store: Arc::clone(&store) as Arc<dyn Store>,
            lease: lease.clone(),
            clock: Arc::clone(&clock),
            install,
            watcher: Arc::new(count::Counting(counters.clone())),
            brake: Arc::clone(&brake),
            stopping: stopping.clone(),
            adopting: Arc::default(),
            broken: broken.clone(),
        };

        let recovered = announce::Recovered::read(&*store, &groups, clock.now()).await?;
        let absentees = Absentees::default();
        let absent = absentees.of(&*store, &groups, clock.now()).await?;
        let (webhook, admin) = listeners(&settings).await?;
        let wanted = &mut settings.limits.connections;
        *wanted = descriptors::connections(*wanted);
        let limits = settings.limits;
        let certificates = settings.tls.clone().map(Certificates::open).transpose()?;
        let tokens = Tokens::open(&paths::tokens_dir(&root))?;
        killpoint::reached("start.listening");
        let app = Self {
            root,
            held,
            groups,
            cloud: name,
            recovered,
            webhook: local(&webhook, WEBHOOK)?,
            admin: local(&admin, ADMIN)?,
            store,
            lease,
            clock,
            embedded,
            stopping,
            broken,
            tasks,
        };
        announce::what_runs(&app);
        announce::absent(&absent);
        let looping = TaskTracker::new();
        let mut loops = Loops::new(&parts, &looping, WAIT_MOST + call_timeout);
        let all = loops.keep(&app.groups, || clock::entropy() as u64);
        looping.close();
        let (shown, handle) = watch::channel(all.beside(absent));
        let (standing, stands) = watch::channel(Standing::taken(app.clock.now().wall));
        let sources = sources::read(&sources);
        let (sources_now, sources) = watch::channel(sources);
        let (ask, asked) = mpsc::channel(reload::WAITING_MOST);
        let watched = upkeep::Loops::new(handle.clone(), overdue);
        let loops_now = handle.clone();
        let nudge = move || loops_now.borrow().groups().for_each(GroupHandle::nudge);
        let braking = brakes.watch(nudge, app.stopping.clone());
        let (calls, breakers) = (openstack.clone(), openstack.clone());
        let face = http::App::new(http::Parts {
            handle,
            reload: Desk { ask, standing: stands },
            store: Arc::clone(&app.store) as Arc<dyn Store>,
            lease: app.lease.clone(),
            clock: Arc::clone(&app.clock),
            settings,
            overdue,
            tokens,
            sources,
            brake,
            freeze_file,
            counters: counters.clone(),
            calls: Box::new(move || calls.calls().into_iter().map(count::call).collect()),
            breakers: Box::new(move || {
                breakers.breakers().into_iter().map(count::breaker).collect()
            }),
        });
        app.serve(&face, [webhook, admin], (limits, certificates), &counters);
        let Again { read, hangup } = again;
        let reloader = Reloader {
            parts,
            running,
            loops,
            tasks: looping,
            configured,
            read,
            openstack: openstack.clone(),
            absentees,
            hangup,
            asked,
            shown,
            sources: sources_now,
            standing,
        };
        app.own("the watch of the freeze file", braking);
        app.own("reloading", reloader.run());
        app.keep_up(watched, openstack);
        killpoint::reached("start.looping");
        announce::daemon_file(&app)?;
        killpoint::reached("start.announced");
        Ok(app)
    }

    fn serve(
        &self,
        face: &http::App,
        listeners: [TcpListener; 2],
        (limits, certificates): (HttpLimits, Option<Certificates>),
        counters: &Counters,
    ) {
        let (for_senders, for_admins) = http::router(face);
        let tls = certificates.as_ref().map(Certificates::current);
        if let Some(certificates) = certificates {
            let keeping = certificates.keep(self.stopping.clone());
            self.own("the watch of the certificate", keeping);
        }
        let routers = [(for_senders, tls), (for_admins, None)];
        for (listener, router) in listeners.into_iter().zip(routers) {
            let stop = self.stopping.clone();
            let serving = http::serve(listener, router, limits, counters.clone(), stop);
            self.own("an HTTP listener", serving);
        }
    }

    fn keep_up(&self, loops: upkeep::Loops, openstack: OpenStack) {
        let keeper = upkeep::Upkeep {
            store: Arc::clone(&self.store) as Arc<dyn Store>,
            lease: self.lease.clone(),
            clock: Arc::clone(&self.clock),
            stopping: self.stopping.clone(),
            broken: self.broken.clone(),
        };
        self.own("housekeeping", keeper.clone().housekeeping());
        self.own("the watchdog", keeper.clone().watchdog(loops));
        let (stop, store) = (self.stopping.clone(), Arc::clone(&self.store));
        self.own("the store's writer", async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = store.ended() => {}
            }
        });
        self.tasks.spawn(keeper.introduce(openstack, self.groups.clone()));
        self.tasks.close();
    }

    /// Runs a part that ends only when we stop; if it ends otherwise, so does the daemon, for
    /// whoever started it to start it again whole.
    fn own(&self, what: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        let (stopping, broken) = (self.stopping.clone(), self.broken.clone());
        self.tasks.spawn(Owned { what, stopping, broken }.run(part));
    }

    /// Ends everything in order, within [`STOP_WITHIN`].
    async fn stop(self) {
        announce::stopping();
        let began = std::time::Instant::now();
        self.stopping.cancel();
        killpoint::reached("stop.begun");
        let ended = tokio::time::timeout(STOP_WITHIN, self.tasks.wait()).await.is_ok();
        killpoint::reached("stop.ended");
        let closed = tokio::time::timeout(CLOSE_WITHIN, self.close_store()).await.is_ok();
        killpoint::reached("stop.closed");
        if let Some(embedded) = self.embedded
            && tokio::time::timeout(EMBEDDED_WITHIN, embedded.stop()).await.is_err()
        {
            tracing::warn!("the embedded cloud did not end in time; its state was saved before");
        }
        announce::remove_daemon_file(&self.root);
        killpoint::reached("stop.done");
        drop(self.held);
        announce::stopped(began.elapsed(), ended, closed);
    }

    async fn close_store(&self) {
        if let Err(error) = self.store.mark_time(&self.lease, self.clock.now()).await {
            tracing::warn!("the clocks could not be noted at the end: {error}");
        }
        self.store.close().await;
    }
}

/// Tells of a part that ended though nobody stopped it, by a panic too.
struct Owned {
    what: &'static str,
    stopping: CancellationToken,
    broken: CancellationToken,
}

impl Owned {
    async fn run(self, part: impl Future<Output = ()>) {
        part.await;
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if !self.stopping.is_cancelled() {
            tracing::error!("{} ended by itself: stopping", self.what);
            self.broken.cancel();
        }
    }
}

/// The cloud's settings; the embedded cloud is started first if it is meant.
async fn reach(
    cloud: Cloud,
    root: &Path,
    broken: &CancellationToken,
) -> Result<(Option<Embedded>, Box<CloudSettings>), Error> {
    match cloud {
        Cloud::OpenStack(settings) => Ok((None, settings)),
        Cloud::Sandbox(settings) => {
            let dir = paths::sandbox_dir(root);
            let embedded = Embedded::start(&settings, &dir, broken.clone()).await?;
            killpoint::reached("start.embedded");
            let settings = embedded.settings(&settings);
            Ok((Some(embedded), Box::new(settings)))
        }
    }
}

async fn listeners(settings: &HttpSettings) -> Result<(TcpListener, TcpListener), Error> {
    let bind = async |key, address| {
        let bound = TcpListener::bind(address).await;
        bound.map_err(|source| Error::Listen { key, address, source })
    };
    Ok((bind(WEBHOOK, settings.webhook).await?, bind(ADMIN, settings.admin).await?))
}

fn local(listener: &TcpListener, key: &'static str) -> Result<std::net::SocketAddr, Error> {
    let unknown = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| Error::Listen { key, address: unknown, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn broken_by(part: impl Future<Output = ()> + Send + 'static, stopped: bool) -> bool {
        let (stopping, broken) = (CancellationToken::new(), CancellationToken::new());
        if stopped {
            stopping.cancel();
        }
        let owned = Owned { what: "a part", stopping, broken: broken.clone() };
        let _panicked = tokio::spawn(owned.run(part)).await;
        broken.is_cancelled()
    }

    #[tokio::test]
    async fn a_part_that_ends_by_itself_ends_the_daemon() {
        assert!(broken_by(async {}, false).await);
        assert!(broken_by(async { panic!("a bug") }, false).await);
        assert!(!broken_by(async {}, true).await);
    }
}
