//! Target tracking of an average: as many servers as bring it to its target.
//!
//! Where each server reports, the rules are HPA v2's, of its replica calculator: what each of the
//! servers that count measures, summed and divided by the target. A server that reports nothing is
//! taken to measure nothing where the rest asks for more servers, and its target where the rest
//! asks for fewer, or what it measured last if that was more; where that turns the direction, or
//! lies within the tolerance, what was desired stays. Servers that serve too shortly count as
//! nothing on the way out and not at all on the way in. One that leaves, rests or has failed does
//! not count; but until the others were measured after it left, desired does not fall: they may be
//! taking over its load.
//!
//! Where one sample tells the average of all, it is a load: the value times the servers that were
//! ready when it was measured.

use std::collections::BTreeMap;

use super::series::{Series, measured};
use super::{Fleet, Verdict, needed};
use crate::domain::claim::{Claim, Source, Wants};
use crate::domain::fleet::{Member, Standing};
use crate::domain::id::ServerId;
use crate::domain::policy::{Average, mean};
use crate::domain::signal::Sample;
use crate::domain::time::Steady;

pub(super) fn claim(fleet: &Fleet<'_>, average: &Average) -> Verdict {
    let series = Series::new(fleet, &average.reading);
    let whole = Whole::of(fleet, average, &series);
    let each = Each::of(fleet, average, &series);
    let ways = [whole.as_ref().map(|w| w.wants), each.wants(fleet, average)];
    let known = ways.into_iter().flatten().max_by_key(|way| way.servers);
    // Somebody has work, and nobody to do it was measured.
    let busy = series.newest().any(|sample| series.fresh(sample) && sample.value.get() > 0.0);
    let least = Some(Wants::Servers(1)).filter(|_| busy);
    let (covered, told_once) = (whole.is_some(), series.missed());
    // The numbers of the way that counts.
    let whole = whole.filter(|whole| known.is_none_or(|way| way.servers <= whole.wants.servers));
    let told = whole.map(|whole| (whole.value, whole.ready)).or_else(|| each.told());
    let source = Source::Average {
        signal: average.reading.signal.clone(),
        target: average.target,
        value: told.map(|(value, _)| value).filter(|_| known.is_some()),
        servers: told.map_or(0, |(_, servers)| servers),
        over: series.over(),
        age_secs: series.age_secs(),
        missing: each.missing(),
        young: each.young,
        warming: if known.is_some_and(|way| way.servers < fleet.desired) {
            each.warming
        } else {
            0
        },
        shifting: if covered { 0 } else { each.shifting },
        whole_silent: !covered && told_once,
        tolerated: known.is_some_and(|way| way.stays),
    };
    let wants = known.map(|way| Wants::Servers(way.servers)).or(least).unwrap_or(Wants::Unknown);
    Verdict::of(Claim { source, wants })
}

/// A number of servers, and whether it is what was desired before.
#[derive(Clone, Copy)]
struct Way {
    servers: u32,
    stays: bool,
}

/// What one sample tells of all servers.
struct Whole {
    /// What each measures by it, with as many servers as are ready now.
    value: f64,
    ready: u32,
    wants: Way,
}

impl Whole {
    fn of(fleet: &Fleet<'_>, average: &Average, series: &Series<'_>) -> Option<Self> {
        let newest = series.newest().find(|sample| sample.server.is_none())?;
        let serving = fleet.tally.serving + fleet.tally.unsure;
        let ready = fleet.ready_at(measured(fleet.snapshot, newest));
        if !series.fresh(newest) || ready == 0 {
            return None;
        }
        let load = series.value(newest, |sample| {
            let ready = fleet.ready_at(measured(fleet.snapshot, sample));
            (sample.value.get() * f64::from(ready)).min(f64::MAX)
        });
        let wants = Sum { sum: load, n: serving.max(1) }.wants(fleet, average);
        Some(Self { value: load / f64::from(serving.max(1)), ready: serving, wants })
    }
}

/// What single servers tell.
struct Each<'a> {
    /// Of those that count, by their ids; none of one that does not report.
    told: BTreeMap<&'a ServerId, Option<f64>>,
    /// What those that do not report told last.
    last: BTreeMap<&'a ServerId, f64>,
    young: u32,
    /// Of the young, those that serve: they carry a part of the load.
    warming: u32,
    shifting: u32,
}

