//! The state root: private, and one daemon's alone, whatever clouds the others would keep.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use super::Error;
use crate::store::lock::{self, Holder};

/// Whoever only looks who holds the root takes a share of its lock for microseconds: one refusal
/// may be no more than that.
const TRIES: u32 = 4;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// Holds the root for as long as the file is open; it is made if it is not there.
pub(super) async fn claim(root: &Path) -> Result<File, Error> {
    make_private(root)?;
    for _ in 1..TRIES {
        if let Ok(file) = lock::take(root) {
            return Ok(file);
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
    Ok(lock::take(root)?)
}

/// A directory that only our user may enter.
pub(super) fn make_private(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| Error::State { what: "create", path: path.to_owned(), source })
}

/// Whether the daemon of this process id runs on the root; none if there is no telling. A
/// process that was given the id of one that ended does not hold the lock.
pub fn runs(root: &Path, pid: u32) -> Option<bool> {
    match lock::holder(root).ok()? {
        Holder::Nobody => Some(false),
        Holder::Somebody(holder) => Some(holder.is_none_or(|holder| holder == pid)),
    }
}
