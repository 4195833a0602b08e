//! How far each intent got, to the listing that tells it; and what is learned of a server.

use std::sync::Arc;
use std::time::Duration;

use novascale::domain::adoption::Adoptees;
use novascale::domain::fleet::{Found, Lookup, Observation, Seen};
use novascale::domain::id::{Region, ServerId, Zone};
use novascale::domain::intent::{Intent, State};
use novascale::domain::outcome::FailureKind;
use novascale::domain::server::{Fault, KnownState, Server, Status};
use novascale::domain::signal::Command;

use super::world::{Faults, World, group, launches, settled, terminations};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn seen(world: &mut World) -> &mut Seen {
    match &mut world.observation {
        Observation::Seen(seen) => seen,
        Observation::Unseen { why, .. } => panic!("{why}"),
    }
}

fn state(world: &World, of: impl Fn(&Intent) -> bool) -> State {
    world.intents.values().find(|i| of(i)).unwrap().state.clone()
}

/// The server that somebody tagged.
fn by_hand(world: &World) -> ServerId {
    world.cloud.keys().find(|id| id.as_str().starts_with("hand")).cloned().unwrap()
}

/// The newest launch.
fn launch(world: &World) -> Intent {
    let launches = world.intents.values().filter(|i| i.launch().is_some());
    launches.max_by_key(|i| i.opened.steady).unwrap().clone()
}

fn absent(world: &World) -> bool {
    matches!(launch(world).state, State::Unsettled { absent: Some(_), .. })
}

fn given_up(world: &World) -> bool {
    world.intents.values().any(|i| matches!(i.state, State::Abandoned { .. }))
}

/// Two servers, and a launch of four more of which nobody knows; the settling time is over and
/// one listing has shown none of them.
fn long_unclear() -> World {
    let mut world = settled(0, 8, 2);
    world.faults.request_lost = 100;
    world.order(Command::Set { capacity: 6 });
    world.pass();
    world.faults.request_lost = 0;
    let State::Unsettled { since, .. } = launch(&world).state else { panic!("unclear") };
    world.now = since.plus(10 * MINUTE);
    world.pass();
    assert!(!absent(&world), "it began when the time was over, and not after that");
    world.pass();
    assert!(absent(&world), "{:?}", launch(&world));
    world
}

#[test]
fn an_unclear_launch_is_given_up_by_a_second_listing_and_by_no_second_look_at_the_first() {
    let mut world = long_unclear();
    for _ in 0..3 {
        world.pass_on_last_listing();
        assert!(absent(&world), "{:?}", launch(&world));
    }
    world.pass_time(SECOND);
    world.pass();
    assert!(given_up(&world), "{:?}", world.intents);
}

#[test]
fn an_unclear_launch_is_not_given_up_while_a_known_server_is_missing() {
    let mut world = long_unclear();
    world.faults.blind = 100;
    for _ in 0..3 {
        world.pass_time(SECOND);
        world.observe();
        seen(&mut world).servers.pop();
        world.pass_on_last_listing();
        assert!(absent(&world), "{:?}", launch(&world));
    }
    world.pass_time(SECOND);
    world.pass();
    assert!(given_up(&world), "{:?}", world.intents);
}

#[test]
fn of_an_unclear_launch_what_came_counts_in_the_end() {
    let mut world = settled(0, 8, 2);
    world.faults.reply_lost = 100;
    world.order(Command::Set { capacity: 6 });
    world.pass();
    world.faults.reply_lost = 0;
    let gone: Vec<ServerId> = world.cloud.keys().rev().take(3).cloned().collect();
    gone.iter().for_each(|id| drop(world.cloud.remove(id)));
    let first = launch(&world).id;
    world.pass_time(10 * MINUTE + SECOND);
    world.pass();
    world.pass_time(SECOND);
    let decision = world.pass();
    assert!(matches!(world.intents[&first].state, State::Closed { done: 1, .. }));
    assert_eq!(launches(&decision), [3], "{:?}", decision.sentences());
}

/// What began in the same moment may have been first.
#[test]
fn a_listing_tells_nothing_of_what_was_answered_when_it_began_or_later() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 3 });
    world.pass();
    world.cloud.clear();
    let id = launch(&world).id;
    for (late, told) in [(0, false), (1, true)] {
        world.observe();
        let began = seen(&mut world).began;
        let earlier = began.steady.minus(Duration::from_millis(late));
        let State::Accepted { at, .. } = &mut world.intents.get_mut(&id).unwrap().state else {
            panic!("accepted")
        };
        at.steady = earlier;
        let decision = world.decide();
        let short = decision.changes.intents.iter().find(|i| i.id == id);
        assert_eq!(short.is_some(), told, "{late} ms later: {short:?}");
    }
}

#[test]
fn a_launch_is_proven_once_one_of_its_servers_serves() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 3 });
    world.pass();
    world.pass();
    assert!(!launch(&world).launch().unwrap().proven);
    world.pass_time(10 * SECOND);
    world.pass();
    assert!(launch(&world).launch().unwrap().proven);
}

