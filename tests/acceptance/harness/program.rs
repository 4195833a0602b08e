//! Programs beside novascale: what its users run, in a directory of their own.

use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::wait::within;

/// A port that nobody listens on now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One that is ended when it is let go.
pub struct Program {
    name: String,
    arguments: Vec<String>,
    log: PathBuf,
    /// Answers 200 once it is ready.
    ready: String,
    child: Option<Child>,
}

impl Program {
    /// Starts it and waits until it is ready.
    pub fn start(dir: &Path, name: &str, arguments: &[String], ready: &str) -> Self {
        let log = dir.join(format!("{name}.log").replace('/', "-"));
        let (name, arguments) = (name.to_owned(), arguments.to_vec());
        let mut program = Self { name, arguments, log, ready: ready.to_owned(), child: None };
        program.again();
        program
    }

    /// Starts it once more, after [`Self::kill`].
    pub fn again(&mut self) {
        let log = OpenOptions::new().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new(&self.name);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(log.try_clone().unwrap());
        let child = command.stderr(log).spawn();
        self.child = Some(child.unwrap_or_else(|error| panic!("{}: {error}", self.name)));
        within(Duration::from_secs(60), &format!("{} to be ready", self.name), || {
            match answered(&self.ready) {
                Some(200) => Ok(()),
                other => Err(format!("{other:?}: {}", self.said())),
            }
        });
    }

    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let said = self.said();
            let lines: Vec<&str> = said.lines().collect();
            let tail = &lines[lines.len().saturating_sub(30)..];
            eprintln!("---- the end of what {} said\n{}\n----", self.name, tail.join("\n"));
        }
    }
}

/// The status of a GET, if there is an answer.
fn answered(url: &str) -> Option<u16> {
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answer = http.get(url).timeout(Duration::from_secs(5)).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    })
}

/// A target that Prometheus scrapes: one gauge, as high as the test says.
pub struct Gauge {
    pub port: u16,
    value: Arc<AtomicU64>,
}

impl Gauge {
    pub fn serve(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let value = Arc::<AtomicU64>::default();
        let shown = Arc::clone(&value);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer);
                let value = shown.load(Ordering::SeqCst);
                let body = format!("# TYPE {name} gauge\n{name} {value}\n");
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/plain; version=0.0.4\r\n";
                let length = body.len();
                let _ = write!(
                    stream,
                    "{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
                );
            }
        });
        Self { port, value }
    }

    pub fn set(&self, value: u64) {
        self.value.store(value, Ordering::SeqCst);
    }
}
