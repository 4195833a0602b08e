//! Alerts: step by step while they fire, and let go at their end.

use rstest::rstest;

use super::*;
use novascale::domain::alert::AlertTold;
use novascale::domain::id::AlertName;
use novascale::domain::policy::{Alert, Asks, Change};
use novascale::domain::signal::Command;

fn policy(asks: Asks) -> Policy {
    let alert = AlertName::new("QueueHigh").unwrap();
    Policy::Alert(Alert { alert, asks, expires_after: 60 * MINUTE })
}

fn by_steps() -> Policy {
    policy(Asks::More { change: Change::Servers(2), every: 5 * MINUTE, most: 5 })
}

fn tell(world: &mut World, firing: bool, fingerprint: &str) {
    tell_of(world, "QueueHigh", firing, fingerprint);
}

fn tell_of(world: &mut World, name: &str, firing: bool, fingerprint: &str) {
    let name = AlertName::new(name).unwrap();
    let fingerprint = fingerprint.to_owned();
    let alert = AlertTold { fingerprint, ..AlertTold::new(name, firing) };
    world.order(Command::Alerts { alerts: vec![alert] });
}

fn desired(world: &mut World) -> u32 {
    world.pass().desired
}

#[test]
fn it_grows_step_by_step_and_lets_go() {
    let mut world = fleet(3, by_steps());
    world.pass();
    tell(&mut world, true, "");
    let decision = world.pass();
    assert_eq!(decision.desired, 5, "2 more than the 3 that were desired");
    assert_eq!(
        decision.sentences()[0],
        "5 wanted: the alert QueueHigh fires for 1 s: 2 more than the 3 desired when it began."
    );
    assert_eq!(decision.next_look.since(decision.at.steady).as_secs(), 60, "the usual look");
    world.pass_time(5 * MINUTE);
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 7, "an interval later: 2 more");
    world.pass_time(5 * MINUTE);
    assert_eq!(desired(&mut world), 8, "never more than 5 above where it began");
    world.pass_time(30 * MINUTE);
    assert_eq!(desired(&mut world), 8);
    tell(&mut world, false, "");
    assert_eq!(desired(&mut world), 3, "an end that is announced does not wait");
    assert!(world.memory.as_ref().unwrap().policies.is_empty(), "and nothing of it is remembered");
}

/// The usual look is a minute after the last.
#[rstest]
#[case::a_step_is_left(Change::Servers(2), 5, 2, 30)]
#[case::with_one_step_it_is_at_its_most(Change::Servers(2), 2, 2, 60)]
#[case::a_step_of_nothing(Change::Servers(0), 5, 0, 60)]
fn the_next_look_is_at_the_next_step(
    #[case] change: Change,
    #[case] most: u32,
    #[case] more: u32,
    #[case] next_secs: u64,
) {
    let mut world = fleet(3, policy(Asks::More { change, every: 30 * SECOND, most }));
    world.pass();
    tell(&mut world, true, "");
    let decision = world.pass();
    let next = decision.next_look.since(decision.at.steady).as_secs();
    assert_eq!((decision.desired, next), (3 + more, next_secs));
    if next_secs < 60 {
        world.now.steady = decision.next_look;
        assert_eq!(world.decide().desired, 3 + 2 * more, "it is due to the moment");
    }
}

#[test]
fn repeating_it_changes_nothing() {
    let mut world = fleet(3, by_steps());
    world.pass();
    for _ in 0..4 {
        tell(&mut world, true, "");
        assert_eq!(desired(&mut world), 5);
        world.pass_time(30 * SECOND);
    }
}

#[test]
fn alerts_of_one_name_count_as_one() {
    let mut world = fleet(3, by_steps());
    world.pass();
    tell(&mut world, true, "a");
    assert_eq!(desired(&mut world), 5);
    world.pass_time(5 * MINUTE);
    tell(&mut world, true, "b");
    tell(&mut world, false, "a");
    assert_eq!(desired(&mut world), 7, "it fires on, and from the same beginning");
    tell(&mut world, false, "b");
    assert_eq!(desired(&mut world), 3);
}

#[test]
fn one_that_nobody_renews_has_ended() {
    let mut world = fleet(3, by_steps());
    world.pass();
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 5);
    world.pass_time(59 * MINUTE);
    assert_eq!(desired(&mut world), 7);
    world.pass_time(MINUTE);
    assert_eq!(desired(&mut world), 3);
}

