//! The file `freeze` of the state directory: a brake that needs neither database nor daemon.
//!
//! Whoever can touch a file stops novascale: an empty one (or one of comments alone) holds every
//! group, lines with groups' names hold these, a line `*` every one; `#` begins a comment. What
//! cannot be read or understood holds every group as well: somebody wanted something stopped.
//! The daemon writes it only where a freeze was ordered that the database did not take; its
//! lines carry a mark, by which it takes them out again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use super::install::sync_dir;
use crate::domain::freeze::Braked;
use crate::domain::id::GroupName;
use crate::domain::time::Wall;

/// The file's name within the state directory.
pub const FILE: &str = "freeze";

/// More than a thousand groups' names; a longer file is something else.
const LONGEST: u64 = 64 * 1024;
/// The line that names every group.
const EVERY: &str = "*";
/// Behind the lines that the daemon wrote.
const MARK: &str = "# by novascale freeze";

/// Where the file is, or would be. Clones write one after the other.
#[derive(Debug, Clone)]
pub struct FreezeFile {
    path: PathBuf,
    writing: Arc<Mutex<()>>,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Nothing,
    Every,
    These(Vec<GroupName>),
    /// It holds every group because of this.
    Unclear(String),
}

/// One look at the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub said: Said,
    pub since: Wall,
    pub path: String,
}

impl Look {
    /// What holds this group, if the file does.
    pub fn on(&self, group: &GroupName) -> Option<Braked> {
        match &self.said {
            Said::Nothing => None,
            Said::These(names) => names.contains(group).then(|| self.holds(false, None)),
            Said::Every => Some(self.holds(true, None)),
            Said::Unclear(fault) => Some(self.every(fault.clone())),
        }
    }

    /// It holds every group, for this fault of it.
    pub fn every(&self, fault: String) -> Braked {
        self.holds(true, Some(fault))
    }

    fn holds(&self, every: bool, fault: Option<String>) -> Braked {
        Braked::File { path: self.path.clone(), since: self.since, every, fault }
    }
}

impl FreezeFile {
    /// In this state directory.
    pub fn of(root: &Path) -> Self {
        Self { path: root.join(FILE), writing: Arc::default() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it says now.
    pub fn read(&self) -> Said {
        match self.text() {
            Ok(Some(text)) => understood(&text),
            Ok(None) => Said::Nothing,
            Err(error) => Said::Unclear(error.to_string()),
        }
    }

    /// What it says now, and since when.
    pub fn look(&self) -> Look {
        let said = self.read();
        let since = if said == Said::Nothing { Wall(0) } else { self.since() };
        Look { said, since, path: self.path.display().to_string() }
    }

    /// When it was last written.
    fn since(&self) -> Wall {
        let written = fs::metadata(&self.path).and_then(|about| about.modified());
        let since = written.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        Wall(since.and_then(|at| i64::try_from(at.as_millis()).ok()).unwrap_or(i64::MAX))
    }

    fn text(&self) -> io::Result<Option<String>> {
        let opened = fs::metadata(&self.path).and_then(|about| match about.is_file() {
            true => File::open(&self.path),
            // A pipe would keep whoever opens it waiting.
            false => Err(io::Error::other("it is no regular file")),
        });
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text)?;
        if text.len() as u64 > LONGEST {
            return Err(io::Error::other(format!("it is longer than {LONGEST} bytes")));
        }
        Ok(Some(text))
    }

    /// Adds a line for the group, or for every one.
    pub fn add(&self, group: Option<&GroupName>) -> io::Result<()> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let text = self.text()?;
        let name = group.map_or(EVERY, GroupName::as_str);
        let line = format!("{name} {MARK}");
        let held = match text.as_deref().map(understood) {
            None => false,
            // A name would let the others go that the empty file holds.
            Some(Said::Every | Said::Unclear(_)) => true,
            Some(Said::Nothing | Said::These(_)) => false,
        };
        // What a person wrote needs none of ours, and would go with it; ours would hide a group's.
        let theirs = text.iter().flat_map(|text| text.lines()).all(|line| !line.ends_with(MARK));
        if held && theirs {
            return Ok(());
        }
        let mut lines: Vec<&str> = text.iter().flat_map(|text| text.lines()).collect();
        if !lines.contains(&line.as_str()) {
            lines.push(&line);
        }
        self.write(&lines)
    }

    /// Takes out the line that the daemon wrote for the group, or for every one; whether there
    /// was one. Other lines stay as they are.
    pub fn take_back(&self, group: Option<&GroupName>) -> io::Result<bool> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(text) = self.text()? else { return Ok(false) };
        let line = format!("{} {MARK}", group.map_or(EVERY, GroupName::as_str));
        let left: Vec<&str> = text.lines().filter(|other| *other != line).collect();
        if left.len() == text.lines().count() {
            return Ok(false);
        }
        // Comments alone would hold every group.
        let bare = |line: &&str| line.split('#').next().unwrap_or_default().trim().is_empty();
        if left.iter().all(bare) {
            fs::remove_file(&self.path)?;
            self.sync_name()?;
        } else {
            self.write(&left)?;
        }
        Ok(true)
    }

    /// Aside, then renamed: a half-written file would freeze what was not meant, or let go.
    fn write(&self, lines: &[&str]) -> io::Result<()> {
        let aside = self.path.with_extension("new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, &self.path)?;
        self.sync_name()
    }

    /// A freeze that a power cut undoes would be none.
    fn sync_name(&self) -> io::Result<()> {
        self.path.parent().map_or(Ok(()), sync_dir)
    }
}

