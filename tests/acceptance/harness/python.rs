//! A Python of its own, with what a file of requirements asks for, from PyPI as pip is configured.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub struct Python {
    /// Where its scripts lie.
    scripts: PathBuf,
    venv: TempDir,
}

impl Python {
    /// Of the scripts in this directory below `tests/acceptance`, beside their `requirements.txt`.
    pub fn of(directory: &str) -> Self {
        let scripts =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance").join(directory);
        let venv = TempDir::new().unwrap();
        let word = OsStr::new;
        run(Path::new("/usr/bin/python3"), &[word("-m"), word("venv"), venv.path().as_os_str()]);
        let requirements = scripts.join("requirements.txt");
        let words = [word("install"), word("--quiet"), word("--requirement")];
        let words = [&words[..], &[requirements.as_os_str()]].concat();
        run(&venv.path().join("bin/pip"), &words);
        Self { scripts, venv }
    }

    /// What the script prints on both outputs; it must succeed.
    pub fn run(&self, script: &str, words: &[&str]) -> String {
        let script = self.scripts.join(script);
        let words = words.iter().map(OsStr::new);
        let words: Vec<&OsStr> = std::iter::once(script.as_os_str()).chain(words).collect();
        run(&self.venv.path().join("bin/python"), &words)
    }
}

fn run(program: &Path, words: &[&OsStr]) -> String {
    let ended = Command::new(program).args(words).stdin(Stdio::null()).output();
    let ended = ended.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(ended.status.success(), "{} {words:?}:\n{said}", program.display());
    said
}
