//! The loops: one for each group, one observer and one auditor for each region. Here alone is
//! spawned; here and in `group` and `region` alone is waited.
//!
//! A group's loop wakes on a nudge, on a new observation, or when its last decision asked
//! for a look, and makes one pass. A nudge carries nothing; many count as one. It reads
//! the clock once for each pass and passes at most once a second.
//!
//! Another configuration ends only the loops of groups that it changes or has no more. Such a
//! loop begins no new call, and is given time for the one under way; the group's next loop waits
//! its turn, so that a group never has two. Observers stay, and are told of the groups.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::group::{Dice, GroupLoop, Post, Previewer, Stops};
use self::region::{Auditor, Observer, Spur};
use super::Parts;
use super::handle::{GroupHandle, Handle, ObserverPulse};
use super::observe::Watched;
use crate::domain::fleet::Observation;
use crate::domain::group::Group;
use crate::domain::id::{GroupName, Region};
use crate::domain::time::Now;

mod group;
mod region;

pub use group::STOP_WITHIN;

/// Held by the loop of a group for as long as it runs.
type Turn = Arc<Mutex<()>>;

/// All loops, of one configuration after the other.
pub struct Loops {
    parts: Parts,
    tracker: TaskTracker,
    /// What a pass under way gets to end when its group is configured otherwise.
    room: Duration,
    kept: BTreeMap<GroupName, Kept>,
    sites: BTreeMap<Region, Site>,
    turns: BTreeMap<GroupName, Turn>,
}

/// A loop that runs, or waits for its turn.
struct Kept {
    group: Arc<Group>,
    handle: GroupHandle,
    out: watch::Sender<Observation>,
    ending: CancellationToken,
}

impl Kept {
    fn goes_on_as(&self, group: &Group) -> bool {
        *self.group == *group && !self.ending.is_cancelled()
    }
}

impl Loops {
    /// None yet. Those to come run on the tracker and end when `parts.stopping` is cancelled.
    /// `room` is what a call may take, with its wait for its turn.
    pub fn new(parts: &Parts, tracker: &TaskTracker, room: Duration) -> Self {
        let (kept, sites, turns) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { parts: parts.clone(), tracker: tracker.clone(), room, kept, sites, turns }
    }

    /// The groups that have a loop, as they are configured.
    pub fn groups(&self) -> Vec<Arc<Group>> {
        self.kept.values().map(|kept| Arc::clone(&kept.group)).collect()
    }

    /// Tells the loops to end whose groups are not among these, or not as they are there: no new
    /// call of theirs begins.
    pub fn part(&self, groups: &[Arc<Group>]) {
        let stays = |kept: &Kept| groups.iter().any(|group| kept.goes_on_as(group));
        self.kept.values().filter(|kept| !stays(kept)).for_each(|kept| kept.ending.cancel());
    }

    /// Ready once the loop of this group that was told to end has ended.
    pub async fn parted(&self, group: &GroupName) {
        if let Some(turn) = self.turns.get(group) {
            drop(turn.lock().await);
        }
    }

    /// From now on there are the loops of these groups, and those whose group is the same go on
    /// undisturbed. `seed` gives a fresh seed for each new loop's dice.
    pub fn keep(&mut self, groups: &[Arc<Group>], mut seed: impl FnMut() -> u64) -> Handle {
        self.part(groups);
        let begun = self.parts.clock.now();
        let mut before = mem::take(&mut self.kept);
        let mut changed = BTreeSet::new();
        for group in groups {
            let kept = match before.remove(&group.name) {
                Some(last) if last.goes_on_as(group) => last,
                last => {
                    changed.extend(last.as_ref().map(|last| last.group.region.clone()));
                    changed.insert(group.region.clone());
                    self.begin(group, last, begun, &mut seed)
                }
            };
            self.kept.insert(group.name.clone(), kept);
        }
        changed.extend(before.into_values().map(|gone| gone.group.region.clone()));
        self.turns.retain(|name, turn| self.kept.contains_key(name) || Arc::strong_count(turn) > 1);
        changed.iter().for_each(|region| self.watch(region));
        let handles = self.kept.values().map(|kept| kept.handle.clone());
        Handle::new(handles, self.sites.values().map(|site| site.pulse.clone()).collect())
    }

