//! The program itself: as a daemon in a directory of its own, and as the command that asks it.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::lab::{Lab, openstack};
use super::wait::{until, within};

/// One quick group. `[group.crew]` and its tables may follow with further keys.
pub const GROUP: &str = r#"
flavor = "d2-2"
image = "Debian 12"
networks = ["Ext-Net"]
scale_in = { stabilization = "0s", cooldown = "0s", velocity = "100%" }
patience = { settle = "21s" }
"#;

/// A configuration for the lab's cloud of that name; `groups` follows.
pub fn settings(cloud: &str, groups: &str) -> String {
    format!(
        "[cloud]\n{cloud}\n\n[cloud.limits]\ncall_timeout = \"10s\"\n\n\
         [http]\nwebhook = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n{groups}"
    )
}

/// A daemon: its directory outlives its process, so that it can be started again.
pub struct Daemon {
    dir: TempDir,
    clouds_yaml: PathBuf,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Daemon {
    /// Writes the configuration; nothing runs yet.
    pub fn new(lab: &Lab, configuration: &str) -> Self {
        Self::in_dir(TempDir::new().unwrap(), lab.clouds_yaml(), configuration)
    }

    /// One that needs no lab, and runs: its cloud is the embedded one.
    pub fn with_its_own_cloud(configuration: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let clouds_yaml = dir.path().join(".novascale/sandbox/clouds.yaml");
        let mut daemon = Self::in_dir(dir, clouds_yaml, configuration);
        daemon.start();
        daemon
    }

    /// The same with these files beside its configuration, readable by their owner alone.
    pub fn prepared(configuration: &str, files: &[(&str, &str)]) -> Self {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = TempDir::new().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        let clouds_yaml = dir.path().join(".novascale/sandbox/clouds.yaml");
        let mut daemon = Self::in_dir(dir, clouds_yaml, configuration);
        daemon.start();
        daemon
    }

    fn in_dir(dir: TempDir, clouds_yaml: PathBuf, configuration: &str) -> Self {
        let daemon = Self { dir, clouds_yaml, variables: Vec::new(), child: None };
        daemon.configure(configuration);
        daemon
    }

    /// Configures and starts.
    pub fn started(lab: &Lab, configuration: &str) -> Self {
        let mut daemon = Self::new(lab, configuration);
        daemon.start();
        daemon
    }

    /// A variable that the daemon will see.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn configure(&self, text: &str) {
        std::fs::write(self.dir.path().join("scaling.toml"), text).unwrap();
    }

    /// Starts it and waits until it says where it listens.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = self.program();
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let pid = child.id();
        self.child = Some(child);
        within(Duration::from_secs(60), "the daemon to start", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the daemon ended ({ended:?}):\n{}", self.log());
            match self.about() {
                Some(about) if about["pid"] == pid => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    }

    /// SIGKILL: it gets no chance to say or write anything.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; how it ended and how long that took.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let mut child = self.child.take().expect("it runs");
        let began = Instant::now();
        let sent = Command::new("/bin/kill").args(["-TERM", &child.id().to_string()]).status();
        assert!(sent.unwrap().success());
        let status = child.wait().unwrap();
        (status, began.elapsed())
    }

