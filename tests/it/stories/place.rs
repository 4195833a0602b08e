//! A directory with a scaling.toml, the real program in it, and everything that it says.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteConnectOptions;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::canary;

/// The longest that a story waits for what has to come, on a machine that is busy.
pub const PATIENCE: Duration = Duration::from_secs(40);
/// A connection that was idle for longer is not used again.
const PAUSE_MOST: Duration = Duration::from_secs(5);
/// How often a state is looked at while it is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(80);

/// Libraries as well: whoever looks for a fault asks for their lines, too.
const LOUD: &str = "trace,novascale=trace";

/// Calls follow fast, and listeners are on ports of the system's choice.
pub const FAST: &str = "[cloud.limits]\nread_per_second = 100.0\nwrite_per_second = 100.0\n\
                        call_timeout = \"1s\"\n\n[http]\nwebhook = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n";

/// A group that is told its size, and obeys at once.
pub fn group(name: &str, min: u32, max: u32) -> String {
    format!(
        "[group.{name}]\nmin = {min}\nmax = {max}\nflavor = \"d2-2\"\nimage = \"Debian 12\"\n\
         networks = [\"Ext-Net\"]\nuser_data = \"#!/bin/sh\\nexport KEY={}\\n\"\n\n\
         [group.{name}.scale_in]\nstabilization = \"1s\"\ncooldown = \"0s\"\n\
         velocity = \"100%\"\n\n[group.{name}.patience]\nsettle = \"3s\"\n\n\
         [group.{name}.launch]\nbatch = 4\nbackoff_first = \"1s\"\nbackoff_most = \"2s\"\n\n",
        canary::USER_DATA
    )
}

pub struct Place {
    dir: TempDir,
    client: reqwest::Client,
    runtime: Runtime,
    /// What was said to anybody: (who said it, text).
    said: Mutex<Vec<(String, String)>>,
}

/// How a run of the program ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// An answer of the daemon.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub body: String,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

impl Place {
    pub fn new(scaling: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        // Below the time after which the daemon closes what is idle.
        let client = reqwest::Client::builder().no_proxy().pool_idle_timeout(PAUSE_MOST);
        let client = client.build().unwrap();
        let dir = TempDir::new().unwrap();
        let place = Self { dir, client, runtime, said: Mutex::default() };
        place.write("scaling.toml", scaling);
        place.write("client-secret", super::cloud::CLIENT_SECRET);
        place
    }

    /// One group on this cloud, whose calls are waited for until anything else has happened.
    pub fn patient(cloud: &super::cloud::Cloud, min: u32, max: u32) -> Self {
        let limits = FAST.replace("call_timeout = \"1s\"", "call_timeout = \"10s\"");
        let group = group("web", min, max).replace("settle = \"3s\"", "settle = \"21s\"");
        Self::new(&format!("{}{limits}{group}", cloud.section()))
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn state(&self, name: &str) -> PathBuf {
        self.path().join(".novascale").join(name)
    }

    /// The program in this place, with no variable but these.
    fn command(&self, arguments: &[&str]) -> Command {
        // Whoever runs the tests may have SIGHUP ignored, as `nohup` does.
        let mut command = Command::new("/usr/bin/env");
        command.args(["--default-signal=HUP", env!("CARGO_BIN_EXE_novascale")]);
        command.args(arguments).current_dir(self.path()).env_clear().env("COLUMNS", "80");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end.
    pub fn novascale(&self, arguments: &str) -> Ran {
        self.novascale_with(arguments, &[])
    }

    pub fn novascale_with(&self, arguments: &str, variables: &[(&str, &str)]) -> Ran {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = self.command(&arguments);
        let ended = command.envs(variables.iter().copied()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let code = ended.status.code().expect("the program was not killed");
        let ran = Ran { code, out: text(ended.stdout), err: text(ended.stderr) };
        self.heard(&arguments.join(" "), format!("{}{}", ran.out, ran.err));
        ran
    }

    /// Runs a command that has to work.
    pub fn does(&self, arguments: &str) -> Ran {
        let ran = self.novascale(arguments);
        assert_eq!(ran.code, 0, "{arguments}: {}{}", ran.out, ran.err);
        ran
    }

    /// Starts the daemon and waits until it is ready.
    pub fn start(&self) -> Daemon<'_> {
        self.start_with(&[])
    }

    /// The same from a shell, after this line of it.
    pub fn start_after(&self, line: &str) -> Daemon<'_> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", &format!("{line} && exec \"$0\" \"$@\"")]);
        command.args([env!("CARGO_BIN_EXE_novascale"), "run", "--log-level", LOUD]);
        command.current_dir(self.path()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Daemon::ready(self, &mut command)
    }

    pub fn start_with(&self, variables: &[(&str, &str)]) -> Daemon<'_> {
        self.start_as(&["run", "--log-level", LOUD], variables)
    }

    pub fn start_as(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Daemon<'_> {
        let mut command = self.command(arguments);
        Daemon::ready(self, command.envs(variables.iter().copied()))
    }

    /// Starts one that is to end itself at this point, and does not wait for it to be ready.
    pub fn start_to_die(&self, at: &str) -> Daemon<'_> {
        let mut command = self.command(&["run", "--log-level", "warn,novascale=debug"]);
        Daemon::spawn(self, command.env("NOVASCALE_KILL_AT", at))
    }

