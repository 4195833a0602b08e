//! From wanted to desired: what holds it back, in order, each step with its reason.
//!
//! 1. The largest claim is wanted. A pin stands alone; behind it goes on being noted what was
//!    measured, so that its end is like any other moment.
//! 2. Measured claims count with the largest they were within the stabilisation window.
//!    What was declared (base, reservation) or has an announced end does not wait.
//! 3. While a measured claim is unknown, desired may rise but not fall.
//! 4. Capacity found without state, at the start or later, or adopted, is held until all measured claims
//!    have data or an operator says how large the fleet is to be.
//! 5. Desired is not lowered within the cooldown, unless an operator spoke since it changed.
//! 6. The bounds, last: a raised min overrides all of the above, a lowered max too.

use std::time::Duration;

use super::policy::schedule;
use super::snapshot::Snapshot;
use super::{remembered, sooner};
use crate::domain::claim::{Claim, Held, Memory, Peak, Source};
use crate::domain::intent::{Intent, State};
use crate::domain::plan::Tempering;
use crate::domain::time::{Steady, left_secs};

/// What there is to temper.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Those that count.
    pub claims: &'a [Claim],
    /// What the samples ask for, whether it counts or not.
    pub measured: &'a [Claim],
    /// Capacity that stands though its launches were forgotten with the journal.
    pub found: u32,
    /// All capacity that stands or comes.
    pub stands: u32,
    /// While a large cut of max waits for a word: how many may stay.
    pub kept: Option<u32>,
}

/// What tempering came to.
#[derive(Debug, Clone)]
pub struct Tempered {
    pub wanted: Option<u32>,
    pub desired: u32,
    pub steps: Vec<Tempering>,
    /// The next memory; none while there is nothing to base one on.
    pub memory: Option<Memory>,
    pub wake: Option<Steady>,
}

/// Turns claims into desired.
pub fn temper(snapshot: &Snapshot<'_>, asked: Asked<'_>) -> Tempered {
    let mut run = Run::begin(snapshot, asked);
    if run.pinned() {
        run.pin();
        run.remember();
    } else {
        run.stabilize();
        run.hold_when_blind();
        run.hold_what_was_found();
        run.cool();
    }
    run.bound();
    run.end()
}

struct Run<'a> {
    snapshot: &'a Snapshot<'a>,
    asked: Asked<'a>,
    memory: Memory,
    wanted: Option<u32>,
    desired: u32,
    steps: Vec<Tempering>,
    wake: Option<Steady>,
}

impl<'a> Run<'a> {
    fn begin(snapshot: &'a Snapshot<'a>, asked: Asked<'a>) -> Self {
        let mut memory = remembered(snapshot);
        // The first listing may show a part of what stands, or nothing yet.
        if snapshot.memory.is_none() && snapshot.state.steered.is_none() {
            let since = snapshot.now.steady;
            memory.held = Some(Held { capacity: 0, since, adopted: false, took: false });
        }
        hold_adopted(&mut memory, snapshot, asked.stands);
        if let Some(held) = &mut memory.held {
            held.capacity = held.capacity.max(asked.found);
            held.took |= held.adopted && snapshot.intents.iter().any(|it| took(it, held.since));
        }
        let wanted = asked.claims.iter().filter_map(|c| c.wants.number()).max();
        let desired = wanted.unwrap_or(snapshot.bounds().floor());
        Self { snapshot, asked, memory, wanted, desired, steps: Vec::new(), wake: None }
    }

    fn pinned(&self) -> bool {
        self.asked.claims.iter().any(|c| matches!(c.source, Source::Pin { .. }))
    }

    fn pin(&mut self) {
        self.steps.push(Tempering::Pinned { to: self.desired });
        self.memory.held = None;
        if let Some(end) = self.snapshot.state.pin.as_ref().and_then(|p| p.until) {
            self.wake_at(end.steady);
        }
    }

