//! What a listing by tag cannot show: servers that lost their tag, servers of groups that
//! are no longer configured, servers in cells that Nova cannot reach.
//!
//! It only tells. Nothing that an audit finds is counted or touched: a server without its
//! group's tag is no member, and a group missing from the file is left alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::observe::Watched;
use crate::cloud::Audit;
use crate::domain::id::{InstallId, mark};

/// How often a region is audited: one unfiltered listing, constant work.
pub const AUDIT_CYCLE: Duration = Duration::from_secs(600);

/// How many servers of a group are named: enough to look them up, few enough for a line.
const NAMED: usize = 5;

/// What is worth a person's look; empty as a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Group → names of the servers that carry our mark for it, but not its tag.
    pub untagged: BTreeMap<String, BTreeSet<String>>,
    /// Group that is not configured here → names of the servers that carry our mark for it.
    pub unconfigured: BTreeMap<String, BTreeSet<String>>,
    pub unreachable: usize,
}

/// Holds an unfiltered listing against the groups of its region.
pub fn findings(audit: &Audit, watched: &[Watched], install: &InstallId) -> Findings {
    let mut found = Findings { unreachable: audit.unreachable.len(), ..Findings::default() };
    let ours = audit
        .servers
        .iter()
        .filter(|s| s.metadata.get(mark::INSTALL).is_some_and(|i| i == install.as_str()));
    for server in ours {
        let Some(name) = server.metadata.get(mark::GROUP) else { continue };
        let named = if server.name.is_empty() { server.id.as_str() } else { &server.name };
        let to = match watched.iter().find(|w| w.group.name.as_str() == name) {
            Some(watched) if server.has_tag(&watched.group.tag) => continue,
            Some(_) => &mut found.untagged,
            None => &mut found.unconfigured,
        };
        to.entry(name.clone()).or_default().insert(named.to_owned());
    }
    found
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        for (group, names) in &self.untagged {
            let what = match names.len() {
                1 => format!("1 server of {group} lost its tag and is no member any more"),
                n => format!("{n} servers of {group} lost its tag and are no members any more"),
            };
            parts.push(format!("{what} ({})", some(names)));
        }
        for (group, names) in &self.unconfigured {
            let what = match names.len() {
                1 => format!("1 server of {group}, which is not configured here, is left alone"),
                n => {
                    format!("{n} servers of {group}, which is not configured here, are left alone")
                }
            };
            parts.push(format!("{what} ({})", some(names)));
        }
        if self.unreachable > 0 {
            parts.push(match self.unreachable {
                1 => "1 server is in a cell that Nova cannot reach".to_owned(),
                n => format!("{n} servers are in cells that Nova cannot reach"),
            });
        }
        f.write_str(&parts.join("; "))
    }
}

/// The first few names, and how many more there are.
fn some(names: &BTreeSet<String>) -> String {
    let mut said: Vec<String> = names.iter().take(NAMED).cloned().collect();
    if NAMED < names.len() {
        said.push(format!("{} more", names.len() - NAMED));
    }
    said.join(", ")
}
