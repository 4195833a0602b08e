//! The numbers of Kubernetes' own tests: `pkg/controller/podautoscaler/horizontal_test.go` of
//! kubernetes/kubernetes, each table under the name of the test that they are from.
//!
//! Where min is the limit nothing is said here: what nobody asks for more than is the base, and
//! that is min.

use std::time::Duration;

use novascale::domain::behaviour::{Rate, Rates, Select};
use novascale::domain::claim::{Memory, Past};
use novascale::domain::plan::Tempering;
use novascale::domain::signal::Command;
use novascale::domain::time::Steady;

use super::super::world::World;
use super::{MINUTE, at, count, max, percent, select, wants};

/// What limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Nothing,
    Max,
    OutRate,
    InRate,
}

fn limited(steps: &[Tempering]) -> By {
    match steps {
        [] => By::Nothing,
        [Tempering::Bounded { .. }] => By::Max,
        [Tempering::RatedOut { .. }] => By::OutRate,
        [Tempering::RatedIn { .. }] => By::InRate,
        other => panic!("{other:?}"),
    }
}

/// A history that ends with `current`, from changes: how long ago, and by how much.
fn past(now: Steady, current: u32, changes: &[(u64, i64)]) -> Vec<Past> {
    let mut before = i64::from(current);
    let mut newest_first = changes.to_vec();
    newest_first.sort_by_key(|(ago, _)| *ago);
    let entry = |(ago, by): (u64, i64)| {
        before -= by;
        let desired = u32::try_from(before).unwrap();
        Past { until: now.minus(Duration::from_secs(ago)), desired }
    };
    let mut past: Vec<Past> = newest_first.into_iter().map(entry).collect();
    past.reverse();
    past
}

/// Changes in the middles of equal parts of the last 120 s.
fn spread<const N: usize>(changes: [i64; N]) -> Vec<(u64, i64)> {
    let part = 120.0 / N as f64;
    let ago = |i: usize| (120.0 - part * (i as f64 + 0.5)) as u64;
    changes.into_iter().enumerate().map(|(i, by)| (ago(i), by)).collect()
}

struct Case {
    name: &'static str,
    changes: Vec<(u64, i64)>,
    bounds: (u32, u32),
    out: Vec<Rate>,
    into: Vec<Rate>,
    current: u32,
    wants: u32,
    expected: u32,
    by: By,
}

fn case(name: &'static str, current: u32, wants: u32, expected: u32, by: By) -> Case {
    let (changes, out, into) = (Vec::new(), Vec::new(), Vec::new());
    Case { name, changes, bounds: (1, 1000), out, into, current, wants, expected, by }
}

impl Case {
    fn bounds(self, min: u32, max: u32) -> Self {
        Self { bounds: (min, max), ..self }
    }

    fn out(self, rates: &[Rate]) -> Self {
        Self { out: rates.to_vec(), ..self }
    }

    fn into(self, rates: &[Rate]) -> Self {
        Self { into: rates.to_vec(), ..self }
    }

    fn after<const N: usize>(self, changes: [i64; N]) -> Self {
        Self { changes: spread(changes), ..self }
    }

    fn check(self) {
        let mut world = at(self.current, self.bounds.0, self.bounds.1);
        world.group.behaviour.scale_out.rates = max(&self.out);
        world.group.behaviour.scale_in.rates = max(&self.into);
        let past = past(world.now.steady, self.current, &self.changes);
        world.memory.as_mut().unwrap().past = past;
        let decision = wants(&mut world, self.wants);
        assert_eq!(decision.desired, self.expected, "{}", self.name);
        assert_eq!(limited(&decision.tempering), self.by, "{}", self.name);
    }
}

