//! Sends one call once: judged, paced, bounded, counted and logged, whatever comes back.
//!
//! It knows no tokens and repeats nothing. What it hears it reports to the throttle and the
//! counters; a log line holds service, method, path template, status, time and request ids,
//! never a body or a header. Read on in `session.rs` for calls with a token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_LENGTH, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use sha2::{Digest, Sha256};

use super::call::{Call, Service};
use super::error::{self, Patience};
use super::transport::{self, Request, Response, Transport};
use crate::cloud::stats::Stats;
use crate::cloud::throttle::{Heard, Throttle};
use crate::config::cloud::Limits;
use crate::domain::outcome::{Failure, FailureKind};
use crate::domain::time::{Clock, Now};
use crate::killpoint;

/// Whom we call through, and how much.
pub(super) struct Link {
    transport: Arc<dyn Transport>,
    pub throttle: Throttle,
    pub stats: Stats,
    clock: Arc<dyn Clock>,
    limits: Limits,
    allow_http: bool,
    ids: RequestIds,
}

/// An answer, and what it means if it is not a success.
pub(super) struct Answered {
    pub response: Response,
    pub failure: Option<Failure>,
}

impl Answered {
    /// The answer if it is a success (2xx).
    pub(super) fn success(self) -> Result<Response, Failure> {
        self.failure.map_or(Ok(self.response), Err)
    }
}

impl Link {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
        limits: Limits,
        allow_http: bool,
    ) -> Self {
        let throttle = Throttle::new(&limits, Arc::clone(&clock));
        let ids = RequestIds::since(clock.now());
        Self { transport, throttle, stats: Stats::default(), clock, limits, allow_http, ids }
    }

    pub(super) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(super) fn allow_http(&self) -> bool {
        self.allow_http
    }

    /// Makes the call once. An error means that there is no answer: it was not sent, or
    /// what became of it is unknown, as the failure's kind says.
    pub(super) async fn send(&self, call: &Call) -> Result<Answered, Failure> {
        transport::guard(&call.url, self.allow_http).map_err(|why| {
            let message = format!("{call}: not sent: {why}");
            Failure::new(FailureKind::Refused, message)
                .hint("Configure an https address; cloud.allow_http permits plain http.")
        })?;
        let pass = self.throttle.enter(&call.whom(), call.class()).await?;
        self.still_meant(call).await?;
        let (request, id) = self.request(call);
        let began = self.now();
        let result = self.transport.send(request).await;
        came_back(call);
        let took = self.now().steady.since(began.steady);
        let patience = Patience { now: self.now().wall, most: self.limits.retry_after_most };
        let result = match result {
            Ok(response) => {
                let failure = error::failure(call, &response, patience);
                Ok(Answered { response, failure })
            }
            Err(error) => Err(error::unanswered(call, &error)),
        };
        pass.heard(heard(&result));
        self.note(call, &result, took, &id);
        result
    }

    /// Signing in, or waiting for its turn, may have taken longer than a change's plan is good
    /// for; and its group may have been frozen meanwhile.
    async fn still_meant(&self, call: &Call) -> Result<(), Failure> {
        if let Some(leave) = &call.leave
            && let Some(why) = leave.refused().await
        {
            return Err(Failure::new(FailureKind::Held, why));
        }
        if call.not_after.is_some_and(|end| self.now().steady > end) {
            let message = format!("{call}: not sent: its plan had grown old before its turn came");
            return Err(Failure::new(FailureKind::Busy, message)
                .hint("The cloud is slow, or more is asked of it than cloud.limits allow."));
        }
        Ok(())
    }

    fn request(&self, call: &Call) -> (Request, String) {
        let mut request =
            Request::new(call.method.clone(), call.url.clone(), self.limits.call_timeout)
                .header(ACCEPT, HeaderValue::from_static("application/json"));
        let id = self.ids.draw();
        if let Ok(value) = HeaderValue::from_str(&id) {
            request = request.header(HeaderName::from_static("x-openstack-request-id"), value);
        }
        request.headers.extend(call.headers.iter().cloned());
        if call.body.is_empty() && call.method == Method::POST {
            // Some proxies answer 411 to a POST without it.
            request = request.header(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request.body.clone_from(&call.body);
        (request, id)
    }

    fn note(&self, call: &Call, result: &Result<Answered, Failure>, took: Duration, id: &str) {
        let (status, failure) = match result {
            Ok(answered) => (answered.response.status.as_u16(), answered.failure.as_ref()),
            Err(failure) => (0, Some(failure)),
        };
        let outcome = failure.map_or("ok", |f| f.kind.word());
        self.stats.note(call.service.word(), call.method.as_str(), outcome);
        let answered = result.as_ref().ok().and_then(|a| error::request_id(&a.response));
        tracing::debug!(
            cloud.service = call.service.word(),
            cloud.region = call.region.as_ref().map(|r| r.as_str()),
            http.method = call.method.as_str(),
            http.path = call.template,
            http.status = status,
            outcome,
            duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            request_id = answered,
            our_request_id = id,
            "called the cloud"
        );
    }
}

fn came_back(call: &Call) {
    match (call.service, call.method.as_str(), call.template) {
        (Service::Compute, "POST", "/servers") => killpoint::reached("link.create"),
        (Service::Compute, "DELETE", "/servers/{id}") => killpoint::reached("link.delete"),
        (Service::Compute, "PUT", _) => killpoint::reached("link.tag"),
        (Service::Compute, "POST", _) => killpoint::reached("link.metadata"),
        (Service::Compute, "DELETE", _) => killpoint::reached("link.untag"),
        _ => {}
    }
}

fn heard(result: &Result<Answered, Failure>) -> Heard {
    match result {
        Ok(Answered { response, failure }) => Heard {
            busy: failure.as_ref().is_some_and(|f| f.kind == FailureKind::Busy)
                || response.status == StatusCode::SERVICE_UNAVAILABLE,
            after: failure.as_ref().and_then(|f| f.retry_after),
            broken: response.status.is_server_error(),
        },
        Err(_) => Heard { broken: true, ..Heard::default() },
    }
}

/// Our own request ids: services log them beside theirs, so that a call can be found again.
/// Nova and Keystone take only `req-` and a UUID (oslo.middleware request_id.py).
struct RequestIds {
    seed: [u8; 32],
    drawn: AtomicU64,
}

impl RequestIds {
    /// Told apart by the instant of the start: they need not be secret.
    fn since(start: Now) -> Self {
        let seed = Sha256::digest(format!("{} {}", start.wall.0, start.steady.0)).into();
        Self { seed, drawn: AtomicU64::new(0) }
    }

    fn draw(&self) -> String {
        let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
        let digest = Sha256::new().chain_update(self.seed).chain_update(drawn.to_be_bytes());
        let hex: String = digest.finalize().iter().take(16).map(|b| format!("{b:02x}")).collect();
        let (a, b, c, d) = (&hex[..8], &hex[8..12], &hex[13..16], &hex[17..20]);
        format!("req-{a}-{b}-4{c}-8{d}-{}", &hex[20..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_have_the_form_that_services_keep() {
        let ids = RequestIds::since(Now::default());
        let (first, second) = (ids.draw(), ids.draw());
        assert_ne!(first, second);
        let lengths: Vec<usize> = first.split('-').map(str::len).collect();
        assert_eq!(lengths, [3, 8, 4, 4, 4, 12], "{first}");
    }
}