    /// Notes what the measured claims want; false while they do not tell all of it.
    fn remember(&mut self) -> bool {
        let now = self.snapshot.now.steady;
        let window = self.snapshot.group.behaviour.scale_in.stabilization;
        let blind = self.asked.measured.iter().any(Claim::blind);
        let measured = self.measured();
        let peaks = &mut self.memory.peaks;
        match measured {
            // What is missing could only add to it.
            Some(n) if !blind || peaks.last().is_none_or(|last| n > last.wanted) => {
                remember_peak(peaks, now, n);
            }
            None if self.asked.measured.is_empty() => {}
            // The window of what was wanted last begins when it is known that less is wanted.
            Some(_) | None => return false,
        }
        forget_peaks(peaks, now, window, measured.is_some());
        true
    }

    /// The most that measured claims are known to want.
    fn measured(&self) -> Option<u32> {
        self.asked.measured.iter().filter_map(|c| c.wants.number()).max()
    }

    fn stabilize(&mut self) {
        if !self.remember() {
            return;
        }
        let now = self.snapshot.now.steady;
        let window = self.snapshot.group.behaviour.scale_in.stabilization;
        let Some(peak) = self.memory.peaks.first().copied() else { return };
        if peak.wanted > self.desired {
            let end = peak.until.plus(window);
            let left_secs = left_secs(end.since(now));
            let (from, to, window_secs) = (self.desired, peak.wanted, window.as_secs());
            self.step(to, Tempering::Stabilized { from, to, window_secs, left_secs });
            self.wake_at(end);
        }
    }

    fn hold_when_blind(&mut self) {
        let blind = self.asked.measured.iter().filter(|c| c.blind());
        let signals: Vec<String> = blind
            .filter_map(|c| match &c.source {
                Source::Target { signal, .. } => Some(signal.to_string()),
                Source::Base { .. }
                | Source::Reservation { .. }
                | Source::Schedule { .. }
                | Source::Pin { .. }
                | Source::Paused { .. } => None,
            })
            .collect();
        let Some(last) = self.memory.desired else { return };
        if !signals.is_empty() && last > self.desired {
            let (from, to) = (self.desired, last);
            self.step(to, Tempering::Blind { from, to, signals });
        }
    }

    fn hold_what_was_found(&mut self) {
        let Some(held) = self.memory.held else { return };
        let steered = self.snapshot.state.steered.is_some_and(|s| s.steady >= held.since);
        let measured = self.asked.measured;
        let fed = !measured.is_empty() && measured.iter().all(|c| !c.blind());
        let in_vain = held.adopted && !held.took && self.snapshot.state.adoptions.is_empty();
        if steered || fed || in_vain {
            self.memory.held = None;
        } else if held.capacity > self.desired {
            let (from, to) = (self.desired, held.capacity);
            let step = match held.adopted {
                true => Tempering::TakenOver { from, to },
                false => Tempering::Held { from, to },
            };
            self.step(to, step);
        }
    }

    fn cool(&mut self) {
        let (Some(last), Some(changed)) = (self.memory.desired, self.memory.changed) else {
            return;
        };
        let end = changed.plus(self.snapshot.group.behaviour.scale_in.cooldown);
        let spoken_since = self.snapshot.state.ordered.is_some_and(|o| o.steady > changed);
        let now = self.snapshot.now.steady;
        if self.desired < last && now < end && !spoken_since {
            let (from, to, left_secs) = (self.desired, last, left_secs(end.since(now)));
            self.step(to, Tempering::Cooling { from, to, left_secs });
            self.wake_at(end);
        }
    }

    fn bound(&mut self) {
        let (from, to) = (self.desired, self.snapshot.bounds().clamp(self.desired));
        if from != to {
            self.step(to, Tempering::Bounded { from, to });
        }
    }

