//! One request out, one answer back: what a call looks like before anybody knows what it means.
//!
//! Nothing here knows tokens, retries or OpenStack. A [`Request`] is sent once; the
//! [`Response`] is whole and bounded, whatever its status; a [`TransportError`] tells
//! "never reached" from "nobody knows", for that is what decides whether a create may
//! be repeated. Two implementations stand behind [`Transport`]: [`Http`] over the network,
//! and [`InProcess`], which hands requests to a router without a socket. Before a request
//! leaves, [`guard`] judges where it goes. Read on in `session.rs`, the only user of all this.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use tower::ServiceExt;
use url::Url;

use crate::config::host::{loopback, names_link_local};

pub mod http;

pub use http::{Http, HttpError};

/// The most that is read of one answer, after decompression. A full page of 1000
/// servers is about 3 MB.
pub const BODY_MOST: usize = 16 * 1024 * 1024;

/// One request, to be sent once. It may carry secrets, so neither headers nor body print.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    /// Empty for none; a POST then says `Content-Length: 0` itself.
    pub body: Vec<u8>,
    /// From connecting to the last byte of the answer.
    pub timeout: Duration,
}

impl Request {
    pub fn new(method: Method, url: Url, timeout: Duration) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Vec::new(), timeout }
    }

    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({} bytes)", self.method, self.url, self.body.len())
    }
}

/// One whole answer of any status. It may carry tokens and passwords, so only its size prints.
#[derive(Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Response {
    /// A header's text, if there is one and it is readable.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok().map(str::trim)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.status, self.body.len())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// No connection, or no TLS: the other side has not seen the request.
    #[error("{0}")]
    Unreached(String),
    /// Sent, perhaps in part, and then: timeout, reset, an answer that broke off or is too long.
    #[error("{0}")]
    Unclear(String),
}

/// Carries one request to the other side.
#[async_trait]
pub trait Transport: Send + Sync {
    async fn send(&self, request: Request) -> Result<Response, TransportError>;
}

/// Answers from a router in this process: no socket, no TLS, the same bytes.
#[derive(Clone)]
pub struct InProcess {
    router: Router,
}

impl InProcess {
    pub fn new(router: Router) -> Self {
        Self { router }
    }

    async fn answer(&self, request: Request) -> Result<Response, TransportError> {
        let unclear = |e: &dyn fmt::Display| TransportError::Unclear(e.to_string());
        let mut asked = axum::http::Request::new(Body::from(request.body));
        *asked.method_mut() = request.method;
        *asked.uri_mut() = request.url.as_str().parse().map_err(|e| unclear(&e))?;
        *asked.headers_mut() = request.headers;
        if let Ok(host) = HeaderValue::from_str(request.url.authority()) {
            asked.headers_mut().insert(reqwest::header::HOST, host);
        }
        let answered = match self.router.clone().oneshot(asked).await {
            Ok(answered) => answered,
            Err(never) => match never {},
        };
        let (head, body) = answered.into_parts();
        let body = Limited::new(body, BODY_MOST).collect().await;
        let body = body.map_err(|e| {
            if e.is::<LengthLimitError>() { too_long(BODY_MOST) } else { unclear(&e) }
        })?;
        Ok(Response { status: head.status, headers: head.headers, body: body.to_bytes().to_vec() })
    }
}

#[async_trait]
impl Transport for InProcess {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let limit = request.timeout;
        match tokio::time::timeout(limit, self.answer(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(timed_out(limit)),
        }
    }
}

fn too_long(most: usize) -> TransportError {
    TransportError::Unclear(format!("the answer is longer than {} MiB", most >> 20))
}

fn timed_out(limit: Duration) -> TransportError {
    TransportError::Unclear(format!("no complete answer within {} s", limit.as_secs_f64()))
}

/// Why a URL is not asked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    #[error("{0} is a link-local address, where clouds serve machines' metadata")]
    LinkLocal(String),
    #[error("{0} is plain http beyond this machine: tokens would travel in the clear")]
    PlainHttp(String),
    #[error("{0} is neither http nor https")]
    Scheme(String),
    #[error("{0} carries a user name or password")]
    UserInfo(String),
}

