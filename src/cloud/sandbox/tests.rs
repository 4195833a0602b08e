//! The embedded cloud, asked in process: no socket, and time in the test's hand.

mod faces;
mod faults;
mod filters;
mod groups;
mod launches;
mod life;
mod persistence;
mod sign_in;
mod versions;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use base64::Engine as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::Sandbox;
use super::config::{ApplicationCredential, Credentials, SandboxConfig};

/// 2026-01-02T03:00:00Z.
const BEGIN: i64 = 1_767_322_800_000;
const BASE: &str = "http://cloud.test";
const PROJECT: &str = "5a4db0c5000000004000800000000001";
const SMALL: &str = "f1a0b000-0000-4000-8000-000000000001";
const DEBIAN: &str = "13a6e000-0000-4000-8000-000000000002";
const PUBLIC: &str = "0e700000-0000-4000-8000-000000000001";
const SECRET: &str = "client-secret-a8f1";

/// A cloud, a clock, and a caller who is signed in.
struct Lab {
    sandbox: Sandbox,
    router: Router,
    now: Arc<AtomicI64>,
    token: String,
}

/// An answer, read whole.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
    text: String,
}

fn config() -> SandboxConfig {
    let credentials = Credentials {
        client_id: "client".to_owned(),
        client_secret: SECRET.into(),
        username: "operator".to_owned(),
        password: "password-77c2".into(),
        application_credential: Some(ApplicationCredential {
            id: "app-id".to_owned(),
            name: "app".to_owned(),
            secret: "app-secret-19d0".into(),
        }),
    };
    SandboxConfig::new(BASE, credentials)
}

impl Lab {
    async fn new() -> Lab {
        Lab::with(|_| {}).await
    }

    /// A cloud with other settings.
    async fn with(change: impl FnOnce(&mut SandboxConfig)) -> Lab {
        let mut config = config();
        change(&mut config);
        Lab::open(config, None, Arc::new(AtomicI64::new(BEGIN))).await
    }

    async fn open(
        config: SandboxConfig,
        directory: Option<std::path::PathBuf>,
        now: Arc<AtomicI64>,
    ) -> Lab {
        let clock = now.clone();
        let clock = Arc::new(move || clock.load(Ordering::Relaxed));
        let sandbox = Sandbox::open(config, clock, [7; 32], directory).await.unwrap();
        let router = sandbox.router();
        let mut lab = Lab { sandbox, router, now, token: String::new() };
        lab.token = lab.sign_in().await;
        lab
    }

    /// The whole chain of a service account; returns the scoped token.
    async fn sign_in(&self) -> String {
        let unscoped = self.unscoped().await;
        let scope = json!({ "project": { "id": PROJECT } });
        let answer = self.rescope(&unscoped, scope).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.header("x-subject-token").to_owned()
    }

    async fn unscoped(&self) -> String {
        let tokens = self.oauth("client", SECRET, "openid publicCloudProject/all").await;
        let answer = self.federate(tokens.body["id_token"].as_str().unwrap()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.header("x-subject-token").to_owned()
    }

    async fn oauth(&self, id: &str, secret: &str, scope: &str) -> Answer {
        let basic = base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}"));
        let form = format!("scope={}&grant_type=client_credentials", scope.replace(' ', "+"));
        let request = Request::post("/oidc/token")
            .header("authorization", format!("Basic {basic}"))
            .header("content-type", "application/x-www-form-urlencoded");
        self.call(request.body(Body::from(form)).unwrap()).await
    }

    async fn federate(&self, id_token: &str) -> Answer {
        self.federate_with("novascale-sandbox", "openid", id_token).await
    }

    async fn federate_with(&self, provider: &str, protocol: &str, id_token: &str) -> Answer {
        let path = format!(
            "/identity/v3/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}/auth"
        );
        let request = Request::post(path).header("authorization", format!("Bearer {id_token}"));
        self.call(request.body(Body::empty()).unwrap()).await
    }

    async fn rescope(&self, token: &str, scope: Value) -> Answer {
        let identity = json!({ "methods": ["token"], "token": { "id": token } });
        self.authenticate(json!({ "auth": { "identity": identity, "scope": scope } })).await
    }

    async fn authenticate(&self, body: Value) -> Answer {
        let request = Request::post("/identity/v3/auth/tokens");
        self.call(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A call to Nova, below the project's URL, in microversion `2.{minor}`.
    async fn nova(&self, method: &str, minor: u32, path: &str, body: Value) -> Answer {
        let request = Request::builder()
            .method(method)
            .uri(format!("/compute/v2.1/{PROJECT}{path}"))
            .header("x-auth-token", &self.token)
            .header("openstack-api-version", format!("compute 2.{minor}"));
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.call(request.body(body).unwrap()).await
    }

    /// A GET with the token, anywhere.
    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("x-auth-token", &self.token);
        self.call(request.body(Body::empty()).unwrap()).await
    }

    async fn call(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, body, text }
    }

    /// Creates servers in 2.75 with these members added to a plain request.
    async fn create(&self, members: Value) -> Answer {
        self.nova("POST", 75, "/servers", server(members)).await
    }

    /// One server's id, after a create that has to work.
    async fn created(&self, members: Value) -> String {
        let answer = self.create(members).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        answer.body["server"]["id"].as_str().unwrap().to_owned()
    }

    /// One server in 2.75.
    async fn server(&self, id: &str) -> Value {
        let answer = self.nova("GET", 75, &format!("/servers/{id}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body["server"].clone()
    }

    /// The names of a listing in 2.75, in its order.
    async fn names(&self, query: &str) -> Vec<String> {
        let answer = self.nova("GET", 75, &format!("/servers?{query}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        names(&answer.body)
    }

    fn wait_ms(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::Relaxed);
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Nova's fault: its name and its message.
    fn fault(&self) -> (&str, &str) {
        let (name, fault) = self.body.as_object().unwrap().iter().next().unwrap();
        assert_eq!(fault["code"], self.status, "{}", self.text);
        (name, fault["message"].as_str().unwrap())
    }
}

/// The body of a plain create with these members added or replaced.
fn server(members: Value) -> Value {
    let mut server = json!({
        "name": "web",
        "flavorRef": SMALL,
        "imageRef": DEBIAN,
        "networks": [{ "uuid": PUBLIC }],
    });
    for (name, value) in members.as_object().unwrap() {
        server[name] = value.clone();
    }
    json!({ "server": server })
}

fn names(body: &Value) -> Vec<String> {
    let servers = body["servers"].as_array().unwrap();
    servers.iter().map(|server| server["name"].as_str().unwrap().to_owned()).collect()
}
