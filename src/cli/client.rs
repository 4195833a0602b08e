//! The daemon, by HTTP: one request, one answer, or an [`Error`] with the exit code
//! that fits. Nothing is repeated: the person at the keyboard is the retry.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, redirect};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::daemon::{Daemon, Scope};
use super::exit::{Error, Exit, chain};
use super::output::Output;
use super::view::Groups;
use crate::domain::id::GroupName;
use crate::telemetry::escape::escape;

/// The daemon is near and answers from memory: slower is broken.
const CONNECT: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);

/// Room for the servers of a group of 10,000; a longer answer is not ours.
const ANSWER_BYTES: usize = 32 * 1024 * 1024;

/// The problem's `code` for a group that the daemon does not have.
const UNKNOWN_GROUP: &str = "unknown-group";

pub(super) struct Client {
    http: reqwest::Client,
    daemon: Daemon,
    output: Output,
}

/// An answer, and what time it was there.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) body: Value,
    pub(super) at: Option<Timestamp>,
}

/// RFC 9457, as far as it is shown.
#[derive(Default, Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    code: Option<String>,
    hint: Option<String>,
    /// The field that it is about, as RFC 6901 points to it.
    pointer: Option<String>,
    /// All faults of a configuration file, if it is about one.
    report: Option<String>,
}

impl Client {
    pub(super) fn new(daemon: Daemon, output: Output) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .user_agent(concat!("novascale/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT)
            .timeout(WHOLE);
        // On loopback neither a proxy nor a store of certificates has a say.
        let builder =
            if daemon.loopback() { builder.no_proxy().tls_certs_only([]) } else { builder };
        let http = builder.build().map_err(|error| {
            Error::new(Exit::Failed, format!("cannot set up HTTP: {}", chain(&error)))
        })?;
        Ok(Self { http, daemon, output })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Reply, Error> {
        let request = self.request(Method::GET, path, Scope::Read)?;
        Ok(self.exchange(request, Scope::Read).await?)
    }

    /// GET of something below a group; an unknown group is answered with those that exist.
    pub(super) async fn get_of(&self, group: &GroupName, rest: &str) -> Result<Reply, Error> {
        let path = format!("/v1/groups/{group}{rest}");
        let request = self.request(Method::GET, &path, Scope::Read)?;
        let answer = self.exchange(request, Scope::Read).await;
        self.suggest(group, answer).await
    }

    /// A request that changes something of a group. With a `key`, it is done at most once.
    pub(super) async fn send(
        &self,
        (method, scope): (Method, Scope),
        (group, rest): (&GroupName, &str),
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Reply, Error> {
        let mut request = self.request(method, &format!("/v1/groups/{group}{rest}"), scope)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = self.exchange(request, scope).await;
        self.suggest(group, answer).await
    }

    /// A request that is about no group.
    pub(super) async fn post(
        &self,
        path: &str,
        scope: Scope,
        body: &Value,
    ) -> Result<Reply, Failed> {
        let request = self.request(Method::POST, path, scope)?.json(body);
        self.exchange(request, scope).await
    }

    /// A request that changes something of every group.
    pub(super) async fn send_to_all(
        &self,
        (method, scope): (Method, Scope),
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Error> {
        let mut request = self.request(method, path, scope)?;
        if let Some(body) = body {
            request = request.json(body);
        }
        Ok(self.exchange(request, scope).await?)
    }

    fn request(&self, method: Method, path: &str, scope: Scope) -> Result<RequestBuilder, Error> {
        let url = self.daemon.url.join(path).map_err(|error| {
            Error::new(Exit::Usage, format!("{} is no daemon's address: {error}", self.daemon.url))
        })?;
        let token = self.daemon.token(scope)?;
        let header = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()));
        let mut header = header.map_err(|_| {
            let path = self.daemon.token_path(scope);
            Error::new(Exit::Denied, format!("{} does not hold a token", path.display()))
        })?;
        header.set_sensitive(true);
        Ok(self.http.request(method, url).header(AUTHORIZATION, header))
    }

    async fn exchange(&self, request: RequestBuilder, scope: Scope) -> Result<Reply, Failed> {
        let (http, request) = request.build_split();
        let request = request.map_err(|error| Error::new(Exit::Failed, chain(&error)))?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let response = http.execute(request).await;
        let response = response.map_err(|error| self.unanswered(&method, &error))?;
        let status = response.status();
        self.output.detail(&format!("{method} {url}: {status}"));
        let at = date(&response);
        let wait = retry_after(&response);
        let bytes = read(response).await.map_err(|error| match error {
            ReadError::Broken(error) => self.unanswered(&method, &error),
            ReadError::TooLong => strange(&url, "the answer is too long"),
        })?;
        if status.is_success() {
            let body =
                if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&bytes) };
            let body = body.map_err(|error| strange(&url, &error.to_string()))?;
            return Ok(Reply { body, at });
        }
        let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let mut problem = Problem::deserialize(&body).unwrap_or_default();
        let unknown_group = problem.code.as_deref() == Some(UNKNOWN_GROUP);
        let report = problem.report.take();
        let error = self.refused(status, problem, scope, wait);
        Err(Failed { unknown_group, report, body, error })
    }

