//! Orders to adopt, carried out on servers tagged by hand, on those of another installation,
//! and on those of a group that was renamed.

use std::time::Duration;

use novascale::domain::adoption::{ADOPTED_MOST, Adoptees, Former};
use novascale::domain::explain::Situation;
use novascale::domain::fleet::Observation;
use novascale::domain::id::{GroupName, InstallId, LaunchId, ServerId, Tag, mark};
use novascale::domain::plan::{Action, Decision, Tempering, Waiting};
use novascale::domain::server::{Ownership, Status};
use novascale::domain::signal::{Command, CommandError, Ordered, apply};

use super::world::{World, group, launches, settled, target, terminations};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn servers(ids: impl IntoIterator<Item = ServerId>, untagged: bool) -> Command {
    Command::Adopt(Adoptees::Servers { servers: ids.into_iter().collect(), untagged })
}

pub(super) fn all(world: &World) -> Command {
    servers(world.cloud.keys().cloned(), false)
}

pub(super) fn renamed(group: &str) -> Former {
    let tag = Tag::new(format!("novascale:{group}")).unwrap();
    Former { group: GroupName::new(group).unwrap(), tag }
}

pub(super) fn adoptions(decision: &Decision) -> Vec<&ServerId> {
    let adopted = decision.plan.iter().filter_map(|action| match action {
        Action::Adopt { adopt, .. } => Some(&adopt.server),
        Action::Launch { .. } | Action::Terminate { .. } => None,
    });
    adopted.collect()
}

pub(super) fn ours(world: &World) -> usize {
    let (install, group) = (&world.install, &world.group.name);
    world.cloud.values().filter(|s| s.ownership(install, group) == Ownership::Ours).count()
}

/// So many servers that people made and tagged for the group.
pub(super) fn by_hand(n: usize) -> World {
    let mut world = World::new(group(0, 20), 1);
    (0..n).for_each(|_| world.add_by_hand());
    for server in world.cloud.values_mut() {
        (server.status, server.launched) = (Status::Active, true);
    }
    world.pass();
    world.pass_time(SECOND);
    world
}

/// Passes until the orders are carried out.
fn carried_out(world: &mut World) -> Decision {
    for _ in 0..60 {
        let decision = world.pass();
        if world.state.adoptions.is_empty() && decision.plan.is_empty() {
            return decision;
        }
        world.pass_time(2 * SECOND);
    }
    let said = world.pass().sentences();
    panic!("{:?}: {said:?}", world.state.adoptions);
}

#[test]
fn hand_tagged_servers_become_ours_and_stay_until_an_operator_speaks() {
    let mut world = by_hand(25);
    world.order(all(&world));
    let first = world.pass();
    assert_eq!(adoptions(&first).len(), 20, "so many in one pass");
    assert_eq!(first.waiting[0], Waiting::Adopting { n: 25, former: Vec::new(), coming: 0 });
    let decision = carried_out(&mut world);
    assert_eq!(ours(&world), world.members(), "{} went", world.deleted);
    let held = Tempering::TakenOver { from: 0, to: 25 };
    assert_eq!(decision.tempering, [held, Tempering::Bounded { from: 25, to: 20 }]);
    // Above max it only shrinks; then it is held.
    world.pass_time(MINUTE);
    world.settle(40);
    assert_eq!((world.members(), world.created), (20, 0));
    world.pass_time(20 * MINUTE);
    assert_eq!(world.pass().desired, 20);
    world.order(Command::Set { capacity: 4 });
    world.settle(40);
    assert_eq!((world.members(), world.created), (4, 0));
}

#[test]
fn an_order_that_adopts_nothing_holds_nothing() {
    let mut world = by_hand(2);
    let nobody = ServerId::new("00000000-0000-0000-0000-000000000000").unwrap();
    world.order(servers([nobody], true));
    carried_out(&mut world);
    world.cloud.values_mut().for_each(|server| server.tags.clear());
    let decision = world.settle(40);
    assert_eq!((decision.desired, world.created), (0, 0), "{:#?}", decision.sentences());
}

