//! The other side of a conversation, played from a script; and the client that talks to it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::openstack::OpenStack;
use novascale::cloud::openstack::transport::{Request, Response, Transport, TransportError};
use novascale::config::cloud::{
    AccessTokenType, Auth, CloudSettings, Interface, Limits, Oidc, Project, Tls,
};
use novascale::config::secret::Secret;
use novascale::domain::id::{GroupName, Region, Tag};
use novascale::domain::time::{Clock, Now, Steady, Wall};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

pub(super) const PROJECT: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f01";
pub(super) const NOVA: &str =
    "https://compute.gra11.example.test/v2.1/0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f01";

/// A clock that stands at the transcripts' "now" and moves with tokio's paused time.
pub(super) struct Paused(Instant);

impl Paused {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for Paused {
    fn now(&self) -> Now {
        let start = Wall::parse("2026-01-02T03:00:00Z").unwrap();
        let passed = self.0.elapsed();
        Now { wall: start.plus(passed), steady: Steady(1_000_000).plus(passed) }
    }
}

/// One request, as the other side saw it.
#[derive(Clone)]
pub(super) struct Seen {
    pub method: Method,
    pub url: url::Url,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The URL without its query.
    pub(super) fn place(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn query(&self, key: &str) -> Option<String> {
        self.url.query_pairs().find(|(k, _)| k == key).map(|(_, v)| v.into_owned())
    }
}

pub(super) type Reply = Result<Response, TransportError>;

pub(super) fn answer(status: u16, headers: &[(&str, &str)], body: impl ToString) -> Reply {
    let mut map = reqwest::header::HeaderMap::new();
    for (name, value) in headers {
        let name: reqwest::header::HeaderName = name.parse().unwrap();
        map.insert(name, value.parse().unwrap());
    }
    let status = StatusCode::from_u16(status).unwrap();
    Ok(Response { status, headers: map, body: body.to_string().into_bytes() })
}

type Act = Box<dyn Fn(&Seen) -> Reply + Send + Sync>;

/// Plays the other side, and remembers what it was asked.
pub(super) struct Script {
    act: Act,
    seen: Mutex<Vec<Seen>>,
    delay: Box<dyn Fn(&Seen) -> Duration + Send + Sync>,
}

impl Script {
    pub(super) fn new(act: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Arc<Self> {
        Self::delayed(|_| Duration::ZERO, act)
    }

    /// Each answer takes so long.
    pub(super) fn slow(
        delay: Duration,
        act: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::delayed(move |_| delay, act)
    }

    /// The answer to each request takes as long as this says.
    pub(super) fn delayed(
        delay: impl Fn(&Seen) -> Duration + Send + Sync + 'static,
        act: impl Fn(&Seen) -> Reply + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { act: Box::new(act), seen: Mutex::default(), delay: Box::new(delay) })
    }

