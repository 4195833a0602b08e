//! Orders to adopt: what each one waits for, to the moment, and what ends it.

use std::time::Duration;

use novascale::decide::backoff::adoptions_wait;
use novascale::domain::adoption::{ADOPT_FOR, Adoptees};
use novascale::domain::fleet::Observation;
use novascale::domain::id::{GroupName, ServerId};
use novascale::domain::intent::Intent;
use novascale::domain::outcome::FailureKind;
use novascale::domain::plan::Waiting;
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use novascale::domain::time::Steady;

use super::adopting::{adoptions, after_a_new_name, all, by_hand, ours, renamed, servers};
use super::world::{World, launches, settled};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// What a look takes in this world.
const LOOK: Duration = Duration::from_millis(5);

fn journal(world: &World) -> Vec<Intent> {
    world.intents.values().cloned().collect()
}

fn last(world: &World) -> ServerId {
    world.cloud.keys().last().cloned().unwrap()
}

/// Looks so that the decision after it is made just then.
fn look_until(world: &mut World, then: Steady) {
    let early = then.minus(LOOK);
    assert!(world.now.steady <= early);
    world.now = world.now.plus(early.since(world.now.steady));
    world.observe();
    assert_eq!(world.now.steady, then);
}

/// Servers of the group's old name, of which one is left.
fn one_left(kind: FailureKind) -> (World, Steady) {
    let mut world = after_a_new_name();
    let id = world.first_id();
    world.cloud.retain(|other, _| *other == id);
    world.faults.denied = 100;
    let ordered = world.now.steady;
    world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
    world.pass();
    world.pass();
    for intent in world.intents.values_mut().filter(|i| i.adopt().is_some()) {
        intent.trouble.as_mut().unwrap().failure.kind = kind;
    }
    (world, ordered)
}

fn former() -> Vec<GroupName> {
    vec![GroupName::new("old").unwrap()]
}

#[test]
fn a_right_that_is_missing_is_tried_on_no_other_server_before_its_time() {
    let mut world = by_hand(3);
    world.faults.denied = 100;
    world.order(servers([world.first_id()], false));
    assert_eq!(adoptions(&world.pass()).len(), 1);
    world.order(servers([last(&world)], false));
    let decision = world.pass();
    assert_eq!(adoptions(&decision).len(), 0, "{:?}", decision.sentences());
    let wait = adoptions_wait(&journal(&world), &world.group.launch.backoff).unwrap();
    assert_eq!(wait.failure.kind, FailureKind::Denied);
    look_until(&mut world, wait.until);
    assert_eq!(adoptions(&world.decide()).len(), 2, "in the moment that it ends");
}

#[test]
fn a_server_that_may_not_be_marked_is_asked_for_in_the_moment_that_its_wait_ends() {
    let mut world = by_hand(2);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().locked = true;
    world.order(servers([id], false));
    world.pass();
    let decision = world.pass();
    assert_eq!(adoptions(&decision).len(), 0, "{:?}", decision.sentences());
    let journal = journal(&world);
    let tried: Vec<&Intent> = journal.iter().filter(|i| i.adopt().is_some()).collect();
    let backoff = &world.group.launch.backoff;
    let wait = novascale::decide::backoff::adopt_wait(&tried, backoff).unwrap();
    assert!(decision.next_look <= wait.until.plus(SECOND));
    look_until(&mut world, wait.until);
    assert_eq!(adoptions(&world.decide()).len(), 1);
}

#[test]
fn an_order_is_good_for_a_day_and_no_longer() {
    for (late, due) in [(0, 1), (1, 0)] {
        let mut world = by_hand(1);
        let end = world.now.steady.plus(ADOPT_FOR);
        world.order(all(&world));
        look_until(&mut world, end.plus(Duration::from_millis(late)));
        assert_eq!(adoptions(&world.decide()).len(), due, "{late} ms too late");
    }
}

#[test]
fn marks_that_nova_took_and_does_not_show_are_written_again() {
    let mut world = by_hand(1);
    world.order(all(&world));
    world.pass();
    world.cloud.values_mut().for_each(|s| s.metadata.clear());
    world.pass_time(Duration::from_millis(1));
    let decision = world.pass();
    let conflict = |w: &Waiting| match w {
        Waiting::AdoptBackoff { failure, .. } => failure.kind == FailureKind::Conflict,
        _ => false,
    };
    assert!(decision.waiting.iter().any(conflict), "{:?}", decision.sentences());
    world.pass_time(MINUTE);
    assert_eq!(adoptions(&world.pass()).len(), 1);
    world.pass();
    assert_eq!(ours(&world), 1);
}

#[test]
fn an_adoption_of_which_nobody_knows_is_not_asked_for_before_the_next_listing() {
    let mut world = by_hand(1);
    world.faults.reply_lost = 100;
    world.order(all(&world));
    assert_eq!(adoptions(&world.pass()).len(), 1);
    assert_eq!(adoptions(&world.pass_on_last_listing()).len(), 0);
}