#[test]
fn data_ends_what_an_adoption_holds() {
    let mut world = by_hand(6);
    world.group.policies = vec![target("load", 10.0)];
    world.order(all(&world));
    carried_out(&mut world);
    assert_eq!((world.pass().desired, ours(&world)), (6, 6));
    world.measure("load", 20.0);
    assert_eq!(world.pass().desired, 2);
}

/// What is on its way to the group takes room, and no launch is made in its place.
#[test]
fn an_untagged_server_is_not_launched_once_more() {
    let mut world = World::new(group(0, 3), 1);
    world.add_by_hand();
    let id = world.first_id();
    let server = world.cloud.get_mut(&id).unwrap();
    server.tags.clear();
    server.status = Status::Active;
    world.order(Command::Set { capacity: 1 });
    world.order(servers([id.clone()], true));
    let decision = world.pass();
    assert_eq!((adoptions(&decision), launches(&decision)), (vec![&id], vec![]));
    // The listing is older than the call.
    let decision = world.pass_on_last_listing();
    assert_eq!((adoptions(&decision), launches(&decision)), (vec![], vec![]));
    let decision = carried_out(&mut world);
    assert_eq!((ours(&world), decision.desired, world.created), (1, 1, 0));
    assert!(world.cloud[&id].has_tag(&world.group.tag));
    let launch = world.cloud[&id].launch().unwrap();
    assert_eq!(world.known[&id].launch, Some(launch), "its adoption id");
}

#[test]
fn a_server_that_is_not_there_ends_its_order() {
    let mut world = settled(1, 5, 2);
    world.order(servers([ServerId::new("nowhere").unwrap()], true));
    let decision = world.pass();
    assert_eq!(adoptions(&decision).len(), 1);
    world.pass_time(SECOND);
    carried_out(&mut world);
    assert_eq!((world.members(), world.created), (2, 2));
}

#[test]
fn a_refused_adoption_backs_off_is_explained_and_succeeds_later() {
    let mut world = by_hand(8);
    world.faults.denied = 100;
    world.order(all(&world));
    assert_eq!(adoptions(&world.pass()).len(), 8);
    world.pass_time(SECOND);
    let mut calls = 0;
    for _ in 0..600 {
        let decision = world.pass();
        calls += adoptions(&decision).len();
        if adoptions(&decision).is_empty() {
            assert_eq!(decision.situation(), Situation::Failing, "{:?}", decision.sentences());
            let words = decision.headline();
            assert!(words.contains("adopting hand") && words.contains("403"), "{words}");
        }
        world.pass_time(SECOND);
    }
    assert!(calls <= 8 * 12, "{calls} calls in ten minutes");
    world.faults.denied = 0;
    world.pass_time(10 * MINUTE);
    carried_out(&mut world);
    assert_eq!(ours(&world), 8);
}

/// Nova refuses to mark it; the others need not wait for it.
#[test]
fn a_locked_server_waits_alone_and_for_a_day_at_most() {
    let mut world = by_hand(3);
    let locked = world.first_id();
    world.cloud.get_mut(&locked).unwrap().locked = true;
    world.order(all(&world));
    for _ in 0..40 {
        world.pass();
        world.pass_time(10 * SECOND);
    }
    assert_eq!(ours(&world), 2);
    assert_eq!(world.state.adoptions.len(), 1);
    world.pass_time(24 * 60 * MINUTE);
    carried_out(&mut world);
    assert_eq!(ours(&world), 2, "the order was given up");
}

#[test]
fn lost_replies_and_crashes_are_repaired_by_the_next_passes() {
    for seed in 0..40 {
        let mut world = by_hand(6);
        world.dice = super::world::Dice(rand::SeedableRng::seed_from_u64(seed));
        (world.faults.reply_lost, world.faults.crash, world.faults.lag) = (30, 30, 20);
        world.order(all(&world));
        for _ in 0..20 {
            world.pass();
            world.pass_time(5 * SECOND);
        }
        world.faults = Default::default();
        world.pass_time(10 * MINUTE);
        carried_out(&mut world);
        assert_eq!((ours(&world), world.deleted), (6, 0), "seed {seed}");
    }
}

