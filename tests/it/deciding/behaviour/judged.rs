//! The second judge refuses what moves too early or too fast.

use std::time::Duration;

use novascale::domain::behaviour::{Rate, Select};
use novascale::domain::claim::{Held, Past};
use novascale::domain::plan::Tempering;
use novascale::domain::signal::Command;

use super::super::world::World;
use super::{MINUTE, SECOND, at, count, max, percent, select};

/// 10 are desired; 20 s ago it were 8.
fn world() -> World {
    let mut world = at(10, 1, 50);
    let changed = world.now.steady.minus(20 * SECOND);
    let memory = world.memory.as_mut().unwrap();
    memory.changed = Some(changed);
    memory.past = vec![Past { until: changed, desired: 8 }];
    world
}

/// What is said of a decision for so many, while signals want them.
fn judged(world: &mut World, desired: u32) -> Vec<String> {
    world.measure("load", f64::from(desired));
    let mut decision = world.decide();
    decision.desired = desired;
    // No step may excuse it.
    decision.tempering.retain(|step| matches!(step, Tempering::Pinned { .. }));
    decision.plan.clear();
    world.judge(&decision).iter().map(ToString::to_string).collect()
}

#[test]
fn a_move_within_a_cooldown_is_refused() {
    let mut cooling = world();
    cooling.group.behaviour.scale_in.cooldown = MINUTE;
    cooling.group.behaviour.scale_out.cooldown = MINUTE;
    assert_eq!(judged(&mut cooling, 9), ["I13: desired falls from 10 to 9 in a cooldown"]);
    assert_eq!(judged(&mut cooling, 11), ["I13: desired rises from 10 to 11 in a cooldown"]);
    assert_eq!(judged(&mut cooling, 10), [""; 0]);
    cooling.now = cooling.now.plus(40 * SECOND);
    assert_eq!(judged(&mut cooling, 9), [""; 0]);
    assert_eq!(judged(&mut cooling, 11), [""; 0]);
}

#[test]
fn who_may_come_before_a_cooldown_is_not_refused() {
    let cooling = || {
        let mut cooling = world();
        cooling.group.behaviour.scale_in.cooldown = MINUTE;
        cooling.group.behaviour.scale_out.cooldown = MINUTE;
        cooling
    };
    let mut ordered = cooling();
    ordered.order(Command::Set { capacity: 9 });
    assert_eq!(judged(&mut ordered, 9), [""; 0]);
    assert_eq!(judged(&mut ordered, 12), ["I13: desired rises from 10 to 12 in a cooldown"]);
    ordered.order(Command::Set { capacity: 12 });
    assert_eq!(judged(&mut ordered, 12), [""; 0]);
    let mut pinned = cooling();
    pinned.order(Command::Pin { capacity: 3, until: None });
    assert_eq!(judged(&mut pinned, 3), [""; 0]);
    let mut found = cooling();
    let since = found.now.steady;
    found.memory.as_mut().unwrap().held =
        Some(Held { capacity: 12, since, adopted: false, took: false });
    assert_eq!(judged(&mut found, 12), [""; 0], "what is found to stand is held at once");
    let mut bounded = cooling();
    bounded.group.bounds = novascale::domain::count::Bounds::new(1, 7);
    assert_eq!(judged(&mut bounded, 7), [""; 0]);
    bounded.group.bounds = novascale::domain::count::Bounds::new(14, 50);
    assert_eq!(judged(&mut bounded, 14), [""; 0]);
}

#[test]
fn a_pin_that_is_over_and_a_word_that_came_no_later_excuse_nothing() {
    let refused = ["I13: desired falls from 10 to 3 in a cooldown"];
    let mut world = world();
    world.group.behaviour.scale_in.cooldown = MINUTE;
    world.memory.as_mut().unwrap().changed = Some(world.now.steady);
    let end = world.now.plus(10 * SECOND);
    world.order(Command::Pin { capacity: 3, until: Some(end) });
    world.now.steady = end.steady.minus(Duration::from_millis(1));
    assert_eq!(judged(&mut world, 3), [""; 0]);
    world.now.steady = end.steady;
    assert_eq!(judged(&mut world, 3), refused);
    world.memory.as_mut().unwrap().changed = Some(world.now.steady);
    world.order(Command::Set { capacity: 3 });
    assert_eq!(judged(&mut world, 3), refused);
}

#[test]
fn a_move_faster_than_its_rates_is_refused() {
    let cases: [(Select, &[Rate], u32, u32); 6] = [
        (Select::Max, &[count(4, 60)], 4, 12),
        (Select::Max, &[count(4, 10)], 6, 14),
        (Select::Max, &[count(3, 60), percent(50.0, 60)], 4, 12),
        (Select::Min, &[count(3, 60), percent(50.0, 60)], 5, 11),
        (Select::Max, &[percent(30.0, 60)], 5, 11),
        (Select::Disabled, &[], 10, 10),
    ];
    for (which, rates, least, most) in cases {
        let mut rated = world();
        rated.group.behaviour.scale_in.rates = select(which, rates);
        rated.group.behaviour.scale_out.rates = select(which, rates);
        assert_eq!(judged(&mut rated, least), [""; 0], "{rates:?}");
        assert_eq!(judged(&mut rated, most), [""; 0], "{rates:?}");
        let (below, above) = (least - 1, most + 1);
        let fall = format!("I13: desired falls from 10 to {below}, faster than scale_in.rates");
        let rise = format!("I13: desired rises from 10 to {above}, faster than scale_out.rates");
        assert_eq!(judged(&mut rated, below), [fall], "{rates:?}");
        assert_eq!(judged(&mut rated, above), [rise], "{rates:?}");
    }
    let mut least = world();
    least.group.behaviour.scale_in.rates = max(&[percent(1.0, 60)]);
    assert_eq!(judged(&mut least, 7).len(), 0, "one may always go: 8 % of 1 is none");
}
