//! From wanted to desired: what holds it back, in order, each step with its reason.
//!
//! 1. The largest claim is wanted. A pin stands alone; behind it goes on being noted what was
//!    measured, so that its end is like any other moment.
//! 2. Measured claims count with the largest they were within scale_in's stabilisation window, and
//!    raise desired at most to the smallest they were within scale_out's.
//!    What was declared (base, reservation) or has an announced end does not wait.
//! 3. While a measured claim is unknown, desired may rise but not fall.
//! 4. Capacity found without state, at the start or later, or adopted, is held until all measured claims
//!    have data or an operator says how large the fleet is to be.
//! 5. The rates of either way. On the way out they hold for what signals drive: what was declared
//!    or is held counts at once. On the way in they hold for all, unless an operator spoke since
//!    desired changed.
//! 6. Within a cooldown desired is not lowered, unless an operator spoke since it changed, and not
//!    raised by signals.
//! 7. The bounds, last: a raised min overrides all of the above, a lowered max too.

mod rates;
mod windows;

use self::rates::{History, Limit, Way};
use self::windows::Extreme;
use super::policy::schedule;
use super::snapshot::Snapshot;
use super::{remembered, sooner};
use crate::domain::behaviour::{Behaviour, Rate, Rates};
use crate::domain::claim::{Claim, Held, Memory, Past, Source};
use crate::domain::intent::{Intent, State};
use crate::domain::pause::Process;
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
        run.rate();
        run.cool();
        run.cool_out();
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
    /// What counts at once: declared, ordered, or held.
    firm: u32,
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
        let declared = asked.claims.iter().filter(|c| !c.source.measured());
        let firm = declared.filter_map(|c| c.wants.number()).max().unwrap_or(0);
        Self { snapshot, asked, memory, wanted, desired, firm, steps: Vec::new(), wake: None }
    }

    fn behaviour(&self) -> &'a Behaviour {
        &self.snapshot.group.behaviour
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
        // While signals rest, so does what they wanted: it is in force until they go on.
        if self.snapshot.paused(Process::Alarm).is_some() {
            return false;
        }
        let now = self.snapshot.now.steady;
        let blind = self.asked.measured.iter().any(Claim::blind);
        let measured = self.measured();
        let (scale_in, scale_out) = (&self.behaviour().scale_in, &self.behaviour().scale_out);
        let Memory { peaks, troughs, .. } = &mut self.memory;
        if scale_out.stabilization.is_zero() {
            troughs.clear();
        }
        match measured {
            // What is missing could only add to it.
            Some(n) if !blind || peaks.last().is_none_or(|last| n > last.wanted) => {
                Extreme::Largest.remember(peaks, now, n);
                if !scale_out.stabilization.is_zero() {
                    Extreme::Smallest.remember(troughs, now, n);
                }
            }
            None if self.asked.measured.is_empty() => {}
            // The window of what was wanted last begins when it is known that less is wanted.
            Some(_) | None => return false,
        }
        windows::forget(peaks, now, scale_in.stabilization, measured.is_some());
        windows::forget(troughs, now, scale_out.stabilization, measured.is_some());
        true
    }

    /// The most that measured claims are known to want.
    fn measured(&self) -> Option<u32> {
        self.asked.measured.iter().filter_map(|c| c.wants.number()).max()
    }

    fn stabilize(&mut self) {
        if self.remember() {
            self.stabilize_in();
        }
        self.stabilize_out();
    }

    fn stabilize_in(&mut self) {
        let window = self.behaviour().scale_in.stabilization;
        let Some(peak) = self.memory.peaks.first().map(|peak| peak.wanted) else { return };
        // What was not given while it was wanted is not given once it no longer is.
        let slow = self.behaviour().scale_out.slows();
        let last = self.memory.desired.filter(|_| slow).unwrap_or(peak);
        let (from, to) = (self.desired, peak.min(last.max(self.desired)));
        let Some(end) = Extreme::Largest.ends(&self.memory.peaks, window, to) else { return };
        if to > from {
            let left_secs = self.left_secs(end);
            let window_secs = window.as_secs();
            self.step(to, Tempering::Stabilized { from, to, window_secs, left_secs });
            self.wake_at(end);
        }
    }

    fn stabilize_out(&mut self) {
        let window = self.behaviour().scale_out.stabilization;
        let Some(last) = self.rises() else { return };
        let Some(least) = self.memory.troughs.first().map(|trough| trough.wanted) else { return };
        let (from, to) = (self.desired, self.desired.min(least.max(last).max(self.firm)));
        let Some(end) = Extreme::Smallest.ends(&self.memory.troughs, window, to) else { return };
        if to < from {
            let left_secs = self.left_secs(end);
            let window_secs = window.as_secs();
            self.step(to, Tempering::StabilizedOut { from, to, least, window_secs, left_secs });
            self.wake_at(end);
        }
    }

    /// What was desired, if more would be, as far as the bounds let it.
    fn rises(&self) -> Option<u32> {
        self.memory.desired.filter(|last| self.snapshot.bounds().clamp(self.desired) > *last)
    }

    /// What was desired, if less would be, as far as the bounds let it.
    fn falls(&self) -> Option<u32> {
        self.memory.desired.filter(|last| self.snapshot.bounds().clamp(self.desired) < *last)
    }

    fn hold_when_blind(&mut self) {
        let blind = self.asked.measured.iter().filter(|c| c.blind());
        let mut signals: Vec<String> = blind.flat_map(|claim| claim.source.lacking()).collect();
        signals.dedup();
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
        let told = |c: &Claim| !c.blind() && !matches!(c.source, Source::Fallback { .. });
        let fed = !measured.is_empty() && measured.iter().all(told);
        let in_vain = held.adopted && !held.took && self.snapshot.state.adoptions.is_empty();
        if steered || fed || in_vain {
            self.memory.held = None;
            return;
        }
        self.firm = self.firm.max(held.capacity);
        if held.capacity > self.desired {
            let (from, to) = (self.desired, held.capacity);
            let step = match held.adopted {
                true => Tempering::TakenOver { from, to },
                false => Tempering::Held { from, to },
            };
            self.step(to, step);
        }
    }

    fn rate(&mut self) {
        let Behaviour { scale_out, scale_in, .. } = self.behaviour();
        let first = self.memory.desired.is_none().then(|| self.first());
        if let Some(last) = self.rises().or(first) {
            self.rate_one(Way::Out, &scale_out.rates, last);
        } else if let Some(last) = self.falls()
            && !self.ordered_since()
        {
            self.rate_one(Way::In, &scale_in.rates, last);
        }
    }

    /// Where there is no memory, the way out begins at what stands.
    fn first(&self) -> u32 {
        self.firm.max(self.asked.stands)
    }

    fn rate_one(&mut self, way: Way, rates: &Rates, last: u32) {
        let now = self.snapshot.now.steady;
        let history = History { past: &self.memory.past, current: last };
        let (from, limit) = (self.desired, way.limit(rates, history, now));
        let reach = match limit {
            Limit::Nothing => return,
            Limit::Disabled => last,
            Limit::To(reach, _) => reach,
        };
        let to = match way {
            Way::Out => from.min(reach.max(self.firm)),
            Way::In => from.max(reach),
        };
        let bounds = self.snapshot.bounds();
        if bounds.clamp(to) == bounds.clamp(from) {
            return;
        }
        let Limit::To(_, Rate { change, per }) = limit else {
            self.step(to, Tempering::Disabled { from, to });
            return;
        };
        let end = self.next(way, rates, last, to);
        let (per_secs, left_secs) = (per.as_secs(), self.left_secs(end));
        let step = match way {
            Way::Out => Tempering::RatedOut { from, to, change, per_secs, left_secs },
            Way::In => Tempering::RatedIn { from, to, change, per_secs, left_secs },
        };
        self.step(to, step);
        self.wake_at(end);
    }

    /// When the rates let desired go beyond `to`, where it goes now.
    fn next(&self, way: Way, rates: &Rates, last: u32, to: u32) -> Steady {
        let now = self.snapshot.now.steady;
        let mut past = self.memory.past.clone();
        past.extend((to != last).then_some(Past { until: now, desired: last }));
        way.next(rates, History { past: &past, current: to }, to, now)
    }

    /// An operator spoke since desired changed.
    fn ordered_since(&self) -> bool {
        let Some(changed) = self.memory.changed else { return false };
        self.snapshot.state.ordered.is_some_and(|o| o.steady > changed)
    }

    fn cool(&mut self) {
        let (Some(last), Some(changed)) = (self.memory.desired, self.memory.changed) else {
            return;
        };
        let end = changed.plus(self.behaviour().scale_in.cooldown);
        let now = self.snapshot.now.steady;
        if self.desired < last && now < end && !self.ordered_since() {
            let (from, to, left_secs) = (self.desired, last, self.left_secs(end));
            self.step(to, Tempering::Cooling { from, to, left_secs });
            self.wake_at(end);
        }
    }

    fn cool_out(&mut self) {
        let (Some(last), Some(changed)) = (self.rises(), self.memory.changed) else { return };
        let end = changed.plus(self.behaviour().scale_out.cooldown);
        let (from, to) = (self.desired, self.desired.min(last.max(self.firm)));
        if to < from && self.snapshot.now.steady < end {
            let left_secs = self.left_secs(end);
            self.step(to, Tempering::CoolingOut { from, to, left_secs });
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
        let Behaviour { scale_out, scale_in, .. } = self.behaviour();
        let desired = self.memory.desired.unwrap_or(self.first());
        let change = (desired != noted).then_some(Past { until: now, desired });
        rates::remember(&mut self.memory.past, change, [&scale_out.rates, &scale_in.rates], now);
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

    fn left_secs(&self, end: Steady) -> u64 {
        left_secs(end.since(self.snapshot.now.steady))
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