#[test]
fn an_unclear_delete_is_over_when_a_later_listing_tells() {
    for (lost, deleting) in [(true, false), (false, true)] {
        let mut world = settled(0, 8, 3);
        if lost {
            world.faults.request_lost = 100;
        } else {
            world.faults.reply_lost = 100;
        }
        world.order(Command::Set { capacity: 2 });
        world.pass();
        let delete = |world: &World| state(world, |i| i.terminate().is_some());
        world.pass_on_last_listing();
        assert!(matches!(delete(&world), State::Unsettled { .. }), "{:?}", delete(&world));
        // Still there, and in one case on its way out.
        world.faults = Faults { delete_hangs: 100, ..Faults::default() };
        world.pass_time(Duration::from_millis(1));
        assert_eq!(world.cloud[&world.first_id()].deleting, deleting);
        world.observe();
        let changed = world.decide().changes.intents;
        let changed = changed.iter().find(|i| i.terminate().is_some()).unwrap();
        let accepted = matches!(changed.state, State::Accepted { .. });
        let spared = matches!(changed.state, State::Closed { done: 0, .. });
        assert_eq!((accepted, spared), (deleting, !deleting), "{:?}", changed.state);
    }
}

#[test]
fn an_unclear_adoption_is_over_when_a_later_listing_tells_whose_the_server_is() {
    for (lost, done) in [(true, 0), (false, 1)] {
        let mut world = settled(0, 8, 1);
        world.add_by_hand();
        world.pass();
        let id = by_hand(&world);
        world.cloud.get_mut(&id).unwrap().status = Status::Active;
        world.faults.reply_lost = 100;
        let servers = [id.clone()].into();
        world.order(Command::Adopt(Adoptees::Servers { servers, untagged: false }));
        world.pass();
        if lost {
            world.cloud.get_mut(&id).unwrap().metadata.clear();
        }
        world.pass_time(Duration::from_millis(1));
        world.observe();
        let changed = world.decide().changes.intents;
        let changed = changed.iter().find(|i| i.adopt().is_some_and(|a| a.server == id)).unwrap();
        assert_eq!(changed.state, State::Closed { at: world.now, done });
    }
}

#[test]
fn a_server_that_was_restored_is_a_member_again_and_its_end_is_proved_anew() {
    let mut world = settled(0, 8, 3);
    world.observe();
    let (id, server) = world.cloud.pop_first().unwrap();
    world.order(Command::Set { capacity: 2 });
    world.pass_on_last_listing();
    let known = |world: &World| world.known[&id].state;
    // A look by id says nothing; but its delete was answered with a 404.
    world.faults.blind = 100;
    world.pass_time(Duration::from_millis(1));
    world.pass();
    assert_eq!(known(&world), KnownState::Gone);
    world.faults.blind = 0;
    world.pass_on_last_listing();
    assert_eq!(known(&world), KnownState::Gone);

    world.order(Command::Set { capacity: 3 });
    world.cloud.insert(id.clone(), server);
    world.pass_time(SECOND);
    let decision = world.pass();
    assert_eq!((known(&world), decision.tally.serving), (KnownState::Listed, 3));
    world.faults.blind = 100;
    world.observe();
    seen(&mut world).servers.retain(|s| s.id != id);
    world.pass_on_last_listing();
    assert_eq!(known(&world), KnownState::Missing, "that proof is of another time");
}

#[test]
fn a_server_is_gone_since_the_look_that_proved_it() {
    let mut world = settled(0, 8, 3);
    let id = world.first_id();
    world.cloud.remove(&id);
    world.pass();
    world.pass_time(SECOND);
    world.pass();
    let began = seen(&mut world).began.steady;
    let known = &world.known[&id];
    assert_eq!(known.state, KnownState::Gone);
    assert!(known.since <= began && known.since < world.now.steady.minus(4 * MILLI));
}

/// A listing that began before the proof may still show what is gone; a later one shows what was
/// restored.
#[test]
fn a_listing_brings_back_only_what_was_gone_when_it_began() {
    for (later, serving) in [(MILLI, 2), (Duration::ZERO, 3)] {
        let mut world = settled(0, 8, 3);
        world.observe();
        let began = seen(&mut world).began.steady;
        let id = world.first_id();
        let known = world.known.get_mut(&id).unwrap();
        (known.state, known.since) = (KnownState::Gone, began.plus(later));
        assert_eq!(world.decide().tally.serving, serving, "{later:?} after it began");
    }
}

#[test]
fn the_zone_of_a_server_is_remembered() {
    let mut world = World::new(group(0, 8), 1);
    let zone = Zone::new("a").unwrap();
    world.group.template.zones = vec![zone.clone()];
    world.order(Command::Set { capacity: 1 });
    world.settle(10);
    assert_eq!(world.known[&world.first_id()].zone, Some(zone));
}

