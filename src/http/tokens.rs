//! Tokens: who may do what. One for each scope, drawn at first start.
//!
//! | scope | allows |
//! |---|---|
//! | `signal` | `POST …/signals` |
//! | `capacity` | `POST …/capacity` |
//! | `read` | every `GET` below `/v1`, and `/metrics` |
//! | `operate` | everything, `PUT` and `DELETE` of pins and freezes among it |
//!
//! Each lies in a file of its scope's name (directory 0700, file 0600), so that a sender
//! is given one file and no more. This process keeps only SHA-256 digests: a token cannot
//! leave it by a log or a core dump. A presented token is digested and compared with every
//! digest in constant time; neither a match's place nor its beginning shows in the time.
//! To change a token: remove its file and start again.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use crate::clock::entropy;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    Signal,
    Capacity,
    Read,
    Operate,
}

impl Scope {
    pub const ALL: [Self; 4] = [Self::Signal, Self::Capacity, Self::Read, Self::Operate];

    pub fn word(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Capacity => "capacity",
            Self::Read => "read",
            Self::Operate => "operate",
        }
    }

    /// Whether a token of this scope may do what wants `other`.
    pub fn includes(self, other: Self) -> bool {
        self == other || self == Self::Operate
    }
}

/// Where the token of a scope lies, below the directory of all tokens.
pub fn token_file(directory: &Path, scope: Scope) -> PathBuf {
    directory.join(scope.word())
}

/// All tokens, as digests, with where each lies.
#[derive(Clone)]
pub struct Tokens {
    directory: PathBuf,
    digests: [[u8; 32]; 4],
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tokens({})", self.directory.display())
    }
}

/// Why the tokens are not to be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot {tried} {path}: {why}; it must be a place that novascale may write to")]
    Io { tried: &'static str, path: PathBuf, why: io::Error },
    #[error(
        "{path} does not hold a token of scope {scope}: it must be one line, `nvs_{scope}_` and \
         64 hexadecimal digits; remove the file to have a new one drawn"
    )]
    Unreadable { path: PathBuf, scope: &'static str },
    #[error(
        "{path} may be read by others than its owner (mode {mode:o}): run `chmod 600 {path}`, or \
         remove it to have a new token drawn"
    )]
    Open { path: PathBuf, mode: u32 },
}

impl Tokens {
    /// Reads the tokens of this directory; what is missing is drawn and written, durably,
    /// before it counts.
    pub fn open(directory: &Path) -> Result<Self, TokenError> {
        let failed = |tried| io_error(tried, directory);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(directory).map_err(failed("create"))?;
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(directory, mode).map_err(failed("close to others"))?;
        let mut digests = [[0; 32]; 4];
        for (digest, scope) in digests.iter_mut().zip(Scope::ALL) {
            let path = token_file(directory, scope);
            let token = match read(&path, scope)? {
                Some(token) => token,
                None => draw(directory, &path, scope)?,
            };
            *digest = Sha256::digest(token.as_bytes()).into();
        }
        Ok(Self { directory: directory.to_owned(), digests })
    }

    /// Where the token of a scope lies.
    pub fn file(&self, scope: Scope) -> PathBuf {
        token_file(&self.directory, scope)
    }

    /// The scope of a presented token, none if it is not one of ours. The work done is the
    /// same whichever it is, and if it is none.
    pub fn scope_of(&self, presented: &[u8]) -> Option<Scope> {
        let presented: [u8; 32] = Sha256::digest(presented).into();
        let none = u8::MAX;
        let mut found = none;
        for (n, digest) in (0u8..).zip(&self.digests) {
            let equal: Choice = digest.ct_eq(&presented);
            found.conditional_assign(&n, equal);
        }
        Scope::ALL.get(usize::from(found)).copied()
    }
}

fn io_error(tried: &'static str, path: &Path) -> impl Fn(io::Error) -> TokenError + use<> {
    let path = path.to_owned();
    move |why| TokenError::Io { tried, path: path.clone(), why }
}

