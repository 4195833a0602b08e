//! From samples to claims and desired: who is heard, who has left, who has fallen silent.

use std::time::Duration;

use novascale::domain::behaviour::Behaviour;
use novascale::domain::id::ServerId;
use novascale::domain::plan::Tempering;
use novascale::domain::server::Status;
use novascale::domain::signal::Command;

use super::world::{World, group, settled, target};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A group that follows `load`, 10 for each server, with the usual behaviour.
fn following(min: u32, max: u32) -> World {
    let mut world = World::new(group(min, max), 1);
    world.group.behaviour = Behaviour::default();
    world.group.policies = vec![target("load", 10.0)];
    world
}

/// Every server that serves reports its share of the whole load.
fn share_out(world: &mut World, load: f64) {
    let up = world.cloud.values().filter(|s| s.status == Status::Active && !s.deleting);
    let ids: Vec<ServerId> = up.map(|s| s.id.clone()).collect();
    world.measure_on(&ids, "load", load / ids.len().max(1) as f64);
}

#[test]
fn servers_that_have_left_report_no_load() {
    let mut world = following(1, 30);
    world.order(Command::Set { capacity: 10 });
    for _ in 0..20 {
        world.pass();
        world.pass_time(5 * SECOND);
        share_out(&mut world, 100.0);
    }
    world.order(Command::Set { capacity: 1 });
    let before = world.created;
    for _ in 0..60 * 12 {
        share_out(&mut world, 50.0);
        world.pass();
        world.pass_time(5 * SECOND);
    }
    assert_eq!((world.members(), world.created - before), (5, 0), "nobody comes in their place");
}

#[test]
fn load_that_others_have_not_told_of_yet_is_not_taken_for_gone() {
    let mut world = following(1, 20);
    world.group.behaviour.scale_in.stabilization = Duration::ZERO;
    world.group.behaviour.scale_in.cooldown = Duration::ZERO;
    world.order(Command::Set { capacity: 10 });
    world.settle(20);
    share_out(&mut world, 100.0);
    world.pass();
    world.order(Command::Set { capacity: 1 });
    world.pass();
    world.group.behaviour.meltdown.percent = 100.0;
    // Half of the fleet fails at once; the others have not measured what falls to them.
    for server in world.cloud.values_mut().take(5) {
        server.status = Status::Error;
    }
    let decision = world.pass();
    assert_eq!(decision.desired, 10, "{:#?}", decision.sentences());
    let said = decision.sentences().join("\n");
    assert!(said.contains("others take over load"), "{said}");
    // They go one after another.
    for _ in 0..35 {
        world.pass();
        world.pass_time(Duration::from_secs(2));
    }
    share_out(&mut world, 60.0);
    world.pass_time(6 * MINUTE);
    share_out(&mut world, 60.0);
    assert_eq!(world.pass().desired, 6, "now they tell");
}

#[test]
fn who_reported_for_the_whole_group_is_missed_for_a_day() {
    let mut world = following(1, 20);
    world.measure("load", 100.0);
    world.settle(20);
    let whole = world.samples.clone();
    world.pass_time(Duration::from_secs(23 * 3600));
    world.samples.clone_from(&whole);
    share_out(&mut world, 20.0);
    assert_eq!(world.pass().desired, 10);
    world.pass_time(Duration::from_secs(2 * 3600));
    world.samples.clone_from(&whole);
    share_out(&mut world, 20.0);
    world.pass();
    world.pass_time(6 * MINUTE);
    world.samples.clone_from(&whole);
    share_out(&mut world, 20.0);
    assert_eq!(world.pass().desired, 2, "single servers have taken its place");
}

#[test]
fn a_server_that_no_listing_has_shown_yet_is_heard() {
    let mut world = settled(1, 10, 1);
    world.group.policies = vec![target("load", 10.0)];
    let ids = [world.first_id(), ServerId::new("young").unwrap()];
    world.measure_on(&ids, "load", 20.0);
    assert_eq!(world.pass().desired, 4);
}

#[test]
fn a_sender_for_the_whole_group_that_falls_silent_is_missed_beside_single_servers() {
    let mut world = following(1, 20);
    world.measure("load", 100.0);
    world.settle(20);
    let whole = world.samples.clone();
    for _ in 0..160 {
        world.samples.clone_from(&whole);
        share_out(&mut world, 20.0);
        world.pass();
        world.pass_time(5 * SECOND);
    }
    let decision = world.pass();
    assert_eq!(decision.desired, 10);
    let said = decision.sentences().join("\n");
    assert!(said.contains("wants 2 (the sender for the whole group has fallen silent)"), "{said}");
}

