//! One sign-in from its first request to a ticket, on its own: whoever waits for it may stop,
//! and another may take it on where it stands.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Method;
use url::Url;

use super::identity::{self, IssuedTicket};
use super::{SignedIn, Ticket, oidc};
use crate::cloud::openstack::call::{Call, Service, below};
use crate::cloud::openstack::catalog::Trust;
use crate::cloud::openstack::compute::gone;
use crate::cloud::openstack::link::Link;
use crate::cloud::{Fence, Inside};
use crate::config::cloud::Auth;
use crate::domain::id::{Region, ServerId};
use crate::domain::outcome::Failure;
use crate::domain::time::Now;

/// How long before its end a token is renewed: keystoneauth's `MIN_TOKEN_LIFE_SECONDS`, but
/// at most a fifth of its life, or a short-lived token would be renewed at every call.
const MARGIN: Duration = Duration::from_secs(120);

/// A token that was just issued is used for so long whatever its expiry says: clocks differ.
const FRESH: Duration = Duration::from_secs(5);

/// A sign-in under way.
pub(super) type Attempt = Pin<Box<dyn Future<Output = Landed> + Send>>;

/// How it ended, and the token endpoint to remember.
pub(super) struct Landed {
    pub result: Result<Ticket, Failure>,
    pub discovered: Option<Url>,
}

/// With what one signs in.
#[derive(Clone)]
pub(super) struct SignIn {
    pub link: Arc<Link>,
    pub auth: Arc<Auth>,
    pub trust: Arc<Trust>,
    /// Which project a token may be for.
    pub fence: Option<Arc<dyn Fence>>,
}

/// The project of a ticket that nobody has been given yet.
struct Unadmitted<'a> {
    how: &'a SignIn,
    ticket: &'a Ticket,
}

impl SignIn {
    /// A sign-in that does not begin before it is waited for.
    pub(super) fn begin(&self, discovered: Option<Url>) -> Attempt {
        let (how, mut discovered) = (self.clone(), discovered);
        Box::pin(async move {
            let began = how.link.now();
            let issued = how.issue(&mut discovered).await;
            let ticket = issued.map(|issued| how.ticket(issued, began));
            Landed { result: how.fenced(ticket).await, discovered }
        })
    }

    /// A token for another project is as good as none.
    async fn fenced(&self, ticket: Result<Ticket, Failure>) -> Result<Ticket, Failure> {
        let ticket = ticket?;
        if let Some(fence) = &self.fence {
            let inside = Unadmitted { how: self, ticket: &ticket };
            fence.admit(&ticket.record.project.0, &inside).await?;
        }
        Ok(ticket)
    }

    async fn issue(&self, discovered: &mut Option<Url>) -> Result<IssuedTicket, Failure> {
        match &*self.auth {
            Auth::OidcClientCredentials(oidc) => {
                let unscoped = oidc::unscoped(&self.link, oidc, discovered).await?;
                identity::rescope(&self.link, oidc, unscoped).await
            }
            Auth::ApplicationCredential(credential) => {
                identity::application_credential(&self.link, credential).await
            }
            Auth::Password(password) => identity::password(&self.link, password).await,
            Auth::Token(token) => identity::token(&self.link, token).await,
        }
    }

    /// Life is counted on the steady clock, so that neither a wrong nor a jumping wall clock
    /// here matters: from the server's own time to the expiry, and from the sign-in's beginning,
    /// for nobody knows how long its answer lay unread.
    fn ticket(&self, issued: IssuedTicket, began: Now) -> Ticket {
        let renewable = !matches!(*self.auth, Auth::Token(_));
        let life = issued.expires_at.since(issued.server_time.unwrap_or(began.wall));
        let margin = if renewable { MARGIN.min(life / 5) } else { Duration::ZERO };
        let issued_at = self.link.now().steady;
        let fresh = issued_at.plus(FRESH);
        Ticket {
            record: SignedIn {
                project: issued.project,
                user: issued.user,
                roles: issued.roles,
                expires_at: issued.expires_at,
                renewable,
            },
            token: issued.token,
            catalog: issued.catalog,
            issued: issued_at,
            misleads: AtomicBool::new(false),
            refresh_from: began.steady.plus(life - margin).max(fresh),
            dies: began.steady.plus(life).max(fresh),
        }
    }
}

#[async_trait]
impl Inside for Unadmitted<'_> {
    async fn has(&self, region: &Region, id: &ServerId) -> Result<bool, Failure> {
        let Self { how, ticket } = self;
        let base = ticket.catalog.endpoint(Service::Compute, region, &how.trust)?;
        let url = below(&base, &["servers", id.as_str()]);
        let call = Call::new(Service::Compute, Method::GET, "/servers/{id}", url).region(region);
        let answer = how.link.send(&call.header("x-auth-token", ticket.token.clone())).await?;
        match answer.success() {
            Ok(_) => Ok(true),
            Err(failure) if gone(&failure, id) => Ok(false),
            Err(failure) => Err(failure),
        }
    }
}
