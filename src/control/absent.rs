//! Groups of which something is kept though the configuration has them no more.
//!
//! Such a group is frozen: no loop looks at it, its servers stay as they are, and what was under
//! way when it left stays in the journal until it comes back. It is shown, so that nobody pays
//! for servers that nobody thinks of; and it is shown until Nova says of each of them, asked by
//! its id, that it is gone. That is not stored: a group that comes back asks for itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};

use crate::cloud::Compute;
use crate::domain::explain::servers;
use crate::domain::group::Group;
use crate::domain::id::{GroupName, Region, ServerId};
use crate::domain::intent::Intent;
use crate::domain::server::Status;
use crate::domain::time::Now;
use crate::store::{Store, StoreError, Window};

/// How often their servers are asked for.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
/// The most that are asked for at a time: a look for people may not cost the calls of groups
/// that are kept.
const LOOKUPS_MOST: usize = 10;
const LOOKUPS_AT_ONCE: usize = 2;

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

/// What is known of them beside the store.
#[derive(Debug, Default)]
pub struct Absentees {
    /// Servers that Nova answered 404 for since their group left, each with its group.
    gone: BTreeMap<ServerId, GroupName>,
    /// The server that was asked for last: the next look goes on from there.
    last: Option<ServerId>,
}

impl Absentees {
    /// The group is configured again, and asks for its servers itself.
    pub fn forget(&mut self, group: &str) {
        self.gone.retain(|_, of| of.as_str() != group);
    }

    /// All groups of the store that are not among these; those of which nothing is left in the
    /// cloud and nothing under way are no news to anybody.
    pub async fn of(
        &self,
        store: &dyn Store,
        configured: &[Arc<Group>],
        now: Now,
    ) -> Result<Vec<Absent>, StoreError> {
        let mut found = Vec::new();
        for (name, left) in self.left(store, configured, now).await? {
            let kept = left.map(|left| left.counted());
            if kept == Some(Kept { servers: 0, open: 0 }) {
                continue;
            }
            let last = store.decisions(&name, 1).await.unwrap_or_default();
            let decided = last.first().map(|decision| decision.at);
            found.push(Absent { name, kept, decided });
        }
        Ok(found)
    }

    /// Asks Nova for some of their servers. Only its own 404 says that one is gone.
    pub async fn look(
        &mut self,
        (compute, store): (&dyn Compute, &dyn Store),
        configured: &[Arc<Group>],
        now: Now,
    ) -> Result<(), StoreError> {
        let left = self.left(store, configured, now).await?;
        let known = left.into_iter().filter_map(|(name, left)| Some((name, left?.servers)));
        let all: BTreeMap<ServerId, (Region, GroupName)> = known
            .flat_map(|(name, servers)| {
                servers.into_iter().map(move |(id, region)| (id, (region, name.clone())))
            })
            .collect();
        let asked = |id: &ServerId| self.last.as_ref().is_some_and(|last| id <= last);
        let (done, ahead): (Vec<_>, Vec<_>) = all.into_iter().partition(|(id, _)| asked(id));
        let chosen: Vec<_> = ahead.into_iter().chain(done).take(LOOKUPS_MOST).collect();
        self.last = chosen.last().map(|(id, _)| id.clone());
        let mut answers = stream::iter(chosen)
            .map(|(id, (region, name))| async move {
                gone(compute, &region, &id).await.then_some((id, name))
            })
            .buffer_unordered(LOOKUPS_AT_ONCE);
        while let Some(answer) = answers.next().await {
            self.gone.extend(answer);
        }
        Ok(())
    }

    /// What is left of each of them; none of what cannot be read.
    async fn left(
        &self,
        store: &dyn Store,
        configured: &[Arc<Group>],
        now: Now,
    ) -> Result<Vec<(GroupName, Option<Left>)>, StoreError> {
        let configured: BTreeSet<&GroupName> = configured.iter().map(|group| &group.name).collect();
        let (there, gone): (Vec<_>, Vec<_>) =
            store.groups().await?.into_iter().partition(|name| configured.contains(name));
        // A server that was adopted under a new name is that one's.
        let mut theirs: BTreeSet<ServerId> = self.gone.keys().cloned().collect();
        for name in there.iter().filter(|_| !gone.is_empty()) {
            // What cannot be read hides nothing.
            let left = left(store, name, now).await;
            theirs.extend(left.into_iter().flat_map(|left| left.servers).map(|(id, _)| id));
        }
        let mut found = Vec::new();
        for name in gone {
            let left = left(store, &name, now).await;
            found.push((name, left.map(|left| left.without(&theirs))));
        }
        Ok(found)
    }
}

async fn gone(compute: &dyn Compute, region: &Region, id: &ServerId) -> bool {
    match compute.get(region, id).await {
        Ok(None) => true,
        Ok(Some(server)) => matches!(server.status, Status::Deleted | Status::SoftDeleted),
        Err(_) => false,
    }
}

/// The servers of a group that are known to live, and its live intents.
struct Left {
    servers: Vec<(ServerId, Region)>,
    open: Vec<Intent>,
}

async fn left(store: &dyn Store, name: &GroupName, now: Now) -> Option<Left> {
    let nothing = Duration::ZERO;
    let window = Window { now, signals: nothing, past: nothing };
    let gathered = store.gather(name, window).await.ok()?;
    let known = gathered.known.into_iter().filter(|known| known.state.lives());
    let servers = known.map(|known| (known.id, known.region)).collect();
    let open = gathered.intents.into_iter().filter(|intent| intent.state.live()).collect();
    Some(Left { servers, open })
}

impl Left {
    fn without(mut self, others: &BTreeSet<ServerId>) -> Self {
        self.servers.retain(|(id, _)| !others.contains(id));
        // Whether a server that is gone was deleted by us is no question any more.
        self.open.retain(|intent| intent.terminate().is_none_or(|it| !others.contains(&it.server)));
        self
    }

    fn counted(&self) -> Kept {
        let number = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Kept { servers: number(self.servers.len()), open: number(self.open.len()) }
    }
}

impl Absent {
    /// Those of another configuration while the store cannot be read: those that were shown, but
    /// for groups that are there, and those that it does not have any more.
    pub fn as_before(shown: &[Self], groups: &[Arc<Group>], removed: &[String]) -> Vec<Self> {
        let back = |absent: &&Self| groups.iter().any(|group| group.name == absent.name);
        let unread = |name: &String| {
            let name = GroupName::new(name.as_str()).ok()?;
            Some(Self { name, kept: None, decided: None })
        };
        let known = shown.iter().filter(|absent| !back(absent)).cloned();
        known.chain(removed.iter().filter_map(unread)).collect()
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