    /// Where the daemon's listener `which` is.
    pub fn address(&self, which: &str) -> String {
        let daemon = std::fs::read(self.state("daemon.json")).unwrap();
        let daemon: Value = serde_json::from_slice(&daemon).unwrap();
        daemon[which].as_str().unwrap().to_owned()
    }

    /// Asks the daemon's listener `which` (`webhook` or `admin`), with the token of a scope,
    /// as any program would.
    pub fn ask(&self, which: &str, line: &str, scope: &str, body: Option<Value>) -> Heard {
        self.try_to_ask(which, line, (scope, None), body).unwrap()
    }

    /// The same with an Idempotency-Key, by a sender who may find nobody.
    pub fn try_to_ask(
        &self,
        which: &str,
        line: &str,
        (scope, key): (&str, Option<&str>),
        body: Option<Value>,
    ) -> Result<Heard, reqwest::Error> {
        let (method, path) = line.split_once(' ').unwrap();
        let url = format!("{}{path}", self.address(which));
        let mut request = self.client.request(method.parse().unwrap(), url);
        request = request.bearer_auth(self.token(scope));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let (status, headers, body) = self.runtime.block_on(async {
            let answer = request.send().await?;
            let headers = format!("{:?}", answer.headers());
            Ok::<_, reqwest::Error>((answer.status().as_u16(), headers, answer.text().await?))
        })?;
        self.heard(line, format!("{headers}\n{body}"));
        Ok(Heard { status, body })
    }

    /// A token that the daemon drew.
    pub fn token(&self, scope: &str) -> String {
        let text = std::fs::read_to_string(self.state("tokens").join(scope)).unwrap();
        text.trim().to_owned()
    }

    /// What one group is now.
    pub fn group(&self, name: &str) -> Value {
        self.ask("admin", &format!("GET /v1/groups/{name}"), "read", None).json()
    }

