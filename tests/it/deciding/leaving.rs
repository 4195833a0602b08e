//! Who leaves, when, and how fast.

use std::time::Duration;

use novascale::decide::backoff::delete_wait;
use novascale::domain::id::TemplateHash;
use novascale::domain::outcome::FailureKind;
use novascale::domain::plan::{Cause, Waiting};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use rstest::rstest;

use super::world::{World, group, settled, terminations};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_delete_of_which_nobody_knows_counts_for_its_minute() {
    let mut world = settled(0, 10, 8);
    world.pass_time(MINUTE);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.order(Command::Set { capacity: 1 });
    world.faults.reply_lost = 100;
    let gone: Vec<_> = terminations(&world.pass()).into_iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(gone.len(), 2);
    world.faults.reply_lost = 0;
    // Nova works on it, and the next listing does not show that yet.
    world.cloud.values_mut().for_each(|s| s.deleting = false);
    world.pass_time(2 * SECOND);
    assert_eq!(terminations(&world.pass()), []);
    for id in &gone {
        world.cloud.get_mut(id).unwrap().deleting = true;
    }
    for _ in 0..8 {
        assert_eq!(terminations(&world.pass()), []);
        world.pass_time(6 * SECOND);
    }
    world.pass_time(11 * SECOND);
    assert_eq!(terminations(&world.pass()).len(), 1, "a quarter of six");
}

#[test]
fn a_delete_counts_for_its_minute_though_its_server_loses_the_tag() {
    let mut world = settled(0, 10, 5);
    world.pass_time(MINUTE);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.order(Command::Set { capacity: 1 });
    world.faults.delete_hangs = 100;
    let gone: Vec<_> = terminations(&world.pass()).into_iter().map(|(id, _)| id.clone()).collect();
    assert_eq!(gone.len(), 1);
    world.cloud.get_mut(&gone[0]).unwrap().tags.clear();
    for _ in 0..9 {
        world.pass_time(6 * SECOND);
        assert_eq!(terminations(&world.pass()), []);
    }
    world.pass_time(7 * SECOND);
    assert_eq!(terminations(&world.pass()).len(), 1);
}

/// A proxy said no, after Nova had said yes. The server is seen to leave until it is gone; or, as in
/// seed 462660 of the simulation, nobody can tell any more whether it is there.
#[rstest]
#[case::gone(4, 0)]
#[case::out_of_sight(0, 100)]
fn a_delete_that_was_refused_counts_where_its_server_leaves_all_the_same(
    #[case] leaves: u32,
    #[case] blind: u32,
) {
    let mut world = settled(0, 10, 5);
    world.pass_time(MINUTE);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    let newest = world.first_id();
    world.stubborn = Some((newest.clone(), FailureKind::Denied));
    world.order(Command::Set { capacity: 1 });
    assert_eq!(terminations(&world.pass()), [(&newest, Cause::Surplus)]);
    world.stubborn = None;
    world.cloud.get_mut(&newest).unwrap().deleting = true;
    world.faults.delete_hangs = 100;
    for n in 0..9 {
        world.pass_time(6 * SECOND);
        if n == leaves {
            world.cloud.remove(&newest);
            world.faults.blind = blind;
        }
        let decision = world.pass();
        let more = terminations(&decision).into_iter().filter(|(id, _)| **id != newest);
        assert_eq!(more.count(), 0, "{:?}", decision.sentences());
    }
    world.pass_time(7 * SECOND);
    let decision = world.pass();
    assert!(terminations(&decision).iter().any(|(id, _)| **id != newest), "one a minute");
}

#[test]
fn a_server_that_had_to_be_asked_twice_counts_once() {
    let mut world = settled(0, 12, 8);
    world.pass_time(MINUTE);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    let newest = world.first_id();
    world.stubborn = Some((newest.clone(), FailureKind::Busy));
    world.order(Command::Set { capacity: 7 });
    assert_eq!(terminations(&world.pass()), [(&newest, Cause::Surplus)]);
    world.stubborn = None;
    let began = world.now;
    while world.cloud.contains_key(&newest) {
        world.pass_time(3 * SECOND);
        world.pass();
    }
    assert!(world.now.steady.since(began.steady) < MINUTE, "within the minute of the first");
    world.order(Command::Set { capacity: 5 });
    assert_eq!(terminations(&world.pass()).len(), 1, "two of eight a minute, and one is gone");
}

