//! One observer for each region: listings on a cadence of their own.
//!
//! One listing serves all groups of the region. A listing is complete or void; what a
//! group's known servers it lacks is asked for by id, a bounded number at a time, for
//! only Nova's own 404 proves absence; and so is why a launch went wrong, where the listing
//! does not say. Each group's loop is handed its observation; a
//! nudge never causes a listing.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use tokio::sync::watch;

use crate::cloud::Compute;
use crate::domain::fleet::{Found, Lookup, Observation, Seen, Sought, Tally};
use crate::domain::group::Group;
use crate::domain::id::{LaunchId, Region, ServerId, Tag};
use crate::domain::outcome::Failure;
use crate::domain::plan::Decision;
use crate::domain::server::{Server, Status};
use crate::domain::time::{Clock, Now, Steady};

/// The cadence while something is in flight.
pub const BUSY_CYCLE: Duration = Duration::from_secs(2);
/// The least between two listings when calls have ended in between: many groups that act at
/// once share one.
pub const AFTER_CALLS: Duration = Duration::from_millis(500);
/// The cadence at rest, and after a failure.
pub const REST_CYCLE: Duration = Duration::from_secs(15);
/// An observation older than two cycles is stale.
pub const FRESH_FOR: Duration = Duration::from_secs(30);
/// The most servers asked for by id in one cycle, over all groups: the rest comes next time.
pub const LOOKUPS_MOST: usize = 20;
const LOOKUPS_AT_ONCE: usize = 4;
/// How long look-ups may hold up the next listing: well below [`FRESH_FOR`].
pub const LOOKUPS_WITHIN: Duration = Duration::from_secs(10);
/// Nothing in flight has moved for this long: no reason to hurry any more.
pub const STUCK_AFTER: Duration = Duration::from_secs(300);

/// A group as its region's observer knows it.
pub struct Watched {
    pub group: Arc<Group>,
    /// The loop's latest decision: which servers are known, and whether anything is in flight.
    pub latest: watch::Receiver<Option<Arc<Decision>>>,
    pub out: watch::Sender<Observation>,
}

impl Watched {
    pub fn in_flight(&self) -> bool {
        self.latest.borrow().as_ref().is_none_or(|decision| decision.in_flight())
    }

    fn known(&self) -> BTreeSet<ServerId> {
        let latest = self.latest.borrow();
        latest.iter().flat_map(|d| d.changes.watched.iter()).cloned().collect()
    }

    /// Tags that the latest decision wants to be listed beside the group's own.
    fn sought(&self) -> Vec<Tag> {
        self.latest.borrow().as_ref().map(|d| d.changes.sought.clone()).unwrap_or_default()
    }

    /// Launches of which a server was judged in ERROR: why was asked then.
    fn asked_why(&self) -> BTreeSet<LaunchId> {
        let latest = self.latest.borrow();
        let members = latest.iter().flat_map(|decision| decision.changes.members.iter());
        let in_error = members.filter(|m| m.server.as_ref().is_some_and(|s| in_error(s)));
        in_error.filter_map(|member| member.launch.clone()).collect()
    }
}

fn in_error(server: &Server) -> bool {
    server.status == Status::Error
}

/// Of each launch that went wrong without a word, one server: GET by id tells why.
///
/// A listing lacks the faults of cells other than the one whose database nova-api has
/// (nova/objects/instance.py, `fill_faults` reads with an untargeted context); what no host
/// would take lies in cell0.
fn unexplained(listed: &[Arc<Server>], asked: &BTreeSet<LaunchId>) -> Vec<ServerId> {
    let silent = listed.iter().filter(|server| in_error(server) && server.fault.is_none());
    let launches = silent.filter_map(|server| Some((server.launch()?, server.id.clone())));
    let one: BTreeMap<_, _> = launches.filter(|(launch, _)| !asked.contains(launch)).collect();
    one.into_values().collect()
}

/// Where the last cycle's look-ups ended. The next cycle goes on from there: what Nova cannot
/// tell of some servers keeps no other from being asked for.
#[derive(Debug, Default)]
pub struct Round(Option<(usize, ServerId)>);

impl Round {
    /// The next of the missing, each with the place of its group.
    fn next(&mut self, missing: BTreeSet<(usize, ServerId)>) -> Vec<(usize, ServerId)> {
        let last = self.0.take();
        let (done, ahead): (Vec<_>, Vec<_>) =
            missing.into_iter().partition(|id| last.as_ref().is_some_and(|last| id <= last));
        let chosen: Vec<_> = ahead.into_iter().chain(done).take(LOOKUPS_MOST).collect();
        self.0 = chosen.last().cloned().or(last);
        chosen
    }
}

/// Whether anything in flight moves: what has hung for long is looked at as rarely as a
/// fleet at rest.
#[derive(Debug, Default)]
pub struct Haste {
    last: Vec<Option<Tally>>,
    moved: Steady,
}

impl Haste {
    pub fn needed(&mut self, watched: &[Watched], now: Steady) -> bool {
        let tallies: Vec<_> =
            watched.iter().map(|w| w.latest.borrow().as_ref().map(|d| d.tally)).collect();
        if tallies != self.last {
            (self.last, self.moved) = (tallies, now);
        }
        now.since(self.moved) < STUCK_AFTER && watched.iter().any(Watched::in_flight)
    }
}

