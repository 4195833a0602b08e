//! Calls with a token, and the only two repetitions there are.
//!
//! A call refused with 401 is made once more with a renewed token: the token check sits in
//! front of the service, so nothing had been done, not even by a POST
//! (keystonemiddleware/auth_token). A 401 to a create that is not the token check's is no
//! such proof: it is an outcome, and the token is doubted. A GET that failed in a way that says nothing is read
//! once more. Everything else is an outcome.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use url::Url;

use super::auth::{Keeper, Ticket};
use super::call::{Call, Service, below};
use super::catalog::Trust;
use super::error::{not_sent, unreadable};
use super::link::{Answered, Link};
use super::transport::Response;
use crate::domain::id::Region;
use crate::domain::outcome::{Failure, FailureKind};

/// One signed-in conversation with one cloud.
pub(super) struct Session {
    pub link: Arc<Link>,
    pub keeper: Keeper,
    pub trust: Trust,
}

impl Session {
    /// The base URL of a service, as the current catalog has it. Fails with a certain kind
    /// only: nothing was asked of the service yet.
    pub(super) async fn endpoint(&self, service: Service, region: &Region) -> Result<Url, Failure> {
        let ticket = self.keeper.ticket().await.map_err(not_sent)?;
        ticket.catalog.endpoint(service, region, &self.trust)
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
        {
            self.keeper.distrust(&renewed, failure).await;
        }
        second.success()
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
    serde_json::from_slice(&answer.body).map_err(|e| unreadable(call, answer, e))
}