#[test]
fn a_pin_counts_until_its_end() {
    let mut world = settled(1, 10, 3);
    let until = world.now.plus(10 * MINUTE);
    world.order(Command::Pin { capacity: 6, until: Some(until) });
    let decision = world.pass();
    assert_eq!((decision.desired, decision.claims.len()), (6, 1));
    world.settle(10);
    world.pass_time(9 * MINUTE);
    let decision = world.pass();
    assert_eq!(decision.desired, 6);
    assert!(decision.next_look <= until.steady, "it is looked at when the pin ends");
    world.pass_time(MINUTE);
    let decision = world.pass();
    assert_eq!((decision.desired, decision.claims.len()), (3, 1));
    assert_eq!(decision.sentences()[0], "3 wanted: base is 3.");
}

#[test]
fn servers_of_an_old_template_leave_before_newer_ones() {
    let mut world = settled(0, 10, 2);
    let old: Vec<_> = world.cloud.keys().cloned().collect();
    world.group.template.hash = TemplateHash::from_bits(7);
    world.order(Command::Set { capacity: 4 });
    world.settle(20);
    world.pass_time(MINUTE);
    world.order(Command::Set { capacity: 2 });
    let decision = world.pass();
    let mut gone: Vec<_> = terminations(&decision);
    gone.sort_by_key(|(id, _)| *id);
    assert_eq!(gone, [(&old[0], Cause::Surplus), (&old[1], Cause::Surplus)]);
}

#[test]
fn a_server_in_build_is_waited_for_rather_than_deleted() {
    let mut world = World::new(group(0, 10), 1);
    world.order(Command::Set { capacity: 3 });
    world.pass();
    world.pass_time(SECOND);
    world.order(Command::Set { capacity: 1 });
    let decision = world.pass();
    assert_eq!(decision.tally.building, 3);
    assert_eq!(terminations(&decision), []);
    assert!(decision.waiting.iter().any(|w| matches!(w, Waiting::Building { n: 2 })));
    world.pass_time(10 * SECOND);
    assert_eq!(terminations(&world.pass()).len(), 2, "they are built now");
    assert!(world.cloud.values().all(|s| s.status == Status::Active));
}

#[test]
fn one_failure_to_delete_is_no_reason_to_take_another() {
    let mut world = settled(0, 8, 3);
    let newest = world.first_id();
    world.stubborn = Some((newest.clone(), FailureKind::Unclear));
    world.order(Command::Set { capacity: 2 });
    assert_eq!(terminations(&world.pass()), [(&newest, Cause::Surplus)]);
    world.pass_time(500 * Duration::from_millis(1));
    assert_eq!(terminations(&world.pass()), []);
}

#[test]
fn what_may_go_at_once_waits_for_no_velocity() {
    let mut world = settled(0, 40, 20);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.order(Command::Set { capacity: 15 });
    let decision = world.pass();
    assert_eq!((terminations(&decision).len(), &decision.waiting[..]), (5, &[][..]));
}

#[test]
fn the_next_look_is_when_the_minute_is_over() {
    let mut world = settled(0, 40, 20);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.order(Command::Set { capacity: 0 });
    let first = world.pass();
    world.pass_time(30 * SECOND);
    let decision = world.pass();
    let end = first.at.steady.plus(MINUTE);
    assert_eq!(decision.next_look, end, "{:?}", decision.sentences());
    world.observe();
    world.now.steady = end;
    assert_eq!(terminations(&world.decide()).len(), 3, "a quarter of 15");
}

#[test]
fn neither_launches_nor_the_sweep_of_what_never_served_take_of_the_velocity() {
    let mut world = settled(0, 20, 8);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.faults.build_fails = 100;
    world.order(Command::Set { capacity: 10 });
    assert_eq!(world.pass().plan.len(), 1);
    world.pass_time(6 * SECOND);
    assert_eq!(terminations(&world.pass()).len(), 2);
    world.order(Command::Set { capacity: 1 });
    world.pass_time(SECOND);
    let decision = world.pass();
    assert_eq!(terminations(&decision).len(), 2, "a quarter of 8: {:?}", decision.sentences());
}

