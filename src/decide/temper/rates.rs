//! How far desired may move within a period: HPA v2's scaling policies.
//!
//! A rate is held against what was desired when its period began: HPA takes the current number
//! less what was added and more what was removed within the period, which is the same number.

use crate::domain::behaviour::{Change, Rate, Rates, Select};
use crate::domain::claim::Past;
use crate::domain::time::Steady;

/// So many changes are remembered; beyond them the oldest is forgotten first.
const PAST_MOST: usize = 128;

/// Which way desired would move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Out,
    In,
}

/// What was desired until now and before.
#[derive(Debug, Clone, Copy)]
pub(super) struct History<'a> {
    pub(super) past: &'a [Past],
    pub(super) current: u32,
}

/// How far desired may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Limit {
    Nothing,
    /// Not at all.
    Disabled,
    /// To there, by this rate.
    To(u32, Rate),
}

impl Way {
    /// The limit of rates that are selected from, never on the wrong side of what is desired.
    pub(super) fn limit(self, rates: &Rates, history: History<'_>, now: Steady) -> Limit {
        let limits = || {
            rates.rates.iter().map(|rate| {
                let to = self.reach(*rate, history.start(*rate, now));
                (self.beyond(to, history.current), *rate)
            })
        };
        let (least, most) = (|| limits().min_by_key(key), || limits().max_by_key(key));
        let limit = match (rates.select, self) {
            (Select::Disabled, _) => return Limit::Disabled,
            (Select::Max, Self::Out) | (Select::Min, Self::In) => most(),
            (Select::Min, Self::Out) | (Select::Max, Self::In) => least(),
        };
        limit.map_or(Limit::Nothing, |(to, rate)| Limit::To(to, rate))
    }

    /// When the limit is first further than `to`, if nothing else changes: at the latest when all
    /// of the past is out of sight.
    pub(super) fn next(self, rates: &Rates, history: History<'_>, to: u32, now: Steady) -> Steady {
        let per = || rates.rates.iter().map(|rate| rate.per);
        let ends = history.past.iter().flat_map(|entry| per().map(|per| entry.until.plus(per)));
        let mut ends: Vec<Steady> = ends.filter(|end| *end > now).collect();
        ends.sort_unstable();
        ends.dedup();
        let further = |end: &Steady| match self.limit(rates, history, *end) {
            Limit::Nothing => true,
            Limit::Disabled => false,
            Limit::To(limit, _) => match self {
                Self::Out => limit > to,
                Self::In => limit < to,
            },
        };
        ends.into_iter().find(further).unwrap_or(now.plus(rates.longest()))
    }

    fn reach(self, rate: Rate, start: u32) -> u32 {
        match (self, rate.change) {
            (Self::Out, Change::Count(n)) => start.saturating_add(n),
            (Self::In, Change::Count(n)) => start.saturating_sub(n),
            // A part of nothing is nothing: but from nothing, too, there is a way out.
            (Self::Out, Change::Percent(percent)) => {
                let most = whole(f64::from(start) * (100.0 + percent) / 100.0, f64::ceil);
                most.max(start.saturating_add(1))
            }
            (Self::In, Change::Percent(percent)) => {
                whole(f64::from(start) * (100.0 - percent) / 100.0, f64::floor)
            }
        }
    }

    fn beyond(self, to: u32, current: u32) -> u32 {
        match self {
            Self::Out => to.max(current),
            Self::In => to.min(current),
        }
    }
}

impl History<'_> {
    /// What was desired when the rate's period began.
    fn start(&self, rate: Rate, now: Steady) -> u32 {
        let later = self.past.partition_point(|entry| entry.until.plus(rate.per) <= now);
        self.past.get(later).map_or(self.current, |entry| entry.desired)
    }
}

/// Notes that desired changes, and drops what no rate looks back to.
pub(super) fn remember(past: &mut Vec<Past>, change: Option<Past>, both: [&Rates; 2], now: Steady) {
    past.extend(change);
    let longest = both.map(Rates::longest).into_iter().max().unwrap_or_default();
    past.retain(|entry| entry.until.plus(longest) > now);
    past.drain(..past.len().saturating_sub(PAST_MOST));
}

fn key((limit, _): &(u32, Rate)) -> u32 {
    *limit
}

/// What only rounding error parts from a whole number is that number.
fn whole(value: f64, round: fn(f64) -> f64) -> u32 {
    let near = value.round();
    let value = if (value - near).abs() <= 1e-9 * near.max(1.0) { near } else { round(value) };
    value.clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// What was desired at an instant, the plain way: a change counts from its instant on.
    fn plain(changes: &[(u64, u32)], first: u32, at: u64) -> u32 {
        changes.iter().rev().find(|(when, _)| *when <= at).map_or(first, |(_, to)| *to)
    }

    proptest::proptest! {
        #[test]
        fn a_period_begins_with_what_was_desired_then(
            steps in proptest::collection::vec((1u64..40, 0u32..12), 1..60),
            per in 1u64..200,
        ) {
            let rate = Rate { change: Change::Count(1), per: Duration::from_millis(per) };
            let rates = Rates { rates: vec![rate], ..Rates::default() };
            let (mut past, mut changes, mut now, mut current) = (Vec::new(), Vec::new(), 1000, 5);
            for (pause, to) in steps {
                now += pause;
                let change = Past { until: Steady(now), desired: current };
                remember(&mut past, Some(change), [&rates, &Rates::default()], Steady(now));
                changes.push((now, to));
                current = to;
                let history = History { past: &past, current };
                let start = history.start(rate, Steady(now));
                proptest::prop_assert_eq!(start, plain(&changes, 5, now - per));
                proptest::prop_assert!(past.len() <= PAST_MOST);
            }
        }
    }

    #[test]
    fn the_oldest_change_goes_first() {
        let rate = Rate { change: Change::Count(1), per: Rate::PER_MOST };
        let rates = Rates { rates: vec![rate], ..Rates::default() };
        let mut past = Vec::new();
        for n in 0..200 {
            let change = Past { until: Steady(n), desired: n as u32 };
            remember(&mut past, Some(change), [&Rates::default(), &rates], Steady(n));
        }
        assert_eq!((past.len(), past[0].desired), (PAST_MOST, 72));
        remember(&mut past, None, [&Rates::default(), &rates], Steady(1_800_150));
        assert_eq!(past[0].desired, 151);
        remember(&mut past, None, [&Rates::default(); 2], Steady(1_800_150));
        assert_eq!(past, [], "without rates nothing is kept");
    }

    #[test]
    fn rounding_error_adds_nothing() {
        let percent = |percent| Rate { change: Change::Percent(percent), per: Rate::PER_MOST };
        assert_eq!(Way::Out.reach(percent(10.0), 10), 11);
        assert_eq!(Way::Out.reach(percent(1e4), u32::MAX), u32::MAX);
        assert_eq!(Way::In.reach(percent(90.0), 10), 1);
        assert_eq!(Way::In.reach(percent(0.1), 1000), 999);
        assert_eq!(Way::Out.reach(percent(28.3), 100_000), 128_300, "not one more");
        assert_eq!(Way::In.reach(percent(16.4), 100_000), 83_600, "nor one less");
        assert_eq!(Way::Out.reach(percent(50.0), 0), 1, "from nothing there is a way out");
    }
}
