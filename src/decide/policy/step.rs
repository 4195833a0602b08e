//! Step scaling: a level that rises and falls by steps, as far as the measure lies.
//!
//! An out-step sets the level to what was desired, or to the level if that was more, and so many
//! servers beside; an in-step takes servers off the level. Within the warm-up of a step nothing is
//! taken, and after an out-step a measure further out adds only what its range is more than the last
//! one's, as AWS counts servers that are warming up. Each step rests on a newer measure than the
//! last. The level stays until the next step. Where servers have fallen silent nothing is taken.

use std::collections::BTreeMap;

use super::series::{Series, measured};
use super::{Fleet, Verdict};
use crate::decide::Snapshot;
use crate::domain::claim::{Claim, PolicyMemory, Source, StepHeld, Wants};
use crate::domain::count::{MOST, percent_change};
use crate::domain::fleet::Standing;
use crate::domain::id::ServerId;
use crate::domain::policy::{Adjustment, Change, Step, mean};
use crate::domain::signal::Sample;
use crate::domain::time::{Steady, left_secs};

pub(super) fn claim(fleet: &Fleet<'_>, step: &Step) -> Verdict {
    let series = Series::new(fleet, &step.reading);
    let Measure { value, counting, partial } = Measure::of(fleet, &series);
    let last = PolicyMemory { unknown: None, ..fleet.last };
    let mut stand =
        Stand { fleet, step, series: &series, counting, partial, next: last, held: None };
    if let Some(value) = value {
        stand.begin();
        stand.step(value);
    }
    let Stand { next: memory, held, .. } = stand;
    let source = Source::Step {
        signal: step.reading.signal.clone(),
        value,
        over: series.over(),
        age_secs: series.age_secs(),
        level: memory.level,
        held,
    };
    let wants = match (memory.level, value) {
        (Some(level), _) => Wants::Servers(level),
        (None, Some(_)) => Wants::Servers(0),
        (None, None) => Wants::Unknown,
    };
    let warm = memory.since.map(|since| since.plus(step.warm_up));
    let wake = warm.filter(|end| *end > fleet.snapshot.now.steady);
    Verdict { memory, wake, ..Verdict::of(Claim { source, wants }) }
}

/// What the group measures, or its servers on average; the larger where both are told.
struct Measure<'a> {
    value: Option<f64>,
    /// The newest samples that it comes of.
    counting: Vec<&'a Sample>,
    /// Servers that carried load have fallen silent, or others take it over.
    partial: bool,
}

impl<'a> Measure<'a> {
    fn of(fleet: &Fleet<'_>, series: &Series<'a>) -> Self {
        let members: BTreeMap<&ServerId, Standing> =
            fleet.members.iter().map(|member| (&member.id, member.standing)).collect();
        let (mut whole, mut each, mut partial) = (None, Vec::new(), false);
        let mut counting = Vec::new();
        for sample in series.newest() {
            let value = || series.value(sample, |s| s.value.get());
            let standing = sample.server.as_ref().map(|id| members.get(id));
            match (standing, series.fresh(sample)) {
                (None, true) => {
                    whole = Some(value());
                    counting.push(sample);
                }
                (Some(Some(Standing::Serving | Standing::Unsure)), true) => {
                    each.push(value());
                    counting.push(sample);
                }
                (Some(Some(Standing::Serving | Standing::Unsure)), false)
                | (Some(Some(Standing::Idle | Standing::Failed | Standing::Leaving)), true) => {
                    partial = true;
                }
                (Some(Some(_) | None), _) | (None, false) => {}
            }
        }
        let single = counting.iter().copied().filter(|sample| sample.server.is_some());
        partial |= series.untold(single) > 0;
        let value = [whole, mean(&each)].into_iter().flatten().reduce(f64::max);
        Self { value, counting, partial: partial && whole.is_none() }
    }
}

struct Stand<'a> {
    fleet: &'a Fleet<'a>,
    step: &'a Step,
    series: &'a Series<'a>,
    counting: Vec<&'a Sample>,
    partial: bool,
    next: PolicyMemory,
    held: Option<StepHeld>,
}