#[test]
fn it_may_ask_for_a_number() {
    let mut world = fleet(3, policy(Asks::Capacity(6)));
    world.pass();
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 6);
    tell(&mut world, false, "");
    assert_eq!(desired(&mut world), 3);
}

#[test]
fn a_share_is_one_of_what_was_desired() {
    let asks =
        Asks::More { change: Change::Percent { by: 50.0, least: 1 }, every: MINUTE, most: 100 };
    let mut world = fleet(4, policy(asks));
    world.pass();
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 6);
    world.pass_time(MINUTE);
    assert_eq!(desired(&mut world), 8);
}

#[test]
fn it_ends_no_cooldown() {
    let mut world = fleet(3, by_steps());
    world.group.behaviour.scale_in.cooldown = MINUTE;
    world.order(Command::Set { capacity: 4 });
    world.pass();
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 6);
    tell(&mut world, false, "");
    assert_eq!(desired(&mut world), 6, "the servers of a moment ago are not taken away again");
    world.pass_time(MINUTE);
    assert_eq!(desired(&mut world), 4);
    assert!(world.memory.as_ref().unwrap().policies.is_empty(), "and it is forgotten");
}

/// Two alerts that each ask for two more.
fn beside_another(n: u32) -> World {
    let asks = Asks::More { change: Change::Servers(2), every: 60 * MINUTE, most: 2 };
    let mut world = fleet(n, policy(asks));
    let alert = AlertName::new("Slow").unwrap();
    world.group.policies.push(Policy::Alert(Alert { alert, asks, expires_after: 60 * MINUTE }));
    world
}

#[test]
fn an_alert_beside_another_begins_at_what_all_others_ask_for() {
    let mut world = beside_another(3);
    let total = novascale::domain::policy::Total::of(reading("cpu"), 10.0);
    world.group.policies.push(Policy::Total(total));
    world.measure("cpu", 30.0);
    world.pass();
    tell_of(&mut world, "Slow", true, "");
    assert_eq!(desired(&mut world), 5);
    world.measure("cpu", 80.0);
    assert_eq!(desired(&mut world), 8);
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 10, "2 more than the 8 that the load asks for");
}

#[test]
fn alerts_do_not_climb_on_each_other() {
    let mut world = beside_another(3);
    world.group.behaviour.scale_in.cooldown = MINUTE;
    world.pass();
    let mut turn = |firing| {
        tell_of(&mut world, "Slow", firing, "");
        let with_slow = world.pass().desired;
        tell(&mut world, !firing, "");
        let with_other = world.pass().desired;
        world.pass_time(10 * SECOND);
        with_slow.max(with_other)
    };
    for n in 0..12 {
        let most = turn(n % 2 == 0);
        assert!(most <= 5, "{most} at turn {n}");
    }
}

#[test]
fn a_policy_that_finds_it_firing_begins_with_one_step() {
    let mut world = fleet(3, policy(Asks::Capacity(0)));
    world.pass();
    tell(&mut world, true, "");
    world.pass_time(50 * MINUTE);
    world.group.policies = vec![by_steps()];
    assert_eq!(desired(&mut world), 5);
    assert_eq!(desired(&mut world), 5);
    world.pass_time(5 * MINUTE);
    assert_eq!(desired(&mut world), 7);
}

#[test]
fn behind_a_pin_nothing_adds_up() {
    let mut world = fleet(3, by_steps());
    world.pass();
    world.order(Command::Pin { capacity: 20, until: None });
    tell(&mut world, true, "");
    assert_eq!(desired(&mut world), 20);
    world.pass_time(30 * MINUTE);
    world.pass();
    world.order(Command::Unpin);
    let unpinned = world.pass();
    let alert = unpinned.claims.iter().find(|c| matches!(c.source, Source::Alert { .. }));
    assert_eq!(
        alert.and_then(|c| c.wants.number()),
        Some(22),
        "as desired was 20 when it was heard"
    );
}

#[test]
fn a_smaller_most_counts_at_once() {
    let mut world = fleet(3, by_steps());
    world.pass();
    tell(&mut world, true, "");
    world.pass();
    world.pass_time(5 * MINUTE);
    assert_eq!(desired(&mut world), 7);
    let most = |most| Asks::More { change: Change::Servers(2), every: 5 * MINUTE, most };
    world.group.policies = vec![policy(most(3))];
    let decision = world.pass();
    let alert = decision.claims.iter().find(|c| matches!(c.source, Source::Alert { .. }));
    assert_eq!(alert.and_then(|c| c.wants.number()), Some(6), "3 above the 3 where it began");
}