fn understood(text: &str) -> Said {
    let mut names = Vec::new();
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    for (at, line) in lines.enumerate().filter(|(_, line)| !line.is_empty()) {
        if line == EVERY {
            return Said::Every;
        }
        match GroupName::new(line) {
            Ok(name) => names.push(name),
            Err(_) => return Said::Unclear(format!("line {} is no group's name", at + 1)),
        }
    }
    if names.is_empty() { Said::Every } else { Said::These(names) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> GroupName {
        GroupName::new(text).unwrap()
    }

    fn file(text: &[u8]) -> (tempfile::TempDir, FreezeFile) {
        let home = tempfile::tempdir().unwrap();
        let file = FreezeFile::of(home.path());
        fs::write(file.path(), text).unwrap();
        (home, file)
    }

    #[test]
    fn a_pipe_holds_every_group_and_nobody_waits_for_it() {
        let home = tempfile::tempdir().unwrap();
        let file = FreezeFile::of(home.path());
        let made = std::process::Command::new("mkfifo").arg(file.path()).status().unwrap();
        assert!(made.success());
        let (told, hears) = std::sync::mpsc::channel();
        std::thread::spawn(move || told.send(file.read()));
        let said = hears.recv_timeout(std::time::Duration::from_secs(10)).unwrap();
        assert_eq!(said, Said::Unclear("it is no regular file".to_owned()));
    }

    #[test]
    fn two_who_write_at_once_lose_no_line() {
        let home = tempfile::tempdir().unwrap();
        let file = FreezeFile::of(home.path());
        let names: Vec<GroupName> = (0..16).map(|n| name(&format!("g{n}"))).collect();
        let start = std::sync::Barrier::new(names.len());
        std::thread::scope(|scope| {
            for name in &names {
                let (file, start) = (file.clone(), &start);
                scope.spawn(move || {
                    start.wait();
                    file.add(Some(name)).unwrap();
                });
            }
        });
        let look = file.look();
        assert!(names.iter().all(|name| look.on(name).is_some()), "{look:?}");
    }

    #[test]
    fn what_is_written_says_whom_it_holds() {
        let these = |names: &[&str]| Said::These(names.iter().map(|n| name(n)).collect());
        let cases: [(&[u8], Said); 6] = [
            (b"", Said::Every),
            (b"# a storm\n\n", Said::Every),
            (b"web\n", these(&["web"])),
            (b"web # until Monday\r\n  batch", these(&["web", "batch"])),
            (b"web\n*\n", Said::Every),
            (b"web\nno such name!\n", Said::Unclear("line 2 is no group's name".into())),
        ];
        for (text, said) in cases {
            assert_eq!(file(text).1.read(), said, "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_holds_every_group() {
        let (home, garbled) = file(b"\xff\xfe");
        assert!(matches!(garbled.read(), Said::Unclear(_)));
        fs::remove_file(garbled.path()).unwrap();
        fs::create_dir(home.path().join(FILE)).unwrap();
        assert!(matches!(garbled.read(), Said::Unclear(_)));
        let (_home, endless) = file(&b"web\n".repeat(1 << 15));
        assert!(matches!(endless.read(), Said::Unclear(_)));
        let held = endless.look().on(&name("web"));
        assert!(matches!(held, Some(Braked::File { every: true, fault: Some(_), .. })), "{held:?}");
    }

    #[test]
    fn only_lines_of_our_own_are_taken_back() {
        let home = tempfile::tempdir().unwrap();
        let file = FreezeFile::of(home.path());
        let (web, batch) = (name("web"), name("batch"));
        assert!(!file.take_back(Some(&web)).unwrap());
        file.add(Some(&web)).unwrap();
        file.add(Some(&web)).unwrap();
        assert!(file.look().on(&web).is_some() && file.look().on(&batch).is_none());
        assert!(!file.take_back(Some(&batch)).unwrap());
        assert!(file.take_back(Some(&web)).unwrap());
        assert!(!file.path().exists(), "an empty one would hold every group");

        fs::write(file.path(), "web\n").unwrap();
        file.add(None).unwrap();
        assert!(file.look().on(&batch).is_some());
        assert!(file.take_back(None).unwrap());
        assert!(!file.take_back(Some(&web)).unwrap(), "a person wrote it");
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "web\n");

        fs::write(file.path(), "").unwrap();
        file.add(Some(&web)).unwrap();
        assert!(file.look().on(&batch).is_some(), "what held every group goes on holding them");
        file.add(None).unwrap();
        assert!(!file.take_back(None).unwrap() && file.path().exists(), "a person made it");

        fs::write(file.path(), "# a storm\n# by night\nweb\n").unwrap();
        file.add(Some(&batch)).unwrap();
        fs::write(file.path(), fs::read_to_string(file.path()).unwrap().replace("web\n", ""))
            .unwrap();
        assert!(file.take_back(Some(&batch)).unwrap());
        assert!(file.look().on(&web).is_none(), "comments hold nobody");

        file.add(None).unwrap();
        file.add(Some(&web)).unwrap();
        assert!(file.take_back(None).unwrap());
        assert!(
            file.look().on(&web).is_some() && file.look().on(&batch).is_none(),
            "its own freeze is kept"
        );
    }
}