#[test]
fn a_server_in_build_is_adopted_once_it_is_built() {
    let mut world = by_hand(1);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Build;
    world.order(all(&world));
    let decision = world.pass();
    assert_eq!(adoptions(&decision).len(), 0);
    assert!(decision.waiting.contains(&Waiting::Adopting { n: 1, former: Vec::new(), coming: 0 }));
    world.cloud.get_mut(&id).unwrap().status = Status::Active;
    assert_eq!(adoptions(&world.pass()), [&id]);
}

#[test]
fn what_is_a_member_already_takes_no_second_place() {
    let mut world = by_hand(1);
    world.order(Command::Set { capacity: 2 });
    world.order(all(&world));
    let decision = world.pass();
    assert_eq!((adoptions(&decision).len(), launches(&decision)), (1, vec![1]));
}

#[test]
fn a_server_that_went_after_the_order_ends_it_and_one_that_came_back_before_does_not() {
    let mut world = by_hand(3);
    let (id, server) = world.cloud.first_key_value().map(|(k, v)| (k.clone(), v.clone())).unwrap();
    world.order(Command::Freeze);
    world.order(servers([id.clone(), last(&world)], false));
    world.pass();
    world.cloud.remove(&id);
    world.pass();
    world.order(Command::Unfreeze);
    world.observe();
    let over = world.decide().changes.adopted.servers;
    assert_eq!(over, [id.clone()].into(), "and not the other one");

    let mut world = by_hand(3);
    world.cloud.remove(&id);
    world.pass();
    world.pass_time(SECOND);
    world.order(servers([id.clone()], true));
    let decision = world.decide();
    assert_eq!(adoptions(&decision), [&id], "it may have been restored");
    assert!(decision.changes.adopted.is_empty());
    world.cloud.insert(id, server);
    world.pass();
    assert_eq!(ours(&world), 1);
}

#[test]
fn an_order_for_servers_of_ours_has_nothing_to_say() {
    let mut world = settled(1, 10, 3);
    world.order(all(&world));
    let decision = world.pass();
    assert_eq!(decision.changes.adopted.servers.len(), 3);
    assert_eq!(decision.waiting, [], "{:?}", decision.sentences());
}

#[test]
fn a_renamed_group_is_looked_for_a_minute_and_the_next_look_is_at_its_end() {
    let mut world = settled(1, 10, 1);
    let ordered = world.now.steady;
    world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
    world.pass();
    look_until(&mut world, ordered.plus(30 * SECOND));
    let decision = world.pass_on_last_listing();
    assert!(decision.changes.adopted.former.is_empty());
    assert!(decision.waiting.contains(&Waiting::Adopting { n: 0, former: former(), coming: 0 }));
    assert_eq!(decision.next_look, ordered.plus(MINUTE));
    world.now = world.now.plus(30 * SECOND);
    world.observe();
    let decision = world.decide();
    assert_eq!(decision.changes.adopted.former, [renamed("old")].into());
    assert_eq!(decision.waiting, [], "{:?}", decision.sentences());
    assert_eq!(decision.next_look, world.now.steady.plus(MINUTE), "nothing is waited for");
}

/// It would be refused again: a person has to change something first.
#[test]
fn a_refused_server_keeps_no_search_for_its_group_alive_and_a_locked_one_does() {
    for (kind, over) in [(FailureKind::Refused, true), (FailureKind::Conflict, false)] {
        let (mut world, ordered) = one_left(kind);
        assert_eq!(world.intents.values().filter(|i| i.adopt().is_some()).count(), 1);
        let decision = world.pass();
        assert!(decision.changes.adopted.is_empty(), "{kind:?}: nothing is to be recorded");
        look_until(&mut world, ordered.plus(2 * MINUTE));
        let decision = world.decide();
        assert_eq!(!decision.changes.adopted.former.is_empty(), over, "{kind:?}");
    }
}

#[test]
fn a_refusal_of_an_earlier_order_says_nothing_of_a_later_one() {
    let (mut world, _) = one_left(FailureKind::Refused);
    world.pass_time(SECOND);
    let ordered = world.now.steady;
    world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
    world.order(Command::Freeze);
    world.pass();
    world.order(Command::Unfreeze);
    look_until(&mut world, ordered.plus(2 * MINUTE));
    let decision = world.decide();
    assert_eq!(adoptions(&decision).len(), 1);
    assert!(decision.changes.adopted.is_empty());
}

#[test]
fn a_search_that_no_listing_covered_ends_after_a_day() {
    for (late, over) in [(0, false), (1, true)] {
        let mut world = settled(1, 10, 1);
        let end = world.now.steady.plus(ADOPT_FOR);
        world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
        look_until(&mut world, end.plus(Duration::from_millis(late)));
        let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
        assert!(seen.sought.tags.is_empty());
        let decision = world.decide();
        assert_eq!(!decision.changes.adopted.former.is_empty(), over, "{late} ms too late");
    }
}
