//! What is asked for once nothing was measured for long.

use super::*;
use novascale::domain::formula::Formula;
use novascale::domain::policy::{Adjustment, Change, Expression, Fallback, Step, Total};
use novascale::domain::signal::Command;

fn world() -> World {
    let fallback = Some(Fallback { after: 30 * MINUTE, capacity: 2 });
    let total = Total { fallback, ..Total::of(reading("cpu"), 10.0) };
    let mut world = fleet(5, Policy::Total(total));
    world.order(Command::Set { capacity: 0 });
    world.measure("cpu", 50.0);
    world.pass();
    world
}

#[test]
fn the_fleet_is_held_until_the_fallback_applies() {
    let mut world = world();
    world.pass_time(6 * MINUTE);
    let held = world.pass();
    assert_eq!(held.desired, 5, "its sample is stale");
    for _ in 0..29 {
        world.pass_time(59 * SECOND);
        assert_eq!(world.pass().desired, 5);
    }
    world.pass_time(2 * MINUTE);
    let fallen = world.pass();
    assert_eq!(fallen.desired, 2, "{:#?}", fallen.sentences());
    let said = fallen.sentences().join("\n");
    assert!(said.contains("the target cpu has been unknown for 3"), "{said}");
    let said = world.pass().sentences().join("\n");
    assert!(said.contains("the target cpu has been unknown for 3"), "it goes on to apply: {said}");
    world.measure("cpu", 40.0);
    assert_eq!(world.pass().desired, 4, "data counts at once");
    world.pass_time(6 * MINUTE);
    assert_eq!(world.pass().desired, 4, "and the time begins anew");
}

#[test]
fn the_next_look_is_when_it_applies() {
    let mut world = world();
    world.pass_time(6 * MINUTE);
    world.pass();
    world.pass_time(29 * MINUTE + 30 * SECOND);
    let decision = world.pass();
    let next = decision.next_look.since(decision.at.steady);
    assert!(next > 29 * SECOND && next <= 30 * SECOND, "{next:?}");
    world.now.steady = decision.next_look;
    assert_eq!(world.decide().desired, 2);
}

#[test]
fn what_one_that_left_carried_is_no_silence_that_a_fallback_stands_in_for() {
    let formula = Formula::parse("cpu / 10").unwrap();
    let readings = vec![reading("cpu")];
    let fallback = Some(Fallback { after: 30 * SECOND, capacity: 9 });
    let expression = Expression { name: "e".into(), formula, readings, fallback };
    let mut world = fleet(4, Policy::Expression(Box::new(expression)));
    world.order(Command::Set { capacity: 0 });
    let all = ids(&world);
    world.measure_on(&all, "cpu", 7.5);
    assert_eq!(world.pass().desired, 3);
    for _ in 0..12 {
        world.pass_time(10 * SECOND);
        let decision = world.pass();
        assert_eq!(decision.desired, 3, "the others tell soon: {:#?}", decision.sentences());
    }
    world.pass_time(5 * MINUTE);
    world.pass();
    world.pass_time(31 * SECOND);
    assert_eq!(world.pass().desired, 9, "they fell silent");
}

#[test]
fn a_formula_over_what_never_came_has_its_fallback() {
    let formula = Formula::parse("cpu / 10").unwrap();
    let fallback = Some(Fallback { after: 30 * SECOND, capacity: 9 });
    let readings = vec![reading("cpu")];
    let expression = Expression { name: "e".into(), formula, readings, fallback };
    let mut world = fleet(4, Policy::Expression(Box::new(expression)));
    world.pass();
    world.pass_time(31 * SECOND);
    assert_eq!(world.pass().desired, 9);
}

/// A step policy has a memory of its own beside: the silence is none of it.
#[test]
fn the_time_to_a_fallback_begins_anew_with_each_silence() {
    let out = vec![Adjustment { from: Some(90.0), to: None, change: Change::Servers(1) }];
    let step = Step {
        reading: reading("cpu"),
        out,
        into: Vec::new(),
        warm_up: MINUTE,
        flapping_guard: false,
        fallback: Some(Fallback { after: 10 * MINUTE, capacity: 9 }),
    };
    let mut world = fleet(4, Policy::Step(step));
    world.measure("cpu", 50.0);
    world.pass();
    let silent = |world: &mut World, span: Duration| {
        world.pass_time(6 * MINUTE);
        world.pass();
        world.pass_time(span);
        world.pass().desired
    };
    assert_eq!(silent(&mut world, 9 * MINUTE), 4);
    world.measure("cpu", 50.0);
    world.pass();
    assert_eq!(silent(&mut world, 9 * MINUTE), 4);
    assert_eq!(silent(&mut world, MINUTE), 9);
}