/// TestScalingWithRules and TestConvertDesiredReplicasWithRules, without changes before.
#[test]
fn rates_of_a_fleet_at_rest() {
    use By::{InRate, Max, Nothing, OutRate};
    let usual = [count(4, 60), percent(100.0, 60)];
    let cases = [
        case("within the bounds", 5, 7, 7, Nothing).bounds(3, 8),
        case("below min", 3, 1, 2, Nothing).bounds(2, 8),
        case("none at min 0", 1, 0, 0, Nothing).bounds(0, 10),
        case("max is the limit", 20, 1000, 10, Max).bounds(1, 10),
        case("above max", 100, 1000, 150, Max).bounds(100, 150),
        case("the rate is below max", 3, 1000, 4, OutRate).bounds(1, 2000).out(&[percent(1.0, 60)]),
        case("the rate is above min", 1000, 3, 980, InRate).bounds(3, 2000).into(&[count(20, 60)]),
        case("HPA's usual way out", 10, 50, 20, OutRate).out(&usual),
        case("a count above a share", 10, 500, 110, OutRate)
            .out(&[count(100, 60), percent(100.0, 60)]),
        case("a share above a count", 10, 500, 20, OutRate)
            .out(&[count(2, 60), percent(100.0, 60)]),
        case("a large count", 10, 50, 50, Nothing).out(&[count(100, 60)]),
        case("a larger count", 10, 50, 50, Nothing).out(&[count(10_000, 60)]),
        case("a count", 10, 50, 40, OutRate).out(&[count(30, 60)]),
        case("a share", 10, 50, 30, OutRate).out(&[percent(200.0, 60)]),
        case("in: a count above a share", 100, 2, 80, InRate)
            .into(&[count(20, 60), percent(1.0, 60)]),
        case("in: two are more than 1 %", 100, 2, 98, InRate)
            .into(&[count(2, 60), percent(1.0, 60)]),
        case("in: a large count ends at min", 10, 0, 1, Nothing).into(&[count(100, 60)]),
        case("in: all end at min", 10, 2, 5, Nothing).bounds(5, 1000).into(&[percent(100.0, 60)]),
        case("in: a count", 10, 2, 5, InRate).into(&[count(5, 60)]),
        case("in: a share that is enough", 10, 5, 5, Nothing).into(&[percent(50.0, 60)]),
        // TestUpscaleCap and TestUpscaleCapGreaterThanMaxReplicas.
        case("700 % of 3", 3, 60, 24, OutRate).bounds(1, 100).out(&[percent(700.0, 60)]),
        case("700 % of 3, above max", 3, 60, 20, Max).bounds(1, 20).out(&[percent(700.0, 60)]),
    ];
    cases.into_iter().for_each(Case::check);
}