    /// Signs in whoever asks, and answers calls to services from this list in turn.
    pub(super) fn services(replies: impl IntoIterator<Item = Reply>) -> Arc<Self> {
        let replies: Mutex<VecDeque<Reply>> = Mutex::new(replies.into_iter().collect());
        Self::new(move |seen| {
            sign_in(seen).unwrap_or_else(|| {
                let next = replies.lock().unwrap().pop_front();
                next.unwrap_or_else(|| panic!("nobody expected {} {}", seen.method, seen.url))
            })
        })
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// What the services were asked, without the sign-in and the versions.
    pub(super) fn asked(&self) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| sign_in(seen).is_none()).collect()
    }
}

#[async_trait]
impl Transport for Script {
    async fn send(&self, request: Request) -> Reply {
        let headers = request.headers.iter();
        let headers = headers.map(|(k, v)| (k.to_string(), v.to_str().unwrap().to_owned()));
        let seen = Seen {
            method: request.method,
            url: request.url,
            headers: headers.collect(),
            body: request.body,
        };
        self.seen.lock().unwrap().push(seen.clone());
        let delay = (self.delay)(&seen);
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        (self.act)(&seen)
    }
}

/// Answers the four requests of a sign-in, and the question for Nova's versions (2.75).
pub(super) fn sign_in(seen: &Seen) -> Option<Reply> {
    let path = seen.url.path();
    if path.ends_with("/.well-known/openid-configuration") {
        let document = json!({"token_endpoint": "https://iam.example.test/oauth2/token"});
        Some(answer(200, &[], document))
    } else if path == "/oauth2/token" {
        Some(answer(200, &[], json!({"id_token": "id-token", "access_token": "access-token"})))
    } else if path.contains("/OS-FEDERATION/") {
        Some(answer(201, &[("x-subject-token", "unscoped")], "{}"))
    } else if path == "/v3/auth/tokens" {
        Some(answer(201, &[("x-subject-token", "scoped")], token("2026-01-03T03:00:00.000000Z")))
    } else if path == "/v2.1/" {
        Some(versions("2.75"))
    } else {
        None
    }
}

pub(super) fn versions(newest: &str) -> Reply {
    answer(200, &[], json!({"version": {"version": newest, "min_version": "2.1"}}))
}

/// Keystone's body for a scoped token.
pub(super) fn token(expires_at: &str) -> Value {
    let endpoint = |url: &str| json!([{"interface": "public", "region": "GRA11", "region_id": "GRA11", "url": url}]);
    json!({"token": {
        "expires_at": expires_at,
        "project": {"id": PROJECT, "name": "1234567890123456"},
        "user": {"id": "u1", "name": "service-account"},
        "roles": [{"id": "r1", "name": "compute_operator"}],
        "catalog": [
            {"type": "compute", "endpoints": endpoint(NOVA)},
            {"type": "network", "endpoints": endpoint("https://network.compute.gra11.example.test/")},
            {"type": "image", "endpoints": endpoint("https://image.compute.gra11.example.test/")},
        ],
    }})
}

pub(super) fn oidc() -> Oidc {
    let discovery = "https://iam.example.test/role-adapter/urn:v1:eu:resource:publicCloudProject:pci/.well-known/openid-configuration";
    Oidc {
        auth_url: "https://auth.example.test/v3".into(),
        identity_provider: "ovhcloud-emea".into(),
        protocol: "openid".into(),
        client_id: "EU.0123456789abcdef".into(),
        client_secret: given("synthetic-client-secret"),
        discovery_endpoint: Some(discovery.into()),
        access_token_endpoint: None,
        access_token_type: AccessTokenType::IdToken,
        openid_scope: "openid profile email publicCloudProject/all".into(),
        project: Project::Id(PROJECT.into()),
    }
}

pub(super) fn given(secret: &str) -> Secret {
    Secret::Given(secret.to_owned().into())
}

pub(super) fn settings(auth: Auth) -> CloudSettings {
    CloudSettings {
        name: "test".into(),
        auth,
        region: Some(region()),
        region_keys: <_>::default(),
        interface: Interface::Public,
        tls: Tls::default(),
        limits: Limits::default(),
        allow_http: false,
        allowed_hosts: vec!["other.example.test".into()],
    }
}

pub(super) fn client(script: &Arc<Script>) -> OpenStack {
    client_of(script, settings(Auth::OidcClientCredentials(oidc())))
}

pub(super) fn client_of(script: &Arc<Script>, settings: CloudSettings) -> OpenStack {
    OpenStack::new(settings, Arc::clone(script) as Arc<dyn Transport>, Paused::new())
}

pub(super) fn region() -> Region {
    Region::new("GRA11").unwrap()
}

pub(super) fn group() -> GroupName {
    GroupName::new("web").unwrap()
}

pub(super) fn tags(names: &[&str]) -> Vec<Tag> {
    names.iter().map(|name| Tag::new(*name).unwrap()).collect()
}

/// A server as Nova shows it.
pub(super) fn server(id: &str, tags: &[&str]) -> Value {
    json!({
        "id": id, "name": id, "status": "ACTIVE", "created": "2026-01-02T03:04:05Z",
        "tags": tags, "metadata": {}, "locked": false, "flavor": {"original_name": "b2-7"},
        "OS-EXT-STS:task_state": null, "OS-SRV-USG:launched_at": "2026-01-02T03:05:00.000000",
    })
}

pub(super) const V275: [(&str, &str); 1] = [("openstack-api-version", "compute 2.75")];

/// Nova's answer in the version that was asked.
pub(super) fn nova(status: u16, body: impl ToString) -> Reply {
    answer(status, &V275, body)
}

/// A page of a listing; a full one has a link to the next.
pub(super) fn page(servers: &[Value], full: bool) -> Reply {
    let links = json!([{"rel": "next", "href": "http://10.0.0.1/internal"}]);
    let links = if full { links } else { json!([]) };
    nova(200, json!({"servers": servers, "servers_links": links}))
}
