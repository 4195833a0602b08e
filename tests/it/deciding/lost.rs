//! State lost, id known: what stands is held, until data or an operator says otherwise.

use std::time::Duration;

use novascale::domain::fleet::Observation;
use novascale::domain::id::Owner;
use novascale::domain::plan::Tempering;
use novascale::domain::signal::Command;

use super::world::{World, group, settled, target};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn lost(size: u32) -> World {
    let mut world = settled(1, 10, size);
    world.lose_state();
    world
}

fn pass_for(world: &mut World, passes: u32) {
    for _ in 0..passes {
        world.pass();
        world.pass_time(30 * SECOND);
    }
}

#[test]
fn servers_that_appear_after_the_first_listing_are_held_too() {
    let mut world = lost(8);
    world.observe();
    let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
    seen.servers.truncate(2);
    assert_eq!(world.pass_on_last_listing().desired, 2);
    pass_for(&mut world, 30);
    assert_eq!((world.members(), world.deleted), (8, 0));
    let decision = world.pass();
    assert_eq!(decision.tempering, [Tempering::Held { from: 1, to: 8 }]);
}

#[test]
fn an_empty_first_listing_ends_no_hold() {
    let mut world = lost(5);
    world.observe();
    let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
    seen.servers.clear();
    world.pass_on_last_listing();
    // What the first pass launched for its min came by the journal; the rest did not.
    pass_for(&mut world, 30);
    assert_eq!((world.pass().desired, world.deleted), (5, 1), "only the one too many goes");
}

#[test]
fn an_order_before_the_first_listing_is_obeyed() {
    let mut world = lost(6);
    world.observation = Observation::Unseen { since: world.now, why: "503".into() };
    world.pass_on_last_listing();
    world.pass_time(5 * SECOND);
    world.order(Command::Set { capacity: 2 });
    world.pass_on_last_listing();
    pass_for(&mut world, 20);
    assert_eq!(world.members(), 2);
}

#[test]
fn somebody_elses_reservation_ends_no_hold_and_an_operators_word_does() {
    let owner = Owner::new("batch").unwrap();
    let mut world = lost(6);
    world.pass();
    world.pass_time(SECOND);
    let until = world.now.plus(MINUTE);
    world.order(Command::Reserve { owner: owner.clone(), capacity: 1, until });
    assert_eq!(world.pass().desired, 6);
    world.order(Command::Release { owner });
    assert_eq!(world.pass().desired, 6);
    for command in [
        Command::Set { capacity: 3 },
        Command::Adjust { by: 2 },
        Command::Percent { by: 200.0 },
        Command::Pin { capacity: 3, until: None },
    ] {
        let mut world = lost(6);
        world.pass();
        world.pass_time(SECOND);
        world.order(command.clone());
        assert_eq!(world.pass().desired, 3, "{command}");
    }
}

#[test]
fn data_ends_the_hold() {
    let mut world = lost(6);
    world.group.policies = vec![target("load", 10.0), target("other", 10.0)];
    world.measure("load", 20.0);
    assert_eq!(world.pass().desired, 6, "the other signal has no data yet");
    world.pass_time(MINUTE);
    world.measure("other", 30.0);
    assert_eq!(world.pass().desired, 3);
}

/// No state, but nothing was lost: there was none.
#[test]
fn a_fresh_group_that_grew_shrinks_again() {
    let owner = Owner::new("batch").unwrap();
    let mut world = World::new(group(1, 20), 1);
    world.settle(10);
    let until = world.now.plus(5 * 60 * MINUTE);
    world.order(Command::Reserve { owner: owner.clone(), capacity: 9, until });
    world.settle(20);
    // Closed lines of the journal are read for a few hours only.
    world.intents.clear();
    world.pass_time(4 * 60 * MINUTE);
    assert_eq!(world.pass().desired, 9);
    world.order(Command::Release { owner });
    assert_eq!(world.pass().desired, 1);
}

#[test]
fn servers_that_people_tag_are_no_sign_of_a_loss() {
    let mut world = World::new(group(1, 20), 1);
    world.settle(10);
    for _ in 0..3 {
        world.add_by_hand();
    }
    world.pass_time(MINUTE);
    assert_eq!(world.pass().desired, 1);
}
