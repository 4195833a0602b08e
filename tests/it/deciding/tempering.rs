//! What holds desired back: which step is said, and to which moment it holds.

use std::time::Duration;

use novascale::domain::adoption::Adoptees;
use novascale::domain::id::{Owner, ServerId};
use novascale::domain::plan::Tempering;
use novascale::domain::signal::Command;

use super::world::{World, group, settled, target};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A group that follows `load` and `other`, 10 for each server, with the windows given.
fn following(stabilization: Duration, cooldown: Duration) -> World {
    let mut world = World::new(group(1, 20), 1);
    world.group.policies = vec![target("load", 10.0), target("other", 10.0)];
    world.group.behaviour.scale_in.stabilization = stabilization;
    world.group.behaviour.scale_in.cooldown = cooldown;
    world
}

/// What is said after this was measured.
fn after(world: &mut World, load: f64, other: f64) -> Vec<Tempering> {
    world.measure("load", load);
    world.measure("other", other);
    world.pass().tempering
}

#[test]
fn a_rise_while_data_is_missing_has_a_window_of_its_own() {
    let mut world = following(5 * MINUTE, Duration::ZERO);
    after(&mut world, 20.0, 10.0);
    world.settle(10);
    world.pass_time(10 * MINUTE);
    world.measure("load", 60.0);
    assert_eq!(world.pass().desired, 6);
    let said = after(&mut world, 10.0, 10.0);
    assert!(matches!(said[..], [Tempering::Stabilized { from: 1, to: 6, .. }]), "{said:?}");
}

#[test]
fn what_is_wanted_as_before_while_data_is_missing_is_held_for_want_of_data() {
    let mut world = following(20 * MINUTE, Duration::ZERO);
    after(&mut world, 100.0, 10.0);
    world.settle(10);
    assert!(matches!(after(&mut world, 30.0, 10.0)[..], [Tempering::Stabilized { to: 10, .. }]));
    world.pass_time(6 * MINUTE);
    world.measure("load", 30.0);
    let said = world.pass().tempering;
    assert!(matches!(said[..], [Tempering::Blind { from: 3, to: 10, .. }]), "{said:?}");
}

#[test]
fn the_window_outlives_the_policy_and_then_nothing_is_remembered_of_it() {
    let mut world = following(5 * MINUTE, Duration::ZERO);
    after(&mut world, 60.0, 10.0);
    world.settle(10);
    world.group.policies.clear();
    assert_eq!(world.pass().desired, 6);
    world.pass_time(6 * MINUTE);
    assert_eq!(world.pass().desired, 1);
    assert_eq!(world.memory.unwrap().peaks, []);
}

/// Nothing is said to be held where nothing would change.
#[test]
fn what_holds_nothing_back_is_not_said() {
    let mut world = following(5 * MINUTE, 5 * MINUTE);
    assert_eq!(after(&mut world, 30.0, 10.0), []);
    assert_eq!(after(&mut world, 30.0, 10.0), [], "within the cooldown");
    world.order(Command::Set { capacity: 3 });
    world.settle(10);
    world.pass_time(10 * MINUTE);
    assert_eq!(world.pass().tempering, [], "without data");
    let mut world = settled(1, 10, 1);
    world.lose_state();
    assert_eq!(world.pass().tempering, [], "without state");
}

#[test]
fn the_cooldown_ends_to_the_moment() {
    let mut world = following(Duration::ZERO, 2 * MINUTE);
    after(&mut world, 60.0, 10.0);
    let end = world.memory.as_ref().and_then(|m| m.changed).unwrap().plus(2 * MINUTE);
    for (early, desired) in [(1, 6), (0, 1)] {
        world.now.steady = end.minus(Duration::from_millis(early));
        world.measure("load", 10.0);
        world.measure("other", 10.0);
        assert_eq!(world.decide().desired, desired, "{early} ms early");
    }
}

/// What an operator said before desired changed was heard in that change.
#[test]
fn only_a_later_word_ends_the_cooldown() {
    for (pause, desired) in [(Duration::ZERO, 6), (Duration::from_millis(1), 2)] {
        let mut world = following(Duration::ZERO, 2 * MINUTE);
        world.order(Command::Set { capacity: 2 });
        world.pass_time(SECOND);
        after(&mut world, 60.0, 10.0);
        world.now.steady = world.memory.as_ref().and_then(|m| m.changed).unwrap().plus(pause);
        world.measure("load", 10.0);
        world.measure("other", 10.0);
        assert_eq!(world.decide().desired, 6, "the word came before it");
        world.order(Command::Set { capacity: 2 });
        assert_eq!(world.decide().desired, desired, "{pause:?} after it");
    }
}

#[test]
fn the_next_look_is_at_the_end_of_a_reservation() {
    let mut world = settled(1, 10, 2);
    let begin = world.now;
    for (owner, secs) in [("night", 20), ("batch", 40)] {
        let (owner, until) = (Owner::new(owner).unwrap(), begin.plus(secs * SECOND));
        world.order(Command::Reserve { owner, capacity: 2, until });
    }
    world.observe();
    let looks = [(10, 20, 2), (20, 40, 1), (30, 40, 1), (40, 100, 0), (50, 110, 0)];
    for (secs, next, count) in looks {
        world.now = begin.plus(secs * SECOND);
        let decision = world.decide();
        assert_eq!(decision.next_look, begin.steady.plus(next * SECOND), "{secs} s after it");
        assert_eq!(decision.claims.len(), 1 + count, "{secs} s after it");
    }
}

/// A loss of state is no less one because somebody orders to adopt.
#[test]
fn an_order_that_adopts_nothing_ends_no_other_hold() {
    let mut world = settled(1, 10, 4);
    world.lose_state();
    world.pass();
    let servers = [ServerId::new("nobody").unwrap()].into();
    world.order(Command::Adopt(Adoptees::Servers { servers, untagged: true }));
    for _ in 0..10 {
        world.pass();
        world.pass_time(2 * SECOND);
    }
    assert!(world.state.adoptions.is_empty());
    assert_eq!(world.pass().tempering, [Tempering::Held { from: 1, to: 4 }]);
}
