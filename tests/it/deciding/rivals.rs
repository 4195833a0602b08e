//! Two installations on one group, by mistake.

use std::time::Duration;

use novascale::domain::explain::Situation;
use novascale::domain::id::{GroupName, InstallId, LaunchId, ServerId, mark};
use novascale::domain::plan::{Decision, Waiting};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use proptest::prelude::*;

use super::world::{World, group, launches, settled};

const MINUTE: Duration = Duration::from_secs(60);

fn second() -> World {
    let mut world = World::new(group(0, 20), 2);
    world.install = InstallId::from_bits(2);
    world.serial = 500;
    world
}

/// The same tag under another name of the group.
fn second_called(name: &str) -> World {
    let mut world = second();
    world.group.name = GroupName::new(name).unwrap();
    world
}

/// What one sees next is what the other has left.
fn pass_over(from: &World, to: &mut World) {
    to.cloud.clone_from(&from.cloud);
    if from.now.steady > to.now.steady {
        to.now = from.now;
    }
}

fn one_after_the_other(a: &mut World, b: &mut World, rounds: u32) -> (Decision, Decision) {
    for _ in 0..rounds {
        a.pass();
        a.pass_time(Duration::from_secs(2));
        pass_over(a, b);
        b.pass();
        b.pass_time(Duration::from_secs(2));
        pass_over(b, a);
    }
    let last = a.pass();
    pass_over(a, b);
    (last, b.pass())
}

fn of(n: u32, of: u128) -> (u32, Option<InstallId>) {
    (n, Some(InstallId::from_bits(of)))
}

#[test]
fn the_second_refuses_and_the_first_is_not_disturbed() {
    let mut first = settled(0, 20, 3);
    let mut second = second();
    pass_over(&first, &mut second);
    second.order(Command::Set { capacity: 8 });
    let (_, refusal) = one_after_the_other(&mut first, &mut second, 5);
    assert_eq!((second.created, second.deleted), (0, 0));
    let (n, install) = of(3, 1);
    assert!(refusal.waiting.contains(&Waiting::OtherInstall { n, install }));
    assert_eq!(refusal.situation(), Situation::Holding);
    assert!(refusal.headline().contains(InstallId::from_bits(1).as_str()));
    // It never knew: it scales both ways as ever.
    first.order(Command::Set { capacity: 5 });
    one_after_the_other(&mut first, &mut second, 5);
    first.order(Command::Set { capacity: 2 });
    first.pass_time(MINUTE);
    one_after_the_other(&mut first, &mut second, 10);
    assert_eq!((first.members(), second.created), (2, 0));
}

#[test]
fn the_first_is_who_has_the_oldest_server_whatever_it_is_called() {
    let mut first = World::new(group(0, 20), 1);
    first.serial = 900;
    first.order(Command::Set { capacity: 2 });
    first.settle(20);
    let mut second = second();
    second.now = first.now;
    second.order(Command::Set { capacity: 1 });
    second.pass();
    first.cloud.extend(second.cloud.clone());
    pass_over(&first, &mut second);
    let (goes_on, refuses) = one_after_the_other(&mut first, &mut second, 2);
    let (n, install) = of(1, 2);
    assert!(goes_on.waiting.contains(&Waiting::Rival { n, install }), "{:?}", goes_on.waiting);
    let (n, install) = of(2, 1);
    assert!(refuses.waiting.contains(&Waiting::OtherInstall { n, install }));
}

/// Neither can know of the other before its servers are seen.
#[test]
fn of_two_that_start_at_once_on_an_empty_group_one_goes_on_and_nothing_is_deleted() {
    let (mut a, mut b) = (World::new(group(0, 20), 1), second());
    a.order(Command::Set { capacity: 3 });
    b.order(Command::Set { capacity: 3 });
    a.observe();
    b.observe();
    a.pass_on_last_listing();
    b.pass_on_last_listing();
    let both = a.cloud.iter().chain(&b.cloud);
    let both: std::collections::BTreeMap<_, _> =
        both.map(|(k, v)| (k.clone(), v.clone())).collect();
    (a.cloud, b.cloud) = (both.clone(), both);
    let (goes_on, refuses) = one_after_the_other(&mut a, &mut b, 10);
    assert_eq!((a.members(), a.deleted + b.deleted, a.created + b.created), (6, 0, 6));
    let (n, install) = of(3, 2);
    assert!(goes_on.waiting.contains(&Waiting::Rival { n, install }));
    assert_eq!(goes_on.situation(), Situation::Holding, "{:?}", goes_on.sentences());
    let (n, install) = of(3, 1);
    assert!(refuses.waiting.contains(&Waiting::OtherInstall { n, install }));

    // The first still grows, and still sweeps what failed; the second does neither.
    a.order(Command::Set { capacity: 8 });
    b.order(Command::Set { capacity: 12 });
    one_after_the_other(&mut a, &mut b, 10);
    assert_eq!((a.members(), b.created), (8, 3));
    let failed = a.cloud.keys().nth(1).cloned().unwrap();
    a.cloud.get_mut(&failed).unwrap().status = Status::Error;
    one_after_the_other(&mut a, &mut b, 10);
    assert!(!a.cloud.contains_key(&failed));
    assert_eq!((a.members(), b.created, b.deleted), (8, 3, 0));

    // The other one has gone: what is too much goes.
    a.cloud.retain(|id, _| id.as_str() < "s00500");
    a.order(Command::Set { capacity: 2 });
    a.settle(40);
    assert_eq!(a.members(), 2);
}

