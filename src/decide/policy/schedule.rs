//! Schedules: the windows that count now, the bounds that they make, and what they ask for.

use std::time::Duration;

use crate::decide::snapshot::Snapshot;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::pause::Process;
use crate::domain::schedule::{Gives, InForce};
use crate::domain::time::{Steady, Wall, left_secs};

/// The windows that count, in the file's order.
pub(crate) fn in_force(snapshot: &Snapshot<'_>) -> Vec<InForce> {
    let windows = in_force_at(snapshot, snapshot.schedule_clock());
    if snapshot.paused(Process::Schedule).is_none() {
        return windows;
    }
    // While their clock stands still none of them comes nearer to its end.
    windows.into_iter().map(|window| InForce { left_secs: None, ..window }).collect()
}

/// The windows that count when clocks show this.
pub(crate) fn in_force_at(snapshot: &Snapshot<'_>, now: Wall) -> Vec<InForce> {
    let boot = boot_time(snapshot);
    let counting = |schedule: &crate::domain::schedule::Schedule| {
        let window = schedule.in_force(now, boot)?;
        let left = |until: Wall| left_secs(until.since(now));
        let early_secs = left_secs(window.from.since(now));
        let (name, gives) = (schedule.name.clone(), schedule.gives);
        Some(InForce { name, gives, left_secs: window.until.map(left), early_secs })
    };
    snapshot.group.schedules.iter().filter_map(counting).collect()
}

pub(super) fn claims(open: &[InForce]) -> impl Iterator<Item = Claim> + '_ {
    open.iter().filter_map(|window| {
        let InForce { name, gives: Gives { capacity, .. }, left_secs, early_secs } = window;
        let (name, left_secs, early_secs) = (name.clone(), *left_secs, *early_secs);
        let source = Source::Schedule { name, left_secs, early_secs };
        Some(Claim { source, wants: Wants::Servers((*capacity)?) })
    })
}

/// When the next window begins or ends to count.
pub fn wake(snapshot: &Snapshot<'_>) -> Option<Steady> {
    if snapshot.paused(Process::Schedule).is_some() {
        return None;
    }
    let (now, boot) = (snapshot.now, boot_time(snapshot));
    let turns = snapshot.group.schedules.iter().filter_map(|s| s.turns(now.wall, boot));
    turns.min().map(|at| now.steady.plus(at.since(now.wall)))
}

/// How long before its hour a window has to count for its servers to serve by then.
fn boot_time(snapshot: &Snapshot<'_>) -> Duration {
    snapshot.memory.map_or(Duration::ZERO, |memory| memory.boot_time())
}
