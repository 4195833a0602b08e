//! Step scaling, by AWS's own example and rules.
//!
//! Source: "Step and simple scaling policies for Amazon EC2 Auto Scaling", user guide: the table of
//! step adjustments with a threshold of 50, and what follows from it.

use rstest::rstest;

use super::*;
use novascale::domain::claim::StepHeld;
use novascale::domain::policy::{Adjustment, Change, Step};
use novascale::domain::signal::Command;

fn range(from: Option<f64>, to: Option<f64>, change: Change) -> Adjustment {
    Adjustment { from, to, change }
}

fn percent(by: f64) -> Change {
    Change::Percent { by, least: 0 }
}

/// 10 % more from 60, 30 % more from 70; the same the other way from 40 and from 30.
fn policy() -> Step {
    Step {
        reading: reading("cpu"),
        out: vec![
            range(Some(60.0), Some(70.0), percent(10.0)),
            range(Some(70.0), None, percent(30.0)),
        ],
        into: vec![
            range(Some(30.0), Some(40.0), percent(10.0)),
            range(None, Some(30.0), percent(30.0)),
        ],
        warm_up: 5 * MINUTE,
        flapping_guard: false,
        fallback: None,
    }
}

fn world(step: Step) -> World {
    let mut world = fleet(10, Policy::Step(step));
    world.order(Command::Set { capacity: 0 });
    world.memory.as_mut().unwrap().desired = Some(10);
    world
}

/// A measure, and the level after a look at it.
fn step(world: &mut World, value: f64) -> Option<u32> {
    world.measure("cpu", value);
    level(world)
}

fn level(world: &mut World) -> Option<u32> {
    world.pass();
    let memory = world.memory.as_ref().unwrap();
    memory.policies.get("step cpu").and_then(|step| step.level)
}

/// What keeps the measure from what it asks for.
fn held(world: &mut World) -> Option<StepHeld> {
    let Source::Step { held, .. } = claim(world).source else { panic!("a step") };
    held
}

#[test]
fn the_example_of_the_user_guide() {
    let mut world = world(policy());
    assert_eq!(step(&mut world, 60.0), Some(11), "10 % of 10");
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, 70.0), Some(14), "30 % of 11, rounded down");
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, 40.0), Some(13), "10 % of 14, rounded down");
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, 30.0), Some(10), "30 % of 13, rounded down");
}

/// Sums of parts of a number only nearly come to it again, for 7, 9 and many other counts.
#[test]
fn a_threshold_that_all_servers_just_reach_is_reached_however_many_they_are() {
    for n in 1..=40 {
        let mut world = fleet(n, Policy::Step(policy()));
        world.order(Command::Set { capacity: 0 });
        world.memory.as_mut().unwrap().desired = Some(n);
        let all = ids(&world);
        world.measure_on(&all, "cpu", 60.0);
        assert!(level(&mut world).is_some(), "{n} servers measure 60");
    }
}

#[test]
fn what_warms_up_counts_for_the_next_step() {
    let mut world = world(policy());
    assert_eq!(step(&mut world, 60.0), Some(11));
    world.pass_time(MINUTE);
    assert_eq!(step(&mut world, 65.0), Some(11), "the same range again adds nothing");
    assert!(matches!(held(&mut world), Some(StepHeld::WarmingUp { .. })));
    assert_eq!(step(&mut world, 75.0), Some(13), "its three, of which one is on its way");
    world.pass_time(MINUTE);
    assert_eq!(step(&mut world, 20.0), Some(13), "nothing is taken while servers warm up");
    assert!(matches!(held(&mut world), Some(StepHeld::WarmingUp { .. })));
}

/// Where there is nothing to take, nothing is held back, and nothing begins to warm up anew.
#[test]
fn at_min_there_is_no_step_in() {
    let mut world = world(policy());
    world.group.bounds.min = 10;
    step(&mut world, 60.0);
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, 40.0), Some(10));
    let before = world.memory.as_ref().unwrap().policies.clone();
    for _ in 0..2 {
        world.pass_time(4 * MINUTE);
        assert_eq!(step(&mut world, 40.0), Some(10));
        assert_eq!(held(&mut world), None);
        assert_eq!(world.memory.as_ref().unwrap().policies, before);
    }
}

#[test]
fn the_next_look_is_at_the_end_of_the_warm_up() {
    let mut world = world(Step { warm_up: 20 * SECOND, ..policy() });
    world.measure("cpu", 75.0);
    let decision = world.pass();
    assert_eq!(decision.next_look, decision.at.steady.plus(20 * SECOND));
    world.now.steady = decision.next_look;
    let decision = world.decide();
    assert_eq!(decision.next_look, decision.at.steady.plus(MINUTE), "the usual look");
}