#[test]
fn nothing_is_adopted_without_a_sound_listing() {
    let mut world = by_hand(3);
    world.order(all(&world));
    world.observation = Observation::Unseen { since: world.now, why: "503".into() };
    let decision = world.pass_on_last_listing();
    assert!(decision.plan.is_empty());
    assert!(decision.waiting.contains(&Waiting::Adopting { n: 3, former: Vec::new(), coming: 0 }));
    assert!(matches!(decision.waiting[0], Waiting::Unseen { .. }));
    assert_eq!(adoptions(&world.pass()).len(), 3);
}

/// The install id is lost as well: what it launched is a stranger's, until it is adopted.
#[test]
fn a_lost_install_id_freezes_the_group_until_it_is_adopted() {
    let mut world = settled(1, 10, 4);
    world.lose_state();
    world.install = InstallId::from_bits(9);
    for _ in 0..3 {
        let decision = world.pass();
        assert!(decision.plan.is_empty());
        assert_eq!(decision.situation(), Situation::Holding);
        let words = decision.headline();
        assert!(words.contains("novascale adopt"), "{words}");
        world.pass_time(MINUTE);
    }
    world.order(all(&world));
    let decision = carried_out(&mut world);
    assert_eq!((ours(&world), decision.desired, world.deleted), (4, 4, 0));
    world.order(Command::Set { capacity: 6 });
    world.settle(20);
    world.order(Command::Set { capacity: 1 });
    world.settle(20);
    assert_eq!((world.members(), ours(&world)), (1, 1));
}

/// As it is after `[group.old]` has become `[group.web]`.
pub(super) fn after_a_new_name() -> World {
    let mut world = settled(1, 10, 4);
    let former = renamed("old");
    for server in world.cloud.values_mut() {
        server.metadata.insert(mark::GROUP.into(), "old".into());
        server.tags[0] = former.tag.to_string();
    }
    world.lose_state();
    world
}

#[test]
fn a_renamed_group_takes_its_servers_over_and_no_tag_is_left() {
    let mut world = after_a_new_name();
    world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
    let decision = world.pass();
    let looking =
        Waiting::Adopting { n: 0, former: vec![GroupName::new("old").unwrap()], coming: 0 };
    assert!(decision.waiting.contains(&looking), "{:?}", decision.sentences());
    world.pass_time(2 * SECOND);
    assert_eq!(adoptions(&world.pass()).len(), 4);
    // One was left half way by a crash: its old tag is still on it.
    let half = world.cloud.keys().last().cloned().unwrap();
    world.cloud.get_mut(&half).unwrap().tags.push("novascale:OLD".into());
    world.pass_time(2 * SECOND);
    carried_out(&mut world);
    let old = renamed("old").tag;
    assert!(world.cloud.values().all(|s| !s.has_tag(&old) || !s.has_tag(&world.group.tag)));
    // What the first pass had launched for its min is newest, and goes first.
    assert_eq!((ours(&world), world.pass().desired), (5, 5));
    assert!(world.deleted == 0);
}

#[test]
fn a_renamed_group_that_kept_its_tag_needs_no_other_listing() {
    let mut world = after_a_new_name();
    let tag = world.group.tag.clone();
    for server in world.cloud.values_mut() {
        server.tags[0] = tag.to_string();
    }
    let former = Former { tag, ..renamed("old") };
    world.order(Command::Adopt(Adoptees::renamed(former)));
    let decision = world.pass();
    assert_eq!((adoptions(&decision).len(), decision.changes.sought.len()), (4, 0));
    carried_out(&mut world);
    assert_eq!(ours(&world), 4);
}

