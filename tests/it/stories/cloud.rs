//! An embedded cloud in this process, behind a wire that the story may tamper with.
//!
//! It outlives every daemon of its story. What it holds is asked in process, past the
//! wire: that is the truth, which no fault touches and no count includes.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use novascale::cloud::sandbox::Sandbox;
use novascale::cloud::sandbox::config::{ApplicationCredential, Credentials, SandboxConfig};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

pub const CLIENT_SECRET: &str = "canary-client-secret-31d7";
pub const PASSWORD: &str = "canary-password-90ce";
pub const APPLICATION_SECRET: &str = "canary-application-secret-7f20";
const SCOPE: &str = "openid profile email publicCloudProject/all";

pub struct Cloud {
    runtime: Runtime,
    sandbox: Sandbox,
    config: SandboxConfig,
    wire: Arc<Wire>,
}

/// A call as it came over the wire: method, path and query.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub query: String,
}

impl Ask {
    pub fn lists(&self) -> bool {
        self.method == "GET" && self.path.ends_with("/servers/detail")
    }

    pub fn creates(&self) -> bool {
        self.method == "POST" && self.path.ends_with("/servers")
    }

    /// A question for one server.
    pub fn gets(&self) -> bool {
        self.method == "GET" && self.path.contains("/servers/") && !self.lists()
    }

    pub fn deletes(&self) -> bool {
        self.method == "DELETE" && !self.path.contains("/tags/")
    }

    /// Writes a tag or metadata of a server.
    pub fn marks(&self) -> bool {
        let part = |word| self.path.contains(word);
        self.method != "GET" && part("/servers/") && (part("/tags/") || part("/metadata"))
    }
}

/// What befalls a call.
#[derive(Clone)]
pub enum Fault {
    /// Somebody on the way answers in the cloud's place.
    Answer(u16, &'static [(&'static str, &'static str)], String),
    /// The cloud answers; this is what arrives.
    Alter(fn(Answer) -> Answer),
    /// The same, with its JSON changed so.
    Edit(Arc<dyn Fn(&mut Value) + Send + Sync>),
    /// Somebody says back all that was asked, with this status.
    Echo(u16),
    /// The cloud does it, but the connection breaks before it can say so.
    Lose,
    /// It takes so long to get there, and so long again to come back.
    Slow(Duration),
    /// It is done, and the answer never comes.
    Mute,
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

type Watch = Box<dyn Fn(&Ask, &Answer) + Send>;
type Tamper = Box<dyn Fn(&Ask) -> Option<Fault> + Send>;

struct Wire {
    router: Router,
    tamper: Mutex<Option<Tamper>>,
    watch: Mutex<Option<Watch>>,
    asked: Mutex<Vec<Ask>>,
    /// Every token that was handed out over the wire.
    issued: Mutex<Vec<String>>,
}

/// The connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("the wire was cut")]
struct Cut;

impl Cloud {
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// A cloud whose servers take 10 to 50 ms to be built, and changed as told.
    pub fn with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let config = config(listener.local_addr().unwrap(), change);
        Self::serving(runtime, listener, config, None)
    }

    /// The cloud that a daemon which does not run has kept in this directory.
    pub fn kept(dir: &Path) -> Self {
        let kept = std::fs::read(dir.join("credentials.json")).unwrap();
        let kept: Value = serde_json::from_slice(&kept).unwrap();
        let word = |key: &str| kept[key].as_str().unwrap().to_owned();
        let credentials = Credentials {
            client_id: word("client_id"),
            client_secret: word("client_secret").into(),
            username: word("username"),
            password: word("password").into(),
            application_credential: None,
        };
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let config = SandboxConfig::new(&base, credentials);
        Self::serving(runtime, listener, config, Some(dir.to_owned()))
    }

    fn serving(
        runtime: Runtime,
        listener: TcpListener,
        config: SandboxConfig,
        dir: Option<PathBuf>,
    ) -> Self {
        let opened = Sandbox::open(config.clone(), Arc::new(millis), [3; 32], dir);
        let sandbox = runtime.block_on(opened).unwrap();
        let wire = Arc::new(Wire {
            router: sandbox.router(),
            tamper: Mutex::default(),
            watch: Mutex::default(),
            asked: Mutex::default(),
            issued: Mutex::default(),
        });
        runtime.spawn(serve(listener, Arc::clone(&wire)));
        Self { runtime, sandbox, config, wire }
    }

    /// `[cloud]` of a scaling.toml that signs in here; the secret lies in `client-secret`.
    pub fn section(&self) -> String {
        let config = &self.config;
        format!(
            "[cloud]\nauth_type = \"v3oidcclientcredentials\"\nauth_url = \"{}\"\n\
             identity_provider = \"{}\"\nprotocol = \"{}\"\nclient_id = \"{}\"\n\
             client_secret = {{ file = \"client-secret\" }}\n\
             access_token_type = \"id_token\"\ndiscovery_endpoint = \"{}\"\n\
             openid_scope = \"{SCOPE}\"\nproject_id = \"{}\"\nregion = \"{}\"\n\n",
            config.auth_url(),
            config.identity_provider,
            config.protocol,
            config.credentials.client_id,
            config.discovery_url(),
            config.project_id,
            config.region,
        )
    }

    pub fn auth_url(&self) -> String {
        self.config.auth_url()
    }

    pub fn project(&self) -> String {
        self.config.project_id.clone()
    }

    pub fn region(&self) -> String {
        self.config.region.clone()
    }

    /// From now on calls suffer what this says of them.
    pub fn tamper(&self, tamper: impl Fn(&Ask) -> Option<Fault> + Send + 'static) {
        *self.wire.tamper.lock().unwrap() = Some(Box::new(tamper));
    }

    /// The wire is good again.
    pub fn mend(&self) {
        *self.wire.tamper.lock().unwrap() = None;
    }

    /// From now on this is shown every answer before it leaves.
    pub fn watch(&self, watch: impl Fn(&Ask, &Answer) + Send + 'static) {
        *self.wire.watch.lock().unwrap() = Some(Box::new(watch));
    }

    /// The calls so far that this says yes to.
    pub fn asked(&self, which: impl Fn(&Ask) -> bool) -> usize {
        self.wire.asked.lock().unwrap().iter().filter(|ask| which(ask)).count()
    }

    /// Calls that change something in Nova.
    pub fn writes(&self) -> usize {
        self.asked(|ask| ask.creates() || ask.deletes())
    }

    /// What must never be found anywhere.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.wire.issued.lock().unwrap().clone();
        secrets.extend([CLIENT_SECRET, PASSWORD, APPLICATION_SECRET].map(str::to_owned));
        // As the token endpoint is told it.
        let client = &self.config.credentials.client_id;
        secrets.push(STANDARD.encode(format!("{client}:{CLIENT_SECRET}")));
        secrets
    }

