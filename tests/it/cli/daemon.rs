//! A stand-in for the daemon: it speaks HTTP on loopback, answers what a test told it
//! to, keeps what it was asked, and lays out a state directory like the daemon's.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// What time it always is at the daemon.
const DATE: &str = "Mon, 23 Nov 2026 18:00:00 GMT";

/// The daemon's address as snapshots have it.
const ADDRESS: &str = "http://127.0.0.1:8970";

/// An answer: method and path, status, body, and further headers.
pub struct Canned {
    method: &'static str,
    path: &'static str,
    status: u16,
    body: String,
    headers: Vec<(&'static str, &'static str)>,
}

/// One request as it arrived.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `POST /v1/groups/web/capacity`
    pub line: String,
    /// The token that it carried.
    pub token: String,
    pub key: Option<String>,
    pub body: Value,
}

/// A state directory as the daemon leaves it.
pub struct StateDir {
    dir: TempDir,
    /// Held while the daemon runs.
    _lock: Option<File>,
}

impl StateDir {
    pub fn path(&self) -> &Path {
        self.dir.path()
    }
}

pub struct Daemon {
    pub state: StateDir,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn get(path: &'static str, body: Value) -> Canned {
    answer("GET", path, 200, body)
}

pub fn answer(method: &'static str, path: &'static str, status: u16, body: Value) -> Canned {
    let headers = vec![("content-type", "application/json")];
    Canned { method, path, status, body: body.to_string(), headers }
}

impl Canned {
    pub fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn text(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }
}

impl Daemon {
    pub fn start(canned: Vec<Canned>) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let world = Arc::new((canned, Arc::clone(&asked)));
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                ready.send(listener.local_addr().unwrap()).unwrap();
                let router = axum::Router::new().fallback(reply).with_state(world);
                tokio::select! {
                    served = axum::serve(listener, router) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        let address = is_ready.recv().unwrap();
        let state = state_directory(&format!("http://{address}"), std::process::id());
        Self { state, address, asked, stop: Some(stop), thread: Some(thread) }
    }

    /// Runs the program against it.
    pub fn run(&self, arguments: &str) -> Ran {
        let dir = self.state.path().to_str().unwrap();
        let ran = novascale(arguments, &[("NOVASCALE_STATE_DIR", dir)], self.state.path());
        let plain = |text: String| {
            text.replace(&format!("http://{}", self.address), ADDRESS).replace(dir, "[STATE]")
        };
        Ran { out: plain(ran.out), err: plain(ran.err), ..ran }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The address, for `--url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the stand-in panicked");
        }
    }
}

/// A state directory of a daemon with that process id, which runs if the process is this one;
/// each scope's token is its name.
pub fn state_directory(admin: &str, pid: u32) -> StateDir {
    let dir = abandoned(admin, pid);
    let lock = (pid == std::process::id()).then(|| {
        std::fs::write(dir.path().join("lock"), format!("{pid}\n")).unwrap();
        let lock = File::open(dir.path().join("lock")).unwrap();
        lock.lock().unwrap();
        lock
    });
    StateDir { dir, _lock: lock }
}

/// What a daemon leaves that did not end well.
pub fn abandoned(admin: &str, pid: u32) -> TempDir {
    let dir = TempDir::new().unwrap();
    let daemon = json!({
        "pid": pid, "admin": admin, "webhook": "http://127.0.0.1:1",
        "started_at": "2026-11-23T17:00:00Z",
    });
    std::fs::write(dir.path().join("daemon.json"), daemon.to_string()).unwrap();
    std::fs::create_dir(dir.path().join("tokens")).unwrap();
    for scope in ["signal", "capacity", "read", "operate"] {
        let token = format!("token-to-{scope}\n");
        std::fs::write(dir.path().join("tokens").join(scope), token).unwrap();
    }
    dir
}

/// Runs the program with these variables alone, in this directory.
pub fn novascale(arguments: &str, variables: &[(&str, &str)], dir: &Path) -> Ran {
    with(&arguments.split_whitespace().collect::<Vec<_>>(), variables, dir)
}

/// Where an argument has blanks in it.
pub fn with(arguments: &[&str], variables: &[(&str, &str)], dir: &Path) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_novascale"));
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    command.env_clear().env("COLUMNS", "80").envs(variables.iter().copied());
    let ended = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = ended.status.code().expect("the program was not killed");
    Ran { code, out: text(ended.stdout), err: text(ended.stderr) }
}

type World = Arc<(Vec<Canned>, Arc<Mutex<Vec<Asked>>>)>;

async fn reply(State(world): State<World>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_else(|_| Bytes::new());
    let (method, path) = (parts.method.as_str(), parts.uri.to_string());
    let header = |name: &str| text(&parts.headers, name);
    world.1.lock().unwrap().push(Asked {
        line: format!("{method} {path}"),
        token: header("authorization").unwrap_or_default().replace("Bearer ", ""),
        key: header("idempotency-key"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let canned = world.0.iter().find(|canned| canned.method == method && canned.path == path);
    let Some(canned) = canned else { return absent() };
    let mut response = canned.body.clone().into_response();
    *response.status_mut() = StatusCode::from_u16(canned.status).unwrap();
    let headers = response.headers_mut();
    headers.insert(header::DATE, DATE.parse().unwrap());
    for (name, value) in &canned.headers {
        headers.insert(*name, value.parse().unwrap());
    }
    response
}

fn absent() -> Response {
    let problem = json!({
        "type": "about:blank", "title": "Not Found", "status": 404, "code": "unknown-group",
        "detail": "there is no group of this name", "hint": "GET /v1/groups lists them",
    });
    (StatusCode::NOT_FOUND, problem.to_string()).into_response()
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}
