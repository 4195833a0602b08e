//! One question: sent once, and its answer read strictly.
//!
//! It goes out by the client that the cloud is asked with: no redirects, nothing repeated, no
//! link-local address by number or name, this machine never through a proxy. Of an answer at most
//! [`ANSWER_MOST`] is read, and words of it are shown in the log only short and bare.
//! Source: prometheus.io "HTTP API", "Instant queries" and "Expression query result formats".

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::Value as Json;
use url::Url;

use crate::cloud::openstack::transport::{Http, Request, Transport, TransportError, guard};
use crate::config::cloud::Tls;
use crate::config::pull::{From, Login, Pull};
use crate::config::secret::{SecretEnv, SecretError};
use crate::domain::id::ServerId;
use crate::domain::signal::Value;

/// The most that is read of one answer, unpacked.
pub const ANSWER_MOST: usize = 1024 * 1024;
/// Servers that one answer may speak of.
const SERVERS_MOST: usize = 1000;
/// Characters of somebody else's words that are shown.
const WORDS_MOST: usize = 200;

/// What was found.
#[derive(Debug, PartialEq)]
pub struct Found {
    /// The whole load, or a value for each server; never none.
    pub values: Vec<(Option<ServerId>, Value)>,
    /// Why some of the answer was not taken.
    pub passed: Option<Trouble>,
}

/// Why nothing was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Trouble {
    pub kind: Kind,
    /// Behind "could not be pulled from there: ".
    pub said: String,
}

/// Trouble of one kind is told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Secrets or certificates cannot be had.
    Setup,
    Unreached,
    Status(u16),
    /// The answer is not of the form that was asked for.
    Form,
    /// The query finds nothing.
    Nothing,
    /// No number of 0 or more.
    Value,
    Store,
}

impl Trouble {
    pub fn new(kind: Kind, said: impl Into<String>) -> Self {
        Self { kind, said: said.into() }
    }
}

fn form(said: impl Into<String>) -> Trouble {
    Trouble::new(Kind::Form, said)
}

impl From {
    /// Where it is asked, without what may be secret of it.
    pub fn place(&self) -> String {
        let (Self::Prometheus { base: url, .. } | Self::Json { url, .. }) = self;
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
    }

    fn url(&self) -> Url {
        match self {
            Self::Json { url, .. } => url.clone(),
            Self::Prometheus { base, query, .. } => {
                let mut url = base.clone();
                url.set_path(&format!("{}/api/v1/query", base.path().trim_end_matches('/')));
                url.query_pairs_mut().append_pair("query", query);
                url
            }
        }
    }
}

/// Asks one thing.
pub struct Asker {
    transport: Arc<dyn Transport>,
    pull: Pull,
    authorization: Option<HeaderValue>,
}

impl Asker {
    /// Reads secrets and certificates.
    pub fn new(pull: &Pull, env: &SecretEnv) -> Result<Self, Trouble> {
        let tls = Tls { cacert: pull.cacert.clone(), insecure: false };
        let transport = Http::new(&tls)
            .map_err(|error| Trouble::new(Kind::Setup, error.to_string()))?
            .at_most(ANSWER_MOST);
        let authorization =
            pull.login.as_ref().map(|login| authorization(login, env)).transpose()?;
        Ok(Self { transport: Arc::new(transport), pull: pull.clone(), authorization })
    }

    pub async fn ask(&self) -> Result<Found, Trouble> {
        let url = self.pull.from.url();
        guard(&url, true).map_err(|why| Trouble::new(Kind::Setup, why.to_string()))?;
        let mut request = Request::new(Method::GET, url, self.pull.timeout)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(shown) = &self.authorization {
            request = request.header(AUTHORIZATION, shown.clone());
        }
        let answer = self.transport.send(request).await.map_err(|error| match error {
            TransportError::Unreached(why) | TransportError::Unclear(why) => {
                Trouble::new(Kind::Unreached, why)
            }
        })?;
        if answer.status != 200 {
            return Err(refused(answer.status.as_u16(), &answer.body));
        }
        match &self.pull.from {
            From::Json { pointer, .. } => number_at(&answer.body, pointer),
            From::Prometheus { server, .. } => result(&answer.body, server.as_deref()),
        }
    }
}

