//! The saved state: one JSON file, replaced as a whole.
//!
//! It answers: what was there before the stop? A write goes to a second file first, is forced to
//! disk, and then takes the name, so a crash leaves the old state or the new one. A file that
//! cannot be understood is an error, never an empty cloud.
//!
//! A change is answered once it is saved (`http.rs`). Many that come at once share a write: each
//! waits for its turn, and mostly finds then that the write before it covered its change.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::SandboxError;
use super::model::Model;
use super::world::World;
use crate::killpoint;

/// The name of the file in the directory.
pub const FILE: &str = "sandbox.json";

/// The form of the file; raised when an older reader would misunderstand it.
const FORM: u32 = 2;

/// Keeps one directory up to date.
pub struct Keeper {
    directory: PathBuf,
    /// How many changes the file covers; held while it is written, as all writes share the second
    /// file.
    covered: Arc<Mutex<u64>>,
}

#[derive(Deserialize)]
struct Form {
    form: u32,
}

#[derive(Deserialize)]
struct Saved {
    model: Model,
}

#[derive(Serialize)]
struct Saving<'a> {
    form: u32,
    model: &'a Model,
}

impl Keeper {
    pub(super) fn new(directory: PathBuf) -> Keeper {
        Keeper { directory, covered: Arc::default() }
    }

    /// The saved model, or a new one if nothing was ever saved here.
    pub(super) async fn load(&self) -> Result<Model, SandboxError> {
        let path = self.directory.join(FILE);
        match tokio::fs::read(&path).await {
            Ok(bytes) => read(&bytes).map_err(|why| SandboxError::Broken { path, why }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Model::new()),
            Err(source) => Err(SandboxError::Disk { what: "read its state from", path, source }),
        }
    }

    /// Returns once the file covers every change made so far.
    pub(super) async fn cover(&self, world: &World) -> Result<(), SandboxError> {
        let changes = world.changes();
        self.write_unless(world, |covered| changes <= covered).await
    }

    /// Writes the state as it is now.
    pub(super) async fn save(&self, world: &World) -> Result<(), SandboxError> {
        self.write_unless(world, |_| false).await
    }

    async fn write_unless(
        &self,
        world: &World,
        is_enough: impl FnOnce(u64) -> bool,
    ) -> Result<(), SandboxError> {
        let mut covered = Arc::clone(&self.covered).lock_owned().await;
        if is_enough(*covered) {
            return Ok(());
        }
        killpoint::reached("embedded.acted");
        let path = self.directory.join(FILE);
        let failed = |source| SandboxError::Disk { what: "write its state to", path, source };
        let (changes, bytes) = world.look_numbered(|model, changes| {
            (changes, serde_json::to_vec(&Saving { form: FORM, model }))
        });
        let directory = self.directory.clone();
        // A write that nobody waits for any more goes on, and keeps the others out until its end.
        let written = tokio::task::spawn_blocking(move || {
            replace(&directory, &bytes?)?;
            *covered = changes;
            Ok(())
        });
        written.await.unwrap_or_else(|ended| Err(ended.into())).map_err(failed)
    }
}

fn read(bytes: &[u8]) -> Result<Model, String> {
    let Form { form } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if form != FORM {
        return Err(format!("it has form {form}, this novascale knows form {FORM}"));
    }
    let Saved { model } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    Ok(model)
}

fn replace(directory: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let path = directory.join(FILE);
    let next = path.with_extension("json.next");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    killpoint::reached("embedded.written");
    std::fs::rename(&next, path)?;
    // The rename is durable once the directory is.
    std::fs::File::open(directory)?.sync_all()?;
    killpoint::reached("embedded.saved");
    Ok(())
}
