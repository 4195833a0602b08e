//! Scheduled capacity: windows that change the bounds or ask for servers.

use std::time::Duration;

use jiff::tz::TimeZone;
use novascale::domain::plan::Tempering;
use novascale::domain::schedule::recurrence::Recurrence;
use novascale::domain::schedule::{Ends, Gives, Lead, Schedule, When};
use novascale::domain::signal::Command;
use novascale::domain::time::Wall;

use super::world::{World, group, settled};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn at(text: &str) -> Wall {
    Wall::parse(text).unwrap()
}

/// Open for an hour from eight in the morning (UTC), every day.
fn mornings(name: &str, gives: Gives) -> Schedule {
    let cron = Recurrence::parse("0 8 * * *", TimeZone::UTC).unwrap();
    let when = When::Recurring(cron, Ends::After(HOUR));
    Schedule { name: name.into(), when, gives, lead: Lead::Fixed(Duration::ZERO) }
}

fn min(n: u32) -> Gives {
    Gives { min: Some(n), ..Gives::default() }
}

/// A world that has settled at its min, shortly before eight.
fn before_eight(schedules: Vec<Schedule>, max: u32) -> World {
    let mut world = World::new(group(1, max), 1);
    world.group.schedules = schedules;
    world.now.wall = at("2026-11-25T07:50:00Z");
    world.settle(10);
    assert_eq!(world.members(), 1);
    world
}

fn wait_until(world: &mut World, time: &str) {
    let span = at(time).since(world.now.wall);
    world.pass_time(span);
}

#[test]
fn a_window_raises_the_min_at_its_hour_and_lets_go_of_it_at_its_end() {
    let mut world = before_eight(vec![mornings("office", min(4))], 8);
    let decision = world.pass();
    assert_eq!(decision.desired, 1);
    wait_until(&mut world, "2026-11-25T08:00:00Z");
    let decision = world.pass();
    assert_eq!((decision.desired, decision.bounds.min), (4, 4));
    assert_eq!(decision.schedules[0].left_secs, Some(3600));
    assert!(decision.sentences().iter().any(|s| s.contains("The schedule \"office\" gives min 4")));
    world.settle(10);
    assert_eq!(world.members(), 4);
    wait_until(&mut world, "2026-11-25T08:59:59Z");
    assert_eq!(world.pass().desired, 4);
    wait_until(&mut world, "2026-11-25T09:00:00Z");
    assert_eq!(world.pass().desired, 1);
    world.settle(10);
    assert_eq!(world.members(), 1);
}

#[test]
fn the_next_look_is_when_a_window_turns() {
    let mut world = before_eight(vec![mornings("office", min(4))], 8);
    wait_until(&mut world, "2026-11-25T07:59:30Z");
    let decision = world.pass();
    assert_eq!(world.now.wall_at(decision.next_look), at("2026-11-25T08:00:00Z"));
}

#[test]
fn the_last_window_in_the_file_decides_for_min_and_for_max_each() {
    let schedules = vec![
        mornings("first", Gives { min: Some(5), max: Some(6), capacity: None }),
        mornings("second", min(2)),
        mornings("third", Gives { max: Some(12), ..Gives::default() }),
    ];
    let mut world = before_eight(schedules, 8);
    wait_until(&mut world, "2026-11-25T08:10:00Z");
    let decision = world.pass();
    assert_eq!((decision.bounds.min, decision.bounds.max, decision.desired), (2, 12, 2));
}

#[test]
fn a_window_may_lower_the_min_and_give_more_room_than_the_group_has() {
    let schedules =
        vec![mornings("sale", Gives { min: Some(0), max: Some(20), capacity: Some(15) })];
    let mut world = before_eight(schedules, 8);
    wait_until(&mut world, "2026-11-25T08:00:00Z");
    assert_eq!(world.pass().desired, 15);
    world.settle(10);
    assert_eq!(world.members(), 15);
    wait_until(&mut world, "2026-11-25T09:00:00Z");
    let decision = world.pass();
    assert!(decision.waiting.is_empty(), "no cut of a file: {:?}", decision.waiting);
    world.settle(20);
    assert_eq!(world.members(), 1);
}

#[test]
fn what_a_window_asks_for_is_a_claim_like_others() {
    let gives = |n| Gives { capacity: Some(n), ..Gives::default() };
    let mut world = before_eight(vec![mornings("a", gives(3)), mornings("b", gives(5))], 8);
    world.order(Command::Set { capacity: 4 });
    wait_until(&mut world, "2026-11-25T08:00:00Z");
    let decision = world.pass();
    assert_eq!((decision.wanted, decision.desired), (Some(5), 5));
    assert!(decision.headline().contains("the schedule \"b\" wants 5"), "{}", decision.headline());
    world.order(Command::Pin { capacity: 2, until: None });
    assert_eq!(world.pass().desired, 2, "a pin stands in place of all claims");
}

#[test]
fn where_min_exceeds_max_max_wins() {
    let gives = Gives { min: Some(6), max: Some(3), capacity: None };
    let mut world = before_eight(vec![mornings("narrow", gives)], 8);
    wait_until(&mut world, "2026-11-25T08:00:00Z");
    assert_eq!(world.pass().desired, 3);
}

#[test]
fn a_window_opens_earlier_by_its_lead_or_by_what_boots_took() {
    let mut schedule = mornings("office", min(4));
    schedule.lead = Lead::Fixed(5 * MINUTE);
    let mut world = before_eight(vec![schedule.clone()], 8);
    wait_until(&mut world, "2026-11-25T07:54:59Z");
    assert_eq!(world.pass().desired, 1);
    wait_until(&mut world, "2026-11-25T07:55:00Z");
    let decision = world.pass();
    assert_eq!((decision.desired, decision.schedules[0].early_secs), (4, 300));
    assert!(decision.sentences().iter().any(|s| s.contains("ahead of its hour in 5 min")));

    schedule.lead = Lead::Learned;
    let mut world = before_eight(vec![schedule], 8);
    let memory = world.memory.as_mut().unwrap();
    (0..20).for_each(|n| memory.booted(Duration::from_secs(if n < 18 { 120 } else { 500 })));
    wait_until(&mut world, "2026-11-25T07:57:59Z");
    assert_eq!(world.pass().desired, 1);
    wait_until(&mut world, "2026-11-25T07:58:00Z");
    assert_eq!(world.pass().desired, 4, "nine of ten boots took no more than two minutes");
}

#[test]
fn boots_are_learned_from_the_launch_to_the_first_sight_of_it_serving() {
    let mut world = World::new(group(3, 8), 1);
    world.settle(10);
    let boots = &world.memory.as_ref().unwrap().boots;
    assert_eq!(boots.len(), 3, "{boots:?}");
    assert!(boots.iter().all(|secs| (1..120).contains(secs)), "{boots:?}");
    world.settle(10);
    assert_eq!(world.memory.as_ref().unwrap().boots.len(), 3, "each once");
}

#[test]
fn a_raised_min_overrides_what_holds_desired_down_and_an_end_is_data() {
    let mut world = settled(1, 8, 1);
    world.group.schedules = vec![mornings("office", min(4))];
    world.group.behaviour.scale_in.cooldown = 10 * MINUTE;
    world.now.wall = at("2026-11-25T08:00:00Z");
    let decision = world.pass();
    assert_eq!(decision.desired, 4);
    let raised = |step: &Tempering| matches!(step, Tempering::Bounded { to: 4, .. });
    assert!(decision.tempering.iter().any(raised), "{:?}", decision.tempering);
}
