//! A max that was cut by more than half takes nothing away before a person has said so.

use std::time::Duration;

use novascale::domain::count::Bounds;
use novascale::domain::explain::Situation;
use novascale::domain::fleet::Observation;
use novascale::domain::plan::{Decision, Waiting};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use rstest::rstest;

use super::world::{World, launches, settled, target, terminations};

const MINUTE: Duration = Duration::from_secs(60);

/// Passes for half an hour; the last one.
fn later(world: &mut World) -> Decision {
    for _ in 0..30 {
        world.pass_time(MINUTE);
        world.pass();
    }
    world.pass()
}

fn waits(decision: &Decision) -> Option<(u32, u32)> {
    decision.waiting.iter().find_map(|waiting| match waiting {
        Waiting::Unconfirmed { from, to } => Some((*from, *to)),
        _ => None,
    })
}

/// From 8 servers of at most 10: the new bounds, and how many stay without a word.
#[rstest]
#[case::by_half(0, 5, 5, false)]
#[case::by_more_than_half(0, 4, 8, true)]
#[case::to_nothing(0, 0, 8, true)]
#[case::with_its_min(1, 1, 8, true)]
#[case::raised(0, 20, 8, false)]
#[case::the_same(0, 10, 8, false)]
fn a_cut_by_more_than_half_waits(
    #[case] min: u32,
    #[case] max: u32,
    #[case] stay: usize,
    #[case] waiting: bool,
) {
    let mut world = settled(0, 10, 8);
    world.group.bounds = Bounds::new(min, max);
    let decision = later(&mut world);
    assert_eq!(world.members(), stay, "{:#?}", decision.sentences());
    assert_eq!(waits(&decision), waiting.then_some((10, max)));
    assert_eq!(decision.situation() == Situation::Holding, waiting);
    assert_eq!(world.created, 8, "the new max holds for launches at once");
}

#[test]
fn what_waits_is_said_with_the_command_to_type() {
    let mut world = settled(0, 10, 8);
    world.group.bounds = Bounds::new(0, 3);
    let decision = world.pass();
    let said = "holding: max was cut from 10 to 3, by more than half: none goes for it and none \
                is launched until a person says `novascale reload --confirm`, or max is raised again";
    assert_eq!(decision.headline(), said);
    assert!(decision.sentences().join(" ").contains("novascale reload --confirm"));
}

#[test]
fn a_word_for_just_this_max_lets_it_go_on_once() {
    let mut world = settled(0, 10, 8);
    world.group.bounds = Bounds::new(0, 3);
    world.order(Command::Confirm { max: 2 });
    assert_eq!(waits(&later(&mut world)), Some((10, 3)), "another max was meant");
    world.order(Command::Confirm { max: 3 });
    assert_eq!(waits(&later(&mut world)), None);
    assert_eq!(world.members(), 3);
    // Raised, and cut again: the word was for the first time.
    world.group.bounds = Bounds::new(0, 10);
    world.order(Command::Set { capacity: 8 });
    world.settle(20);
    world.group.bounds = Bounds::new(0, 3);
    assert_eq!(waits(&later(&mut world)), Some((10, 3)));
    assert_eq!(world.members(), 8);
}

#[test]
fn a_max_that_is_raised_again_ends_the_waiting() {
    let mut world = settled(0, 10, 8);
    world.group.bounds = Bounds::new(0, 3);
    assert!(waits(&later(&mut world)).is_some());
    world.group.bounds = Bounds::new(0, 12);
    let decision = later(&mut world);
    assert_eq!((waits(&decision), decision.desired, world.members()), (None, 8, 8));
    assert_eq!((world.created, world.deleted), (8, 0), "nothing came or went");
}

#[test]
fn a_cut_that_takes_nothing_away_needs_no_word() {
    let mut world = settled(0, 10, 3);
    world.group.bounds = Bounds::new(0, 3);
    assert_eq!(waits(&world.pass()), None, "all that stands may stay");
    let mut world = settled(0, 10, 2);
    world.group.bounds = Bounds::new(0, 3);
    assert_eq!(waits(&world.pass()), None);
    // It is accepted: what comes above it later goes as ever.
    world.add_by_hand();
    world.order(Command::Set { capacity: 3 });
    world.settle(20);
    assert_eq!(world.members(), 3);
}

