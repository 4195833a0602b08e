//! The install id: which novascale launched a server, in a file of its own.
//!
//! Every server carries the id, so whoever loses it no longer knows its servers. It
//! therefore lies outside the database, is written once and durably, and is never
//! replaced: a file that cannot be read is an error for a person, not a reason to draw
//! a new id.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::StoreError;
use crate::domain::id::InstallId;

/// The file's name within the state directory.
pub const FILE: &str = "controller.id";

/// The install id in force, and whether it was drawn just now: the one that is
/// `configured`, else the one in the file at `path`, else one made of `bits` (128
/// random bits), which is in the file, durably, before this returns.
///
/// # Errors
/// [`Corrupt`](StoreError::Corrupt) if the file holds something else,
/// [`Foreign`](StoreError::Foreign) if it and `configured` differ,
/// [`Unavailable`](StoreError::Unavailable) if it can be neither read nor written.
pub fn load_or_draw(
    path: &Path,
    bits: u128,
    configured: Option<InstallId>,
) -> Result<(InstallId, bool), StoreError> {
    match (read(path)?, configured) {
        (Some(kept), Some(configured)) if kept != configured => Err(StoreError::Foreign(format!(
            "the install id in {} is {kept}, but `controller.id` says {configured}: the servers \
             launched under one are strangers to the other. Remove the wrong one; to take over \
             the servers of an earlier installation, keep the id that their metadata \
             `novascale:install` shows",
            path.display()
        ))),
        (_, Some(configured)) => Ok((configured, false)),
        (Some(kept), None) => Ok((kept, false)),
        (None, None) => draw(path, bits),
    }
}

fn read(path: &Path) -> Result<Option<InstallId>, StoreError> {
    let mut text = String::new();
    match File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Err(unreadable(path, "no text"));
        }
        Err(e) => return Err(unavailable("read", path, &e)),
    }
    match InstallId::new(text.trim()) {
        Ok(id) => Ok(Some(id)),
        Err(e) => Err(unreadable(path, &e.to_string())),
    }
}

/// Far more than an id; a larger file is something else.
const LONGEST: u64 = 1024;

fn unreadable(path: &Path, why: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "{} should hold the install id, but: {why}. Put back the id that the servers' metadata \
         `novascale:install` shows; only if there are no servers of novascale's, remove the file, \
         and a new id is drawn",
        path.display()
    ))
}

fn unavailable(verb: &str, path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "could not {verb} the install id in {}: {error}. Let the user that runs novascale read \
         and write the directory, or name another in `controller.state_dir`",
        path.display()
    ))
}

/// Written aside, synced, then linked to its name, which fails where the name is taken:
/// of two processes that draw at the same time, both go on with one id.
fn draw(path: &Path, bits: u128) -> Result<(InstallId, bool), StoreError> {
    let id = InstallId::from_bits(bits);
    let aside = path.with_extension(format!("new-{}", &id.as_str()[..8]));
    let linked = write_aside(&aside, &id).and_then(|()| fs::hard_link(&aside, path));
    let tidied = fs::remove_file(&aside);
    match linked {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return read(path)?.map(|id| (id, false)).ok_or_else(|| unavailable("read", path, &e));
        }
        Err(e) => return Err(unavailable("write", path, &e)),
    }
    tidied.and_then(|()| sync_dir(&parent(path))).map_err(|e| unavailable("write", path, &e))?;
    Ok((id, true))
}

fn write_aside(aside: &Path, id: &InstallId) -> io::Result<()> {
    private_dir(&parent(aside))?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside)?;
    file.write_all(format!("{id}\n").as_bytes())?;
    file.sync_all()
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes the directory, for its owner only, if it is not there.
pub(super) fn private_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Makes names in the directory durable.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
