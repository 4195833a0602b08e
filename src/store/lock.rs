//! A directory's lock: one process at a time holds the directory, and others see who.
//!
//! The lock is the kernel's and ends with its process, however that ends; the file's text only
//! names the holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::StoreError;

/// Its lock says that a process runs on the directory; its text says which.
const LOCK: &str = "lock";

/// Who holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    Nobody,
    /// A process that lives; its id, if the file tells.
    Somebody(Option<u32>),
}

/// Holds the directory for as long as the file is open.
///
/// # Errors
/// [`Unavailable`](StoreError::Unavailable) if another process holds it, or nobody could.
pub fn take(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut file = options.open(&path).map_err(|e| unusable(&path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(dir, &file)),
        Err(TryLockError::Error(e)) => return Err(unusable(&path, &e)),
    }
    let noted = file.set_len(0).and_then(|()| file.rewind());
    let noted = noted.and_then(|()| writeln!(file, "{}", std::process::id()));
    noted.map_err(|e| unusable(&path, &e))?;
    Ok(file)
}

/// Who holds the directory now. Looking takes a share of the lock for a moment, so whoever
/// wants all of it asks more than once.
pub fn holder(dir: &Path) -> io::Result<Holder> {
    let file = match File::open(dir.join(LOCK)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        Err(e) => return Err(e),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Holder::Nobody),
        Err(TryLockError::WouldBlock) => Ok(Holder::Somebody(pid(&file))),
        Err(TryLockError::Error(e)) => Err(e),
    }
}

fn pid(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn held(dir: &Path, file: &File) -> StoreError {
    let holder =
        pid(file).map_or_else(|| "another process".to_owned(), |pid| format!("the process {pid}"));
    StoreError::Unavailable(format!(
        "the state directory {} is in use by {holder}. Stop that novascale first, or give this \
         one another `controller.state_dir`",
        dir.display()
    ))
}

pub(super) fn unusable(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "the state directory cannot be used: {}: {error}. Let the user that runs novascale write \
         there, or name another directory in `controller.state_dir`",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_directory_is_seen_held_until_its_file_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(holder(dir.path()).unwrap(), Holder::Nobody);
        let lock = take(dir.path()).unwrap();
        let ours = Holder::Somebody(Some(std::process::id()));
        assert_eq!(holder(dir.path()).unwrap(), ours);
        let refused = take(dir.path()).unwrap_err().to_string();
        assert!(refused.contains("in use by the process"), "{refused}");
        drop(lock);
        // The text still names the process; it is the lock that counts.
        assert_eq!(holder(dir.path()).unwrap(), Holder::Nobody);
    }
}
