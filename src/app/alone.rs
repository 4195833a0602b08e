//! The embedded cloud alone, in the foreground: to rehearse an outage against, or to try any client
//! of OpenStack on.

use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::Error;
use super::embedded::{Embedded, FAULT_TOKEN};
use crate::clock;
use crate::config::cloud::SandboxSettings;
use crate::config::paths;
use crate::telemetry::log::{self, LogOptions};

/// What the command line hands in.
#[derive(Debug)]
pub struct Alone {
    /// The root of state; the embedded cloud has a directory of its own in it.
    pub root: PathBuf,
    pub settings: SandboxSettings,
    pub log: LogOptions,
}

/// Where to find it once it listens.
#[derive(Debug, Clone)]
pub struct Found {
    pub url: String,
    pub clouds_yaml: PathBuf,
    pub fault_token: PathBuf,
}

/// Serves until `shutdown` is ready; tells where, as soon as it listens.
pub async fn run(
    alone: Alone,
    tell: impl FnOnce(&Found),
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    log::start(&alone.log, || clock::wall().timestamp())?;
    let dir = paths::sandbox_dir(&alone.root);
    let broken = CancellationToken::new();
    let embedded = Embedded::start(&alone.settings, &dir, broken.clone()).await?;
    tell(&Found {
        url: embedded.url().to_owned(),
        clouds_yaml: dir.join("clouds.yaml"),
        fault_token: dir.join(FAULT_TOKEN),
    });
    let ended = tokio::select! {
        biased;
        () = shutdown => Ok(()),
        part = broken.cancelled() => { let () = part; Err(Error::Ended("see the log above")) }
    };
    embedded.stop().await;
    ended
}