#[test]
fn between_the_ranges_no_level_begins() {
    let mut world = world(policy());
    assert_eq!(step(&mut world, 50.0), None);
    assert_eq!(level(&mut world), None);
}

#[test]
fn one_measure_makes_one_step() {
    let step_policy = Step { warm_up: MINUTE, ..policy() };
    let mut world = world(step_policy);
    assert_eq!(step(&mut world, 75.0), Some(13));
    world.pass_time(2 * MINUTE);
    assert_eq!(level(&mut world), Some(13), "it was measured before the last step");
    assert_eq!(held(&mut world), Some(StepHeld::NothingNew));
    assert_eq!(step(&mut world, 75.0), Some(16), "30 % of 13");
}

#[test]
fn a_measure_of_the_very_moment_of_a_step_makes_no_other() {
    let mut world = world(Step { warm_up: MINUTE, ..policy() });
    world.observe();
    world.measure("cpu", 75.0);
    let decision = world.decide();
    world.record(&decision);
    world.pass_time(2 * MINUTE);
    assert_eq!(level(&mut world), Some(13));
}

/// Which end belongs to a range: the lower going out, the upper going in.
#[rstest]
#[case(59.999, None)]
#[case(60.0, Some(11))]
#[case(69.999, Some(11))]
#[case(70.0, Some(13))]
fn going_out_the_lower_end_belongs(#[case] value: f64, #[case] expected: Option<u32>) {
    assert_eq!(step(&mut world(policy()), value), expected);
}

#[rstest]
#[case(40.001, 14)]
#[case(40.0, 13)]
#[case(30.001, 13)]
#[case(30.0, 10)]
fn going_in_the_upper_end_belongs(#[case] value: f64, #[case] expected: u32) {
    let mut world = world(policy());
    step(&mut world, 60.0);
    world.pass_time(6 * MINUTE);
    step(&mut world, 70.0);
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, value), Some(expected));
}

/// AWS's three kinds of adjustment, and `MinAdjustmentMagnitude`.
#[rstest]
#[case::change_in_capacity(Change::Servers(2), 12)]
#[case::exact_capacity(Change::Exact(15), 15)]
#[case::exact_below(Change::Exact(5), 0)]
#[case::percent_below_one(percent(5.8), 11)]
#[case::percent_above_one(percent(27.0), 12)]
#[case::least(Change::Percent { by: 1.0, least: 2 }, 12)]
fn how_far_a_step_goes(#[case] change: Change, #[case] expected: u32) {
    let mut world = world(Step { out: vec![range(Some(60.0), None, change)], ..policy() });
    world.measure("cpu", 80.0);
    assert_eq!(world.pass().desired, expected);
}

#[test]
fn the_level_stays_until_a_step_in() {
    let mut world = world(policy());
    step(&mut world, 75.0);
    for _ in 0..20 {
        world.pass_time(MINUTE);
        assert_eq!(step(&mut world, 50.0), Some(13), "between the ranges nothing changes");
    }
    // Without data it stays as well, and nothing else lowers desired meanwhile.
    world.pass_time(30 * MINUTE);
    let decision = world.pass();
    assert_eq!(decision.desired, 13);
    assert!(decision.claims.iter().any(Claim::blind));
}

#[test]
fn no_level_is_beyond_the_bounds() {
    let mut world = world(Step { warm_up: Duration::ZERO, ..policy() });
    world.group.bounds.max = 15;
    for _ in 0..5 {
        step(&mut world, 99.0);
        world.pass_time(MINUTE);
    }
    assert_eq!(level(&mut world), Some(15), "it comes down as soon as it is told to");
    assert_eq!(step(&mut world, 20.0), Some(11));
}

#[test]
fn flapping_is_guarded_against() {
    let out = vec![range(Some(60.0), None, Change::Servers(1))];
    let into = vec![range(None, Some(45.0), Change::Servers(1))];
    let mut world = world(Step { out, into, flapping_guard: true, ..policy() });
    world.memory.as_mut().unwrap().desired = Some(2);
    assert_eq!(step(&mut world, 80.0), Some(3));
    world.pass_time(6 * MINUTE);
    world.memory.as_mut().unwrap().desired = Some(3);
    assert_eq!(step(&mut world, 41.0), Some(3), "on two it would be 61.5");
    assert_eq!(held(&mut world), Some(StepHeld::WouldStepOut { servers: 2 }));
    assert_eq!(step(&mut world, 39.0), Some(2), "on two it is 58.5");
}

#[test]
fn deciding_twice_changes_nothing() {
    let mut world = world(policy());
    for value in [75.0, 20.0] {
        world.measure("cpu", value);
        let first = world.pass().desired;
        assert_eq!(world.pass().desired, first);
        world.pass_time(6 * MINUTE);
    }
}