    /// Begins a group's loop, which goes on from where its last one stood.
    fn begin(
        &mut self,
        group: &Arc<Group>,
        last: Option<Kept>,
        begun: Now,
        seed: &mut impl FnMut() -> u64,
    ) -> Kept {
        let parts = &self.parts;
        let same_servers = |last: &&Kept| last.handle.same_servers(group);
        let out = last.as_ref().filter(same_servers).map(|last| last.out.clone());
        let out = out.unwrap_or_else(|| {
            let why = "no listing has been made yet".to_owned();
            watch::Sender::new(Observation::Unseen { since: begun, why })
        });
        let preview = Arc::new(Previewer {
            parts: parts.clone(),
            group: Arc::clone(group),
            seen: out.subscribe(),
            seed: seed(),
        });
        let before = last.map(|last| last.handle);
        let (handle, end) = GroupHandle::after(before.as_ref(), begun, Arc::clone(group), preview);
        let site = self.sites.entry(group.region.clone());
        let site = site.or_insert_with(|| Site::open(parts, &self.tracker, &group.region));
        let spur = Arc::clone(&site.spur);
        let ending = parts.stopping.child_token();
        let stops = Stops { stopping: parts.stopping.clone(), room: self.room };
        let turn = Arc::clone(self.turns.entry(group.name.clone()).or_default());
        let (seen, group) = (out.subscribe(), Arc::clone(group));
        let post = Post { group: Arc::clone(&group), end, seen, spur, turn, before, stops };
        let parts = Parts { stopping: ending.clone(), ..parts.clone() };
        let keeper = GroupLoop::new(&parts, post, Dice::thrown_from(seed()));
        spawn(&self.tracker, &parts, format!("the loop of {}", group.name), keeper.run());
        Kept { group, handle, out, ending }
    }

    /// Tells a region's observer and auditor which groups are there now.
    fn watch(&mut self, region: &Region) {
        let here = self.kept.values().filter(|kept| kept.group.region == *region);
        let watched: Arc<[Watched]> = here
            .map(|kept| Watched {
                group: Arc::clone(&kept.group),
                latest: kept.handle.watch(),
                out: kept.out.clone(),
            })
            .collect();
        if !watched.is_empty() {
            self.sites.get(region).into_iter().for_each(|site| site.tell(&watched));
        } else if let Some(site) = self.sites.remove(region) {
            site.ending.cancel();
        }
    }
}

/// A region that groups are in, with its observer and its auditor.
struct Site {
    spur: Arc<Spur>,
    watched: watch::Sender<Arc<[Watched]>>,
    pulse: watch::Receiver<ObserverPulse>,
    ending: CancellationToken,
}

impl Site {
    /// Starts them. They look once they were told of groups.
    fn open(parts: &Parts, tracker: &TaskTracker, region: &Region) -> Self {
        let ending = parts.stopping.child_token();
        let parts = Parts { stopping: ending.clone(), ..parts.clone() };
        let (out, pulse) = watch::channel(ObserverPulse::fresh(region.clone(), parts.clock.now()));
        let (spur, watched) = (Arc::new(Spur::default()), watch::Sender::default());
        let auditor = Auditor {
            parts: parts.clone(),
            region: region.clone(),
            watched: watched.subscribe(),
            listed: pulse.clone(),
        };
        spawn(tracker, &parts, format!("the audit of {region}"), auditor.run());
        let observer = Observer {
            parts: parts.clone(),
            region: region.clone(),
            watched: watched.subscribe(),
            spur: Arc::clone(&spur),
            pulse: out,
        };
        spawn(tracker, &parts, format!("the observer of {region}"), observer.run());
        Self { spur, watched, pulse, ending }
    }

    fn tell(&self, watched: &Arc<[Watched]>) {
        self.watched.send_replace(Arc::clone(watched));
    }
}

/// Runs a loop; if it ends by itself, that is told, and the daemon ends too.
fn spawn(
    tracker: &TaskTracker,
    parts: &Parts,
    what: String,
    run: impl Future<Output = ()> + Send + 'static,
) {
    let guard = Guard { what, stopping: parts.stopping.clone(), broken: parts.broken.clone() };
    tracker.spawn(async move {
        let _guard = guard;
        run.await;
    });
}

struct Guard {
    what: String,
    stopping: CancellationToken,
    broken: CancellationToken,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.stopping.is_cancelled() {
            tracing::error!("{} ended by itself: stopping", self.what);
            self.broken.cancel();
        }
    }
}