fn authorization(login: &Login, env: &SecretEnv) -> Result<HeaderValue, Trouble> {
    let none = |why: SecretError| Trouble::new(Kind::Setup, why.whole());
    let text = match login {
        Login::Bearer(secret) => {
            format!("Bearer {}", secret.read(env).map_err(none)?.expose_secret())
        }
        Login::Basic { username, password } => {
            let password = password.read(env).map_err(none)?;
            let pair = format!("{username}:{}", password.expose_secret());
            format!("Basic {}", STANDARD.encode(pair))
        }
    };
    let mut value = HeaderValue::try_from(text)
        .map_err(|_| Trouble::new(Kind::Setup, "its secret holds what no header may"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn refused(status: u16, body: &[u8]) -> Trouble {
    let why = serde_json::from_slice::<Reply>(body).ok().and_then(|reply| reply.error);
    let why = why.map(|why| format!(", saying \"{}\"", bare(&why))).unwrap_or_default();
    let hint = match status {
        300..=399 => " (redirects are not followed: write the address that it leads to)",
        401 | 403 => " (is the secret right?)",
        _ => "",
    };
    Trouble::new(Kind::Status(status), format!("it answered {status}{why}{hint}"))
}

/// Somebody else's words, as they may stand in our log.
fn bare(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(WORDS_MOST).collect()
}

fn value(number: f64) -> Result<Value, Trouble> {
    Value::new(number).map_err(|why| Trouble::new(Kind::Value, why.to_string()))
}

fn number_at(body: &[u8], pointer: &str) -> Result<Found, Trouble> {
    let document: Json = serde_json::from_slice(body)
        .map_err(|error| form(format!("the answer is no JSON ({error})")))?;
    let Some(found) = document.pointer(pointer) else {
        return Err(form(format!("the answer has nothing at {pointer}")));
    };
    let number = found.as_f64();
    let number = number.ok_or_else(|| form(format!("what stands at {pointer} is no number")))?;
    Ok(Found { values: vec![(None, value(number)?)], passed: None })
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    status: String,
    error: Option<String>,
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Json,
}

#[derive(Deserialize)]
struct Element {
    metric: std::collections::BTreeMap<String, String>,
    value: Pair,
}

/// The time of asking in seconds, and the number as a text.
#[derive(Deserialize)]
struct Pair(#[expect(dead_code, reason = "our own clock counts")] f64, String);

impl Pair {
    fn value(&self) -> Result<Value, Trouble> {
        let number = self.1.parse().map_err(|_| form("a value of the answer is no number"))?;
        value(number)
    }
}

fn result(body: &[u8], server: Option<&str>) -> Result<Found, Trouble> {
    let not_its = |error: serde_json::Error| {
        form(format!("the answer is not what Prometheus' API answers ({error})"))
    };
    let reply: Reply = serde_json::from_slice(body).map_err(not_its)?;
    let Some(data) = reply.data.filter(|_| reply.status == "success") else {
        let why = reply.error.map(|why| bare(&why)).unwrap_or_default();
        return Err(form(format!("the query failed: {why}")));
    };
    match (data.kind.as_str(), server) {
        ("scalar", None) => {
            let pair: Pair = serde_json::from_value(data.result).map_err(not_its)?;
            Ok(Found { values: vec![(None, pair.value()?)], passed: None })
        }
        ("vector", _) => {
            let all: Vec<Element> = serde_json::from_value(data.result).map_err(not_its)?;
            match (all.as_slice(), server) {
                ([], _) => Err(Trouble::new(Kind::Nothing, "the query finds nothing")),
                (_, Some(label)) => of_servers(&all, label),
                ([one], None) => {
                    Ok(Found { values: vec![(None, one.value.value()?)], passed: None })
                }
                (_, None) => Err(form(format!(
                    "the query finds {} elements where one is wanted: write it as sum(…) or avg(…), \
                     or name with server_label the label that holds a server's id",
                    all.len()
                ))),
            }
        }
        (kind, _) => {
            let wanted = if server.is_some() { "a vector" } else { "a vector or a scalar" };
            Err(form(format!("the query gives a {} where {wanted} is wanted", bare(kind))))
        }
    }
}

/// A value for each server. One without a number takes nothing from the others.
fn of_servers(all: &[Element], label: &str) -> Result<Found, Trouble> {
    if all.len() > SERVERS_MOST {
        let said =
            format!("the query finds {} elements; at most {SERVERS_MOST} are taken", all.len());
        return Err(form(said));
    }
    let of = |element: &Element| {
        let id = element.metric.get(label);
        let id = id.ok_or_else(|| form(format!("an element lacks the label {label}")))?;
        let id = ServerId::new(id.as_str());
        let id = id.map_err(|why| form(format!("the label {label} must be {}", why.rule)))?;
        Ok((Some(id), element.value.value()?))
    };
    let (mut values, mut passed) = (Vec::new(), None);
    for found in all.iter().map(of) {
        match found {
            Ok(found) => values.push(found),
            Err(why) => passed = passed.or(Some(why)),
        }
    }
    match passed {
        Some(why) if values.is_empty() => Err(why),
        passed => Ok(Found { values, passed }),
    }
}