    fn end(mut self) -> Tempered {
        let now = self.snapshot.now.steady;
        self.wake_at_ends_of_reservations();
        self.wake = sooner(self.wake, schedule::wake(self.snapshot));
        // Without state and without a look nothing is known, not even that nothing runs.
        let blank = self.snapshot.memory.is_none() && self.snapshot.seen().is_none();
        // A max that waits for a word takes nothing away, from what is remembered neither.
        let last = self.memory.desired.unwrap_or(0);
        let noted = self.asked.kept.map_or(self.desired, |most| self.desired.max(last.min(most)));
        if self.memory.desired != Some(noted) {
            self.memory.changed = Some(now);
            self.memory.desired = Some(noted);
        }
        let memory = Some(self.memory).filter(|_| !blank);
        let Self { wanted, desired, steps, wake, .. } = Self { memory: Memory::default(), ..self };
        Tempered { wanted, desired, steps, memory, wake }
    }

    fn wake_at_ends_of_reservations(&mut self) {
        let now = self.snapshot.now.steady;
        let ends = self.snapshot.state.reservations.iter().map(|r| r.until.steady);
        let next = ends.filter(|end| *end > now).min();
        self.wake = sooner(self.wake, next);
    }

    fn step(&mut self, to: u32, step: Tempering) {
        self.desired = to;
        self.steps.push(step);
    }

    fn wake_at(&mut self, then: Steady) {
        self.wake = sooner(self.wake, Some(then));
    }
}

/// It adopted a server since then.
fn took(intent: &Intent, since: Steady) -> bool {
    let done = matches!(intent.state, State::Closed { done: 1.., .. });
    done && intent.adopt().is_some() && intent.opened.steady >= since
}

/// While servers are adopted, all that stands is held: a large excess must not begin to go just
/// because it may be deleted from now on.
fn hold_adopted(memory: &mut Memory, snapshot: &Snapshot<'_>, stands: u32) {
    let Some(ordered) = snapshot.state.adoptions.iter().map(|a| a.at.steady).max() else { return };
    let fresh = Held { capacity: 0, since: ordered, adopted: true, took: false };
    let held = memory.held.get_or_insert(fresh);
    held.adopted |= held.capacity == 0;
    held.since = held.since.max(ordered);
    held.capacity = held.capacity.max(stands);
}

/// Notes what is wanted now. Entries are kept in falling order: what a later entry reaches
/// can no longer be the largest of the window.
fn remember_peak(peaks: &mut Vec<Peak>, now: Steady, wanted: u32) {
    match peaks.last_mut() {
        Some(last) if last.wanted == wanted => return,
        // It was in force until now.
        Some(last) => last.until = now,
        None => {}
    }
    while peaks.last().is_some_and(|last| last.wanted <= wanted) {
        peaks.pop();
    }
    peaks.push(Peak { until: now, wanted });
}

/// Drops what has left the window; what is in force stays while it is known.
fn forget_peaks(peaks: &mut Vec<Peak>, now: Steady, window: Duration, in_force: bool) {
    let last = peaks.len().saturating_sub(1);
    let mut index = 0;
    peaks.retain(|peak| {
        let current = in_force && index == last;
        index += 1;
        current || peak.until.plus(window) > now
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest value of a step function over a window, the plain way.
    fn plain(history: &[(u64, u32)], now: u64, window: u64) -> u32 {
        let start = now.saturating_sub(window);
        history
            .iter()
            .enumerate()
            .filter(|(i, (at, _))| {
                let until = history.get(i + 1).map_or(u64::MAX, |(next, _)| *next);
                *at <= now && until > start
            })
            .map(|(_, (_, wanted))| *wanted)
            .max()
            .unwrap_or(0)
    }

    proptest::proptest! {
        #[test]
        fn peaks_give_the_largest_of_the_window(
            steps in proptest::collection::vec((1u64..40, 0u32..12), 1..60),
            window in 1u64..100,
        ) {
            let (mut peaks, mut history, mut now) = (Vec::new(), Vec::new(), 0);
            for (pause, wanted) in steps {
                now += pause;
                history.push((now, wanted));
                remember_peak(&mut peaks, Steady(now), wanted);
                forget_peaks(&mut peaks, Steady(now), Duration::from_millis(window), true);
                proptest::prop_assert_eq!(peaks[0].wanted, plain(&history, now, window));
                proptest::prop_assert!(peaks.len() <= 13);
            }
        }
    }
}
