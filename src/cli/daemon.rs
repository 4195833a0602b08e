//! Which daemon a command speaks to, and with which token.
//!
//! It loads no configuration: the daemon's state root tells both. There the daemon
//! leaves `daemon.json` (its process and addresses) and one token for each scope in
//! `tokens/`, readable by its own user only. A daemon elsewhere is named by `--url`
//! and `--token-file`. A token never leaves this machine unencrypted, and none is sent to
//! an address whose daemon has ended: whoever listens there now is somebody else.

use std::io;
use std::path::{Path, PathBuf};

use reqwest::Url;
use secrecy::SecretString;
use serde::Deserialize;

use super::exit::{Error, Exit};
use crate::app::root;
use crate::config::{DEFAULT_FILE, Env, paths};

/// How the user says where the daemon is.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub struct Where {
    /// The daemon's state directory
    ///
    /// If it is not given: $STATE_DIRECTORY, else `controller.state_dir` of the
    /// configuration file, else .novascale beside that file. `run` keeps its state there.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "NOVASCALE_STATE_DIR",
        hide_env_values = true
    )]
    pub state_dir: Option<PathBuf>,

    /// The daemon's admin address, if it runs elsewhere
    ///
    /// It begins with https, or with http on loopback. It wants --token-file too.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "NOVASCALE_URL",
        hide_short_help = true,
        hide_env_values = true
    )]
    pub url: Option<Url>,

    /// A file with the token to send
    ///
    /// If it is not given: the token of the scope that the command needs, below
    /// `tokens/` in the state directory.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "NOVASCALE_TOKEN_FILE",
        hide_short_help = true,
        hide_env_values = true
    )]
    pub token_file: Option<PathBuf>,
}

/// What a token allows, one word each: the name of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Signal,
    Capacity,
    Read,
    Operate,
}

impl Scope {
    pub fn word(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Capacity => "capacity",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }
}

/// A daemon's address and its tokens.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) url: Url,
    /// Its process, if it runs on this machine.
    pid: Option<u32>,
    tokens: Tokens,
    /// Why it may be another one that was meant.
    doubt: Option<String>,
}

#[derive(Debug)]
enum Tokens {
    /// One for each scope, below this state root.
    Below(PathBuf),
    File(PathBuf),
}

/// What the daemon leaves behind at start.
#[derive(Deserialize)]
struct DaemonFile {
    pid: u32,
    admin: String,
}

impl Daemon {
    /// `config` is the configuration file, if one was named.
    pub(super) fn find(given: &Where, config: Option<&Path>, env: &Env) -> Result<Self, Error> {
        let file = given.token_file.clone().map(Tokens::File);
        if let Some(url) = &given.url {
            let below = || given.state_dir.clone().map(Tokens::Below);
            let tokens = file.or_else(below).ok_or_else(|| {
                Error::new(Exit::Usage, format!("no token is named for {url}"))
                    .hint("name it with --token-file FILE or NOVASCALE_TOKEN_FILE")
            })?;
            check_encrypted(url)?;
            return Ok(Self { url: url.clone(), pid: None, tokens, doubt: None });
        }
        let (root, doubt) = match &given.state_dir {
            Some(dir) => (dir.clone(), None),
            None => state_root(config, env)?,
        };
        let found = read_daemon_file(&root).map_err(|error| doubted(error, doubt.as_deref()));
        let (pid, url) = found?;
        let tokens = file.unwrap_or(Tokens::Below(root));
        Ok(Self { url, pid: Some(pid), tokens, doubt })
    }

    pub(super) fn token_path(&self, scope: Scope) -> PathBuf {
        match &self.tokens {
            Tokens::Below(root) => paths::token_file(root, scope.word()),
            Tokens::File(file) => file.clone(),
        }
    }

    /// Read for each request, so that a rotated token counts at once.
    pub(super) fn token(&self, scope: Scope) -> Result<SecretString, Error> {
        let path = self.token_path(scope);
        match std::fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => Ok(SecretString::from(text.trim())),
            Ok(_) => {
                Err(Error::new(Exit::Denied, format!("the token file {} is empty", path.display())))
            }
            Err(error) => Err(unreadable("token", &path, &error)),
        }
    }

    /// Nobody listens there. `why` is what the connection met.
    pub(super) fn silent(&self, why: &str) -> Error {
        let error =
            Error::new(Exit::Unavailable, format!("no daemon answers at {}: {why}", self.url));
        let error = match self.pid {
            None => error.hint("is it running there, and is this its admin address?"),
            Some(pid) => error.hint(format!(
                "its process {pid} is there: it is just stopping, or it hangs. Its log says more; \
                 once it has ended, start it with `novascale run`"
            )),
        };
        doubted(error, self.doubt.as_deref())
    }

    /// Whether answers come from this machine, without encryption.
    pub(super) fn loopback(&self) -> bool {
        self.url.scheme() == "http"
    }
}

fn doubted(error: Error, doubt: Option<&str>) -> Error {
    match doubt {
        Some(doubt) => error.hint(doubt),
        None => error,
    }
}