    pub fn lives(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// `novascale …` with the daemon's configuration.
    pub fn ask(&self, words: &[&str]) -> Ran {
        let ended = self.program().args(words).stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = ended.status.code().expect("the command was not killed");
        Ran { code, out: text(ended.stdout), err: text(ended.stderr) }
    }

    /// The same, which must succeed; what it printed.
    pub fn tell(&self, words: &[&str]) -> String {
        let ran = self.ask(words);
        assert_eq!(ran.code, 0, "novascale {}: {}", words.join(" "), ran.err);
        ran.out
    }

    /// `openstack --os-cloud sandbox …` with the clouds.yaml that the daemon wrote.
    pub fn openstack(&self, words: &[&str]) -> String {
        openstack(&self.clouds_yaml, &[&["--os-cloud", "sandbox"], words].concat())
    }

    pub fn scale(&self, group: &str, n: usize) {
        self.tell(&["scale", group, &n.to_string()]);
    }

    /// The API's answer about one group.
    pub fn status(&self, group: &str) -> Value {
        let answer: Value =
            serde_json::from_str(&self.tell(&["status", group, "--output", "json"])).unwrap();
        match answer.get("groups") {
            Some(groups) => groups[0].clone(),
            None => answer,
        }
    }

    /// What it says of the group's servers.
    pub fn servers(&self, group: &str) -> Vec<Value> {
        let said = self.tell(&["servers", group, "--output", "json"]);
        let said: Value = serde_json::from_str(&said).unwrap();
        said["servers"].as_array().unwrap().clone()
    }

    /// `explain` as one line, as it was not broken for a terminal.
    pub fn explain(&self, group: &str) -> String {
        self.tell(&["explain", group]).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until the explanation says this.
    pub fn explains(&self, group: &str, words: &str) -> String {
        within(Duration::from_secs(120), &format!("{group} to explain {words:?}"), || {
            let said = self.explain(group);
            if said.contains(words) { Ok(said) } else { Err(said) }
        })
    }

    /// Waits until novascale says of itself that nothing is left to do.
    pub fn steady(&self, group: &str) {
        until(&format!("{group} to be steady"), || {
            let status = self.status(group);
            let still = status["tally"]["coming"] == 0 && status["situation"] == "steady";
            if still { Ok(()) } else { Err(status["headline"].to_string()) }
        });
    }

    /// The sum of a metric over its labels.
    pub fn metric(&self, name: &str) -> f64 {
        self.metrics()
            .iter()
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .fold(0.0, |sum, (_, value)| sum + value)
    }

    /// Every sample of `/metrics`: its name with labels, its value.
    pub fn metrics(&self) -> Vec<(String, f64)> {
        let page = self.get("/metrics", Some("read"));
        let samples = page.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        samples.filter_map(sample).collect()
    }

    /// One GET at the admin address; the body, whatever the status.
    pub fn get(&self, path: &str, scope: Option<&str>) -> String {
        self.http("GET", "admin", path, scope, None).1
    }

    /// One request to the daemon: status and body.
    pub fn http(
        &self,
        method: &str,
        listener: &str,
        path: &str,
        scope: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, String) {
        let about = self.about().expect("the daemon says where it listens");
        let url = format!("{}{path}", about[listener].as_str().unwrap());
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let mut request = http.request(method.parse().unwrap(), url);
        if let Some(scope) = scope {
            let token = std::fs::read_to_string(self.state().join("tokens").join(scope)).unwrap();
            request = request.bearer_auth(token.trim());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let answer = request.timeout(Duration::from_secs(30)).send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }

    /// Where one of its listeners is, as a URL.
    pub fn url(&self, listener: &str) -> String {
        let about = self.about().expect("the daemon says where it listens");
        about[listener].as_str().unwrap().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// The file with the token of this scope.
    pub fn token_file(&self, scope: &str) -> PathBuf {
        self.state().join("tokens").join(scope)
    }

    /// All that it logged, over all its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The lines of the log that warn or complain.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.log();
        let grave = |line: &&str| [" WARN ", " ERROR "].iter().any(|level| line.contains(level));
        log.lines().filter(grave).map(str::to_owned).collect()
    }

    fn program(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_novascale"));
        command.current_dir(self.dir.path()).env_clear().env("HOME", self.dir.path());
        command.env("COLUMNS", "100").env("OS_CLIENT_CONFIG_FILE", &self.clouds_yaml);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join(".novascale")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("novascale.log")
    }

    fn about(&self) -> Option<Value> {
        let text = std::fs::read_to_string(self.state().join("daemon.json")).ok()?;
        serde_json::from_str(&text).ok()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself; the test has said so then.
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let tail = &lines[lines.len().saturating_sub(80)..];
            eprintln!("---- the end of the daemon's log\n{}\n----", tail.join("\n"));
        }
    }
}