/// An order is over when the tag was looked for, and not when nobody looked.
#[test]
fn a_former_group_is_looked_for_until_a_listing_has_covered_its_tag() {
    let mut world = after_a_new_name();
    world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
    world.pass_time(5 * MINUTE);
    for _ in 0..5 {
        world.observe();
        let Observation::Seen(seen) = &mut world.observation else { panic!() };
        seen.sought = Default::default();
        world.pass_on_last_listing();
        world.pass_time(MINUTE);
    }
    assert_eq!(world.state.adoptions.len(), 1);
    assert_eq!(adoptions(&world.pass()).len(), 4);
}

/// A crash, or an answer that was lost, after any of the calls.
#[test]
fn what_was_left_half_way_is_finished() {
    let (tag, old) = (World::new(group(0, 1), 1).group.tag.to_string(), renamed("old"));
    let mut world = after_a_new_name();
    let ids: Vec<ServerId> = world.cloud.keys().cloned().collect();
    let [tagged, marked, ..] = ids.as_slice() else { panic!() };
    world.cloud.get_mut(tagged).unwrap().tags.push(tag.clone());
    let server = world.cloud.get_mut(marked).unwrap();
    server.tags.push(tag.clone());
    server.metadata.insert(mark::GROUP.into(), "web".into());
    world.order(Command::Adopt(Adoptees::renamed(old.clone())));
    world.pass();
    world.pass_time(2 * SECOND);
    carried_out(&mut world);
    assert_eq!(world.cloud.values().filter(|s| s.has_tag(&old.tag)).count(), 0);
    assert_eq!(world.cloud.len(), ours(&world));

    let mut world = by_hand(1);
    let id = world.first_id();
    // Ordered when it had no tag.
    world.order(servers([id.clone()], true));
    let decision = world.pass();
    assert_eq!(adoptions(&decision), [&id]);
    carried_out(&mut world);
    assert_eq!(ours(&world), 1);
}

/// Nobody settles what was under way for a group that is gone: the order waits for it.
#[test]
fn a_launch_of_the_former_group_that_lands_late_is_taken_over() {
    let launch = LaunchId::from_bits(77);
    let order = |world: &mut World| {
        let coming = [(launch.clone(), 2)].into();
        world.order(Command::Adopt(Adoptees::Renamed { former: renamed("old"), coming }));
    };
    let mut world = after_a_new_name();
    let mut late: Vec<_> = world.cloud.values().take(2).cloned().collect();
    order(&mut world);
    for _ in 0..54 {
        world.pass();
        world.pass_time(10 * SECOND);
    }
    assert_eq!(ours(&world), 5);
    let decision = world.pass();
    let former = vec![GroupName::new("old").unwrap()];
    assert!(decision.waiting.contains(&Waiting::Adopting { n: 0, former, coming: 2 }));
    let words = decision.sentences().join(" ");
    assert!(words.contains("whether 2 servers that were being launched come"), "{words}");
    for (at, server) in late.iter_mut().enumerate() {
        server.id = ServerId::new(format!("t{at}")).unwrap();
        server.metadata.insert(mark::LAUNCH.into(), launch.to_string());
        world.cloud.insert(server.id.clone(), server.clone());
    }
    carried_out(&mut world);
    assert_eq!(ours(&world), 7);

    // What never came was waited for, no longer than a launch takes to settle.
    let mut world = after_a_new_name();
    order(&mut world);
    for _ in 0..63 {
        world.pass();
        world.pass_time(10 * SECOND);
    }
    assert!(world.state.adoptions.is_empty(), "{:?}", world.pass().sentences());
    assert_eq!(ours(&world), 5);
}

#[test]
fn strangers_of_the_former_tag_are_left_alone() {
    let mut world = after_a_new_name();
    let (a, b) = (world.first_id(), world.cloud.keys().last().cloned().unwrap());
    world.cloud.get_mut(&a).unwrap().metadata.clear();
    let theirs = &mut world.cloud.get_mut(&b).unwrap().metadata;
    theirs.insert(mark::INSTALL.into(), "f".repeat(32));
    world.order(Command::Adopt(Adoptees::renamed(renamed("old"))));
    world.pass();
    world.pass_time(2 * SECOND);
    assert_eq!(adoptions(&world.pass()).len(), 2);
    world.pass_time(2 * SECOND);
    carried_out(&mut world);
    assert!(
        !world.cloud[&a].has_tag(&world.group.tag) && !world.cloud[&b].has_tag(&world.group.tag)
    );
}

