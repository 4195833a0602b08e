//! The configuration: what a file means, and what is said of a bad one.

mod bad;
mod behaviour;
mod clouds;
mod example;
mod examples;
mod meaning;
mod pointers;
mod policies;
mod precedence;
mod reload;
mod schedules;

use std::path::{Path, PathBuf};

use novascale::config::{Config, Env, Faults, Loaded};
use tempfile::TempDir;

/// A directory with a scaling.toml, and an environment of its own.
struct Place {
    dir: TempDir,
    vars: Vec<(String, String)>,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), vars: Vec::new() }
    }

    fn with(text: &str) -> Self {
        let place = Self::new();
        place.write("scaling.toml", text);
        place
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.push((name.to_owned(), value.to_owned()));
        self
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn env(&self) -> Env {
        Env::new(self.vars.clone(), Some(self.path().join("home")), self.path().to_owned())
    }

    fn load(&self) -> Result<Loaded, Faults> {
        Config::load(Path::new("scaling.toml"), &self.env())
    }

    /// All faults as text without the directory's name.
    fn refused(&self) -> String {
        let text = self.load().expect_err("it is refused").to_string();
        text.replace(&self.path().display().to_string(), "DIR")
    }

    fn warnings(&self) -> Vec<String> {
        self.load().unwrap().warnings.into_iter().map(|w| w.reason).collect()
    }
}

/// A file that is right, of the embedded cloud and one group; `group` follows its keys.
fn right(group: &str) -> String {
    format!(
        "[cloud]\nuse = \"sandbox\"\n\n[group.web]\nmin = 1\nmax = 3\nflavor = \"d2-2\"\n\
         image = \"Debian 12\"\nnetworks = [\"Ext-Net\"]\n{group}\n"
    )
}

/// A right group beside some `[cloud]`.
fn with_cloud(cloud: &str) -> String {
    format!(
        "[cloud]\n{cloud}\n\n[group.web]\nmin = 1\nmax = 3\nregion = \"GRA11\"\nflavor = \"d2-2\"\n\
         image = \"Debian 12\"\nnetworks = [\"Ext-Net\"]\n"
    )
}
