//! A wall clock of its own for one daemon, so that an hour of the calendar can be tried: by
//! libfaketime, which moves what the C library says of the wall clock and leaves steady time
//! alone. The cloud and the tests keep the real one.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use super::daemon::Daemon;

/// So far the simulated clock is from the real one: whole seconds, for Nova's instants are.
#[derive(Debug, Clone, Copy)]
pub struct Simulated {
    offset: SignedDuration,
}

impl Simulated {
    /// A clock that shows this now, and goes on.
    pub fn from(shows: &str) -> Self {
        let shows: Timestamp = shows.parse().unwrap();
        let offset = shows.duration_since(Timestamp::now()).as_secs();
        Self { offset: SignedDuration::from_secs(offset) }
    }

    pub fn now(self) -> Timestamp {
        self.of(Timestamp::now())
    }

    /// What it showed at a real instant.
    pub fn of(self, real: Timestamp) -> Timestamp {
        real + self.offset
    }

    /// Lets the daemon's next start go by this clock.
    pub fn set(self, daemon: Daemon) -> Daemon {
        daemon
            .with("LD_PRELOAD", library().to_str().unwrap())
            .with("FAKETIME", &format!("{:+}", self.offset.as_secs()))
            .with("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .with("NO_FAKE_STAT", "1")
    }
}

/// Debian's place for it; the variant for programs of several threads.
fn library() -> PathBuf {
    let library =
        |dir: PathBuf| Some(dir.join("faketime/libfaketimeMT.so.1")).filter(|f| f.exists());
    let dirs = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    dirs.filter_map(library).next().expect("the Debian package libfaketime is installed")
}
