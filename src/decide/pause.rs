//! What rests: how signals and schedules stand still, and what is said of it.
//!
//! Launches, terminations and sweeping are left out where they are planned (`diff`). The schedule
//! goes by a clock that stands ([`Snapshot::schedule_clock`]). What signals upheld is remembered
//! at each decision at which they count, so that a pause finds it: while it lasts one claim asks
//! for that, no sample is looked at, and none is missed.

use super::policy::schedule;
use super::snapshot::Snapshot;
use super::sooner;
use super::temper::Tempered;
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::pause::Process;
use crate::domain::plan::{Held, Tempering, Waiting};
use crate::domain::schedule::{Gives, InForce};
use crate::domain::time::Steady;

/// What signals ask for, as far as they count.
#[derive(Debug, Clone)]
pub struct Signals {
    /// None while they are paused.
    pub claims: Vec<Claim>,
    /// Those of them that samples were measured for.
    pub measured: Vec<Claim>,
    /// What stands in their place.
    pub standing: Option<Claim>,
    /// What they would ask for if they counted.
    unheard: Option<Option<u32>>,
}

impl Signals {
    pub fn of(snapshot: &Snapshot<'_>, claims: Vec<Claim>) -> Self {
        let Some(pause) = snapshot.paused(Process::Alarm) else {
            let measured = claims.iter().filter(|claim| claim.source.measured());
            let measured = measured.cloned().collect();
            return Self { claims, measured, standing: None, unheard: None };
        };
        let wanted = (!claims.is_empty()).then(|| most(&claims));
        // Memory of before pauses were known has no more than what was desired.
        let memory = snapshot.memory.filter(|_| !snapshot.group.policies.is_empty());
        let upheld = memory.and_then(|memory| memory.upheld.or(memory.desired));
        let standing = upheld.map(|n| {
            let (by, reason) = (pause.by.clone(), pause.reason.clone());
            let left_secs = pause.left_secs(snapshot.now);
            Claim { source: Source::Paused { left_secs, by, reason }, wants: Wants::Servers(n) }
        });
        Self { claims: Vec::new(), measured: Vec::new(), standing, unheard: wanted }
    }

    /// The most that signals uphold, to be remembered for a pause: what they want, what they wanted
    /// within the stabilisation window, and while they do not tell all of it what is desired.
    pub fn upheld(&self, snapshot: &Snapshot<'_>, tempered: &Tempered) -> Option<u32> {
        let last = snapshot.memory.and_then(|memory| memory.upheld);
        if snapshot.paused(Process::Alarm).is_some() {
            return last;
        }
        if snapshot.group.policies.is_empty() {
            return None;
        }
        let peak = tempered.memory.as_ref().and_then(|memory| memory.peaks.first());
        let known = most(&self.claims).max(peak.map(|peak| peak.wanted));
        let pinned = tempered.steps.iter().any(|s| matches!(s, Tempering::Pinned { .. }));
        // What was held back on its way out is not given by a pause.
        let slow = snapshot.group.behaviour.scale_out.slows() && !pinned;
        let given = |n: u32| if slow { n.min(tempered.desired) } else { n };
        if !self.measured.iter().any(Claim::blind) {
            return known.map(given).or(Some(0));
        }
        let desired = (!pinned).then_some(tempered.desired);
        [known.map(given), last.map(given), desired].into_iter().flatten().max()
    }
}

fn most(claims: &[Claim]) -> Option<u32> {
    claims.iter().filter_map(|claim| claim.wants.number()).max()
}

/// That signals and schedules would be elsewhere by now.
pub fn waiting(snapshot: &Snapshot<'_>, signals: &Signals) -> Vec<Waiting> {
    let standing = signals.standing.as_ref().and_then(|claim| claim.wants.number());
    let unheard = signals.unheard.filter(|wanted| *wanted != standing);
    let alarm = unheard.and_then(|n| paused(snapshot, Process::Alarm, Held::Wanted(n)));
    let windows = |at| -> Vec<(String, Gives)> {
        let open: Vec<InForce> = schedule::in_force_at(snapshot, at);
        open.into_iter().map(|window| (window.name, window.gives)).collect()
    };
    let stands = snapshot
        .paused(Process::Schedule)
        .is_some_and(|pause| windows(pause.since.wall) != windows(snapshot.now.wall));
    let schedule = stands.then(|| paused(snapshot, Process::Schedule, Held::Windows)).flatten();
    schedule.into_iter().chain(alarm).collect()
}

/// That this is not done because its process is paused, if it is.
pub fn paused(snapshot: &Snapshot<'_>, process: Process, held: Held) -> Option<Waiting> {
    snapshot.paused(process).map(|pause| Waiting::Paused {
        group: snapshot.group.name.clone(),
        process,
        left_secs: pause.left_secs(snapshot.now),
        by: pause.by.clone(),
        reason: pause.reason.clone(),
        held,
    })
}

/// When the next pause ends.
pub fn wake(snapshot: &Snapshot<'_>) -> Option<Steady> {
    let pauses = snapshot.state.pauses.values().filter(|pause| pause.in_force(snapshot.now));
    pauses.fold(None, |wake, pause| sooner(wake, pause.until.map(|until| until.steady)))
}
