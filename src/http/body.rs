//! A body is taken before its route answers: whole, small enough, in time, and JSON by
//! its headers. What is wrong with it costs us no more than these limits.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::App;
use super::error::{Kind, Problem};
use crate::domain::time::spoken;

/// The body of the request, whole.
#[derive(Debug, Clone)]
pub(super) struct Taken(pub Bytes);

/// Takes the body, then lets the route answer.
pub(super) async fn take(
    State(app): State<App>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let limits = &app.settings().limits;
    let (mut parts, body) = request.into_parts();
    is_json(&parts.headers)?;
    let body = read(&parts.headers, body, limits.body_bytes, limits.request_timeout).await?;
    parts.extensions.insert(Taken(body));
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

/// `application/json`, with no parameter but `charset=utf-8`, and no encoding (RFC 9110 § 8).
fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    is_plain(headers)?;
    let types: Vec<_> = headers.get_all(CONTENT_TYPE).iter().collect();
    let fits = matches!(types.as_slice(), [one] if one.to_str().is_ok_and(json_type));
    if fits {
        return Ok(());
    }
    Err(Problem::new(Kind::WrongType, "the body must be of Content-Type application/json")
        .hint("send the header `Content-Type: application/json`"))
}

/// No encoding (RFC 9110 § 8.4).
pub(super) fn is_plain(headers: &HeaderMap) -> Result<(), Problem> {
    if headers.get_all(CONTENT_ENCODING).iter().all(|value| value == "identity") {
        return Ok(());
    }
    Err(Problem::new(Kind::Encoded, "an encoded body is not taken")
        .hint("send the JSON as it is, without Content-Encoding"))
}

fn json_type(value: &str) -> bool {
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().unwrap_or_default();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|p| p.replace('"', "").eq_ignore_ascii_case("charset=utf-8"))
}

pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    most: usize,
    patience: Duration,
) -> Result<Bytes, Problem> {
    let announced = headers.get(CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n| usize::try_from(n).map_or(true, |n| n > most)) {
        return Err(too_large(most));
    }
    match timeout(patience, Limited::new(body, most).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(_)) => Err(Problem::new(Kind::Malformed, "the body broke off")),
        Err(_) => Err(Problem::new(
            Kind::SlowBody,
            format!("the body did not arrive within {}", spoken(patience)),
        )),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is longer than the {most} bytes allowed"))
        .hint("send fewer samples at a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_json_is_taken() {
        let cases = [
            ("application/json", true),
            ("Application/JSON; charset=UTF-8", true),
            ("application/json; charset=\"utf-8\"", true),
            ("application/json; charset=latin1", false),
            ("application/json, text/plain", false),
            ("text/json", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ];
        for (value, fits) in cases {
            assert_eq!(json_type(value), fits, "{value}");
        }
    }
}