#[test]
fn the_sweep_of_what_served_and_what_is_too_much_share_the_velocity() {
    let mut world = settled(0, 40, 20);
    world.group.behaviour.scale_in.velocity.percent = 25.0;
    world.cloud.values_mut().take(3).for_each(|s| s.status = Status::Error);
    world.order(Command::Set { capacity: 1 });
    let decision = world.pass();
    let surplus = |(_, cause): &&(_, Cause)| *cause == Cause::Surplus;
    let going = terminations(&decision);
    assert_eq!((going.len(), going.iter().filter(surplus).count()), (4, 1), "a quarter of 17");
}

/// What still comes and what Nova cannot tell of may go later: it is not what stays for good.
#[test]
fn only_what_may_never_be_deleted_is_said_to_stay() {
    let kept = |world: &mut World| {
        let decision = world.pass();
        decision.waiting.into_iter().filter(|w| matches!(w, Waiting::Kept { .. })).collect()
    };
    let mut world = settled(0, 10, 5);
    world.faults.request_lost = 100;
    world.order(Command::Set { capacity: 8 });
    world.pass();
    for (index, server) in world.cloud.values_mut().enumerate() {
        server.locked = index < 2;
        server.status = if index == 2 { Status::Unknown } else { Status::Active };
    }
    world.order(Command::Set { capacity: 0 });
    let said: Vec<Waiting> = kept(&mut world);
    assert_eq!(said, [Waiting::Kept { n: 2 }]);
    world.cloud.values_mut().for_each(|s| s.locked = false);
    let said: Vec<Waiting> = kept(&mut world);
    assert_eq!(said, []);
}

#[test]
fn what_is_built_and_what_leaves_is_said_once() {
    let mut world = World::new(group(0, 10), 1);
    world.order(Command::Set { capacity: 3 });
    world.pass();
    assert_eq!(world.pass().waiting, [Waiting::Building { n: 3 }]);
    world.order(Command::Set { capacity: 1 });
    assert_eq!(world.pass().waiting, [Waiting::Building { n: 2 }]);
    world.pass_time(10 * SECOND);
    world.pass();
    assert_eq!(world.pass().waiting, [Waiting::Leaving { n: 2 }]);
}

#[test]
fn a_server_of_unknown_status_is_deleted_on_no_older_word() {
    let mut world = settled(0, 8, 3);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    world.faults.denied = 100;
    assert_eq!(terminations(&world.pass()), [(&id, Cause::Error)]);
    world.faults.denied = 0;
    world.cloud.get_mut(&id).unwrap().status = Status::Unknown;
    for _ in 0..10 {
        world.pass_time(MINUTE);
        let decision = world.pass();
        assert_eq!((terminations(&decision).len(), decision.tally.failed), (0, 1));
    }
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    assert_eq!(terminations(&world.pass()), [(&id, Cause::Error)]);
}

/// Somebody else deletes it, and Nova does not get on with it either.
#[test]
fn a_delete_that_others_asked_for_is_not_asked_for_again() {
    let mut world = settled(0, 8, 3);
    world.faults.delete_hangs = 100;
    let theirs = world.first_id();
    world.cloud.get_mut(&theirs).unwrap().deleting = true;
    world.order(Command::Set { capacity: 1 });
    let mut asked = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let decision = world.pass();
        asked.extend(terminations(&decision).into_iter().map(|(id, _)| id.clone()));
        world.pass_time(MINUTE);
    }
    assert!(!asked.contains(&theirs));
    assert!(world.asked > 2, "ours was asked for {} times", world.asked);
}

#[test]
fn a_delete_is_tried_again_in_the_moment_that_its_wait_ends() {
    let mut world = settled(0, 8, 3);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    world.stubborn = Some((id.clone(), FailureKind::Conflict));
    world.pass();
    let intents: Vec<_> = world.intents.values().cloned().collect();
    let wait = delete_wait(&intents, &id, &world.group.launch.backoff).unwrap();
    world.observe();
    world.now.steady = wait.until.minus(Duration::from_millis(1));
    let decision = world.decide();
    assert_eq!(terminations(&decision), []);
    assert_eq!(decision.next_look, world.now.steady.plus(SECOND), "as soon as may be");
    world.now.steady = wait.until;
    assert_eq!(terminations(&world.decide()), [(&id, Cause::Error)]);
}