#[test]
fn without_a_look_a_cut_is_not_taken_for_harmless() {
    let mut world = settled(0, 10, 8);
    world.group.bounds = Bounds::new(0, 3);
    world.known.clear();
    world.observation = Observation::Unseen { since: world.now, why: "503".into() };
    world.pass_on_last_listing();
    assert_eq!(waits(&later(&mut world)), Some((10, 3)));
    assert_eq!(world.members(), 8);
}

#[test]
fn what_exceeds_the_old_max_goes_while_the_new_one_waits() {
    let mut world = settled(0, 10, 10);
    for _ in 0..2 {
        world.add_by_hand();
    }
    world.group.bounds = Bounds::new(0, 3);
    let decision = later(&mut world);
    assert_eq!((waits(&decision), world.members()), (Some((10, 3)), 10));
}

#[test]
fn failed_servers_are_swept_and_not_replaced_while_a_cut_waits() {
    let mut world = settled(0, 10, 8);
    world.group.bounds = Bounds::new(0, 3);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    let decision = world.pass();
    assert_eq!(terminations(&decision).len(), 1, "{:#?}", decision.sentences());
    let decision = later(&mut world);
    assert_eq!((world.members(), launches(&decision).len()), (7, 0));
    assert_eq!(waits(&decision), Some((10, 3)));
}

/// Nothing but max is guarded: a smaller min takes nothing away by itself.
#[test]
fn a_smaller_min_is_no_cut() {
    let mut world = settled(8, 10, 8);
    world.state.base = None;
    world.settle(20);
    world.group.bounds = Bounds::new(1, 10);
    later(&mut world);
    assert_eq!(world.members(), 1);
}

/// The word was given and the file put back before anybody looked.
#[test]
fn a_word_that_was_for_another_max_confirms_no_later_slip() {
    let mut world = settled(0, 10, 8);
    world.order(Command::Confirm { max: 4 });
    world.pass();
    world.pass_time(MINUTE);
    world.group.bounds = Bounds::new(0, 4);
    assert_eq!(waits(&later(&mut world)), Some((10, 4)));
    assert_eq!(world.members(), 8);
}

/// What is stopped or has failed may serve again.
#[test]
fn stopped_servers_are_taken_away_by_a_cut_too() {
    let mut world = settled(0, 10, 8);
    // A person has seen them go.
    world.group.behaviour.meltdown.percent = 100.0;
    for server in world.cloud.values_mut().take(6) {
        server.status = Status::Shutoff;
    }
    world.group.bounds = Bounds::new(0, 3);
    assert_eq!(waits(&world.pass()), Some((10, 3)));
    world.cloud.values_mut().for_each(|server| server.status = Status::Active);
    later(&mut world);
    assert_eq!(world.members(), 8);
}

#[test]
fn a_cut_in_steps_is_held_against_where_it_began() {
    let mut world = settled(0, 10, 10);
    for max in [5, 3, 2] {
        world.group.bounds = Bounds::new(0, max);
        world.pass();
        world.pass_time(Duration::from_secs(2));
    }
    assert_eq!(waits(&world.pass()).map(|(_, to)| to), Some(2));
    later(&mut world);
    assert!(world.members() >= 5, "{} stay", world.members());
}

#[test]
fn without_state_what_stands_counts() {
    let mut world = settled(0, 10, 9);
    world.lose_state();
    world.group.bounds = Bounds::new(0, 3);
    assert_eq!(waits(&later(&mut world)), Some((9, 3)));
    assert_eq!(world.members(), 9);
}

/// What was clamped by a max that nobody confirmed is not what was desired.
#[test]
fn a_cut_that_is_undone_costs_nothing_though_data_is_missing() {
    let mut world = settled(0, 10, 1);
    world.group.policies = vec![target("load", 10.0)];
    world.measure("load", 60.0);
    world.settle(20);
    world.group.bounds = Bounds::new(0, 2);
    world.pass();
    world.pass_time(20 * MINUTE);
    world.pass();
    world.group.bounds = Bounds::new(0, 10);
    let decision = later(&mut world);
    assert_eq!((decision.desired, world.members()), (6, 6), "{:#?}", decision.sentences());
}
