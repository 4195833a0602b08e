//! From failure to status: the only table of it.
//!
//! Every refusal is an RFC 9457 problem document (`application/problem+json`) with
//! members of ours: `code`, a word that programs may branch on; `hint`, what to do next;
//! `pointer`, where in the body the fault lies (RFC 6901); and, of a configuration file that is
//! refused, `report` and `faults`. The type is `about:blank`,
//! so the title is the status' phrase. Texts of the store or the operating system stay
//! in the log: a stranger learns what to do, not where our files lie.

use std::any::Any;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;

use super::tokens::Scope;
use crate::config::Faults;
use crate::store::StoreError;

/// Why a request was refused, as far as the status depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The body is not JSON at all.
    Malformed,
    /// The query does not read.
    BadQuery,
    /// An `Idempotency-Key` that breaks its rule.
    BadKey,
    NoToken,
    BadToken,
    WrongScope,
    UnknownGroup,
    NoRoute,
    WrongMethod,
    /// The body did not arrive in time.
    SlowBody,
    TooLarge,
    WrongType,
    Encoded,
    /// The body is JSON, but not what the route takes.
    Invalid,
    KeyReused,
    Limit,
    /// The configuration file is not valid.
    BadConfig,
    /// The group is known, but not configured.
    NotConfigured,
    TooFast,
    /// Too many requests at once, over all senders.
    Overloaded,
    /// The answer was not ready in time.
    Late,
    StoreUnavailable,
    Fenced,
    NotReady,
    NotAlive,
    Broken,
}

impl Kind {
    fn status_and_code(self) -> (StatusCode, &'static str) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed"),
            Self::BadQuery => (StatusCode::BAD_REQUEST, "invalid-query"),
            Self::BadKey => (StatusCode::BAD_REQUEST, "invalid-idempotency-key"),
            Self::NoToken => (StatusCode::UNAUTHORIZED, "token-missing"),
            Self::BadToken => (StatusCode::UNAUTHORIZED, "token-unknown"),
            Self::WrongScope => (StatusCode::FORBIDDEN, "wrong-scope"),
            Self::UnknownGroup => (StatusCode::NOT_FOUND, "unknown-group"),
            Self::NoRoute => (StatusCode::NOT_FOUND, "no-such-route"),
            Self::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "wrong-method"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "body-too-slow"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large"),
            Self::WrongType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong-content-type"),
            Self::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-encoding"),
            Self::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused"),
            Self::Limit => (StatusCode::UNPROCESSABLE_ENTITY, "limit"),
            Self::BadConfig => (StatusCode::UNPROCESSABLE_ENTITY, "configuration-invalid"),
            Self::NotConfigured => (StatusCode::CONFLICT, "group-not-configured"),
            Self::TooFast => (StatusCode::TOO_MANY_REQUESTS, "too-fast"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::Late => (StatusCode::SERVICE_UNAVAILABLE, "too-late"),
            Self::StoreUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "store-unavailable"),
            Self::Fenced => (StatusCode::SERVICE_UNAVAILABLE, "not-the-writer"),
            Self::NotReady => (StatusCode::SERVICE_UNAVAILABLE, "not-ready"),
            Self::NotAlive => (StatusCode::SERVICE_UNAVAILABLE, "not-alive"),
            Self::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

/// What is sent on a connection that is one too many; there is no request to answer yet.
pub const TURNED_AWAY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n\
    connection: close\r\ncontent-length: 0\r\n\r\n";

/// A refusal on its way out.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub kind: Kind,
    /// What was refused and why, as a sentence.
    pub detail: String,
    /// What to do about it, as a sentence.
    pub hint: Option<String>,
    /// RFC 6901: which part of the body; empty for all of it.
    pub pointer: Option<String>,
    /// Not before this long from now; sent in whole seconds, rounded up, at least one.
    pub retry_after: Option<Duration>,
    /// The scope that the route wants, where a token is missing or has another one.
    pub needs: Option<Scope>,
    /// What is wrong with the configuration file.
    pub faults: Option<FaultsView>,
}

/// Faults of a file, for people and for programs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultsView {
    /// All of them, as `novascale check` prints them.
    report: String,
    /// One object each: `key`, `file`, `line`, `reason`, `hint`.
    faults: serde_json::Value,
}

