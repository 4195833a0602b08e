//! What the lab's services say that they were asked: their access logs.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::DateTime;

/// A place in a log: what comes after it is new.
#[derive(Debug, Clone)]
pub struct Mark {
    path: PathBuf,
    offset: u64,
}

/// One answered request, as the service logged it.
#[derive(Debug, Clone)]
pub struct Answered {
    /// When the answer was out. Only Nova and Neutron say so exactly.
    pub at: Option<DateTime>,
    pub method: String,
    pub path: String,
    pub status: u16,
}

impl Mark {
    pub fn now(path: PathBuf) -> Self {
        let offset = std::fs::metadata(&path).map_or(0, |about| about.len());
        Self { path, offset }
    }

    /// Everything answered since.
    pub fn answered(&self) -> Vec<Answered> {
        let mut text = Vec::new();
        let mut file = std::fs::File::open(&self.path).unwrap();
        file.seek(SeekFrom::Start(self.offset)).unwrap();
        file.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).lines().filter_map(answered).collect()
    }

    /// The creates answered since: Nova's `POST /servers`, whatever came of it.
    pub fn creates(&self) -> Vec<Answered> {
        let creates = |a: &Answered| a.method == "POST" && a.path.ends_with("/servers");
        self.answered().into_iter().filter(creates).collect()
    }
}

impl Answered {
    /// How long after the other one.
    pub fn after(&self, earlier: &Self) -> Duration {
        let (now, then) = (self.at.expect("dated"), earlier.at.expect("dated"));
        Duration::try_from(now.duration_since(then)).unwrap_or_default()
    }
}

/// `… "METHOD PATH HTTP/1.1" status: 200 …` of Nova and Neutron, `… HTTP/1.1" 200 …` of others.
fn answered(line: &str) -> Option<Answered> {
    let (before, rest) = line.split_once('"')?;
    let (request, after) = rest.split_once('"')?;
    let mut words = request.split(' ');
    let (method, path) = (words.next()?, words.next()?);
    words.next().filter(|version| version.starts_with("HTTP/"))?;
    let status = after.trim_start().trim_start_matches("status: ");
    let status = status.split(' ').next()?.parse().ok()?;
    let at = before.get(..23).and_then(|at| at.parse().ok());
    let (method, path) = (method.to_owned(), path.to_owned());
    Some(Answered { at, method, path, status })
}