    fn unanswered(&self, method: &Method, error: &reqwest::Error) -> Error {
        if error.is_connect() {
            return self.daemon.silent(&innermost(error));
        }
        let message = format!("{} gave no answer: {}", self.daemon.url, chain(error));
        let error = Error::new(Exit::Unavailable, message);
        if *method == Method::GET {
            error
        } else {
            error.hint("whether it was done is not known: look with `novascale status`")
        }
    }

    fn refused(
        &self,
        status: StatusCode,
        problem: Problem,
        scope: Scope,
        wait: Option<u64>,
    ) -> Error {
        let said = problem.detail.or(problem.title).unwrap_or_else(|| status.to_string());
        let said = match problem.pointer.as_deref().map(|p| p.trim_start_matches('/')) {
            Some(field) if !field.is_empty() => format!("`{}`: {said}", field.replace('/', ".")),
            _ => said,
        };
        let said = match problem.code {
            Some(code) => escape(&format!("{said} ({code})")).into_owned(),
            None => escape(&said).into_owned(),
        };
        let hint = problem.hint.map(|hint| escape(&hint).into_owned());
        let error = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let path = self.daemon.token_path(scope);
                Error::new(Exit::Denied, said).hint(format!(
                    "this needs a token of the scope `{}`; the one in {} was sent",
                    scope.word(),
                    path.display()
                ))
            }
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                let error = Error::new(Exit::TryLater, said);
                match wait {
                    Some(secs) => error.hint(format!("try again in {secs} s")),
                    None => error,
                }
            }
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => self.daemon.silent(&said),
            status if status.is_redirection() => Error::new(
                Exit::Failed,
                format!("{} redirects, and a token follows no redirect", self.daemon.url),
            ),
            _ => Error::new(Exit::Failed, said),
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// Where the group is unknown, names those that exist, the nearest first.
    async fn suggest(
        &self,
        group: &GroupName,
        answer: Result<Reply, Failed>,
    ) -> Result<Reply, Error> {
        match answer {
            Err(Failed { unknown_group: true, error, .. }) => {
                let groups = self.get("/v1/groups").await.and_then(|reply| reply.parse::<Groups>());
                Err(match groups {
                    Ok(groups) => Error { hints: vec![groups.nearest(group.as_str())], ..error },
                    Err(_) => error,
                })
            }
            other => Ok(other?),
        }
    }
}

impl Reply {
    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(&self.body).map_err(|error| {
            Error::new(Exit::Failed, format!("the daemon's answer cannot be understood: {error}"))
                .hint("is this novascale older or newer than the daemon?")
        })
    }
}

/// An error, and what else the daemon said of it.
#[derive(Debug)]
pub(super) struct Failed {
    /// The group does not exist.
    unknown_group: bool,
    /// The faults of a configuration file, in lines for people.
    pub(super) report: Option<String>,
    /// The problem document.
    pub(super) body: Value,
    pub(super) error: Error,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { unknown_group: false, report: None, body: Value::Null, error }
    }
}

impl From<Failed> for Error {
    fn from(failed: Failed) -> Self {
        failed.error
    }
}

enum ReadError {
    Broken(reqwest::Error),
    TooLong,
}

async fn read(mut response: Response) -> Result<Vec<u8>, ReadError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(ReadError::Broken)? {
        if ANSWER_BYTES < bytes.len() + chunk.len() {
            return Err(ReadError::TooLong);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn strange(url: &Url, why: &str) -> Error {
    Error::new(Exit::Failed, format!("{url} did not answer like novascale: {why}"))
        .hint("is this the daemon's admin address?")
}

/// The daemon's clock: ages are told by it, so that two clocks need not agree.
fn date(response: &Response) -> Option<Timestamp> {
    let text = response.headers().get(DATE)?.to_str().ok()?;
    jiff::fmt::rfc2822::parse(text).ok().map(|at| at.timestamp())
}

fn retry_after(response: &Response) -> Option<u64> {
    response.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// What the operating system said, without the layers above it.
fn innermost(error: &reqwest::Error) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}