    /// Every server that exists, as Nova shows it, oldest first.
    pub fn servers(&self) -> Vec<Value> {
        let mut listed = Vec::new();
        loop {
            let marker = listed.last().map(|s: &Value| s["id"].as_str().unwrap());
            let marker = marker.map(|id| format!("&marker={id}")).unwrap_or_default();
            let path = format!("/servers/detail?sort_key=created_at&sort_dir=asc{marker}");
            let answer = self.ask_nova("GET", &path, Value::Null);
            if answer.status == StatusCode::BAD_REQUEST && !listed.is_empty() {
                // The last one of the page before has gone meanwhile.
                listed.clear();
                continue;
            }
            let page = told(&answer)["servers"].take();
            let page = page.as_array().unwrap();
            if page.is_empty() {
                return listed;
            }
            listed.extend(page.iter().cloned());
        }
    }

    /// The servers of a group, by its tag, in any state.
    pub fn members(&self, group: &str) -> usize {
        let tag = Value::from(format!("novascale:{group}"));
        let tagged = |s: &Value| s["tags"].as_array().unwrap().contains(&tag);
        self.servers().iter().filter(|s| tagged(s)).count()
    }

    /// Calls Nova past the wire, as the operator of the cloud.
    pub fn nova(&self, method: &str, path: &str, body: Value) -> Value {
        told(&self.ask_nova(method, path, body))
    }

    fn ask_nova(&self, method: &str, path: &str, body: Value) -> Answer {
        let (path, token) = (format!("{}{path}", self.nova_path()), self.operator());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-token", token)
            .header("openstack-api-version", "compute 2.75");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.direct(request.body(body).unwrap())
    }

    fn nova_path(&self) -> String {
        format!("/compute/v2.1/{}", self.config.project_id)
    }

    /// Nova's address over the wire.
    pub fn nova_url(&self) -> String {
        format!("{}{}", self.config.base_url, self.nova_path())
    }

    /// A token of the cloud's operator, drawn past the wire.
    pub fn operator(&self) -> String {
        let Credentials { username, password, .. } = &self.config.credentials;
        let password = password.expose_secret();
        let user = json!({
            "name": username, "password": password, "domain": { "name": "Default" },
        });
        let body = json!({ "auth": {
            "identity": { "methods": ["password"], "password": { "user": user } },
            "scope": { "project": { "id": self.config.project_id } },
        }});
        let request = Request::post("/identity/v3/auth/tokens");
        let answer = self.direct(request.body(Body::from(body.to_string())).unwrap());
        answer.headers["x-subject-token"].to_str().unwrap().to_owned()
    }