impl<'a> Each<'a> {
    fn of(fleet: &Fleet<'a>, average: &Average, series: &Series<'a>) -> Self {
        let samples = series.newest().filter_map(|sample| Some((sample.server.as_ref()?, sample)));
        let samples: BTreeMap<&ServerId, &Sample> = samples.collect();
        let (told, last) = (BTreeMap::new(), BTreeMap::new());
        let mut each = Self { told, last, young: fleet.tally.coming, warming: 0, shifting: 0 };
        let mut counting = Vec::new();
        if samples.is_empty() {
            return each;
        }
        for member in fleet.members {
            let sample = samples.get(&member.id);
            let fresh = sample.filter(|sample| series.fresh(sample));
            match member.standing {
                Standing::Building => each.young += 1,
                Standing::Serving | Standing::Unsure if young(fleet, average, member) => {
                    each.young += 1;
                    each.warming += 1;
                }
                Standing::Serving | Standing::Unsure => {
                    counting.extend(fresh.copied());
                    let value = |sample: &&&Sample| series.value(sample, |s| s.value.get());
                    each.told.insert(&member.id, fresh.as_ref().map(value));
                    if let (None, Some(stale)) = (fresh, sample) {
                        each.last.insert(&member.id, stale.value.get());
                    }
                }
                Standing::Idle | Standing::Failed | Standing::Leaving => {
                    each.shifting += u32::from(fresh.is_some());
                }
            }
        }
        each.shifting += series.untold(counting.into_iter());
        each
    }

    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.told.values().filter_map(|value| *value)
    }

    /// The average, and of how many.
    fn told(&self) -> Option<(f64, u32)> {
        let values: Vec<f64> = self.values().collect();
        Some((mean(&values)?, u32::try_from(values.len()).unwrap_or(u32::MAX)))
    }

    /// Those of which nothing is known, where others report.
    fn missing(&self) -> u32 {
        let silent = self.told.values().filter(|value| value.is_none()).count();
        if self.told().is_none() { 0 } else { u32::try_from(silent).unwrap_or(u32::MAX) }
    }

    fn wants(&self, fleet: &Fleet<'_>, average: &Average) -> Option<Way> {
        let (_, n) = self.told()?;
        let sum = self.values().sum::<f64>().min(f64::MAX);
        let ratio = Sum { sum, n }.ratio(fleet, average);
        let missing = self.missing();
        let shared = self.young > 0 && ratio > 1.0;
        if missing == 0 && !shared {
            return Some(Sum { sum, n }.wants(fleet, average));
        }
        let silent = self.told.iter().filter(|(_, value)| value.is_none());
        let assumed = silent.map(|(id, _)| match self.last.get(id) {
            _ if ratio > 1.0 => 0.0,
            Some(last) => last.max(average.target),
            None => average.target,
        });
        let assumed = if ratio == 1.0 { 0.0 } else { assumed.sum() };
        let counted = if ratio == 1.0 { 0 } else { missing };
        let n = n + counted + if shared { self.young } else { 0 };
        let all = Sum { sum: (sum + assumed).min(f64::MAX), n };
        Some(all.onwards(fleet, average, ratio))
    }
}

/// It serves too shortly for its measure to say what it can carry.
fn young(fleet: &Fleet<'_>, average: &Average, member: &Member) -> bool {
    let warm = |since: Steady| since.plus(average.warm_up);
    member.serves_since.is_some_and(|since| warm(since) > fleet.snapshot.now.steady)
}

/// What so many servers measure together.
struct Sum {
    sum: f64,
    n: u32,
}

impl Sum {
    /// To the target: with as many servers as there are, or with those desired while more of them
    /// are still there. Above 1 the direction is out.
    fn ratio(&self, fleet: &Fleet<'_>, average: &Average) -> f64 {
        let n = self.n.min(fleet.desired);
        if self.sum > 0.0 { self.sum / f64::from(n) / average.target } else { 0.0 }
    }

    fn near(&self, fleet: &Fleet<'_>, average: &Average) -> bool {
        average.tolerance.covers(self.ratio(fleet, average))
    }

    /// What was desired; but no more than stands or comes, unless that is too little: what another
    /// source asked for and nobody could build is no need of this one.
    fn stays(&self, fleet: &Fleet<'_>, average: &Average) -> Way {
        let needed = needed(self.sum, average.target);
        let servers = fleet.desired.min(needed.max(fleet.tally.capacity()));
        Way { servers, stays: true }
    }

    fn wants(&self, fleet: &Fleet<'_>, average: &Average) -> Way {
        if self.near(fleet, average) {
            return self.stays(fleet, average);
        }
        let servers = needed(self.sum, average.target);
        // Above its target a fleet that is still growing never asks for less than before.
        if self.ratio(fleet, average) > 1.0 && servers < fleet.desired {
            return self.stays(fleet, average);
        }
        Way { servers, stays: false }
    }

    /// The same with assumed values among it: they may slow the direction that the others ask
    /// for, and never turn it.
    fn onwards(&self, fleet: &Fleet<'_>, average: &Average, before: f64) -> Way {
        let ratio = self.ratio(fleet, average);
        let turned = (before < 1.0 && ratio > 1.0) || (before > 1.0 && ratio < 1.0);
        let servers = needed(self.sum, average.target);
        let back = if before > 1.0 { servers < fleet.desired } else { servers > fleet.desired };
        if self.near(fleet, average) || turned || back {
            return self.stays(fleet, average);
        }
        Way { servers, stays: false }
    }
}