/// TestScalingWithRules, after changes within the periods.
#[test]
fn rates_after_changes() {
    use By::{InRate, Max, Nothing, OutRate};
    let two = |n, secs| [count(n, secs), percent(100.0, 60)];
    let cases = [
        case("a large count ends at max", 100, 500, 200, Max)
            .after([1, 5, 9])
            .bounds(1, 200)
            .out(&[count(300, 60)]),
        case("a large share ends at max", 100, 500, 200, Max)
            .after([1, 5, 9])
            .bounds(1, 200)
            .out(&[percent(10_000.0, 60)]),
        case("85 + 5 is behind us", 100, 500, 100, OutRate).after([1, 5, 9]).out(&[count(5, 120)]),
        case("85 + 150", 100, 500, 235, OutRate).after([1, 5, 9]).out(&[count(150, 120)]),
        case("85 + 200 %", 100, 500, 255, OutRate).after([1, 5, 9]).out(&[percent(200.0, 120)]),
        case("4 + 300 %", 6, 24, 16, OutRate).after([4, -2]).out(&[percent(300.0, 300)]),
        case("in: without rates", 10, 5, 5, Nothing).after([-1, -5, -9]),
        case("in: 115 - 115 ends at min", 100, 0, 1, Nothing)
            .after([-1, -5, -9])
            .into(&[count(115, 120)]),
        case("in: 115 - 130 ends at min", 100, 0, 5, Nothing)
            .after([-1, -5, -9])
            .bounds(5, 1000)
            .into(&[count(130, 120)]),
        case("in: all end at min", 100, 2, 5, Nothing)
            .after([-1, -5, -9])
            .bounds(5, 1000)
            .into(&[percent(100.0, 120)]),
        case("in: 115 - 5 is behind us", 100, 2, 100, InRate)
            .after([-1, -5, -9])
            .into(&[count(5, 120)]),
        case("in: 112 - 50 %", 100, 0, 56, InRate).after([-2, -4, -6]).into(&[percent(50.0, 120)]),
        case("in: 12 - 50 %", 10, 1, 6, InRate).after([2, -4]).into(&[percent(50.0, 180)]),
        case("in: 130 - 10 % is behind us", 100, 0, 100, InRate)
            .after([-10, -10, -10])
            .into(&[percent(10.0, 120)]),
        // HPA's 1000 % is no setting here: more than all cannot go.
        case("in: all of 40", 10, 5, 5, Nothing)
            .after([-10, -10, -10])
            .into(&[percent(100.0, 120)]),
        case("out: of one period", 100, 200, 200, Nothing)
            .after([8, 12, 9, 11])
            .out(&[count(1000, 60)]),
        case("out: of two periods", 100, 200, 200, Nothing)
            .after([8, 12, 9, 11])
            .out(&two(1000, 120)),
        case("out: of a short and a long one", 100, 200, 200, Nothing)
            .after([8, 12, 9, 11])
            .out(&two(1000, 30)),
        case("in: of one period", 100, 5, 5, Nothing)
            .after([-8, -12, -9, -11])
            .into(&[count(1000, 60)]),
        case("in: of two periods", 100, 5, 5, Nothing)
            .after([-8, -12, -9, -11])
            .into(&two(1000, 120)),
        case("in: of a short and a long one", 100, 5, 5, Nothing)
            .after([-8, -12, -9, -11])
            .into(&two(1000, 30)),
    ];
    cases.into_iter().for_each(Case::check);
}

fn one(current: u32, wants_: u32, out: Rates, into: Rates) -> u32 {
    let mut world = at(current, 0, 1000);
    (world.group.behaviour.scale_out.rates, world.group.behaviour.scale_in.rates) = (out, into);
    wants(&mut world, wants_).desired
}

/// TestCalculateScaleUpLimitWithScalingRules and TestCalculateScaleDownLimitWithBehaviors.
#[test]
fn the_smaller_change_of_a_count_and_a_share() {
    let least = || select(Select::Min, &[count(2, 60), percent(50.0, 60)]);
    assert_eq!(one(1, 100, least(), Rates::default()), 2);
    assert_eq!(one(5, 0, Rates::default(), least()), 3);
}

/// Changes before, the rates, what of the changes counts, and how many are remembered.
type Counted<'a> = (&'a [(u64, i64)], &'a [Rate], i64, usize);

/// TestStoreScaleEvents: what counts within 60 s, and what is remembered after a change by 5.
#[test]
fn changes_count_for_their_period() {
    let long = [count(10, 120), percent(100.0, 30)];
    let usual = [count(10, 60), percent(100.0, 60)];
    let mixed = [count(10, 60), percent(100.0, 30)];
    let cases: [Counted<'_>; 7] = [
        (&[], &[], 0, 0),
        (&[], &usual, 0, 1),
        (&[(61, 7)], &usual, 0, 1),
        (&[(58, 7)], &usual, 7, 2),
        (&[(61, 7), (59, 6)], &usual[..1], 6, 2),
        (&[(29, 8), (59, 6), (61, 7), (61, 9)], &mixed, 14, 3),
        (&[(58, 7), (59, 6)], &long, 13, 3),
    ];
    for (changes, rates, counts, remembered) in cases {
        for sign in [1, -1] {
            let signed: Vec<(u64, i64)> =
                changes.iter().map(|(ago, by)| (*ago, by * sign)).collect();
            let world = |out: &[Rate], into: &[Rate]| {
                let mut world = at(100, 0, 1000);
                let past = past(world.now.steady, 100, &signed);
                world.memory.as_mut().unwrap().past = past;
                world.group.behaviour.scale_out.rates = max(out);
                world.group.behaviour.scale_in.rates = max(into);
                world
            };
            let minute = [count(50, 60)];
            let desired = match sign {
                1 => wants(&mut world(&minute, &[]), 1000).desired,
                _ => wants(&mut world(&[], &minute), 0).desired,
            };
            assert_eq!(i64::from(desired), 100 + sign * (50 - counts), "{changes:?}");
            // A change that no rate holds back.
            let mut world = match sign {
                1 => world(rates, &[]),
                _ => world(&[], rates),
            };
            let pin = u32::try_from(100 + 5 * sign).unwrap();
            world.order(Command::Pin { capacity: pin, until: None });
            wants(&mut world, 0);
            let memory = world.memory.unwrap();
            assert_eq!((memory.desired, memory.past.len()), (Some(pin), remembered), "{changes:?}");
        }
    }
}

