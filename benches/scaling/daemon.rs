//! The release binary as a child: started, asked, stopped.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::cloud::{CLIENT_SECRET, Cloud};

const PATIENCE: Duration = Duration::from_secs(60);

pub struct Daemon {
    dir: TempDir,
    child: Child,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Daemon {
    /// Starts it on this cloud with one group `bench` of 0 to 100, and waits until it is idle.
    pub fn start(cloud: &Cloud) -> Self {
        let dir = TempDir::new().unwrap();
        let group = "[http]\nwebhook = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[group.bench]\n\
                     min = 0\nmax = 100\nflavor = \"d2-2\"\nimage = \"Debian 12\"\n\
                     networks = [\"Ext-Net\"]\n[group.bench.scale_in]\ncooldown = \"0s\"\n\
                     velocity = \"100%\"\n";
        write(&dir.path().join("scaling.toml"), &format!("{}\n{group}", cloud.section()));
        write(&dir.path().join("client-secret"), CLIENT_SECRET);
        let child = Command::new(env!("CARGO_BIN_EXE_novascale"))
            .args(["run", "--log-level", "warn"])
            .current_dir(dir.path())
            .env_clear()
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let daemon = Self { dir, child, client, runtime };
        wait("daemon.json", || daemon.state("daemon.json").exists());
        daemon.until_steady(0);
        daemon
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn state(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(".novascale").join(name)
    }

    /// `set`s the group's base; returns once that is stored.
    pub fn set(&self, n: u32) {
        let body = json!({ "set": n });
        let status = self.ask("POST", "/v1/groups/bench/capacity", "capacity", Some(body)).0;
        assert_eq!(status, 202);
    }

    pub fn until_steady(&self, n: u32) {
        wait("a steady group", || {
            let (status, group) = self.ask("GET", "/v1/groups/bench", "read", None);
            status == 200 && group["situation"] == "steady" && group["tally"]["serving"] == n
        });
    }

    fn ask(&self, method: &str, path: &str, scope: &str, body: Option<Value>) -> (u16, Value) {
        let about = std::fs::read(self.state("daemon.json")).unwrap();
        let about: Value = serde_json::from_slice(&about).unwrap();
        let token = std::fs::read_to_string(self.state("tokens").join(scope)).unwrap();
        let url = format!("{}{path}", about["admin"].as_str().unwrap());
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(token.trim());
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.json().await.unwrap_or_default())
        })
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn write(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn wait(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < PATIENCE, "{what} never came");
        std::thread::sleep(Duration::from_millis(20));
    }
}