/// The state root that a daemon with this configuration has, and why that may not be so.
fn state_root(config: Option<&Path>, env: &Env) -> Result<(PathBuf, Option<String>), Error> {
    if let Some(dir) = paths::systemd_root(env) {
        return Ok((dir, None));
    }
    let file = config.unwrap_or(Path::new(DEFAULT_FILE));
    let full = env.cwd().join(file);
    let base = full.parent().unwrap_or(env.cwd());
    let (dir, doubt) = match (configured(&full, base, env), config) {
        (Ok(dir), _) => (dir, None),
        (Err(Unheeded::Absent(_)), None) => (None, None),
        (Err(why), None) => {
            let doubt = format!("{} {why}; its state_dir was not heeded", file.display());
            (None, Some(doubt))
        }
        (Err(why), Some(_)) => {
            let message = format!("{} {why}", file.display());
            let hint = "`controller.state_dir` in it says where the daemon's state lies; \
                        or name that with --state-dir";
            return Err(Error::new(Exit::Config, message).hint(hint));
        }
    };
    Ok((paths::state_root(dir.as_deref(), base, env), doubt))
}

/// Why a configuration does not say where state lies.
#[derive(Debug, thiserror::Error)]
enum Unheeded {
    #[error("cannot be read: {0}")]
    Absent(io::Error),
    #[error("cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("could not be understood")]
    NotToml,
}

/// `controller.state_dir` of the configuration, if it is set. The rest of the file is not
/// looked at: what the cloud needs may be known to the daemon alone.
fn configured(file: &Path, base: &Path, env: &Env) -> Result<Option<PathBuf>, Unheeded> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let absent = error.kind() == io::ErrorKind::NotFound;
        if absent { Unheeded::Absent(error) } else { Unheeded::Unreadable(error) }
    })?;
    let file: toml::Table = text.parse().map_err(|_| Unheeded::NotToml)?;
    let Some(dir) = file.get("controller").and_then(|controller| controller.get("state_dir"))
    else {
        return Ok(None);
    };
    let dir = dir.as_str().ok_or(Unheeded::NotToml)?;
    Ok(Some(env.path(dir, base)))
}

/// The daemon's process and its admin address.
fn read_daemon_file(root: &Path) -> Result<(u32, Url), Error> {
    let path = paths::daemon_file(root);
    let text = std::fs::read_to_string(&path).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            stopped(root)
        } else {
            unreadable("daemon's address", &path, &error)
        }
    })?;
    let strange = |why: String| {
        Error::new(Exit::Failed, format!("{} cannot be understood: {why}", path.display()))
            .hint("is this novascale older or newer than the daemon?")
    };
    let file = serde_json::from_str::<DaemonFile>(&text).map_err(|e| strange(e.to_string()))?;
    let admin: Url = file.admin.parse().map_err(|e| strange(format!("{}: {e}", file.admin)))?;
    check_encrypted(&admin)?;
    if !root::runs(root, file.pid).unwrap_or_else(|| !gone(file.pid)) {
        return Err(vanished(root, file.pid));
    }
    Ok((file.pid, admin))
}

fn stopped(root: &Path) -> Error {
    no_daemon(root)
        .hint("start it with `novascale run`, or say where it is with --state-dir or --url")
}

fn vanished(root: &Path, pid: u32) -> Error {
    no_daemon(root).hint(format!(
        "its process {pid} is gone without having said goodbye; start it again with \
         `novascale run`, it recovers by itself"
    ))
}

fn no_daemon(root: &Path) -> Error {
    let message = format!("no daemon runs with the state directory {}", root.display());
    Error::new(Exit::Unavailable, message)
}

/// Plain http only where no network sees the token.
fn check_encrypted(url: &Url) -> Result<(), Error> {
    let loopback = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if loopback => Ok(()),
        _ => Err(Error::new(
            Exit::Usage,
            format!("{url} would carry the token unencrypted over the network"),
        )
        .hint("use https, or a tunnel to a loopback address (`ssh -L 7781:127.0.0.1:7781 …`)")),
    }
}

fn unreadable(what: &str, path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot read the {what} in {}: {error}", path.display());
    if error.kind() == io::ErrorKind::PermissionDenied {
        Error::new(Exit::Denied, message)
            .hint("run this as the daemon's user, or be given a token of your own (--token-file)")
    } else if error.kind() == io::ErrorKind::NotFound {
        Error::new(Exit::Denied, message)
            .hint("the daemon draws its tokens at first start; is this its state directory?")
    } else {
        Error::new(Exit::Failed, message)
    }
}

/// Whether the process certainly ended. Where there is no /proc nobody can say.
fn gone(pid: u32) -> bool {
    Path::new("/proc/self").exists() && !Path::new("/proc").join(pid.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Url {
        url.parse().unwrap()
    }

    #[test]
    fn a_token_never_crosses_a_network_in_the_clear() {
        for fine in ["http://127.0.0.1:8970", "http://[::1]:1", "http://localhost:1", "https://a.b"]
        {
            assert!(check_encrypted(&parsed(fine)).is_ok(), "{fine}");
        }
        for refused in ["http://192.0.2.1", "http://localhost.evil.example", "ftp://127.0.0.1"] {
            let error = check_encrypted(&parsed(refused)).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{refused}");
        }
    }

    #[test]
    fn a_url_wants_its_own_token() {
        let given =
            Where { state_dir: None, url: Some(parsed("https://scale.example")), token_file: None };
        let error = Daemon::find(&given, None, &Env::from_process()).unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.message.contains("no token is named"), "{error}");
    }
}
