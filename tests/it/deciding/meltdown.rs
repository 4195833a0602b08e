//! The meltdown guard: too many that served are lost at once, and a person has to look.

use std::time::Duration;

use novascale::domain::explain::Situation;
use novascale::domain::id::ServerId;
use novascale::domain::plan::{Decision, Waiting};
use novascale::domain::server::{Fault, Status};
use novascale::domain::signal::Command;

use super::world::{World, group};

const MINUTE: Duration = Duration::from_secs(60);

fn fleet_of(n: u32) -> World {
    let mut world = World::new(group(0, 30), 1);
    world.order(Command::Set { capacity: n });
    world.settle(20);
    assert_eq!(world.cloud.len(), n as usize);
    world
}

fn ids(world: &World, n: usize) -> Vec<ServerId> {
    world.cloud.keys().take(n).cloned().collect()
}

fn vanish(world: &mut World, n: usize) -> Vec<novascale::domain::server::Server> {
    ids(world, n).into_iter().map(|id| world.cloud.remove(&id).unwrap()).collect()
}

fn fail(world: &mut World, n: usize) -> Vec<ServerId> {
    let ids = ids(world, n);
    for id in &ids {
        let server = world.cloud.get_mut(id).unwrap();
        server.status = Status::Error;
        server.fault = Some(Fault { code: 500, message: "the host is gone".into() });
    }
    ids
}

fn stop(world: &mut World, n: usize) -> Vec<ServerId> {
    let ids = ids(world, n);
    ids.iter().for_each(|id| world.cloud.get_mut(id).unwrap().status = Status::Shutoff);
    ids
}

fn stopped(decision: &Decision) -> Option<(u32, u32)> {
    decision.waiting.iter().find_map(|waiting| match waiting {
        Waiting::Meltdown { lost, of, .. } => Some((*lost, *of)),
        _ => None,
    })
}

#[test]
fn more_than_the_share_and_more_than_a_few_stop_the_group() {
    let cases = [
        // fleet, lost, stopped
        (3, 3, false),
        (4, 4, true),
        (8, 3, false),
        (8, 4, true),
        (9, 4, false),
        (20, 9, false),
        (20, 10, true),
    ];
    for (n, lost, stops) in cases {
        for how in ["gone", "in ERROR", "stopped"] {
            let mut world = fleet_of(n);
            match how {
                "gone" => drop(vanish(&mut world, lost)),
                "in ERROR" => drop(fail(&mut world, lost)),
                _ => drop(stop(&mut world, lost)),
            }
            let decision = world.pass();
            let case = format!("{lost} of {n} {how}: {:?}", decision.sentences());
            assert_eq!(stopped(&decision).is_some(), stops, "{case}");
            assert_eq!(decision.plan.is_empty(), stops, "{case}");
            if stops {
                assert_eq!(stopped(&decision), Some((lost as u32, n)), "{case}");
                assert_eq!(decision.situation(), Situation::Frozen);
                assert!(decision.headline().contains("`novascale unfreeze web`"), "{case}");
            }
        }
    }
}

#[test]
fn it_waits_for_a_person_however_long_that_takes() {
    let mut world = fleet_of(10);
    vanish(&mut world, 6);
    for _ in 0..5 {
        assert!(stopped(&world.pass()).is_some());
        world.pass_time(60 * MINUTE);
    }
    assert_eq!(world.cloud.len(), 4);
    world.order(Command::Unfreeze);
    world.settle(20);
    assert_eq!(world.cloud.len(), 10);
    assert_eq!(stopped(&world.pass()), None);
}

#[test]
fn it_goes_on_by_itself_once_enough_serve_again() {
    let mut world = fleet_of(10);
    let failed = fail(&mut world, 6);
    assert_eq!(stopped(&world.pass()), Some((6, 10)));
    for id in &failed[..2] {
        world.cloud.get_mut(id).unwrap().status = Status::Active;
    }
    assert_eq!(stopped(&world.pass()), None, "4 of 10 are within the share");
    world.settle(40);
    assert_eq!(world.cloud.len(), 10);
}