/// How it was recommended before: so many seconds ago, from then on.
fn stabilized(current: u32, windows: [u64; 2], before: &[(u64, u32)], now: u32) -> u32 {
    let mut world: World = at(current, 0, 1000);
    world.memory = Some(Memory::default());
    let [out, into] = windows.map(Duration::from_secs);
    world.group.behaviour.scale_out.stabilization = out;
    world.group.behaviour.scale_in.stabilization = into;
    let end = world.now.plus(100 * MINUTE);
    for (ago, n) in before {
        let ago = Duration::from_secs(*ago);
        (world.now.wall, world.now.steady) = (end.wall.minus(ago), end.steady.minus(ago));
        wants(&mut world, *n);
    }
    world.now = end;
    let memory = world.memory.as_mut().unwrap();
    memory.desired = Some(current);
    wants(&mut world, now).desired
}

/// A name, what is desired, the windows out and in, the wants before, the want now, and the next.
type Windowed<'a> = (&'a str, u32, [u64; 2], &'a [(u64, u32)], u32, u32);

/// TestNormalizeDesiredReplicasWithBehavior. HPA remembers points, looked at every 15 s; here a want
/// holds until the next. Where HPA's case has a hole, the want before it was taken to end.
#[test]
fn windows_of_what_was_wanted() {
    let in_ = |window| [0, window];
    let out = |window| [window, 0];
    let cases: [Windowed<'_>; 10] = [
        ("nothing before", 100, [0, 0], &[], 5, 5),
        ("in", 100, in_(180), &[(120, 4), (60, 5)], 3, 5),
        ("out", 1, out(300), &[(120, 4), (60, 5)], 7, 4),
        ("in, with a window out", 100, out(300), &[(120, 1), (60, 2)], 3, 3),
        ("in, without one", 100, [0, 0], &[(600, 10), (540, 9)], 3, 3),
        ("out, without one", 1, [0, 0], &[(600, 10), (540, 9)], 100, 100),
        ("in, what is old", 100, in_(180), &[(600, 10), (540, 9), (240, 5), (60, 4)], 3, 5),
        ("out, what is old", 1, out(300), &[(6000, 10), (180, 9), (120, 5), (60, 6)], 100, 5),
        ("down after up", 2, [300, 300], &[(6000, 2), (180, 3)], 1, 2),
        ("up after down", 2, [300, 300], &[(6000, 2), (180, 1)], 3, 2),
    ];
    for (name, current, windows, before, now, expected) in cases {
        assert_eq!(stabilized(current, windows, before, now), expected, "{name}");
    }
}

/// The one case where HPA says otherwise ("no scale up stabilization": 3): as long as nothing slows
/// the way out, what was wanted within the window was given, unless a bound or a pin stood before it.
#[test]
fn a_peak_counts_whole_where_nothing_slows_the_way_out() {
    let before = [(120, 4), (60, 5)];
    assert_eq!(stabilized(1, [0, 300], &before, 3), 5);
    assert_eq!(stabilized(1, [1, 300], &before, 3), 3, "with a window out, as HPA");
}