#[test]
fn a_surge_after_a_step_in_is_answered_at_once() {
    let mut world = world(policy());
    step(&mut world, 60.0);
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, 40.0), Some(10));
    world.pass_time(10 * SECOND);
    assert_eq!(step(&mut world, 75.0), Some(13), "30 % of 10");
}

#[test]
fn a_surge_after_a_step_in_begins_where_that_came_to() {
    let mut world = world(policy());
    assert_eq!(step(&mut world, 75.0), Some(13));
    world.pass_time(6 * MINUTE);
    assert_eq!(step(&mut world, 40.0), Some(12));
    world.pass_time(10 * SECOND);
    assert_eq!(step(&mut world, 75.0), Some(15), "30 % of 12, not of the 10 of before");
}

#[test]
fn a_level_above_a_lowered_max_comes_down_from_max() {
    let mut world = world(Step { warm_up: Duration::ZERO, ..policy() });
    step(&mut world, 75.0);
    world.group.bounds.max = 5;
    world.pass_time(MINUTE);
    assert_eq!(step(&mut world, 35.0), Some(4), "10 % of 5 is one");
}

#[test]
fn while_a_server_is_silent_nothing_is_taken() {
    let into = vec![range(None, Some(30.0), Change::Servers(1))];
    let mut world = fleet(3, Policy::Step(Step { into, ..policy() }));
    report(&mut world, &[Some(99.0), Some(50.0), Some(50.0)]);
    assert_eq!(level(&mut world), Some(4), "10 % of 3 is less than one: one");
    world.pass_time(6 * MINUTE);
    report(&mut world, &[None, Some(20.0), Some(20.0)]);
    let asked = claim(&mut world);
    assert!(asked.blind() && asked.to_string().contains("nothing is taken while"), "{asked}");
    let all = vec![Some(20.0); world.members()];
    report(&mut world, &all);
    assert_eq!(level(&mut world), Some(3));
}

#[test]
fn what_one_that_left_carried_is_missed_until_the_others_have_told() {
    let into = vec![range(None, Some(30.0), Change::Servers(1))];
    let mut world = fleet(4, Policy::Step(Step { into, warm_up: MINUTE, ..policy() }));
    world.order(Command::Set { capacity: 0 });
    report(&mut world, &[Some(99.0); 4]);
    assert_eq!(level(&mut world), Some(5));
    for _ in 0..6 {
        world.pass_time(20 * SECOND);
        world.pass();
    }
    report(&mut world, &[Some(20.0); 5]);
    assert_eq!(level(&mut world), Some(4));
    world.pass_time(SECOND);
    let gone = world.cloud.values().find(|server| server.deleting).is_none();
    assert!(gone, "it is gone, and that is seen later than the others measured");
    report(&mut world, &[Some(20.0); 4]);
    world.pass_time(MINUTE);
    assert_eq!(level(&mut world), Some(4));
    assert_eq!(held(&mut world), Some(StepHeld::KnownInPart));
    report(&mut world, &[Some(20.0); 4]);
    assert_eq!(level(&mut world), Some(3));
}

#[test]
fn a_policy_that_stands_in_place_of_another_begins_with_what_that_upheld() {
    let mut world =
        fleet(5, Policy::Total(novascale::domain::policy::Total::of(reading("cpu"), 10.0)));
    world.order(Command::Set { capacity: 0 });
    world.measure("cpu", 50.0);
    assert_eq!(world.pass().desired, 5);
    world.group.policies = vec![Policy::Step(policy())];
    assert_eq!(world.pass().desired, 5, "between its ranges it moves nothing");
}

/// 60 in all, shared out over all that serve: 4 servers measure 15, and 2 of them would 30, from
/// where one more step in leads to 60.
#[test]
fn what_was_measured_with_more_servers_is_what_fewer_would_have_to_carry() {
    let into = vec![
        range(None, Some(15.0), Change::Servers(2)),
        range(Some(15.0), Some(30.0), Change::Servers(1)),
    ];
    let out = vec![range(Some(60.0), None, Change::Servers(3))];
    let guarded = Step { warm_up: MINUTE, flapping_guard: true, out, into, ..policy() };
    let averaged = Step { reading: windowed("cpu", "avg", 3 * MINUTE), ..guarded };
    let mut world = fleet(4, Policy::Step(averaged));
    world.order(Command::Set { capacity: 0 });
    world.pass();
    for _ in 0..20 {
        let serving = world.cloud.values().filter(|s| s.status == Status::Active && !s.deleting);
        let each = 60.0 / serving.count() as f64;
        world.measure("cpu", each);
        for _ in 0..6 {
            let decision = world.pass();
            assert!(decision.desired >= 2, "{:#?}", decision.sentences());
            world.pass_time(10 * SECOND);
        }
    }
    assert_eq!(world.members(), 2);
}
