//! The state directory: private, on a local disk, held by one process at a time.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::store::StoreError;
use crate::store::install::private_dir;
use crate::store::lock::{self, unusable};

/// A directory that this process holds, until the last clone is gone or it is released.
#[derive(Debug, Clone)]
pub(super) struct Home {
    dir: PathBuf,
    lock: Arc<Mutex<Option<File>>>,
}

impl Home {
    pub(super) fn claim(dir: &Path) -> Result<Self, StoreError> {
        let made = private_dir(dir).and_then(|()| dir.canonicalize());
        let dir = made.map_err(|e| unusable(dir, &e))?;
        refuse_network(&dir)?;
        let lock = lock::take(&dir)?;
        Ok(Self { dir, lock: Arc::new(Mutex::new(Some(lock))) })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn database(&self) -> PathBuf {
        self.dir.join(super::FILE)
    }

    /// Lets another process in. The lock goes with its file.
    pub(super) fn release(&self) {
        self.lock.lock().unwrap_or_else(|e| e.into_inner()).take();
    }
}

fn refuse_network(dir: &Path) -> Result<(), StoreError> {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mountinfo") else {
        return Ok(()); // Not Linux: SQLite itself refuses WAL where it cannot share memory.
    };
    match network_mount(&mounts, dir) {
        None => Ok(()),
        Some(kind) => Err(StoreError::Unavailable(format!(
            "the state directory {} lies on a network file system ({kind}), where locks do not \
             protect a database. Name a directory on a local disk in `controller.state_dir`",
            dir.display()
        ))),
    }
}

/// File systems whose locks or shared memory do not reach all who may mount them.
/// Source: sqlite.org/howtocorrupt.html § 2.1, sqlite.org/wal.html (advantages, no. 2).
const NETWORK: [&str; 13] = [
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "fuse.glusterfs",
    "fuse.s3fs",
    "fuse.sshfs",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "smb3",
];

/// The kind of network file system that the directory lies on, by proc_pid_mountinfo(5):
/// the fifth field is the mount point, the first after `-` the kind.
fn network_mount(mounts: &str, dir: &Path) -> Option<String> {
    let under = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let place = unescaped(place.split(' ').nth(4)?);
        dir.starts_with(&place).then(|| (place.len(), kind.split(' ').next().unwrap_or("")))
    });
    // Of equal mount points the later one lies on top.
    let (_, kind) = under.max_by_key(|(depth, _)| *depth)?;
    NETWORK.contains(&kind).then(|| kind.to_owned())
}

/// Blanks, tabs, line ends and backslashes stand as octal numbers.
fn unescaped(field: &str) -> String {
    let marks = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    marks.iter().fold(field.to_owned(), |text, (mark, plain)| text.replace(mark, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_told_by_the_deepest_mount() {
        let mounts = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n\
30 22 0:26 / /srv rw shared:5 - nfs4 host:/export rw\n\
31 30 0:27 / /srv/local\\040disk rw shared:6 - xfs /dev/vdb rw\n\
32 22 0:28 / /home rw - ext4 /dev/vdc rw\n\
33 32 0:29 / /home rw - cifs //host/home rw\n";
        let kind = |dir: &str| network_mount(mounts, Path::new(dir));
        assert_eq!(kind("/var/lib/novascale"), None);
        assert_eq!(kind("/srv/state").as_deref(), Some("nfs4"));
        assert_eq!(kind("/srv/local disk/state"), None);
        assert_eq!(kind("/srvother"), None);
        assert_eq!(kind("/home/me").as_deref(), Some("cifs"));
        assert_eq!(network_mount("nonsense", Path::new("/")), None);
    }
}
