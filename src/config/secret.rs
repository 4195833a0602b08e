//! Secrets: where they come from; they never print.
//!
//! A secret is named in the configuration, not written there. It is read when it is needed and
//! kept no longer than the sign-in that needs it; errors name the place, never the content.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use subtle::ConstantTimeEq as _;

use super::env::Env;

/// Where a secret is had from. It is read anew whenever it is needed, so that a
/// rotated file counts from the next sign-in on.
#[derive(Clone)]
pub enum Secret {
    /// The first line's text of a file, without the line end.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A file below `$CREDENTIALS_DIRECTORY` (systemd's `LoadCredential=`).
    Credential(String),
    /// Given in clouds.yaml, secure.yaml, an OS_* variable, or drawn by the embedded cloud.
    Given(SecretString),
}

/// What [`Secret::read`] looks into.
#[derive(Debug, Clone, Default)]
pub struct SecretEnv(Env);

/// More is no secret that a sign-in takes, but a wrong file.
const LONGEST_BYTES: u64 = 64 * 1024;

/// Where systemd puts credentials. Source: systemd.exec(5), `LoadCredential=`.
const CREDENTIALS: &str = "CREDENTIALS_DIRECTORY";

impl SecretEnv {
    pub fn new(env: Env) -> Self {
        Self(env)
    }

    pub fn from_process() -> Self {
        Self(Env::from_process())
    }
}

impl Secret {
    /// The secret's text: never empty, of one line.
    pub fn read(&self, env: &SecretEnv) -> Result<SecretString, SecretError> {
        match self {
            Self::Given(text) => Ok(text.clone()),
            Self::Env(name) => {
                let value = env.0.var(name).ok_or_else(|| SecretError::Unset(name.clone()))?;
                first_line(value).ok_or_else(|| self.empty())
            }
            Self::File(path) => read_file(path)?.ok_or_else(|| self.empty()),
            Self::Credential(name) => {
                let dir = env.0.var(CREDENTIALS);
                let dir = dir.ok_or_else(|| SecretError::NoCredentials(name.clone()))?;
                read_file(&Path::new(dir).join(name))?.ok_or_else(|| self.empty())
            }
        }
    }

    /// The file that it is read from, as far as that is known without reading it.
    pub fn file(&self, env: &SecretEnv) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => Some(Path::new(env.0.var(CREDENTIALS)?).join(name)),
            Self::Env(_) | Self::Given(_) => None,
        }
    }

    /// Where it comes from, as a phrase: `file /etc/novascale/secret`.
    pub fn origin(&self) -> String {
        match self {
            Self::File(path) => format!("file {}", path.display()),
            Self::Env(name) => format!("env {name}"),
            Self::Credential(name) => format!("credential {name}"),
            Self::Given(_) => "given".to_owned(),
        }
    }

    fn empty(&self) -> SecretError {
        SecretError::Empty(self.origin())
    }
}

/// Whether it is had from the same place; what lies there is not looked at.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Env(a), Self::Env(b)) | (Self::Credential(a), Self::Credential(b)) => a == b,
            (Self::Given(a), Self::Given(b)) => {
                a.expose_secret().as_bytes().ct_eq(b.expose_secret().as_bytes()).into()
            }
            (Self::File(_) | Self::Env(_) | Self::Credential(_) | Self::Given(_), _) => false,
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({})", self.origin())
    }
}

/// Why a secret could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("the secret in {path} cannot be read")]
    File { path: PathBuf, source: io::Error },
    #[error("the secret in {0} is longer than {LONGEST_BYTES} bytes: this is some other file")]
    TooLong(PathBuf),
    #[error("the secret is to come from the variable {0}, which is not set")]
    Unset(String),
    #[error(
        "the secret is to come from the systemd credential `{0}`, but $CREDENTIALS_DIRECTORY is not set: only a unit with `LoadCredential={0}:…` has it"
    )]
    NoCredentials(String),
    #[error("the secret's first line is empty ({0})")]
    Empty(String),
}

impl SecretError {
    /// With what the system said of it.
    pub fn whole(&self) -> String {
        match std::error::Error::source(self) {
            Some(source) => format!("{self}: {source}"),
            None => self.to_string(),
        }
    }

    /// The daemon may find it all the same: it runs as another user, or as a unit of systemd.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == io::ErrorKind::PermissionDenied,
            Self::NoCredentials(_) => true,
            Self::Unset(_) | Self::TooLong(_) | Self::Empty(_) => false,
        }
    }
}

fn read_file(path: &Path) -> Result<Option<SecretString>, SecretError> {
    let failed = |source| SecretError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(LONGEST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST_BYTES {
        return Err(SecretError::TooLong(path.to_owned()));
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| failed(io::Error::other("it is not UTF-8 text")))?;
    Ok(first_line(&text))
}

fn first_line(text: &str) -> Option<SecretString> {
    let line = text.lines().next().unwrap_or("");
    (!line.trim().is_empty()).then(|| SecretString::from(line))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn read(secret: &Secret, vars: &[(&str, &str)]) -> Result<String, String> {
        let env = SecretEnv::new(Env::new(vars.iter().copied(), None, "/".into()));
        let text = secret.read(&env).map(|s| s.expose_secret().to_owned());
        text.map_err(|e| e.to_string())
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let secret = Secret::File(path.clone());
        for (content, text) in [("abc\n", "abc"), ("abc", "abc"), ("a b\r\nc\n", "a b")] {
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&secret, &[]).unwrap(), text);
        }
        for empty in ["", "\n", "\nabc", " \t\n"] {
            std::fs::write(&path, empty).unwrap();
            assert!(read(&secret, &[]).unwrap_err().contains("is empty"), "{empty:?}");
        }
        std::fs::write(&path, "x".repeat(70_000)).unwrap();
        assert!(read(&secret, &[]).unwrap_err().contains("longer"));
        std::fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(read(&secret, &[]).unwrap_err().contains("cannot be read"));
        assert!(read(&Secret::File(dir.path().join("absent")), &[]).is_err());
    }

    #[test]
    fn variables_and_credentials_are_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("client"), "from systemd\n").unwrap();
        let at = dir.path().to_str().unwrap();
        let env = Secret::Env("MY_SECRET".into());
        let credential = Secret::Credential("client".into());
        assert_eq!(read(&env, &[("MY_SECRET", "x")]).unwrap(), "x");
        assert!(read(&env, &[("MY_SECRET", "")]).unwrap_err().contains("not set"));
        assert_eq!(read(&credential, &[(CREDENTIALS, at)]).unwrap(), "from systemd");
        assert!(read(&credential, &[]).unwrap_err().contains("LoadCredential"));
    }

    #[test]
    fn nothing_prints_the_secret() {
        let given = Secret::Given(SecretString::from("hunter2"));
        assert_eq!(format!("{given:?}"), "Secret(given)");
        assert_eq!(read(&given, &[]).unwrap(), "hunter2");
    }
}
