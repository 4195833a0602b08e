//! The policies of worlds, and who measures what for them.

use std::time::Duration;

use novascale::domain::formula::Formula;
use novascale::domain::group::Group;
use novascale::domain::id::{AlertName, SignalName};
use novascale::domain::policy::{
    Adjustment, Aggregate, Alert, Asks, Average, Change, Expression, Fallback, Policy, Reading,
    Step, Tolerance, Total,
};

use super::dice::Dice;
use super::world::SIGNAL;

/// The signals that policies read beside [`SIGNAL`].
pub const SIGNALS: [&str; 4] = [EACH, HEAT, QUEUE, WORK];
/// Where the ranges of steps begin and end; nothing is done between the middle ones.
pub const EDGES: [f64; 4] = [15.0, 30.0, 60.0, 80.0];
/// What an average follows.
pub const EACH: &str = "each";
/// What steps follow.
pub const HEAT: &str = "heat";
/// What expressions follow.
pub const QUEUE: &str = "queue";
pub const WORK: &str = "work";
pub const ALERT: &str = "high";

/// What a formula comes to with a queue and work.
type Value = fn(f64, f64) -> f64;

/// Formulas, and what they come to.
pub const FORMULAS: [(&str, Value); 3] = [
    ("max(queue / 10, work / 7)", |queue, work| (queue / 10.0).max(work / 7.0)),
    ("(queue + 2 * work) / 20", |queue, work| (queue + 2.0 * work) / 20.0),
    ("4 * (queue > 50) + work / 12", |queue, work| {
        work / 12.0 + if queue > 50.0 { 4.0 } else { 0.0 }
    }),
];

/// Who measures a signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum How {
    /// One for the whole group.
    Whole,
    /// Each server that serves its share.
    Shared,
    /// Each server that serves the same.
    Same,
    /// One for the whole group: so many times the amount, for each server that serves.
    Mean(f64),
}

impl How {
    /// What each measures of an amount with so many servers.
    pub fn value(self, amount: f64, serving: usize) -> f64 {
        match self {
            Self::Whole | Self::Same => amount,
            Self::Shared => amount / serving.max(1) as f64,
            Self::Mean(times) => times * amount / serving.max(1) as f64,
        }
    }

    pub fn by_servers(self) -> bool {
        matches!(self, Self::Shared | Self::Same)
    }
}

/// What a world's groups are sized by.
pub struct Rules {
    dice: Dice,
    /// For each group, how each of [`SIGNALS`] is measured.
    pub how: Vec<[How; SIGNALS.len()]>,
}

/// Of a hundred groups so many have what worlds had first: a total or nothing.
const PLAIN: u32 = 34;

impl Rules {
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "policies");
        let how = (0..2).map(|_| {
            let mut pick = |from: &[How]| *dice.pick(from).unwrap();
            [
                pick(&[How::Shared, How::Shared, How::Mean(1.0)]),
                pick(&[How::Whole, How::Same, How::Mean(4.0)]),
                pick(&[How::Whole, How::Shared]),
                pick(&[How::Whole, How::Shared]),
            ]
        });
        let how = how.collect();
        Self { dice, how }
    }

    /// A group's policies, one to three in place of what it has; and somebody who measures.
    pub fn rule(&mut self, at: usize, group: &mut Group) {
        if self.dice.percent(PLAIN) {
            return;
        }
        group.policies.clear();
        let first = self.dice.below(5);
        let n = self.dice.between(1, 3);
        for kind in (0..n).map(|more| (first + more * 2) % 5) {
            let policy = match kind {
                0 => self.total(),
                1 => self.average(),
                2 => self.step(self.how[at][1]),
                3 => self.alert(),
                _ => self.expression(),
            };
            group.policies.push(policy);
        }
        // Where no server stands, none measures.
        group.bounds.min = group.bounds.min.max(1);
    }

    fn secs(&mut self, least: u32, most: u32) -> Duration {
        Duration::from_secs(u64::from(self.dice.between(least, most)))
    }

    fn reading(&mut self, signal: &str, sums: bool) -> Reading {
        let signal = SignalName::new(signal).unwrap();
        let stale_after = self.secs(120, 400);
        if self.dice.percent(50) {
            return Reading::newest(signal, stale_after);
        }
        let of = self.dice.between(50, 95);
        let percentile = Aggregate::Percentile(u8::try_from(of).unwrap());
        let all = [Aggregate::Avg, Aggregate::Max, Aggregate::Min, percentile, Aggregate::Sum];
        let all = if sums { &all[..] } else { &all[..4] };
        let aggregate = *self.dice.pick(all).unwrap();
        // In the end everybody measures once a minute: of a sum there is one.
        let most = if aggregate == Aggregate::Sum { 50 } else { 180 };
        Reading { signal, aggregate, window: self.secs(20, most), stale_after }
    }

    fn fallback(&mut self) -> Option<Fallback> {
        let (after, capacity) = (self.secs(30, 600), self.dice.below(9));
        Some(Fallback { after, capacity }).filter(|_| self.dice.percent(25))
    }

    fn tolerance(&mut self) -> Tolerance {
        let mut share = || *self.dice.pick(&[0.0, 0.1, 0.3]).unwrap();
        Tolerance { out: share(), into: share() }
    }

    fn total(&mut self) -> Policy {
        let (reading, tolerance) = (self.reading(SIGNAL, true), self.tolerance());
        // No whole number of servers carries a load that lies on the edge of a tolerance.
        Policy::Total(Total { reading, per_server: 10.7, tolerance, fallback: self.fallback() })
    }

    fn average(&mut self) -> Policy {
        Policy::Average(Average {
            reading: self.reading(EACH, false),
            target: *self.dice.pick(&[8.0, 10.0, 20.0]).unwrap(),
            tolerance: self.tolerance(),
            warm_up: self.secs(0, 120),
            fallback: self.fallback(),
        })
    }

    fn step(&mut self, how: How) -> Policy {
        let mut range = |from, to| {
            let n = self.dice.between(1, 3);
            let by = f64::from(self.dice.between(10, 60));
            let change = match self.dice.percent(60) {
                true => Change::Servers(n),
                false => Change::Percent { by, least: n },
            };
            Adjustment { from, to, change }
        };
        let [bottom, low, high, top] = EDGES.map(Some);
        let out = vec![range(high, top), range(top, None)];
        let into = vec![range(bottom, low), range(None, bottom)];
        Policy::Step(Step {
            reading: self.reading(HEAT, false),
            out,
            into,
            warm_up: self.secs(10, 120),
            flapping_guard: matches!(how, How::Mean(_)) || self.dice.percent(30),
            fallback: self.fallback(),
        })
    }

    fn alert(&mut self) -> Policy {
        let more = Asks::More {
            change: Change::Servers(self.dice.between(1, 3)),
            every: self.secs(30, 300),
            most: self.dice.between(1, 5),
        };
        let capacity = Asks::Capacity(self.dice.between(1, 9));
        let asks = if self.dice.percent(60) { more } else { capacity };
        let alert = AlertName::new(ALERT).unwrap();
        Policy::Alert(Alert { alert, asks, expires_after: self.secs(120, 900) })
    }

    fn expression(&mut self) -> Policy {
        let (text, _) = FORMULAS[self.dice.below(3) as usize];
        let formula = Formula::parse(text).unwrap();
        let readings = formula.signals().to_vec();
        let readings = readings.iter().map(|signal| self.reading(signal.as_str(), true)).collect();
        let fallback = self.fallback();
        Policy::Expression(Box::new(Expression { name: "sum".into(), formula, readings, fallback }))
    }
}