/// Somebody stops the whole fleet for the night: no second one is launched beside it.
#[test]
fn servers_that_are_stopped_at_once_are_not_replaced_before_a_persons_word() {
    let mut world = fleet_of(10);
    let asleep = stop(&mut world, 10);
    for _ in 0..5 {
        assert_eq!(stopped(&world.pass()), Some((10, 10)));
        world.pass_time(60 * MINUTE);
    }
    assert_eq!(world.cloud.len(), 10);
    for id in &asleep {
        world.cloud.get_mut(id).unwrap().status = Status::Active;
    }
    assert_eq!(stopped(&world.pass()), None);
    world.settle(20);
    assert_eq!(world.cloud.len(), 10);

    stop(&mut world, 10);
    assert!(stopped(&world.pass()).is_some());
    world.order(Command::Unfreeze);
    world.settle(20);
    assert_eq!(world.cloud.len(), 20, "a person wanted them replaced");
    // What stopped was lost then: that it goes is no loss of now, and those that serve are few.
    asleep.iter().for_each(|id| drop(world.cloud.remove(id)));
    assert_eq!(stopped(&world.pass()), None);
    world.settle(20);
    stop(&mut world, 5);
    assert_eq!(stopped(&world.pass()), Some((5, 10)));
}

#[test]
fn losses_add_up_within_the_span_and_no_longer() {
    for (pause, stops) in [(MINUTE, true), (11 * MINUTE, false)] {
        let mut world = fleet_of(12);
        vanish(&mut world, 3);
        world.pass();
        world.pass_time(pause);
        world.settle(3);
        vanish(&mut world, 4);
        assert_eq!(stopped(&world.pass()).is_some(), stops, "{pause:?}");
    }
}

#[test]
fn what_we_ended_never_served_or_was_announced_does_not_count() {
    let mut world = fleet_of(10);
    world.order(Command::Set { capacity: 1 });
    world.settle(40);
    assert_eq!((world.cloud.len(), stopped(&world.pass())), (1, None), "our own terminations");

    let mut world = World::new(group(0, 30), 1);
    world.faults.build_fails = 100;
    world.order(Command::Set { capacity: 10 });
    for _ in 0..10 {
        assert_eq!(stopped(&world.pass()), None, "they never served");
        world.pass_time(MINUTE);
    }

    let mut world = fleet_of(10);
    world.order(Command::Freeze);
    vanish(&mut world, 8);
    world.pass();
    world.order(Command::Unfreeze);
    world.settle(20);
    assert_eq!((world.cloud.len(), stopped(&world.pass())), (10, None), "a person saw it happen");
}

#[test]
fn the_second_judge_counts_for_itself() {
    let mut world = fleet_of(8);
    let before = world.decide();
    world.group.behaviour.meltdown.percent = 100.0;
    fail(&mut world, 5);
    world.observe();
    let decision = world.decide();
    assert!(!decision.plan.is_empty(), "the guard is off: {:?}", before.sentences());
    assert_eq!(world.judge(&decision), []);
    world.group.behaviour.meltdown.percent = 45.0;
    let rules: Vec<&str> = world.judge(&decision).iter().map(|v| v.invariant).collect();
    assert_eq!(rules, ["meltdown"]);

    let mut world = fleet_of(8);
    world.group.behaviour.meltdown.percent = 100.0;
    stop(&mut world, 5);
    world.observe();
    let decision = world.decide();
    assert!(!decision.plan.is_empty() && world.judge(&decision).is_empty());
    world.group.behaviour.meltdown.percent = 45.0;
    let rules: Vec<&str> = world.judge(&decision).iter().map(|v| v.invariant).collect();
    assert_eq!(rules, ["meltdown"]);
}

/// Our own way down makes the fleet smaller, and what was lost before it no worse.
#[test]
fn a_few_losses_before_a_scale_in_stop_nothing() {
    let mut world = fleet_of(10);
    vanish(&mut world, 4);
    world.pass();
    world.order(Command::Set { capacity: 4 });
    for _ in 0..20 {
        world.pass_time(10 * Duration::from_secs(1));
        assert_eq!(stopped(&world.pass()), None);
    }
    assert_eq!(world.cloud.len(), 4);
}

/// Else whoever takes tags off brings as many new servers, time and again.
#[test]
fn a_fleet_that_loses_its_tags_stops_the_group() {
    let mut world = fleet_of(10);
    for id in ids(&world, 7) {
        world.cloud.get_mut(&id).unwrap().tags.clear();
    }
    let created = world.created;
    for _ in 0..10 {
        world.pass();
        world.pass_time(10 * Duration::from_secs(1));
    }
    assert_eq!((stopped(&world.pass()), world.created), (Some((7, 10)), created));
}

#[test]
fn numbers_of_its_own_are_heeded() {
    let mut world = fleet_of(10);
    world.group.behaviour.meltdown.most = 6;
    vanish(&mut world, 6);
    assert_eq!(stopped(&world.pass()), None);
    let mut world = fleet_of(10);
    world.group.behaviour.meltdown.percent = 60.0;
    vanish(&mut world, 6);
    assert_eq!(stopped(&world.pass()), None);
}