/// What is known by id only may be older than all that is shown.
#[test]
fn nobody_is_first_while_a_rivals_server_is_hidden() {
    let (mut a, mut b) = (settled(0, 20, 3), second());
    b.order(Command::Set { capacity: 2 });
    b.pass();
    let theirs: Vec<_> = b.cloud.keys().cloned().collect();
    a.cloud.extend(b.cloud.clone());
    a.pass();
    a.order(Command::Set { capacity: 9 });
    a.observe();
    let novascale::domain::fleet::Observation::Seen(seen) = &mut a.observation else { panic!() };
    seen.servers.retain(|s| s.id != theirs[0]);
    seen.lookups.clear();
    let decision = a.pass_on_last_listing();
    assert_eq!(launches(&decision), Vec::<u32>::new());
    assert!(decision.waiting.iter().any(|w| matches!(w, Waiting::OtherInstall { n: 2, .. })));
    assert_eq!(launches(&a.pass()).iter().sum::<u32>(), 4, "they came later, as is seen again");
}

/// They agree on the tag alone: what each calls the group is nothing that the other knows.
#[test]
fn a_group_of_another_name_on_the_same_tag_is_a_rival_as_well() {
    let (mut first, mut second) = (settled(0, 20, 3), second_called("api"));
    pass_over(&first, &mut second);
    second.order(Command::Set { capacity: 8 });
    let (_, refusal) = one_after_the_other(&mut first, &mut second, 5);
    assert_eq!((second.created, second.deleted), (0, 0));
    let (n, install) = of(3, 1);
    assert!(refusal.waiting.contains(&Waiting::OtherInstall { n, install }));
    first.order(Command::Set { capacity: 5 });
    first.settle(20);
    assert_eq!((first.members(), first.created), (5, 5));
}

/// A server's marks as anybody may have left them, and its age in seconds.
type Marked = (Option<bool>, Option<&'static str>, Option<bool>, i64);

fn listing() -> impl Strategy<Value = Vec<Marked>> {
    let install = proptest::option::of(any::<bool>());
    let named = prop_oneof![Just(None), Just(Some("web")), Just(Some("api")), Just(Some("old"))];
    let launch = proptest::option::of(any::<bool>());
    proptest::collection::vec((install, named, launch, 0..4_i64), 0..6)
}

/// The same servers for both, in whatever order Nova gave out their ids.
fn show(world: &mut World, listing: &[Marked]) {
    for (at, (install, named, launch, age)) in listing.iter().enumerate() {
        world.add_by_hand();
        let (_, mut server) = world.cloud.pop_last().unwrap();
        server.id = ServerId::new(format!("s{}", (at * 7 + 3) % 11)).unwrap();
        (server.status, server.launched) = (Status::Active, true);
        server.created.0 = age * 1_000;
        let install = install.map(|first| InstallId::from_bits(if first { 1 } else { 2 }));
        let launch = launch.map(|valid| match valid {
            true => LaunchId::from_bits(at as u128).to_string(),
            false => "not one".to_owned(),
        });
        let marks = [
            (mark::INSTALL, install.map(|id| id.to_string())),
            (mark::GROUP, named.map(str::to_owned)),
            (mark::LAUNCH, launch),
        ];
        let marks = marks.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
        server.metadata.extend(marks);
        world.cloud.insert(server.id.clone(), server);
    }
}

fn goes_on(world: &mut World, listing: &[Marked]) -> bool {
    show(world, listing);
    world.order(Command::Set { capacity: 15 });
    let decision = world.pass();
    let refuses = decision.waiting.iter().any(|w| matches!(w, Waiting::OtherInstall { .. }));
    assert_ne!(refuses, !launches(&decision).is_empty(), "{:?}", decision.sentences());
    !refuses
}

proptest! {
    /// Whoever has the mark on the oldest server goes on, by the same rule on both sides.
    #[test]
    fn of_any_listing_exactly_one_of_two_goes_on(listing in listing(), same_name in any::<bool>()) {
        let (mut a, mut b) = (World::new(group(0, 20), 1), second());
        if !same_name {
            b = second_called("api");
        }
        let (a, b) = (goes_on(&mut a, &listing), goes_on(&mut b, &listing));
        let of = |first| listing.iter().any(|(install, ..)| *install == Some(first));
        match (of(true), of(false)) {
            (false, false) => prop_assert!(a && b, "nobody knows of the other"),
            (true, false) => prop_assert!(a && !b),
            (false, true) => prop_assert!(!a && b),
            (true, true) => prop_assert!(a != b, "a: {a}, b: {b}"),
        }
    }
}
