//! Calls with a token, and the only two repetitions there are.
//!
//! A call refused with 401 is made once more with a renewed token: the token check sits in
//! front of the service, so nothing had been done, not even by a POST
//! (keystonemiddleware/auth_token). A 401 to a create that is not the token check's is no
//! such proof: it is an outcome, and the token is doubted. A service that refuses a token
//! which was just issued is left alone for a while; for all others the token stays good. A GET
//! that failed in a way that says nothing is read once more. Everything else is an outcome.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::auth::{HOLD_DENIED, Keeper, Ticket};
use super::call::{Call, Service, below};
use super::catalog::Trust;
use super::error::{not_sent, unreadable};
use super::link::{Answered, Link};
use super::transport::Response;
use crate::domain::id::Region;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::Steady;

/// One signed-in conversation with one cloud.
pub(super) struct Session {
    pub link: Arc<Link>,
    pub keeper: Keeper,
    pub trust: Arc<Trust>,
    /// Which service in which region refused a fresh token, and until when that is believed.
    refused: Mutex<BTreeMap<String, (Steady, Failure)>>,
}

impl Session {
    pub(super) fn new(link: Arc<Link>, keeper: Keeper, trust: Arc<Trust>) -> Self {
        Self { link, keeper, trust, refused: Mutex::default() }
    }

    /// The base URL of a service, as the current catalog has it. Fails with a certain kind
    /// only: nothing was asked of the service yet.
    pub(super) async fn endpoint(&self, service: Service, region: &Region) -> Result<Url, Failure> {
        let ticket = self.keeper.ticket().await.map_err(not_sent)?;
        let found = ticket.catalog.endpoint(service, region, &self.trust);
        found.inspect_err(|_| self.keeper.misled(&ticket))
    }

    /// A call to a service in a region, without its token.
    pub(super) async fn prepare(
        &self,
        service: Service,
        region: &Region,
        method: Method,
        template: &'static str,
        path: &[&str],
    ) -> Result<Call, Failure> {
        let base = self.endpoint(service, region).await?;
        Ok(Call::new(service, method, template, below(&base, path)).region(region))
    }

    /// The id of the project that we are signed in to.
    pub(super) async fn project(&self) -> Result<String, Failure> {
        let ticket = self.keeper.ticket().await.map_err(not_sent)?;
        Ok(ticket.record.project.0.clone())
    }

    /// Makes one call with a token; any success (2xx) is returned.
    pub(super) async fn call(&self, call: &Call) -> Result<Response, Failure> {
        self.held(call)?;
        let ticket = self.keeper.ticket().await.map_err(not_sent)?;
        let first = self.send(call, &ticket).await?;
        if first.response.status != StatusCode::UNAUTHORIZED {
            return first.success();
        }
        if first.failure.as_ref().is_some_and(|failure| !failure.kind.certain()) {
            self.keeper.doubt(&ticket);
            return first.success();
        }
        let renewed = self.keeper.renew(&ticket).await.map_err(not_sent)?;
        let second = self.send(call, &renewed).await?;
        if second.response.status == StatusCode::UNAUTHORIZED
            && let Some(failure) = &second.failure
            && failure.kind == FailureKind::Denied
        {
            self.hold(call, failure);
        }
        second.success()
    }

    /// Signing in once more would not help: this service says no to fresh tokens.
    fn hold(&self, call: &Call, failure: &Failure) {
        let until = self.link.now().steady.plus(HOLD_DENIED);
        self.refused().insert(call.whom(), (until, failure.clone()));
    }

    fn held(&self, call: &Call) -> Result<(), Failure> {
        let (now, whom) = (self.link.now().steady, call.whom());
        let refused = self.refused();
        let Some((until, failure)) = refused.get(&whom).filter(|(until, _)| now < *until) else {
            return Ok(());
        };
        let message =
            format!("not sent: a fresh token was refused a moment ago: {}", failure.message);
        let retry_after = Some(until.since(now));
        Err(Failure { message, retry_after, ..failure.clone() })
    }

    fn refused(&self) -> MutexGuard<'_, BTreeMap<String, (Steady, Failure)>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, call: &Call, ticket: &Ticket) -> Result<Answered, Failure> {
        self.link.send(&call.clone().header("x-auth-token", ticket.token.clone())).await
    }

    /// Reads what a GET answers, once more if the first time says nothing: no answer, a 5xx,
    /// or one that `accept` cannot use.
    pub(super) async fn read<T>(
        &self,
        call: &Call,
        accept: impl Fn(&Response) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        debug_assert_eq!(call.method, Method::GET, "only a GET may be repeated");
        let once = async || accept(&self.call(call).await?);
        match once().await {
            Err(failure) if says_nothing(&failure) => once().await,
            result => result,
        }
    }

    /// The same for a JSON body.
    pub(super) async fn read_json<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        self.read(call, |answer| json(call, answer)).await
    }
}

fn says_nothing(failure: &Failure) -> bool {
    // A 404 of a stranger would be the same again.
    let clear = failure.status.is_some_and(|status| (400..500).contains(&status));
    matches!(failure.kind, FailureKind::Unclear | FailureKind::Unreached) && !clear
}

pub(super) fn json<T: DeserializeOwned>(call: &Call, answer: &Response) -> Result<T, Failure> {
    serde_json::from_slice(&answer.body).map_err(|e| unreadable(call, answer, misread(&e)))
}

/// What is wrong with the JSON, without the text that stands where another kind was expected:
/// it may be anything, and what we sent among it.
fn misread(error: &serde_json::Error) -> String {
    let whole = error.to_string();
    match (whole.find('"'), whole.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            format!("{}\"…\"{}", &whole[..first], &whole[last + 1..])
        }
        _ => whole,
    }
}