impl Stand<'_> {
    /// A policy that moves what there is begins with it: with what is held of a fleet that was
    /// found or adopted, or what other policies upheld before it stood in their place.
    fn begin(&mut self) {
        if self.next.level.is_some() {
            return;
        }
        let Snapshot { memory, group, .. } = self.fleet.snapshot;
        let alone = group.policies.iter().filter(|p| !p.readings().is_empty()).count() == 1;
        let held = memory.and_then(|memory| memory.held).map(|held| held.capacity);
        let upheld = memory.and_then(|memory| memory.upheld).filter(|_| alone);
        let level = held.max(upheld).map(|level| self.bounded(level));
        self.next.level = level.filter(|level| *level > 0);
    }

    fn step(&mut self, value: f64) {
        let (now, step) = (self.fleet.snapshot.now.steady, self.step);
        let out = step.out.iter().find(|range| out_covers(range, value));
        let into = step.into.iter().find(|range| in_covers(range, value));
        let since = self.next.since;
        let left = since.map(|since| since.plus(step.warm_up).since(now));
        let warming = left.filter(|left| !left.is_zero()).map(left_secs);
        // What was measured before a step tells nothing about its effect.
        let new = since.is_none_or(|since| self.series.measured().is_some_and(|at| at > since));
        match (out, into, warming) {
            (Some(range), _, Some(left_secs)) if self.next.anchor.is_some() => {
                self.further(range, left_secs);
            }
            (None, Some(range), Some(left_secs)) if self.fewer(range).is_some() => {
                self.held = Some(StepHeld::WarmingUp { left_secs });
            }
            (Some(_), _, _) if !new => self.held = Some(StepHeld::NothingNew),
            (Some(range), _, _) => {
                let from = self.next.level.unwrap_or(0).max(self.fleet.desired);
                self.up(from, after(from, range.change, true), now);
            }
            (None, Some(range), None) => self.into(range, new),
            (None, _, _) => {}
        }
    }

    /// More of what the warm-up began with.
    fn further(&mut self, range: &Adjustment, left_secs: u64) {
        let Some(from) = self.next.anchor else { return };
        let to = self.bounded(after(from, range.change, true));
        if self.next.level.is_none_or(|level| to > level) {
            self.up(from, to, self.fleet.snapshot.now.steady);
        } else {
            self.held = Some(StepHeld::WarmingUp { left_secs });
        }
    }

    fn up(&mut self, from: u32, to: u32, now: Steady) {
        if to <= from {
            return;
        }
        let to = self.bounded(to);
        if self.next.level.is_some_and(|level| to <= level) {
            return;
        }
        let since = Some(now);
        self.next = PolicyMemory { level: Some(to), anchor: Some(from), since, ..self.next };
    }

    /// A level beyond max would take as long to come down as it took to rise there unseen.
    fn bounded(&self, level: u32) -> u32 {
        level.min(self.fleet.snapshot.bounds().max)
    }

    /// The level after a step in, if it would be lower.
    fn fewer(&self, range: &Adjustment) -> Option<u32> {
        let level = self.next.level?;
        let floor = self.fleet.snapshot.bounds().floor().min(level);
        let begin = self.bounded(level);
        Some(after(begin, range.change, false).max(floor)).filter(|to| *to < level)
    }

    fn into(&mut self, range: &Adjustment, new: bool) {
        let Some(to) = self.fewer(range) else { return };
        if !new {
            self.held = Some(StepHeld::NothingNew);
            return;
        }
        if self.partial {
            self.held = Some(StepHeld::KnownInPart);
            return;
        }
        let flaps = || {
            let projected = self.carried() / f64::from(to);
            self.step.out.iter().any(|range| out_covers(range, projected))
        };
        if self.step.flapping_guard && flaps() {
            self.held = Some(StepHeld::WouldStepOut { servers: to });
            return;
        }
        let since = Some(self.fleet.snapshot.now.steady);
        self.next = PolicyMemory { level: Some(to), anchor: None, since, ..self.next };
    }

    /// What all that were ready carried together when it was measured; the larger where both are
    /// told.
    fn carried(&self) -> f64 {
        let ready_at = |s: &Sample| self.fleet.ready_at(measured(self.fleet.snapshot, s));
        let load = |sample| self.series.value(sample, |s| s.value.get() * f64::from(ready_at(s)));
        let (single, whole): (Vec<&Sample>, Vec<&Sample>) =
            self.counting.iter().partition(|sample| sample.server.is_some());
        let single: Vec<f64> = single.into_iter().map(load).collect();
        whole.into_iter().map(load).chain(mean(&single)).fold(0.0, f64::max)
    }
}

/// Source of which end belongs to a range: AWS, `StepAdjustment`.
fn out_covers(range: &Adjustment, value: f64) -> bool {
    range.from.is_none_or(|from| value >= from) && range.to.is_none_or(|to| value < to)
}

fn in_covers(range: &Adjustment, value: f64) -> bool {
    range.from.is_none_or(|from| value > from) && range.to.is_none_or(|to| value <= to)
}

/// The level after a change, at most [`MOST`].
pub(super) fn after(level: u32, change: Change, out: bool) -> u32 {
    let by = match change {
        Change::Exact(n) => return n.min(MOST),
        Change::Servers(n) => n,
        Change::Percent { by, least } => {
            let share = percent_change(level, by);
            u32::try_from(share).unwrap_or(0).max(least)
        }
    };
    if out { level.saturating_add(by).min(MOST) } else { level.saturating_sub(by) }
}