    /// Waits until the group is as this says, and returns it.
    pub fn until(&self, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        loop {
            let group = self.group(name);
            if is(&group) {
                return group;
            }
            assert!(began.elapsed() < PATIENCE, "{name} never came to {what}: {group:#}");
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until so many serve and nothing else is under way.
    pub fn until_steady(&self, name: &str, n: u64) -> Value {
        let steady = |g: &Value| {
            g["situation"] == "steady" && g["desired"] == n && g["tally"]["serving"] == n
        };
        self.until(name, &format!("{n} that serve"), steady)
    }

    pub fn heard(&self, who: &str, text: String) {
        self.said.lock().unwrap().push((who.to_owned(), text));
    }

    pub fn said(&self) -> Vec<(String, String)> {
        self.said.lock().unwrap().clone()
    }

    /// The first column of what this selects in the state, which no daemon holds.
    pub fn rows(&self, sql: &'static str) -> Vec<String> {
        let clouds = std::fs::read_dir(self.state("clouds")).unwrap();
        let [home] = &clouds.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()[..] else {
            panic!("state of more clouds than one");
        };
        let file = SqliteConnectOptions::new().filename(home.join("state.db"));
        self.runtime.block_on(async {
            let mut conn = file.connect().await.unwrap();
            sqlx::query_scalar(sql).fetch_all(&mut conn).await.unwrap()
        })
    }

    pub fn explain(&self, group: &str) -> String {
        // The table is wrapped; what is looked for may not be cut.
        self.does(&format!("explain {group}")).out.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// A daemon under way. Dropped, it is killed.
pub struct Daemon<'p> {
    place: &'p Place,
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    lines: Mutex<(Vec<String>, bool)>,
    news: Condvar,
}

impl<'p> Daemon<'p> {
    /// One that has said that it is ready, and can be found.
    fn ready(place: &'p Place, command: &mut Command) -> Self {
        let daemon = Self::spawn(place, command);
        daemon.is_ready();
        daemon
    }

    fn spawn(place: &'p Place, command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Log::default());
        let (lines, keeper) = (BufReader::new(child.stderr.take().unwrap()), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines() {
                keeper.lines.lock().unwrap().0.push(line.unwrap());
                keeper.news.notify_all();
            }
            keeper.lines.lock().unwrap().1 = true;
            keeper.news.notify_all();
        });
        Self { place, child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line with these words, and returns it.
    pub fn says(&self, words: &str) -> String {
        self.says_often(words, 1)
    }

    /// The same for so many such lines; the last one.
    pub fn says_often(&self, words: &str, often: usize) -> String {
        let began = Instant::now();
        let mut lines = self.log.lines.lock().unwrap();
        loop {
            let mut said = lines.0.iter().filter(|line| line.contains(words));
            if let Some(line) = said.nth(often - 1) {
                return line.clone();
            }
            let left = PATIENCE.saturating_sub(began.elapsed());
            if lines.1 || left.is_zero() {
                // Not to be held by whoever looks at the log while the story ends.
                let all = lines.0.join("\n");
                drop(lines);
                panic!("the daemon never said {words:?} {often} times:\n{all}");
            }
            lines = self.log.news.wait_timeout(lines, left).unwrap().0;
        }
    }

    /// All that it has said so far.
    pub fn log(&self) -> String {
        self.log.lines.lock().unwrap().0.join("\n")
    }

    pub fn signal(&self, name: &str) {
        // The shell's own `kill`: a minimal system has no other.
        let kill = format!("kill -{name} {}", self.pid());
        let sent = Command::new("/bin/sh").args(["-c", &kill]).status().unwrap();
        assert!(sent.success(), "{kill}");
    }

    /// SIGTERM; its exit code, its whole log, and how long it took.
    pub fn stop(self) -> Stopped {
        let began = Instant::now();
        self.signal("TERM");
        self.ended(began)
    }

    /// Signals until it has ended.
    pub fn insist(mut self, name: &str) -> Stopped {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() && began.elapsed() < PATIENCE {
            self.signal(name);
            std::thread::sleep(LOOK_EVERY);
        }
        self.ended(began)
    }

    /// Waits for its end.
    pub fn ended(mut self, began: Instant) -> Stopped {
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it does not end:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
        let took = began.elapsed();
        let code = self.child.wait().unwrap().code().expect("it ended by itself");
        Stopped { code, log: self.close(), took }
    }

    /// Waits until it is ready.
    pub fn is_ready(&self) {
        self.says("state and tokens in");
        canary::wait_for(&self.place.state("daemon.json"));
    }

    /// Waits until it has ended itself; its log.
    pub fn dies(mut self, at: &str) -> String {
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < PATIENCE, "it never came to {at}:\n{}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
        let ended = self.child.wait().unwrap();
        let log = self.close();
        assert_eq!(ended.signal(), Some(9), "not killed at {at}: {ended}\n{log}");
        log
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.close();
    }

    /// Nothing of it is left; its log is kept with what else was said.
    fn close(&mut self) -> String {
        let _gone_already = self.child.kill();
        self.child.wait().unwrap();
        let mut lines = self.log.lines.lock().unwrap();
        while !lines.1 {
            lines = self.log.news.wait(lines).unwrap();
        }
        let log = lines.0.join("\n");
        if !log.is_empty() {
            self.place.heard("the log", log.clone());
        }
        log
    }
}

pub struct Stopped {
    pub code: i32,
    pub log: String,
    pub took: Duration,
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        self.close();
    }
}
