//! How wrong answers look.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde_json::json;

use super::fate::{After, Call};
use crate::cloud::sandbox::http::{json as answer, with_header};
use crate::cloud::sandbox::model::Millis;
use crate::cloud::sandbox::nova;

/// No answer: whoever reads it finds the connection closed.
pub(super) fn nothing() -> Response {
    broken(Bytes::new())
}

/// Some bytes, and then the connection breaks.
fn broken(begin: Bytes) -> Response {
    let cut = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let frames = if begin.is_empty() { vec![Err(cut)] } else { vec![Ok(begin), Err(cut)] };
    Response::new(Body::from_stream(stream::iter(frames)))
}

/// An error in OpenStack's own words.
pub(super) fn error(call: Call, status: u16) -> Response {
    let message = match (status, call) {
        (403, Call::Create) => {
            "Policy doesn't allow os_compute_api:servers:create to be performed."
        }
        (403, _) => "Policy doesn't allow os_compute_api:servers:delete to be performed.",
        (400, _) => "Image is not active.",
        (409, _) => "Cannot 'delete' instance while it is in task_state image_snapshot",
        (503, _) => "The server is currently unavailable. Please try again at a later time.",
        _ => "Unexpected API Error. This is a fault of the rehearsal, not of the cloud.",
    };
    if call == Call::SignIn {
        return answer(status, &json!({ "error": { "code": status, "message": message } }));
    }
    nova::fault(status, message)
}

/// A page of something between the client and the cloud.
pub(super) fn page(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let title = status.canonical_reason().unwrap_or_default();
    let page = format!(
        "<html><head><title>{title}</title></head><body><h1>{title}</h1><hr>nginx</body></html>"
    );
    (status, [(header::CONTENT_TYPE, "text/html")], page).into_response()
}

pub(super) fn busy(after: After, now: Millis) -> Response {
    let answer = nova::fault(429, "This request was rate-limited.");
    // What counts is the difference of the two: each side has a clock of its own.
    let answer = with_header(answer, "date", &date(now));
    match after {
        After::Unsaid => answer,
        After::Seconds(n) => with_header(answer, "retry-after", &n.to_string()),
        After::Date(n) => with_header(answer, "retry-after", &date(now + n * 1_000)),
        After::Absurd => with_header(answer, "retry-after", "99999999999"),
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 § 5.6.7).
fn date(at: Millis) -> String {
    let instant = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
    DateTimePrinter::new().timestamp_to_rfc9110_string(&instant).unwrap_or_default()
}

/// The first half of an answer.
pub(super) async fn half(answer: Response, cut: bool) -> Response {
    let (mut head, body) = answer.into_parts();
    let whole = match body.collect().await {
        Ok(whole) => whole.to_bytes(),
        Err(_) => Bytes::new(),
    };
    head.headers.remove(header::CONTENT_LENGTH);
    let begin = whole.slice(..whole.len() / 2);
    let body = if cut { broken(begin).into_body() } else { Body::from(begin) };
    Response::from_parts(head, body)
}

/// Nova's answer as if it had not understood which version was asked for.
pub(super) fn old_version(mut answer: Response) -> Response {
    for (name, version) in
        [("openstack-api-version", "compute 2.1"), ("x-openstack-nova-api-version", "2.1")]
    {
        answer.headers_mut().insert(name, HeaderValue::from_static(version));
    }
    answer
}
