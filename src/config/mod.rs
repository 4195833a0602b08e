//! What the configuration means, once it was understood.
//!
//! It answers which cloud to talk to, where to listen, and which groups to keep; it never guesses
//! at what is unclear, and it takes effect as a whole or not at all.
//!
//! `scaling.toml` is read in two steps: `file` is what is written, `check` is what it means.
//! Both report every fault they find, each with its place, the reason and a hint. Which cloud is
//! meant is settled in `check/cloud.rs`, from `[cloud]`, a preset, clouds.yaml or `OS_*` variables
//! (`openstack.rs`). Secrets are named there and read in [`secret`], when they are needed. The
//! parts of [`Config`] are what the rest of the program is given, each its own section.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::domain::group::Group;
use crate::domain::id::InstallId;

pub mod change;
pub mod cloud;
pub mod env;
pub mod fault;
pub mod host;
pub mod http;
pub mod paths;
pub mod pull;
pub mod rehearsal;
pub mod secret;
pub mod source;
pub mod view;

mod check;
mod clouds_yaml;
mod digest;
mod file;
mod mask;
mod openstack;
mod options;
mod presets;
mod read;

pub use cloud::{Cloud, CloudSettings};
pub use env::Env;
pub use fault::{Fault, Faults, Severity};
pub use http::HttpSettings;
pub use view::CloudView;

/// All that was configured, valid as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    pub controller: Controller,
    pub cloud: Cloud,
    pub http: HttpSettings,
    /// In order of their names.
    pub sources: Vec<source::Source>,
    /// In order of their names.
    pub pulls: Vec<pull::Pull>,
    /// In order of their names; tags are unique.
    pub groups: Vec<Group>,
}

/// The controller itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Controller {
    /// Where state lies: one directory below it for each cloud and project.
    pub state_dir: PathBuf,
    /// The install id to go by, in place of the one drawn at first start.
    pub id: Option<InstallId>,
}

/// A configuration with what is worth a second look.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<Fault>,
    /// The cloud's settings with where each came from, for people; secrets are redacted.
    pub cloud: CloudView,
}

/// The file that is read where none is named.
pub const DEFAULT_FILE: &str = "scaling.toml";

/// A longer file is some other file.
const FILE_MOST_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads a file, and what it names: user data, secrets (only to see whether they are there),
    /// clouds.yaml. A relative `path` starts at the environment's working directory.
    pub fn load(path: &Path, env: &Env) -> Result<Loaded, Faults> {
        let full = env.cwd().join(path);
        let text = read_text(&full).map_err(|why| unreadable(path, why))?;
        Self::parse(&text, path, env)
    }

    /// As much of a file as the embedded cloud needs that runs alone: all of one that uses it,
    /// and of another's only where state lies. What a real cloud's settings name, its secrets
    /// among it, is not looked at.
    pub fn load_embedded(path: &Path, env: &Env) -> Result<Loaded, Faults> {
        let full = env.cwd().join(path);
        let text = read_text(&full).map_err(|why| unreadable(path, why))?;
        Self::understand(&text, path, env, |root| {
            if !uses_embedded(root) {
                let state = root.remove_entry("controller");
                *root = toml::de::DeTable::parse_recoverable(EMBEDDED).0.into_inner();
                root.extend(state);
            }
        })
    }

    /// Understands a file's text. `path` is what faults call it; relative paths in the text start
    /// at its directory.
    pub fn parse(text: &str, path: &Path, env: &Env) -> Result<Loaded, Faults> {
        Self::understand(text, path, env, |_| ())
    }

    fn understand<'t>(
        text: &'t str,
        path: &Path,
        env: &Env,
        prepare: impl FnOnce(&mut toml::de::DeTable<'t>),
    ) -> Result<Loaded, Faults> {
        let (mut root, broken) = toml::de::DeTable::parse_recoverable(text);
        if !broken.is_empty() {
            return Err(not_toml(text, path, &broken));
        }
        let shown = mask::understood(text, root.get_ref());
        let mut sink = fault::Sink::new(fault::Source::new(path, shown));
        let full = env.cwd().join(path);
        let base = full.parent().unwrap_or(env.cwd());
        prepare(root.get_mut());
        let file = file::read(root, &mut sink);
        let checked = check::check(file, check::Around { env, base }, &mut sink);
        let ((config, cloud), warnings) = sink.close(checked)?;
        Ok(Loaded { config, warnings, cloud })
    }
}

/// What stands in place of another cloud.
const EMBEDDED: &str = "[cloud]\nuse = \"sandbox\"\n";

fn uses_embedded(root: &toml::de::DeTable<'_>) -> bool {
    let used = root.get("cloud").and_then(|cloud| cloud.get_ref().as_table()?.get("use"));
    used.is_some_and(|used| used.get_ref().as_str() == Some("sandbox"))
}

/// Why there is no text to understand.
enum Unreadable {
    Io(std::io::Error),
    TooLong,
    /// Not UTF-8, from this line and column on.
    NoText {
        line: usize,
        column: usize,
    },
}

fn read_text(path: &Path) -> Result<String, Unreadable> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(Unreadable::Io)?;
    file.take(FILE_MOST_BYTES + 1).read_to_end(&mut bytes).map_err(Unreadable::Io)?;
    if bytes.len() as u64 > FILE_MOST_BYTES {
        return Err(Unreadable::TooLong);
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let good = String::from_utf8_lossy(error.as_bytes().get(..good).unwrap_or_default());
        let last = good.rsplit('\n').next().unwrap_or_default();
        Unreadable::NoText {
            line: good.matches('\n').count() + 1,
            column: last.chars().count() + 1,
        }
    })
}

fn unreadable(path: &Path, why: Unreadable) -> Faults {
    let shown = path.display();
    let (why, hint, place) = match why {
        Unreadable::Io(error) => (error.to_string(), hint(path, &error), None),
        Unreadable::TooLong => {
            let hint = "it is some other file: name the configuration with --config FILE";
            ("it is longer than 1 MiB".to_owned(), hint.to_owned(), None)
        }
        Unreadable::NoText { line, column } => {
            let place = fault::Place::Line { path: shown.to_string(), line, column };
            let hint = "save it as UTF-8; or is it some other file?";
            (format!("line {line} is not UTF-8 text"), hint.to_owned(), Some(place))
        }
    };
    let reason = format!("the configuration {shown} cannot be read: {why}");
    let mut fault = Fault::new(Severity::Fault, reason);
    fault.hint(hint).place(place).clone().into()
}

/// What to do about a file that the system does not hand out.
fn hint(path: &Path, error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    let kind = error.kind();
    if kind == ErrorKind::PermissionDenied {
        "run this as a user that may read it, or let this one read it (chown, chmod)".to_owned()
    } else if kind == ErrorKind::IsADirectory {
        format!("name the file in it, as {}", path.join(DEFAULT_FILE).display())
    } else if path == Path::new(DEFAULT_FILE) {
        format!("name the file with --config FILE, or go where {DEFAULT_FILE} is")
    } else {
        "is the path right? A relative one starts at the working directory".to_owned()
    }
}

/// Every place where the text is no TOML; what it means is not asked.
fn not_toml(text: &str, path: &Path, errors: &[toml::de::Error]) -> Faults {
    let mut sink = fault::Sink::new(fault::Source::new(path, mask::not_understood(text)));
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let spot = fault::Spot { key: String::new(), span };
        sink.fault(&spot, format!("this is not TOML: {}", error.message()));
    }
    sink.into_faults()
}