#[test]
fn the_next_look_is_when_the_patience_with_a_build_ends() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 1 });
    world.pass();
    world.pass();
    let id = world.first_id();
    let end = world.known[&id].first_seen.plus(world.group.patience.build);
    let look = |world: &mut World, status: Status, early: u64| {
        world.cloud.get_mut(&id).unwrap().status = status;
        world.observe();
        seen(world).began.steady = end.minus(Duration::from_millis(early));
        world.now.steady = end.minus(Duration::from_millis(early));
        world.decide()
    };
    let instant = Duration::from_millis(1);
    let decision = look(&mut world, Status::Build, 20_000);
    assert_eq!((decision.next_look, decision.tally.building), (end.plus(instant), 1));
    let decision = look(&mut world, Status::Active, 20_000);
    assert_eq!(decision.next_look, end.plus(40 * SECOND), "it is built");
    let decision = look(&mut world, Status::Build, 0);
    assert_eq!((decision.tally.building, decision.tally.failed), (1, 0), "its last moment");
    // The listing is older than the end: a look at it tells nothing new.
    world.now.steady = end.plus(instant);
    let decision = world.decide();
    assert_eq!(decision.tally.building, 1);
    assert_eq!(decision.next_look, world.now.steady.plus(MINUTE));
}

#[test]
fn who_is_gone_or_of_another_region_is_not_asked_for() {
    let mut world = settled(0, 8, 3);
    let (gone, _) = world.cloud.pop_first().unwrap();
    world.pass();
    assert_eq!(world.known[&gone].state, KnownState::Gone);
    world.observe();
    let watched = world.decide().changes.watched;
    assert!(!watched.contains(&gone) && watched.len() >= 2, "{watched:?}");
    world.group.region = Region::new("R2").unwrap();
    world.observe();
    assert_eq!(world.decide().changes.watched, []);
}

/// Nova hides it and frees its quota; somebody may restore it.
#[test]
fn a_soft_deleted_server_is_gone_and_nothing_to_sweep() {
    let mut world = settled(0, 8, 3);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::SoftDeleted;
    let decision = world.pass();
    assert_eq!((decision.tally.failed, terminations(&decision).len()), (0, 0), "listed");

    let mut world = settled(0, 8, 3);
    world.cloud.get_mut(&id).unwrap().status = Status::SoftDeleted;
    world.observe();
    let hidden = seen(&mut world).servers.remove(0);
    let began = world.now;
    let (lookup, found) = (hidden.id.clone(), Found::Present(hidden));
    seen(&mut world).lookups.push(Lookup { id: lookup, began, found });
    let decision = world.pass_on_last_listing();
    assert_eq!(world.known[&id].state, KnownState::Gone);
    assert_eq!(launches(&decision), [1]);
}

/// A GET that came later may tell less.
#[test]
fn a_fault_that_was_told_is_not_forgotten_for_a_look_without_one() {
    let told = Fault { code: 500, message: "No valid host was found.".into() };
    for (listed, asked) in
        [(Some(told.clone()), None), (None, Some(told.clone())), (Some(told.clone()), Some(told))]
    {
        let mut world = settled(0, 8, 3);
        let id = world.first_id();
        let server = world.cloud.get_mut(&id).unwrap();
        (server.status, server.fault) = (Status::Error, listed.clone());
        let found = Server { fault: asked.clone(), ..server.clone() };
        world.observe();
        let (began, found) = (world.now, Found::Present(Arc::new(found)));
        seen(&mut world).lookups.push(Lookup { id: id.clone(), began, found });
        world.pass_on_last_listing();
        let failure = world.known[&id].failure;
        assert_eq!(failure, Some(FailureKind::Capacity), "{listed:?}, {asked:?}");
    }
}

/// Its end counts against velocity, whatever it is by now.
#[test]
fn who_was_active_once_has_served() {
    for (status, launched, served) in [
        (Status::Active, false, true),
        (Status::Shutoff, true, true),
        (Status::Error, true, true),
        (Status::Error, false, false),
        (Status::Build, false, false),
    ] {
        let mut world = settled(0, 8, 1);
        world.add_by_hand();
        let id = by_hand(&world);
        let server = world.cloud.get_mut(&id).unwrap();
        (server.status, server.launched) = (status.clone(), launched);
        world.pass();
        assert_eq!(world.known[&id].served, served, "{status:?}, launched: {launched}");
    }
}

/// What is stopped for that long has not failed.
#[test]
fn a_build_beyond_its_patience_found_no_host() {
    for (status, failure) in [
        (Status::Build, Some(FailureKind::Capacity)),
        (Status::Shutoff, None),
        (Status::Unknown, None),
        (Status::Active, None),
    ] {
        let mut world = settled(0, 8, 2);
        let id = world.first_id();
        world.pass_time(16 * MINUTE);
        world.cloud.get_mut(&id).unwrap().status = status.clone();
        world.pass();
        assert_eq!(world.known[&id].failure, failure, "{status:?}");
    }
}