    fn direct(&self, request: Request<Body>) -> Answer {
        self.runtime.block_on(answer(self.sandbox.router(), request))
    }
}

/// What a call came to, which has to be well.
fn told(answer: &Answer) -> Value {
    assert!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
}

fn config(address: SocketAddr, change: impl FnOnce(&mut SandboxConfig)) -> SandboxConfig {
    let credentials = Credentials {
        client_id: "story-client".to_owned(),
        client_secret: CLIENT_SECRET.into(),
        username: "operator".to_owned(),
        password: PASSWORD.into(),
        application_credential: Some(ApplicationCredential {
            id: "credential-1".to_owned(),
            name: "novascale".to_owned(),
            secret: APPLICATION_SECRET.into(),
        }),
    };
    let mut config = SandboxConfig::new(&format!("http://{address}"), credentials);
    config.rules.build_ms = 10..=50;
    config.rules.delete_ms = 5..=20;
    change(&mut config);
    config
}

fn millis() -> i64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

async fn serve(listener: TcpListener, wire: Arc<Wire>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(connection(stream, Arc::clone(&wire)));
    }
}

async fn connection(stream: TcpStream, wire: Arc<Wire>) {
    let service = service_fn(move |request| {
        let wire = Arc::clone(&wire);
        async move { wire.carry(request).await }
    });
    let served = hyper::server::conn::http1::Builder::new();
    // An error is a client that went away, or the wire that was cut on purpose.
    let _ended = served.serve_connection(TokioIo::new(stream), service).await;
}

impl Wire {
    async fn carry(&self, request: Request<Incoming>) -> Result<axum::response::Response, Cut> {
        let uri = request.uri();
        let ask = Ask {
            method: request.method().to_string(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
        };
        self.asked.lock().unwrap().push(ask.clone());
        let fault = self.tamper.lock().unwrap().as_ref().and_then(|tamper| tamper(&ask));
        if let Some(Fault::Slow(pause)) = &fault {
            tokio::time::sleep(*pause).await;
        }
        if let Some(Fault::Answer(status, headers, body)) = &fault {
            return Ok(respond(Answer::new(*status, headers, body)));
        }
        if let Some(Fault::Echo(status)) = &fault {
            return Ok(respond(said_back(*status, request).await));
        }
        let mut answer = answer(self.router.clone(), request.map(Body::new)).await;
        self.note_tokens(&answer);
        match fault {
            Some(Fault::Lose) => return Err(Cut),
            Some(Fault::Mute) => std::future::pending().await,
            Some(Fault::Slow(pause)) => tokio::time::sleep(pause).await,
            Some(Fault::Alter(alter)) => answer = alter(answer),
            Some(Fault::Edit(edit)) => answer = answer.json(|body| edit(body)),
            Some(Fault::Answer(..) | Fault::Echo(_)) | None => {}
        }
        if let Some(watch) = &*self.watch.lock().unwrap() {
            watch(&ask, &answer);
        }
        Ok(respond(answer))
    }

    fn note_tokens(&self, answer: &Answer) {
        let mut issued = self.issued.lock().unwrap();
        let header = answer.headers.get("x-subject-token");
        issued.extend(header.map(|token| token.to_str().unwrap().to_owned()));
        if answer.body.windows(12).any(|w| w == b"access_token") {
            let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let tokens = ["access_token", "id_token"].map(|key| body[key].as_str());
            issued.extend(tokens.into_iter().flatten().map(str::to_owned));
        }
    }
}

impl Answer {
    fn new(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let status = StatusCode::from_u16(status).unwrap();
        Self { status, headers: map, body: body.as_bytes().to_vec() }
    }

    /// With its JSON changed.
    pub fn json(mut self, change: impl FnOnce(&mut Value)) -> Self {
        let mut body = serde_json::from_slice(&self.body).unwrap();
        change(&mut body);
        self.body = body.to_string().into_bytes();
        self
    }
}

async fn answer(router: Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes().to_vec();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// Keystone's envelope with all that came in it.
async fn said_back(status: u16, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let headers = parts.headers.values().map(|value| value.to_str().unwrap_or_default());
    let headers = headers.collect::<Vec<_>>().join(" ");
    let said = format!("{} {headers} {}", parts.uri, String::from_utf8_lossy(&body));
    let error = json!({ "error": { "code": status, "title": "No", "message": said } });
    Answer::new(status, &[], &error.to_string())
}

fn respond(answer: Answer) -> axum::response::Response {
    let mut response = axum::response::Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response.headers_mut().remove("content-length");
    response
}
