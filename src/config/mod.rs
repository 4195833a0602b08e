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

pub mod cloud;
pub mod env;
pub mod fault;
pub mod host;
pub mod http;
pub mod paths;
pub mod secret;
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
    /// In order of their names; tags are unique.
    pub groups: Vec<Group>,
}

/// The controller itself.
#[derive(Debug, Clone)]
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

/// A longer file is some other file.
const FILE_MOST_BYTES: u64 = 1 << 20;

impl Config {
    /// Reads a file, and what it names: user data, secrets (only to see whether they are there),
    /// clouds.yaml. A relative `path` starts at the environment's working directory.
    pub fn load(path: &Path, env: &Env) -> Result<Loaded, Faults> {
        let full = env.cwd().join(path);
        let text = read_text(&full).map_err(|fault| unreadable(path, &fault))?;
        Self::parse(&text, path, env)
    }

    /// Understands a file's text. `path` is what faults call it; relative paths in the text start
    /// at its directory.
    pub fn parse(text: &str, path: &Path, env: &Env) -> Result<Loaded, Faults> {
        let (root, broken) = toml::de::DeTable::parse_recoverable(text);
        if !broken.is_empty() {
            return Err(not_toml(text, path, &broken));
        }
        let shown = mask::understood(text, root.get_ref());
        let mut sink = fault::Sink::new(fault::Source::new(path, shown));
        let full = env.cwd().join(path);
        let base = full.parent().unwrap_or(env.cwd());
        let file = file::read(root, &mut sink);
        let checked = check::check(file, check::Around { env, base }, &mut sink);
        let ((config, cloud), warnings) = sink.close(checked)?;
        Ok(Loaded { config, warnings, cloud })
    }
}

fn read_text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    let file = std::fs::File::open(path)?;
    file.take(FILE_MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_MOST_BYTES {
        return Err(std::io::Error::other("it is longer than 1 MiB"));
    }
    Ok(text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> Faults {
    let reason = format!("the configuration {} cannot be read: {error}", path.display());
    let mut fault = Fault::new(Severity::Fault, reason);
    fault.hint("name the file with --config FILE, or go where scaling.toml is").clone().into()
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