/// The problem document. Members without a value are left out.
#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(flatten)]
    faults: Option<&'a FaultsView>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        let (hint, pointer, retry_after, needs, faults) = Default::default();
        Self { kind, detail: detail.into(), hint, pointer, retry_after, needs, faults }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn at(mut self, pointer: impl Into<String>) -> Self {
        self.pointer = Some(pointer.into());
        self
    }

    #[must_use]
    pub fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    #[must_use]
    pub fn needs(mut self, scope: Scope) -> Self {
        self.needs = Some(scope);
        self
    }

    #[must_use]
    pub fn faults(mut self, faults: &Faults) -> Self {
        let all = serde_json::to_value(faults).unwrap_or_default();
        self.faults = Some(FaultsView { report: faults.render(false), faults: all });
        self
    }

    pub fn status(&self) -> StatusCode {
        self.kind.status_and_code().0
    }

    pub fn code(&self) -> &'static str {
        self.kind.status_and_code().1
    }

    /// RFC 6750 § 3: what a client without the right token is told.
    fn challenge(&self) -> Option<String> {
        let errors = [
            (Kind::NoToken, ""),
            (Kind::BadToken, ", error=\"invalid_token\""),
            (Kind::WrongScope, ", error=\"insufficient_scope\""),
        ];
        let (_, error) = errors.into_iter().find(|(kind, _)| *kind == self.kind)?;
        let scope = self.needs.map(|s| format!(", scope=\"{}\"", s.word())).unwrap_or_default();
        Some(format!("Bearer realm=\"novascale\"{error}{scope}"))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let (status, code) = self.kind.status_and_code();
        let document = Document {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: &self.detail,
            code,
            hint: self.hint.as_deref(),
            pointer: self.pointer.as_deref(),
            faults: self.faults.as_ref(),
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait) = self.retry_after {
            let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(secs.max(1)));
        }
        if let Some(challenge) = self.challenge().and_then(|c| HeaderValue::try_from(c).ok()) {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// How soon a sender may come again after trouble that is ours.
const SOON: Duration = Duration::from_secs(5);

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::KeyReused => {
                Self::new(Kind::KeyReused, "this Idempotency-Key came before with another request")
                    .hint(
                        "draw a new key for every new request; repeat one only with the same body",
                    )
            }
            StoreError::Command(error) => Self::new(Kind::Limit, error.to_string()),
            StoreError::Limit(which) => Self::new(Kind::Limit, which),
            StoreError::Fenced(_) => {
                Self::new(Kind::Fenced, "another novascale has taken over; nothing was changed")
                    .hint("send it again: the one in charge answers, or this one once it is again")
                    .after(SOON)
            }
            StoreError::Unavailable(_) => {
                Self::new(Kind::StoreUnavailable, "it could not be stored; nothing was changed")
                    .hint("send it again; the log of novascale says what is wrong")
                    .after(SOON)
            }
            StoreError::Corrupt(_) | StoreError::Foreign(_) => {
                Self::new(Kind::Broken, "stored data cannot be read")
                    .hint("the log of novascale says which, and where it lies")
            }
        }
    }
}

/// The word that a store's error is counted under.
pub(super) fn store_error_word(error: &StoreError) -> &'static str {
    match error {
        StoreError::Fenced(_) => "fenced",
        StoreError::KeyReused => "key_reused",
        StoreError::Command(_) => "command",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Limit(_) => "limit",
        StoreError::Foreign(_) => "foreign",
        StoreError::Corrupt(_) => "corrupt",
    }
}

/// The answer of a handler that panicked. What it panicked with may hold anything.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    tracing::error!("a request made its handler panic");
    Problem::new(Kind::Broken, "novascale failed on this request")
        .hint("this is a fault of novascale; its log says where")
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_whole_seconds_and_at_least_one() {
        for (wait, said) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            let problem =
                Problem::new(Kind::TooFast, "slow down").after(Duration::from_millis(wait));
            assert_eq!(problem.into_response().headers()[RETRY_AFTER], said, "{wait} ms");
        }
    }

    #[test]
    fn store_errors_keep_their_text_to_the_log() {
        let errors = [
            StoreError::Unavailable("/var/lib/x: disk full".into()),
            StoreError::Corrupt("/var/lib/x: row 7".into()),
            StoreError::Fenced("/var/lib/x: epoch 9".into()),
        ];
        for error in errors {
            let problem = Problem::from(error);
            assert!(!format!("{problem:?}").contains("/var/lib"), "{problem:?}");
        }
    }
}
