//! The loops: one for each group, one observer and one auditor for each region. Here alone is
//! spawned; here and in `group` and `region` alone is waited.
//!
//! A group's loop wakes on a nudge, on a new observation, or when its last decision asked
//! for a look, and makes one pass. A nudge carries nothing; many count as one. It reads
//! the clock once for each pass and passes at most once a second.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::group::{Dice, GroupLoop, Post, Previewer};
use self::region::{Auditor, Observer, Spur};
use super::Parts;
use super::handle::{GroupHandle, Handle, ObserverPulse};
use super::observe::Watched;
use crate::domain::fleet::Observation;
use crate::domain::group::Group;
use crate::domain::id::Region;

mod group;
mod region;

pub use group::STOP_WITHIN;

/// What the loops are to keep.
#[derive(Clone, Copy)]
pub struct Charge<'a> {
    pub groups: &'a [Arc<Group>],
    /// The loops of the configuration before, which have ended: what they counted and saw last
    /// goes on to be shown.
    pub before: &'a Handle,
}

/// Starts every loop on the tracker; they end when `parts.stopping` is cancelled.
/// `seed` gives a fresh seed for each loop's dice.
pub fn start(
    parts: &Parts,
    charge: Charge<'_>,
    tracker: &TaskTracker,
    mut seed: impl FnMut() -> u64,
) -> Handle {
    let begun = parts.clock.now();
    let mut handles = Vec::new();
    let mut regions: Vec<Site> = Vec::new();
    for group in charge.groups {
        let why = "no listing has been made yet".to_owned();
        let (out, seen) = watch::channel(Observation::Unseen { since: begun, why });
        let preview = Arc::new(Previewer {
            parts: parts.clone(),
            group: Arc::clone(group),
            seen: seen.clone(),
            seed: seed(),
        });
        let (handle, end) = GroupHandle::new(Arc::clone(group), preview);
        if let Some(before) = charge.before.group(group.name.as_str()) {
            end.follow(group, before);
        }
        let site = Site::of(&mut regions, &group.region);
        site.watched.push(Watched { group: Arc::clone(group), latest: handle.watch(), out });
        let spur = Arc::clone(&site.spur);
        let post = Post { group: Arc::clone(group), end, seen, spur };
        let keeper = GroupLoop::new(parts, post, Dice::thrown_from(seed()));
        spawn(tracker, parts, format!("the loop of {}", group.name), keeper.run());
        handles.push(handle);
    }
    let seen = charge.before.observers();
    let open = |site: Site| {
        let before = seen.iter().find(|pulse| pulse.region == site.region).cloned();
        let fresh = ObserverPulse::fresh(site.region.clone(), begun);
        site.open(parts, tracker, ObserverPulse { tried: begun, ..before.unwrap_or(fresh) })
    };
    Handle::new(handles, regions.into_iter().map(open).collect())
}

/// A region and its groups, before they are watched.
struct Site {
    region: Region,
    watched: Vec<Watched>,
    spur: Arc<Spur>,
}

impl Site {
    fn of<'a>(sites: &'a mut Vec<Self>, region: &Region) -> &'a mut Self {
        let at = sites.iter().position(|site| site.region == *region).unwrap_or_else(|| {
            let spur = Arc::new(Spur::default());
            sites.push(Self { region: region.clone(), watched: Vec::new(), spur });
            sites.len() - 1
        });
        &mut sites[at]
    }

    /// Starts its observer and its auditor; the observer's pulse.
    fn open(
        self,
        parts: &Parts,
        tracker: &TaskTracker,
        pulse: ObserverPulse,
    ) -> watch::Receiver<ObserverPulse> {
        let Self { region, watched, spur } = self;
        let watched: Arc<[Watched]> = watched.into();
        let (out, pulse) = watch::channel(pulse);
        let auditor = Auditor {
            parts: parts.clone(),
            region: region.clone(),
            watched: Arc::clone(&watched),
            listed: pulse.clone(),
        };
        spawn(tracker, parts, format!("the audit of {region}"), auditor.run());
        let what = format!("the observer of {region}");
        let observer = Observer { parts: parts.clone(), region, watched, spur, pulse: out };
        spawn(tracker, parts, what, observer.run());
        pulse
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
