//! The saved state: one JSON file, replaced as a whole.
//!
//! It answers: what was there before the stop? A write goes to a second file first, is forced to
//! disk, and then takes the name, so a crash leaves the old state or the new one. A file that
//! cannot be understood is an error, never an empty cloud.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::fs;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::Mutex;

use super::SandboxError;
use super::model::Model;
use super::world::World;

/// The name of the file in the directory.
pub const FILE: &str = "sandbox.json";

/// The form of the file; raised when an older reader would misunderstand it.
const FORM: u32 = 1;

/// How long changes are collected before they are written: short against the seconds that a server
/// takes to build, long against the write.
const COLLECT: Duration = Duration::from_millis(200);

/// Keeps one directory up to date.
pub struct Keeper {
    directory: PathBuf,
    /// One write at a time: they share the temporary file.
    writing: Mutex<()>,
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
        Keeper { directory, writing: Mutex::new(()) }
    }

    /// The saved model, or a new one if nothing was ever saved here.
    pub(super) async fn load(&self) -> Result<Model, SandboxError> {
        let path = self.directory.join(FILE);
        match fs::read(&path).await {
            Ok(bytes) => read(&bytes).map_err(|why| SandboxError::Broken { path, why }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Model::new()),
            Err(source) => Err(SandboxError::Disk { what: "read its state from", path, source }),
        }
    }

    /// Writes the state as it is now.
    pub(super) async fn save(&self, world: &World) -> Result<(), SandboxError> {
        let _one_at_a_time = self.writing.lock().await;
        let path = self.directory.join(FILE);
        let failed =
            |source| SandboxError::Disk { what: "write its state to", path: path.clone(), source };
        let bytes = world.look(|model| serde_json::to_vec(&Saving { form: FORM, model }));
        let bytes = bytes.map_err(|error| failed(error.into()))?;
        replace(&self.directory, &path, &bytes).await.map_err(failed)
    }

    /// Saves after changes, at most once per [`COLLECT`]; returns only if that fails.
    pub(super) async fn keep(&self, world: &World) -> SandboxError {
        loop {
            world.changed().await;
            tokio::time::sleep(COLLECT).await;
            if let Err(error) = self.save(world).await {
                return error;
            }
        }
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

async fn replace(directory: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(directory).await?;
    let next = path.with_extension("json.next");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&next).await?;
    file.write_all(bytes).await?;
    file.sync_all().await?;
    fs::rename(&next, path).await?;
    // The rename is durable once the directory is.
    fs::File::open(directory).await?.sync_all().await
}