#[test]
fn what_was_wanted_before_a_pin_launches_nothing_at_its_end() {
    let mut world = following(1, 20);
    world.measure("load", 100.0);
    world.settle(20);
    let until = Some(world.now.plus(120 * MINUTE));
    world.order(Command::Pin { capacity: 3, until });
    let before = world.created;
    for _ in 0..130 * 4 {
        world.measure("load", 20.0);
        world.pass();
        world.pass_time(15 * SECOND);
    }
    assert_eq!((world.pass().desired, world.created), (2, before));
}

#[test]
fn a_dip_at_the_end_of_a_pin_is_stabilized_like_any_other() {
    let mut world = following(1, 20);
    let until = Some(world.now.plus(10 * MINUTE));
    world.order(Command::Pin { capacity: 8, until });
    for _ in 0..4 * 10 - 1 {
        world.measure("load", 60.0);
        world.pass();
        world.pass_time(15 * SECOND);
    }
    world.measure("load", 10.0);
    assert_eq!(world.pass().desired, 8);
    world.pass_time(MINUTE);
    world.measure("load", 10.0);
    let decision = world.pass();
    assert_eq!(decision.desired, 6, "{:#?}", decision.sentences());
}

#[test]
fn the_window_of_what_was_wanted_begins_when_all_of_it_is_known() {
    let mut world = following(1, 20);
    world.group.policies = vec![target("load", 10.0), target("other", 10.0)];
    world.measure("load", 100.0);
    world.measure("other", 20.0);
    world.settle(20);
    for _ in 0..80 {
        world.measure("other", 20.0);
        world.pass();
        world.pass_time(15 * SECOND);
    }
    world.measure("load", 30.0);
    world.measure("other", 20.0);
    let decision = world.pass();
    assert_eq!(decision.desired, 10, "{:#?}", decision.sentences());
    assert!(matches!(decision.tempering[..], [Tempering::Stabilized { from: 3, to: 10, .. }]));
    world.pass_time(5 * MINUTE + SECOND);
    world.measure("load", 30.0);
    world.measure("other", 20.0);
    assert_eq!(world.pass().desired, 3);
}

/// Nine servers serve, and nothing but the load holds more than one of them.
fn nine_where_one_is_asked_for() -> World {
    let mut world = following(1, 20);
    world.group.behaviour.scale_in.stabilization = Duration::ZERO;
    world.group.behaviour.scale_in.cooldown = Duration::ZERO;
    world.order(Command::Set { capacity: 9 });
    world.settle(20);
    world.order(Command::Set { capacity: 1 });
    world
}

#[test]
fn what_one_that_left_carried_is_missed_until_all_others_have_told() {
    let mut world = nine_where_one_is_asked_for();
    share_out(&mut world, 80.0);
    assert_eq!(world.pass().desired, 8);
    for _ in 0..10 {
        world.pass_time(5 * SECOND);
        let decision = world.pass();
        assert_eq!(decision.desired, 8, "80 is 80: {:#?}", decision.sentences());
    }
    assert_eq!(world.members(), 8, "it is gone");
    let others: Vec<ServerId> = world.cloud.keys().take(7).cloned().collect();
    world.measure_on(&others, "load", 5.0);
    assert_eq!(world.pass().desired, 8, "one has not told yet");
    share_out(&mut world, 40.0);
    assert_eq!(world.pass().desired, 4);
}

#[test]
fn what_is_measured_when_one_is_found_gone_is_told_without_it() {
    let mut world = nine_where_one_is_asked_for();
    share_out(&mut world, 80.0);
    assert_eq!(world.pass().desired, 8);
    world.pass_time(5 * SECOND);
    assert_eq!(world.members(), 8);
    share_out(&mut world, 40.0);
    assert_eq!(world.pass().desired, 4);
}

#[test]
fn what_one_that_left_carried_is_missed_from_the_pass_on_that_finds_it_gone() {
    let mut world = nine_where_one_is_asked_for();
    share_out(&mut world, 72.0);
    let decision = world.pass();
    assert_eq!((decision.desired, decision.plan.len()), (8, 1));
    for _ in 0..10 {
        world.pass_time(5 * SECOND);
        let decision = world.pass();
        assert_eq!(decision.desired, 8, "72 is 72: {:#?}", decision.sentences());
    }
    assert_eq!(world.members(), 8, "it is gone");
}
