//! What desired should come to once everything is calm: small enough to be plainly right.
//!
//! Some rules leave a fleet as it is while it is near enough. So the question is put the other way
//! round: a number is right if, with a fleet of that size and everybody measuring, all that asks
//! asks for that number.

use std::collections::BTreeMap;

use novascale::domain::claim::{Claim, Source};
use novascale::domain::count::Bounds;
use novascale::domain::group::Group;
use novascale::domain::policy::{
    Adjustment, Asks, Average, Change, Expression, Policy, Step, Tolerance,
};
use novascale::domain::signal::Command;

use super::policies::{EACH, FORMULAS, HEAT, How, QUEUE, WORK};
use super::world::SIGNAL;

/// One group as its operators and senders mean it. What has an end has ended by then.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    pub base: Option<u32>,
    /// What was measured last of each signal.
    pub loads: BTreeMap<&'static str, f64>,
}

/// A fleet at the end of a world.
pub struct Fleet<'a> {
    pub group: &'a Group,
    pub bounds: Bounds,
    /// What open windows ask for.
    pub scheduled: u32,
    pub desired: u32,
    /// What serves, and measures.
    pub serving: usize,
    pub heat: How,
    /// Somebody goes on saying that the alert fires.
    pub firing: bool,
    /// What the last decision tells of itself: a level stays where it was when nothing moves it.
    pub told: &'a [Claim],
}

/// The base after a command; none if it moves no base.
pub fn moved(base: Option<u32>, command: &Command, bounds: Bounds) -> Option<u32> {
    let within = |n: u32| n.max(bounds.min).min(bounds.max);
    let base = i64::from(within(base.unwrap_or(bounds.min)));
    let next = match command {
        Command::Set { capacity } => i64::from(*capacity),
        Command::Adjust { by } => base + by,
        // Towards zero, but never to nothing: as AWS rounds.
        Command::Percent { by } => {
            let change = base as f64 * by / 100.0;
            let least = if change == 0.0 { 0.0 } else { change.signum() };
            let change = if change.abs() < 1.0 { least } else { change.trunc() };
            base + change as i64
        }
        _ => return None,
    };
    Some(within(u32::try_from(next.clamp(0, 10_000)).unwrap()))
}

/// Servers for a load; a hair above a whole number is rounding.
pub fn servers(load: f64, each: f64) -> u32 {
    (load / each - 1e-9).ceil().max(0.0) as u32
}

/// Whether a measure is in a range: out ranges begin with their first number, in ranges end with
/// their last.
pub fn covers(ranges: &[Adjustment], value: f64, out: bool) -> bool {
    ranges.iter().any(|range| {
        let (from, to) = (range.from.unwrap_or(f64::MIN), range.to.unwrap_or(f64::MAX));
        if out { value >= from && value < to } else { value > from && value <= to }
    })
}

fn near(tolerance: Tolerance, load: f64, carried: f64) -> bool {
    let ratio = load / carried;
    carried > 0.0 && ratio >= 1.0 - tolerance.into && ratio <= 1.0 + tolerance.out
}

impl Reference {
    /// Each command counts once, in the order in which they were taken.
    pub fn order(&mut self, command: &Command, bounds: Bounds) {
        self.base = moved(self.base, command, bounds).or(self.base);
    }

    fn load(&self, signal: &str) -> f64 {
        self.loads.get(signal).copied().unwrap_or(0.0)
    }

    /// What all that asks comes to with this fleet.
    pub fn desired(&self, fleet: &Fleet<'_>) -> u32 {
        let base = self.base.unwrap_or(fleet.bounds.min);
        let policies = fleet.group.policies.iter().map(|policy| self.asks(policy, fleet)).max();
        let most = base.max(fleet.scheduled).max(policies.unwrap_or(0));
        most.max(fleet.bounds.min).min(fleet.bounds.max)
    }

    fn asks(&self, policy: &Policy, fleet: &Fleet<'_>) -> u32 {
        match policy {
            Policy::Total(total) => {
                let load = self.load(SIGNAL);
                let stays =
                    near(total.tolerance, load, total.per_server * f64::from(fleet.desired));
                if stays { fleet.desired } else { servers(load, total.per_server) }
            }
            Policy::Average(average) => self.average(average, fleet),
            Policy::Step(step) => self.step(step, fleet),
            Policy::Alert(alert) if fleet.firing => fleet.alert(alert.asks),
            Policy::Alert(_) => 0,
            Policy::Expression(expression) => self.expression(expression),
        }
    }

    /// The load is shared out over all that serve, those included that may not be deleted.
    fn average(&self, average: &Average, fleet: &Fleet<'_>) -> u32 {
        let Average { target, tolerance, .. } = average;
        let load = self.load(EACH);
        let serving = u32::try_from(fleet.serving).unwrap();
        let counted = f64::from(serving.min(fleet.desired));
        let needed = servers(load, *target);
        let growing = load > target * f64::from(serving) && needed < fleet.desired;
        let stays = growing || near(*tolerance, load, target * counted);
        if stays { fleet.desired.min(needed.max(serving)) } else { needed }
    }

    /// Too much for ever ends at max, too little asks for nothing, and in between the level is what
    /// it was; as it is where the next step in would lead to a step out.
    fn step(&self, step: &Step, fleet: &Fleet<'_>) -> u32 {
        let value = fleet.heat.value(self.load(HEAT), fleet.serving);
        let level = fleet.told.iter().find_map(|claim| match &claim.source {
            Source::Step { level, .. } => *level,
            _ => None,
        });
        let level = level.unwrap_or(0);
        if covers(&step.out, value, true) {
            return fleet.bounds.max;
        }
        if !covers(&step.into, value, false) {
            return level;
        }
        let range = step.into.iter().find(|range| covers(&[**range], value, false)).unwrap();
        let begin = level.min(fleet.bounds.max);
        let by = match range.change {
            Change::Servers(n) => n,
            Change::Percent { by, least } => ((f64::from(begin) * by / 100.0) as u32).max(least),
            Change::Exact(_) => panic!("no world's step goes to a number"),
        };
        let next = begin.saturating_sub(by).max(fleet.bounds.min.min(fleet.bounds.max));
        let then = value * fleet.serving as f64 / f64::from(next.max(1));
        if step.flapping_guard && next < level && covers(&step.out, then, true) { level } else { 0 }
    }

    fn expression(&self, expression: &Expression) -> u32 {
        let formula = expression.formula.text();
        let (_, value) = FORMULAS.iter().find(|(text, _)| *text == formula).unwrap();
        servers(value(self.load(QUEUE), self.load(WORK)), 1.0)
    }
}

impl Fleet<'_> {
    /// A number; or all that it may add, to what was desired when it began: what that was is
    /// judged when it is told.
    fn alert(&self, asks: Asks) -> u32 {
        let told = self.told.iter().find_map(|claim| match &claim.source {
            Source::Alert { more, .. } => claim.wants.number().zip(Some(*more)),
            _ => None,
        });
        match (asks, told) {
            (Asks::Capacity(n), _) => n,
            (Asks::More { most, .. }, Some((wants, Some(more)))) => wants - more + most,
            (Asks::More { most, .. }, _) => most,
        }
    }
}