/// The longest file that is looked at: a token is below 90 bytes.
const FILE_MOST: u64 = 1024;

/// The token of a file, none if there is no file.
fn read(path: &Path, scope: Scope) -> Result<Option<String>, TokenError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(io_error("open", path)(why)),
    };
    let mode = file.metadata().map_err(io_error("read", path))?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TokenError::Open { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(FILE_MOST).read_to_end(&mut bytes).map_err(io_error("read", path))?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    let token = text.trim();
    let digits = token.strip_prefix(&prefix(scope));
    match digits {
        Some(d) if d.len() == 64 && d.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(Some(token.to_owned()))
        }
        _ => Err(TokenError::Unreadable { path: path.to_owned(), scope: scope.word() }),
    }
}

fn prefix(scope: Scope) -> String {
    format!("nvs_{}_", scope.word())
}

/// Draws 256 bits and writes them so that a crash leaves a whole file or none: to a name
/// beside, synced, renamed, and the directory synced.
fn draw(directory: &Path, path: &Path, scope: Scope) -> Result<String, TokenError> {
    let token = format!("{}{:032x}{:032x}", prefix(scope), entropy(), entropy());
    let beside = directory.join(format!(".{}.new", scope.word()));
    let failed = io_error("write", path);
    match fs::remove_file(&beside) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(failed(why)),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(&beside).map_err(&failed)?;
    writeln!(file, "{token}").and_then(|()| file.sync_all()).map_err(&failed)?;
    fs::rename(&beside, path).map_err(&failed)?;
    fs::File::open(directory).and_then(|d| d.sync_all()).map_err(&failed)?;
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn tokens_are_drawn_once_and_only_their_owner_may_read_them() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("state/tokens");
        let tokens = Tokens::open(&directory).unwrap();
        assert_eq!(mode(&directory), 0o700);
        let again = Tokens::open(&directory).unwrap();
        for scope in Scope::ALL {
            let path = tokens.file(scope);
            assert_eq!(mode(&path), 0o600);
            let token = fs::read_to_string(path).unwrap();
            assert!(token.starts_with(&prefix(scope)), "{scope:?}");
            for opened in [&tokens, &again] {
                assert_eq!(opened.scope_of(token.trim().as_bytes()), Some(scope));
            }
        }
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 4, "nothing else is left");
    }

    #[test]
    fn strangers_have_no_scope() {
        let home = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(home.path()).unwrap();
        let right = fs::read_to_string(tokens.file(Scope::Read)).unwrap();
        let right = right.trim();
        for wrong in ["", "nvs_read_", &right[1..], &format!("{right} "), &right.to_uppercase()] {
            assert_eq!(tokens.scope_of(wrong.as_bytes()), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_removed_file_is_drawn_anew_and_the_old_token_ends() {
        let home = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(home.path()).unwrap();
        let old = fs::read_to_string(tokens.file(Scope::Signal)).unwrap();
        fs::remove_file(tokens.file(Scope::Signal)).unwrap();
        fs::write(home.path().join(".signal.new"), "half of a tok").unwrap();
        let tokens = Tokens::open(home.path()).unwrap();
        assert_eq!(tokens.scope_of(old.trim().as_bytes()), None);
    }

    #[test]
    fn files_that_hold_no_token_are_named_and_never_shown() {
        let home = tempfile::tempdir().unwrap();
        let tokens = Tokens::open(home.path()).unwrap();
        let path = tokens.file(Scope::Capacity);
        for text in ["", "nvs_capacity_short", "nvs_read_canary"] {
            fs::write(&path, text).unwrap();
            let error = Tokens::open(home.path()).unwrap_err().to_string();
            assert!(error.contains("capacity") && error.contains("remove the file"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn files_open_to_others_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = Tokens::open(home.path()).unwrap().file(Scope::Operate);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Tokens::open(home.path()).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn operate_includes_all_and_nothing_else_includes_another() {
        for have in Scope::ALL {
            for need in Scope::ALL {
                assert_eq!(have.includes(need), have == need || have == Scope::Operate);
            }
        }
    }
}