/// Lists once and hands every group its part. An error means that nothing was seen, and
/// every group is told so. Look-ups that have no answer when `enough` is over are given up
/// for this cycle.
pub async fn observe<F: Future<Output = ()>>(
    compute: &dyn Compute,
    clock: &dyn Clock,
    region: &Region,
    watched: &[Watched],
    round: &mut Round,
    enough: impl FnOnce() -> F,
) -> Result<Now, Failure> {
    let began = clock.now();
    let (tags, sought) = tags(watched);
    match compute.list(region, &tags).await {
        Ok(servers) => {
            let (parts, missing) = divide(watched, servers, &sought, began);
            let asked = round.next(missing);
            let waits: BTreeSet<usize> = asked.iter().map(|(at, _)| *at).collect();
            let (wait, go): (Vec<_>, Vec<_>) =
                watched.iter().zip(parts).enumerate().partition(|(at, _)| waits.contains(at));
            // Whom no look-up concerns waits for none.
            for (_, (group, part)) in go {
                group.out.send_replace(Observation::Seen(part));
            }
            let mut found = look_up(compute, clock, region, asked, enough()).await;
            for (at, (group, mut part)) in wait {
                part.lookups = found.remove(&at).unwrap_or_default();
                group.out.send_replace(Observation::Seen(part));
            }
            Ok(began)
        }
        Err(failure) => {
            void(watched, began, &failure);
            Err(failure)
        }
    }
}

/// All tags to be listed, and of each group those that it seeks beside its own. A tag that
/// another group has by now is its own alone: nobody takes servers over from it.
fn tags(watched: &[Watched]) -> (Vec<Tag>, Vec<Vec<Tag>>) {
    let mut all: Vec<Tag> = watched.iter().map(|w| w.group.tag.clone()).collect();
    let taken = |tag: &Tag| watched.iter().any(|w| w.group.tag.same(tag.as_str()));
    let sought = watched.iter().map(|w| w.sought().into_iter().filter(|t| !taken(t)).collect());
    let sought: Vec<Vec<Tag>> = sought.collect();
    for tag in sought.iter().flatten() {
        if !all.iter().any(|known| known.same(tag.as_str())) {
            all.push(tag.clone());
        }
    }
    (all, sought)
}

/// Tells every group that a look begun then saw nothing.
pub fn void(watched: &[Watched], began: Now, failure: &Failure) {
    for group in watched {
        group.out.send_modify(|last| *last = unseen(last, began, failure));
    }
}

fn unseen(last: &Observation, now: Now, failure: &Failure) -> Observation {
    let since = match last {
        Observation::Unseen { since, .. } => *since,
        Observation::Seen(_) => now,
    };
    Observation::Unseen { since, why: failure.in_words() }
}

/// Every group's part of the listing, and which of its known servers that lacks.
fn divide(
    watched: &[Watched],
    servers: Vec<Server>,
    sought: &[Vec<Tag>],
    began: Now,
) -> (Vec<Seen>, BTreeSet<(usize, ServerId)>) {
    let servers: Vec<Arc<Server>> = servers.into_iter().map(Arc::new).collect();
    let (mut parts, mut missing) = (Vec::new(), BTreeSet::new());
    for (at, (group, sought)) in watched.iter().zip(sought).enumerate() {
        let tag = &group.group.tag;
        let mine: Vec<Arc<Server>> = servers.iter().filter(|s| s.has_tag(tag)).cloned().collect();
        let listed: BTreeSet<&ServerId> = mine.iter().map(|s| &s.id).collect();
        let lacking = group.known().into_iter().filter(|id| !listed.contains(id));
        let silent = unexplained(&mine, &group.asked_why());
        missing.extend(lacking.chain(silent).map(|id| (at, id)));
        let other = |s: &&Arc<Server>| !s.has_tag(tag) && sought.iter().any(|t| s.has_tag(t));
        let others = servers.iter().filter(other).cloned().collect();
        let sought = Sought { tags: sought.clone(), servers: others };
        let (fresh_for, lookups) = (FRESH_FOR, Vec::new());
        parts.push(Seen { servers: mine, began, fresh_for, lookups, sought });
    }
    (parts, missing)
}

/// What GET by id said, by the place of the group.
async fn look_up(
    compute: &dyn Compute,
    clock: &dyn Clock,
    region: &Region,
    asked: Vec<(usize, ServerId)>,
    enough: impl Future<Output = ()>,
) -> BTreeMap<usize, Vec<Lookup>> {
    let answers = stream::iter(asked)
        .map(|(at, id)| async move {
            let began = clock.now();
            let found = match compute.get(region, &id).await {
                Ok(None) => Found::Absent,
                Ok(Some(server)) => Found::Present(Arc::new(server)),
                Err(failure) => Found::Unclear(failure.message),
            };
            (at, Lookup { id, began, found })
        })
        .buffer_unordered(LOOKUPS_AT_ONCE)
        .take_until(enough);
    let mut answers = pin!(answers);
    let mut found: BTreeMap<usize, Vec<Lookup>> = BTreeMap::new();
    while let Some((at, lookup)) = answers.next().await {
        found.entry(at).or_default().push(lookup);
    }
    found
}
