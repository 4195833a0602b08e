//! The embedded cloud: a small OpenStack region in one process, to try novascale on and to test it
//! against.
//!
//! It answers: what would an OpenStack cloud say to this HTTP request? It speaks the real protocols
//! (OpenID Connect discovery and token endpoint, Keystone federation and catalog, Nova, and what
//! Glance and Neutron are asked), so the controller, openstacksdk and the `openstack` command line
//! all work on it. It must never be reached by another road: the controller has no shortcut into
//! it.
//!
//! The story: a request comes in by a socket ([`Sandbox::serve`]) or in process
//! ([`Sandbox::router`]). The router finds the face (`oidc.rs`, `keystone.rs`, `nova/`,
//! `glance.rs`, `neutron.rs`); the face checks token and form, takes the world's lock (`world.rs`)
//! and calls the model (`model/`), a pure state machine that gets time and dice as arguments. What
//! takes time in a cloud takes time here, by the caller's clock: nothing runs between two requests.
//! A change is written to a file before it is answered (`persist.rs`), if a directory was given.
//! On request things go wrong (`faults/`): that is for rehearsing an outage.
//!
//! One listener serves everything: `/oidc`, `/identity`, `/compute`, `/image`, `/network` below one
//! base URL.
//!
//! Absent on purpose: a clock, a random source, a log line; a secret in the saved state, an error
//! or a `Debug`.
//!
//! Read on in `model/mod.rs`.

pub mod config;
pub mod faults;
pub mod model;
pub mod persist;

mod glance;
mod http;
mod keystone;
mod neutron;
mod nova;
mod oidc;
mod world;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::config::SandboxConfig;
use self::faults::Faults;
use self::model::Model;
use self::model::dice::Dice;
use self::model::identity::Account;
use self::persist::Keeper;
use self::world::World;
use crate::config::rehearsal::Wishes;

/// Tells the time: milliseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How long requests may take to finish at the end. Every answer is ready at once, so only a client
/// that does not send the rest of its request, or does not read, is cut off.
const GRACE: Duration = Duration::from_secs(2);

/// Sets the dice of faults apart from all others.
const FAULTS: u64 = u64::MAX;

/// A running embedded cloud. Clones share one state.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<World>,
    keeper: Option<Arc<Keeper>>,
}

/// Why the embedded cloud could not start, or not go on.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The configuration makes no sense.
    #[error("the embedded cloud cannot start: {0}")]
    Config(&'static str),
    /// The saved state is there but cannot be used. It is left as it is.
    #[error(
        "the embedded cloud's state in {path} cannot be read ({why}); restore that file, \
         or move it away to begin with an empty cloud"
    )]
    Broken { path: PathBuf, why: String },
    /// The disk refused.
    #[error(
        "the embedded cloud could not {what} {path}; check that the directory exists, is \
         writable and has room"
    )]
    Disk { what: &'static str, path: PathBuf, source: std::io::Error },
    /// The listener failed.
    #[error(
        "the embedded cloud stopped listening on its socket; start it again, on another port \
         if this one is taken"
    )]
    Listener(#[source] std::io::Error),
}

impl Sandbox {
    /// Opens a cloud: the one saved in `directory`, or a new one. Without a directory nothing is
    /// kept.
    ///
    /// `seed` feeds ids and tokens. It has to be drawn from the system for a cloud that others can
    /// reach; a fixed seed gives the same cloud again, call for call.
    ///
    /// # Errors
    /// [`SandboxError::Config`] for empty credentials; [`SandboxError::Broken`] for a state that
    /// cannot be understood, which is never taken for an empty one; [`SandboxError::Disk`].
    pub async fn open(
        config: SandboxConfig,
        clock: Clock,
        seed: [u8; 32],
        directory: Option<PathBuf>,
    ) -> Result<Sandbox, SandboxError> {
        config.check()?;
        let keeper = directory.map(Keeper::new);
        let mut model = match &keeper {
            Some(keeper) => keeper.load().await?,
            None => model::Model::new(),
        };
        model.starts += 1;
        let mixed = config.rehearsal.seed.map_or(seed, of_number);
        let dice = [Dice::new(seed, model.starts), Dice::new(mixed, FAULTS)];
        let world = Arc::new(World::new(config, clock, model, dice));
        let sandbox = Sandbox { world, keeper: keeper.map(Arc::new) };
        // What hung because of faults that it has no more goes on.
        sandbox.world.wish(|wishes| wishes);
        sandbox.save().await?;
        Ok(sandbox)
    }

    /// Everything under one router, for a listener or for calls in process.
    pub fn router(&self) -> Router {
        let world = &self.world;
        Router::new()
            .merge(oidc::routes())
            .merge(keystone::routes())
            .merge(nova::routes(world))
            .merge(glance::routes(world))
            .merge(neutron::routes(world))
            .fallback(http::unknown_path)
            .layer(from_fn_with_state(self.clone(), http::mark))
            .layer(from_fn_with_state(self.clone(), faults::wire::befall))
            .merge(faults::face::routes())
            .with_state(world.clone())
    }

    /// Serves until `shutdown` is ready, then lets requests finish and saves. What was answered
    /// before is saved already.
    ///
    /// # Errors
    /// [`SandboxError::Listener`], [`SandboxError::Disk`].
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), SandboxError> {
        let (stopped, stopping) = oneshot::channel();
        let shutdown = async {
            shutdown.await;
            // Nobody waits for it any more only when serving has ended already.
            let _ = stopped.send(());
        };
        let serving = axum::serve(listener, self.router()).with_graceful_shutdown(shutdown);
        tokio::select! {
            biased;
            served = serving.into_future() => served.map_err(SandboxError::Listener)?,
            () = grace(stopping) => {}
        }
        self.save().await
    }

    /// How many calls came in since the start, by method and route, as in `GET
    /// /compute/v2.1/{project}/servers/detail`.
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.world.calls()
    }

    /// What is really there, whatever is said of it.
    pub fn inspect<T>(&self, look: impl FnOnce(&Model) -> T) -> T {
        self.world.look(look)
    }

    /// Changes what is there, as nobody can who asks by the API.
    pub fn meddle<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        self.world.change(Account::Operator, "req-by-hand", |model, _| change(model))
    }

    /// The faults that are on, and what they have done so far.
    pub fn faults<T>(&self, look: impl FnOnce(&Faults) -> T) -> T {
        self.world.faults(|faults, _| look(faults))
    }

    /// Other faults in place of those that are on; what hung because of one that is over goes on.
    pub fn wish(&self, wishes: Wishes) {
        self.world.wish(|_| wishes);
    }

    /// Writes the state to disk now.
    ///
    /// # Errors
    /// [`SandboxError::Disk`].
    pub async fn save(&self) -> Result<(), SandboxError> {
        match &self.keeper {
            Some(keeper) => keeper.save(&self.world).await,
            None => Ok(()),
        }
    }

    /// Returns once all changes that were made so far are on disk.
    ///
    /// # Errors
    /// [`SandboxError::Disk`].
    async fn cover(&self) -> Result<(), SandboxError> {
        match &self.keeper {
            Some(keeper) => keeper.cover(&self.world).await,
            None => Ok(()),
        }
    }
}

fn of_number(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

/// Ready when the time to finish is over; never, if there is no end in sight.
async fn grace(stopping: oneshot::Receiver<()>) {
    match stopping.await {
        Ok(()) => tokio::time::sleep(GRACE).await,
        Err(_) => std::future::pending().await,
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").field("config", &self.world.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
