//! Groups of which something is kept though the configuration has them no more.
//!
//! Such a group is frozen: no loop looks at it, its servers stay as they are, and what was under
//! way when it left stays in the journal until it comes back. It is shown, so that nobody pays
//! for servers that nobody thinks of.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::explain::servers;
use crate::domain::group::Group;
use crate::domain::id::{GroupName, ServerId};
use crate::domain::time::Now;
use crate::store::{Store, StoreError, Window};

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Absent {
    pub name: GroupName,
    /// What was kept of it; none if that cannot be read.
    pub kept: Option<Kept>,
    /// When it was last decided for; none if that is so long ago that it was forgotten.
    pub decided: Option<Now>,
}

/// What is kept of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Servers that lived when they were last looked at.
    pub servers: u32,
    /// Actions whose end is not known.
    pub open: u32,
}

/// All groups of the store that are not among these; those of which nothing is left in the cloud
/// and nothing under way are no news to anybody.
pub async fn absent(
    store: &dyn Store,
    configured: &[Arc<Group>],
    now: Now,
) -> Result<Vec<Absent>, StoreError> {
    let configured: BTreeSet<&GroupName> = configured.iter().map(|group| &group.name).collect();
    let (there, gone): (Vec<_>, Vec<_>) =
        store.groups().await?.into_iter().partition(|name| configured.contains(name));
    // A server that was adopted under a new name is that one's.
    let mut theirs = BTreeSet::new();
    for name in there.iter().filter(|_| !gone.is_empty()) {
        // What cannot be read hides nothing.
        theirs.extend(living(store, name, now).await.into_iter().flat_map(|(known, _)| known));
    }
    let mut found = Vec::new();
    for name in gone {
        let kept = kept(store, &name, now, &theirs).await;
        if kept == Some(Kept { servers: 0, open: 0 }) {
            continue;
        }
        let last = store.decisions(&name, 1).await.unwrap_or_default();
        let decided = last.first().map(|decision| decision.at);
        found.push(Absent { name, kept, decided });
    }
    Ok(found)
}

async fn kept(
    store: &dyn Store,
    name: &GroupName,
    now: Now,
    theirs: &BTreeSet<ServerId>,
) -> Option<Kept> {
    let (known, open) = living(store, name, now).await?;
    let servers = known.iter().filter(|id| !theirs.contains(*id)).count();
    let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
    Some(Kept { servers: number(servers), open: number(open) })
}

/// The servers known to live, and how many intents are live; none if that cannot be read.
async fn living(store: &dyn Store, name: &GroupName, now: Now) -> Option<(Vec<ServerId>, usize)> {
    let nothing = Duration::ZERO;
    let window = Window { now, signals: nothing, past: nothing };
    let gathered = store.gather(name, window).await.ok()?;
    let known = gathered.known.into_iter().filter(|known| known.state.lives()).map(|it| it.id);
    let open = gathered.intents.iter().filter(|intent| intent.state.live()).count();
    Some((known.collect(), open))
}

impl Absent {
    /// One of which nothing could be read.
    pub fn unread(name: &str) -> Option<Self> {
        let name = GroupName::new(name).ok()?;
        Some(Self { name, kept: None, decided: None })
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        let left = match self.kept {
            None => "what is kept of it cannot be read".to_owned(),
            Some(Kept { servers: 1, open: 0 }) => "1 server is left as it is".to_owned(),
            Some(Kept { servers: n, open: 0 }) => format!("{} are left as they are", servers(n)),
            Some(Kept { servers: n, open }) => {
                format!("{} and what was under way ({open}) are left as they are", servers(n))
            }
        };
        write!(
            f,
            "frozen, for the configuration does not have it: {left}. Put [group.{name}] back into \
             scaling.toml; or, if it has another name now, `novascale adopt NEW --from {name}`"
        )
    }
}
