//! When cron expressions fire, against another implementation: croniter, in Python. Of some ten
//! thousand random expressions in zones with all kinds of changes of clocks each difference has
//! a name and a reason; `croniter/compare.py` draws, asks both, and says which. No lab has a part
//! in it. It needs Debian's python3-venv, and PyPI as pip is configured here.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::harness::say;

fn beside(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance/croniter").join(file)
}

/// What it prints on both outputs; it must succeed.
fn run(program: &Path, words: &[&OsStr]) -> String {
    let ended = Command::new(program).args(words).stdin(Stdio::null()).output();
    let ended = ended.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let said = [ended.stdout, ended.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(ended.status.success(), "{} {words:?}:\n{said}", program.display());
    said
}

#[test]
fn expressions_fire_when_croniter_says_so_or_for_a_reason() {
    let venv = TempDir::new().unwrap();
    let (pip, python) = (venv.path().join("bin/pip"), venv.path().join("bin/python"));
    let word = OsStr::new;
    run(Path::new("/usr/bin/python3"), &[word("-m"), word("venv"), venv.path().as_os_str()]);
    let requirements = beside("requirements.txt");
    run(&pip, &[word("install"), word("--quiet"), word("--requirement"), requirements.as_os_str()]);
    let compare = beside("compare.py");
    say(&run(&python, &[compare.as_os_str(), word(env!("CARGO_BIN_EXE_novascale"))]));
}