#[test]
fn nothing_goes_because_of_an_order_that_came_while_all_was_well() {
    let mut world = settled(1, 10, 3);
    world.order(all(&world));
    let decision = world.pass();
    assert_eq!((adoptions(&decision).len(), terminations(&decision).len()), (0, 0));
    assert!(world.state.adoptions.is_empty(), "they are ours already");
}

/// Said before anything is ordered: what would follow.
#[test]
fn what_follows_an_adoption_is_said_with_its_speed() {
    let said = |world: &mut World, adopted, newcomers| {
        let velocity = novascale::domain::behaviour::Velocity { percent: 25.0 };
        world.pass().once_adopted(adopted, newcomers, velocity)
    };
    let mut world = by_hand(8);
    assert!(said(&mut world, 8, 0).starts_with("what stands is held at 8 until every signal"));
    assert!(said(&mut world, 10, 2).starts_with("what stands is held at 10 until"));
    world.group.bounds.max = 5;
    let words = said(&mut world, 8, 0);
    assert!(words.starts_with("max is 5: 3 more than that go, at most 2 a minute"), "{words}");
    world.group.policies = vec![target("load", 10.0)];
    world.measure("load", 20.0);
    let words = said(&mut world, 8, 0);
    assert_eq!(words, "desired is 2: 6 more than that go, at most 2 a minute");
    assert_eq!(said(&mut world, 1, 0), "desired is 2: 1 more than that go, at most 2 a minute");
    world.order(Command::Pin { capacity: 5, until: None });
    let words = said(&mut world, 8, 0);
    assert_eq!(words, "desired is 5: 3 more than that go, at most 2 a minute");
}

#[test]
fn a_frozen_group_adopts_nothing_until_it_is_let_go() {
    let mut world = by_hand(2);
    world.order(Command::Freeze);
    world.order(all(&world));
    let decision = world.pass();
    assert!(decision.plan.is_empty() && decision.situation() == Situation::Frozen);
    assert!(decision.waiting.contains(&Waiting::Adopting { n: 2, former: Vec::new(), coming: 0 }));
    world.order(Command::Unfreeze);
    carried_out(&mut world);
    assert_eq!(ours(&world), 2);
}

#[test]
fn orders_are_bounded_and_the_last_word_on_a_server_counts() {
    let (bounds, at) = (group(0, 5).bounds, World::new(group(0, 5), 1).now);
    let ids = |n: usize| (0..n).map(|i| ServerId::new(format!("s{i}")).unwrap());
    let give = |state: &_, command| {
        apply(state, &Ordered { command, at, by: "test".into(), reason: None }, bounds)
    };
    let state = give(&Default::default(), servers(ids(ADOPTED_MOST), false)).unwrap();
    let more = servers([ServerId::new("one-more").unwrap()], false);
    assert_eq!(give(&state, more), Err(CommandError::TooManyAdoptions));
    let again = give(&state, servers(ids(ADOPTED_MOST), true)).unwrap();
    assert_eq!(again.adoptions.len(), 1, "the earlier order has no server left");
    let mut state = state;
    for n in 0..8 {
        let former = renamed(&format!("old{n}"));
        state = give(&state, Command::Adopt(Adoptees::renamed(former))).unwrap();
    }
    let ninth = Command::Adopt(Adoptees::renamed(renamed("old9")));
    assert_eq!(give(&state, ninth), Err(CommandError::TooManyFormer));
    let eighth = Command::Adopt(Adoptees::renamed(renamed("old7")));
    assert!(give(&state, eighth).is_ok(), "it is known");
}
