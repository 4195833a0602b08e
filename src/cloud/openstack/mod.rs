//! The conversation with a real cloud: Keystone, Nova, Glance, Neutron over HTTP.
//!
//! It answers what [`Compute`] and [`Resolve`] ask, and nothing else: it decides nothing,
//! keeps no state but tokens and looked-up ids, and never repeats what may have been done.
//! No token leaves it, in no log and no error.
//!
//! A call's way: `compute.rs` builds it from the catalog's endpoint (`catalog.rs`) and the
//! region's version (`microversion.rs`); `session.rs` puts the token on it (`auth.rs`), which
//! it renews after a 401; `link.rs` sends it, through the throttle, over a
//! [`transport::Transport`]; `wire.rs` reads a success, `error.rs` a refusal. Read
//! `session.rs` first: it holds the only two repetitions there are.

use std::sync::Arc;

use async_trait::async_trait;

use super::stats::CallCount;
use super::throttle::Class;
use super::{Audit, Compute, Create, Deleted, Fence, Marks, MayDelete, Resolve, Resolved, Wanted};
use crate::config::CloudSettings;
use crate::domain::id::{Region, ServerId, Tag};
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::server::Server;
use crate::domain::time::Clock;

mod auth;
mod call;
mod catalog;
mod compute;
mod error;
mod image;
mod link;
mod marks;
mod microversion;
mod network;
mod resolve;
mod session;
pub mod transport;
mod wire;

pub use auth::SignedIn;
pub use call::Service;

use auth::Keeper;
use catalog::Trust;
use compute::Nova;
use link::Link;
use resolve::Names;
use session::Session;
use transport::Transport;

/// One cloud, signed in to as one account in one project. Clones share everything.
#[derive(Clone)]
pub struct OpenStack {
    session: Arc<Session>,
    nova: Arc<Nova>,
    names: Arc<Names>,
}

impl OpenStack {
    /// Nothing is sent before the first call.
    pub fn new(
        settings: CloudSettings,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::behind(None, settings, transport, clock)
    }

    /// The same, where not every project that a token may be for is the right one.
    pub fn fenced(
        fence: Arc<dyn Fence>,
        settings: CloudSettings,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self::behind(Some(fence), settings, transport, clock)
    }

    fn behind(
        fence: Option<Arc<dyn Fence>>,
        settings: CloudSettings,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let trust = Arc::new(Trust::of(&settings));
        let link = Arc::new(Link::new(transport, clock, settings.limits, settings.allow_http));
        let keeper = Keeper::new(Arc::clone(&link), settings.auth, Arc::clone(&trust), fence);
        let session = Arc::new(Session::new(link, keeper, trust));
        let nova = Arc::new(Nova::new(Arc::clone(&session)));
        let names = Arc::new(Names::new(Arc::clone(&session), Arc::clone(&nova)));
        Self { session, nova, names }
    }

    /// Signs in, unless that was done. The failure names the step, the likely cause and the
    /// key to mend.
    pub async fn sign_in(&self) -> Result<SignedIn, Failure> {
        Ok(self.session.keeper.ticket().await?.record.clone())
    }

    /// The microversion spoken with the region's Nova, as `2.75`; asked of it once.
    pub async fn microversion(&self, region: &Region) -> Result<String, Failure> {
        self.nova.version(region).await.map(|version| version.to_string())
    }

    /// Of each service that was asked so far, by class of call, whether it is left alone now.
    pub fn breakers(&self) -> Vec<(String, Class, bool)> {
        self.session.link.throttle.breakers()
    }

    /// Calls so far, by service, method and outcome.
    pub fn calls(&self) -> Vec<CallCount> {
        self.session.link.stats.calls()
    }
}

#[async_trait]
impl Compute for OpenStack {
    async fn list(&self, region: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        self.nova.list(region, tags).await
    }

    async fn audit(&self, region: &Region) -> Result<Audit, Failure> {
        self.nova.audit(region).await
    }

    async fn get(&self, region: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        self.nova.get(region, id).await
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        let result = self.nova.create(request).await;
        if result.as_ref().is_err_and(|f| f.kind == FailureKind::Refused && f.key.is_some()) {
            self.names.forget(&request.region);
        }
        result
    }

    async fn adopt(&self, request: &Marks) -> Result<(), Failure> {
        self.nova.mark(request).await
    }

    async fn delete(&self, region: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        self.nova.delete(region, &permit).await
    }
}

#[async_trait]
impl Resolve for OpenStack {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        self.names.resolve(wanted).await
    }

    fn forget(&self, region: &Region) {
        self.names.forget(region);
    }
}
