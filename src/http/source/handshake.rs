//! Which methods a source takes, and the handshake that senders of CloudEvents ask for.
//!
//! Such a sender asks by OPTIONS whether its events are wanted, and how many. The answer promises
//! nothing of authentication; a credential that is shown has to be right all the same.
//! Source: cloudevents/spec `cloudevents/http-webhook.md` § 4.

use axum::http::header::{ALLOW, AUTHORIZATION};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::door::Shown;
use super::keys::Keyed;
use super::{App, Kind, Peer, Problem, enter};
use crate::config::source::Format;

const REQUEST_ORIGIN: &str = "webhook-request-origin";
const ALLOWED_ORIGIN: &str = "webhook-allowed-origin";
const ALLOWED_RATE: &str = "webhook-allowed-rate";

/// The answer to a request that delivers nothing, if it is one.
pub(super) fn answer(
    app: &App,
    keyed: &Keyed,
    shown: &Shown<'_>,
    parts: &Parts,
) -> Option<Result<Response, Problem>> {
    if parts.method == Method::POST || parts.method == Method::PUT {
        return None;
    }
    let events = keyed.source.format == Format::CloudEvents;
    if events && parts.method == Method::OPTIONS {
        return Some(permission(app, keyed, shown, parts));
    }
    let problem = Problem::new(Kind::WrongMethod, "a source does not take this method")
        .hint("the header Allow lists its methods");
    Some(Ok(allowing(events, problem.into_response())))
}

fn permission(
    app: &App,
    keyed: &Keyed,
    shown: &Shown<'_>,
    parts: &Parts,
) -> Result<Response, Problem> {
    if shown.url.is_some() || parts.headers.contains_key(AUTHORIZATION) {
        enter(app, keyed, shown, parts.extensions.get::<Peer>().copied())?;
    }
    let mut response = allowing(true, StatusCode::OK.into_response());
    // Who does not say who it is asks for no permission.
    if let Some(origin) = parts.headers.get(REQUEST_ORIGIN) {
        let rate = app.settings().limits.signals_per_second.max(1).saturating_mul(60);
        let headers = response.headers_mut();
        headers.insert(ALLOWED_ORIGIN, origin.clone());
        headers.insert(ALLOWED_RATE, HeaderValue::from(rate));
    }
    Ok(response)
}

fn allowing(events: bool, mut response: Response) -> Response {
    let methods = if events { "POST, PUT, OPTIONS" } else { "POST, PUT" };
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    response
}