/// Whether a request may go there: https, or plain http to this machine (anywhere with
/// `allow_http`), and never to a link-local address, however it is written.
pub fn guard(url: &Url, allow_http: bool) -> Result<(), Forbidden> {
    let shown = || format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if names_link_local(url) {
        return Err(Forbidden::LinkLocal(shown()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Forbidden::UserInfo(shown()));
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if allow_http || loopback(url) => Ok(()),
        "http" => Err(Forbidden::PlainHttp(shown())),
        _ => Err(Forbidden::Scheme(shown())),
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::{get, post};

    use super::*;

    fn judge(url: &str, allow_http: bool) -> Result<(), Forbidden> {
        guard(&Url::parse(url).unwrap(), allow_http)
    }

    #[test]
    fn only_https_and_this_machine_are_asked() {
        for good in [
            "https://auth.cloud.ovh.net/v3",
            "http://127.0.0.1:5000/v3",
            "http://localhost:5000/v3",
            "http://[::1]:5000/v3",
        ] {
            assert_eq!(judge(good, false), Ok(()), "{good}");
        }
        assert!(matches!(judge("http://10.0.0.1/v3", false), Err(Forbidden::PlainHttp(_))));
        assert_eq!(judge("http://10.0.0.1/v3", true), Ok(()));
        assert!(matches!(judge("ftp://example.net/", true), Err(Forbidden::Scheme(_))));
        assert!(matches!(judge("https://u:p@example.net/", true), Err(Forbidden::UserInfo(_))));
    }

    #[test]
    fn metadata_services_are_never_asked() {
        for bad in [
            "http://169.254.169.254/latest",
            "https://169.254.169.254/",
            "https://0xa9.0xfe.0xa9.0xfe/",
            "https://2852039166/",
            "https://[::ffff:169.254.169.254]/",
            "https://[fe80::1]/",
            "https://[fd00:ec2::254]/",
        ] {
            assert!(matches!(judge(bad, true), Err(Forbidden::LinkLocal(_))), "{bad}");
        }
    }

    #[test]
    fn nothing_secret_prints() {
        let url = Url::parse("https://auth.example.test/v3").unwrap();
        let mut request = Request::new(Method::POST, url, Duration::from_secs(1));
        request.body = b"client_secret=hush".to_vec();
        let token = HeaderValue::from_static("hush");
        let request = request.header(HeaderName::from_static("x-auth-token"), token);
        let response = Response {
            status: StatusCode::OK,
            headers: request.headers.clone(),
            body: request.body.clone(),
        };
        assert!(!format!("{request:?} {response:?}").contains("hush"));
    }

    fn request(method: Method, path: &str) -> Request {
        let url = Url::parse("http://127.0.0.1:1").unwrap().join(path).unwrap();
        Request::new(method, url, Duration::from_secs(5))
    }

    #[tokio::test(start_paused = true)]
    async fn a_router_answers_in_process() {
        let router = Router::new()
            .route("/echo", post(|body: String| async move { (StatusCode::ACCEPTED, body) }))
            .route("/hang", get(|| async { std::future::pending::<()>().await }))
            .route("/long", get(|| async { vec![b'x'; BODY_MOST + 1] }));
        let transport = InProcess::new(router);

        let mut echo = request(Method::POST, "/echo");
        echo.body = b"hello".to_vec();
        let answer = transport.send(echo).await.unwrap();
        assert_eq!((answer.status, answer.body), (StatusCode::ACCEPTED, b"hello".to_vec()));

        let hang = transport.send(request(Method::GET, "/hang")).await;
        assert!(matches!(hang, Err(TransportError::Unclear(why)) if why.contains("within 5 s")));
        let long = transport.send(request(Method::GET, "/long")).await;
        assert!(matches!(long, Err(TransportError::Unclear(why)) if why.contains("16 MiB")));
    }
}
