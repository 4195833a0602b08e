//! A body is taken before its route answers: whole, small enough, in time, and JSON by
//! its headers. What is wrong with it costs us no more than these limits.

use std::error::Error;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time::timeout;

use super::App;
use super::error::{Kind, Problem};
use crate::domain::time::spoken;

/// The body of the request, whole.
#[derive(Debug, Clone)]
pub(super) struct Taken(pub Bytes);

/// Takes the body from the request, for its route.
pub(super) async fn take(app: &App, request: Request) -> Result<Request, Problem> {
    let limits = &app.settings().limits;
    let (mut parts, body) = request.into_parts();
    is_json(&parts.headers)?;
    let body = read(&parts.headers, body, limits.body_bytes, limits.request_timeout).await?;
    parts.extensions.insert(Taken(body));
    Ok(Request::from_parts(parts, Body::empty()))
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
    match timeout(patience, whole(Limited::new(body, most))).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Ok(Err(_)) => Err(Problem::new(Kind::Malformed, "the body broke off")),
        Err(_) => Err(Problem::new(
            Kind::SlowBody,
            format!("the body did not arrive within {}", spoken(patience)),
        )),
    }
}

/// One piece, into which each chunk goes as it comes: kept apart, chunks of one byte would take
/// forty times their length, and the limit is meant for memory.
async fn whole(mut body: Limited<Body>) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame?.into_data() {
            all.extend_from_slice(&chunk);
        }
    }
    Ok(all.into())
}

fn too_large(most: usize) -> Problem {
    Problem::new(Kind::TooLarge, format!("the body is longer than the {most} bytes allowed"))
        .hint("send fewer samples at a time")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::StreamExt as _;

    use super::*;

    /// A byte that is counted for as long as it is kept.
    struct Counted(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            b"x"
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    #[tokio::test]
    async fn chunks_are_let_go_as_they_come() {
        let kept = Arc::new(AtomicUsize::new(0));
        let (counter, most) = (Arc::clone(&kept), Arc::new(AtomicUsize::new(0)));
        let seen = Arc::clone(&most);
        let chunks = futures_util::stream::iter(0..1000).map(move |_| {
            seen.fetch_max(1 + counter.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_owner(Counted(Arc::clone(&counter))))
        });
        let body = Body::from_stream(chunks);
        let patience = Duration::from_secs(60);
        let whole = read(&HeaderMap::new(), body, 1000, patience).await.unwrap();
        assert_eq!(whole.len(), 1000);
        assert!(most.load(Ordering::Relaxed) <= 2, "chunks are kept: {most:?}");
        assert_eq!(kept.load(Ordering::Relaxed), 0);
    }

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
