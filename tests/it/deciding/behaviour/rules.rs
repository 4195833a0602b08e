//! What behaviour holds for and what not, to which moment, and how it is said.

use std::time::Duration;

use novascale::domain::behaviour::{Change, Select};
use novascale::domain::claim::{Memory, Past};
use novascale::domain::id::Owner;
use novascale::domain::plan::{Decision, Tempering};
use novascale::domain::signal::Command;
use novascale::domain::time::Steady;

use super::super::world::World;
use super::{MINUTE, SECOND, at, count, max, percent, select, wants};

const MILLI: Duration = Duration::from_millis(1);

fn said(decision: &Decision) -> String {
    let steps: Vec<String> = decision.tempering.iter().map(ToString::to_string).collect();
    steps.join("; ")
}

/// Slow on the way out: by one a minute.
fn slow(current: u32) -> World {
    let mut world = at(current, 1, 50);
    world.group.behaviour.scale_out.rates = max(&[count(1, 60)]);
    world
}

#[test]
fn what_holds_it_is_said_and_looked_at_again_when_more_is_possible() {
    let mut world = slow(5);
    let begin = world.now;
    let decision = wants(&mut world, 7);
    let words = "held at 6 rather than 7: at most 1 more per minute (scale_out.rates), 1 min left";
    assert_eq!(said(&decision), words);
    assert_eq!(decision.next_look, begin.steady.plus(MINUTE));
    world.now = begin.plus(20 * SECOND);
    let decision = wants(&mut world, 7);
    let words = "held at 6 rather than 7: at most 1 more per minute (scale_out.rates), 40 s left";
    assert_eq!((decision.desired, said(&decision).as_str()), (6, words));
    assert_eq!(decision.next_look, begin.steady.plus(MINUTE));
    world.now = begin.plus(MINUTE - MILLI);
    assert_eq!(wants(&mut world, 7).desired, 6);
    world.now = begin.plus(MINUTE);
    let decision = wants(&mut world, 7);
    assert_eq!((decision.desired, said(&decision).as_str()), (7, ""));
}

#[test]
fn every_step_has_its_sentence() {
    let (change, left_secs) = (Change::Percent(12.5), 40);
    let cases = [
        (
            Tempering::RatedIn { from: 2, to: 6, change, per_secs: 90, left_secs },
            "held at 6 rather than 2: at most 12.5 % fewer per 1 min 30 s (scale_in.rates), 40 s left",
        ),
        (
            Tempering::RatedOut { from: 9, to: 6, change, per_secs: 1, left_secs },
            "held at 6 rather than 9: at most 12.5 % more per second (scale_out.rates), 40 s left",
        ),
        (
            Tempering::Disabled { from: 2, to: 6 },
            "held at 6 rather than 2: scaling in is disabled (scale_in.select)",
        ),
        (
            Tempering::Disabled { from: 9, to: 6 },
            "held at 6 rather than 9: scaling out by signals is disabled (scale_out.select)",
        ),
        (
            Tempering::CoolingOut { from: 9, to: 6, left_secs },
            "held at 6 rather than 9: cooldown of scale_out, 40 s left",
        ),
        (
            Tempering::StabilizedOut { from: 9, to: 6, least: 4, window_secs: 300, left_secs },
            "held at 6 rather than 9: no more than 4 were wanted at some time within the last 5 min \
             (scale_out.stabilization, 40 s left)",
        ),
    ];
    for (step, words) in cases {
        assert_eq!(step.to_string(), words);
    }
}

#[test]
fn the_way_in_is_rated_whatever_lowers_it() {
    let mut world = at(3, 1, 50);
    world.group.behaviour.scale_in.rates = max(&[count(2, 60)]);
    let (owner, until) = (Owner::new("batch").unwrap(), world.now.plus(MINUTE - MILLI));
    world.order(Command::Reserve { owner, capacity: 12, until });
    assert_eq!(wants(&mut world, 1).desired, 12, "what is reserved counts at once");
    world.now = until;
    let decision = wants(&mut world, 1);
    assert_eq!(decision.desired, 1, "3 were desired when the period began");
    let mut world = at(12, 1, 50);
    world.group.behaviour.scale_in.rates = max(&[count(2, 60)]);
    let decision = wants(&mut world, 1);
    let words = "held at 10 rather than 1: at most 2 fewer per minute (scale_in.rates), 1 min left";
    assert_eq!((decision.desired, said(&decision).as_str()), (10, words));
}

#[test]
fn what_is_declared_or_ordered_counts_at_once() {
    let slowed = |world: &mut World| {
        let out = &mut world.group.behaviour.scale_out;
        (out.stabilization, out.cooldown) = (10 * MINUTE, 10 * MINUTE);
        out.rates = select(Select::Disabled, &[]);
        wants(world, 5);
        world.memory.as_mut().unwrap().changed = Some(world.now.steady);
        world.now = world.now.plus(SECOND);
    };
    let mut world = slow(5);
    slowed(&mut world);
    world.order(Command::Set { capacity: 9 });
    assert_eq!(wants(&mut world, 20).desired, 9, "as much as is declared, and no more");
    let mut world = slow(5);
    slowed(&mut world);
    let (owner, until) = (Owner::new("batch").unwrap(), world.now.plus(MINUTE));
    world.order(Command::Reserve { owner, capacity: 11, until });
    let decision = wants(&mut world, 6);
    assert_eq!((decision.desired, said(&decision).as_str()), (11, ""), "nothing holds it back");
    let mut world = slow(5);
    slowed(&mut world);
    world.order(Command::Pin { capacity: 30, until: None });
    assert_eq!(said(&wants(&mut world, 6)), "pinned at 30 in place of all claims");
    let mut world = slow(5);
    slowed(&mut world);
    world.group.bounds = novascale::domain::count::Bounds::new(8, 50);
    assert_eq!(wants(&mut world, 6).desired, 8, "a raised min counts at once");
}

#[test]
fn an_operators_word_a_pin_and_the_bounds_go_down_at_once() {
    let slowed = || {
        let mut world = at(12, 1, 50);
        let into = &mut world.group.behaviour.scale_in;
        (into.rates, into.cooldown) = (max(&[count(1, 600)]), 10 * MINUTE);
        world.order(Command::Set { capacity: 12 });
        world.now = world.now.plus(SECOND);
        world.memory.as_mut().unwrap().changed = Some(world.now.steady);
        world.now = world.now.plus(SECOND);
        world
    };
    assert_eq!(wants(&mut slowed(), 1).desired, 12);
    let mut world = slowed();
    world.order(Command::Set { capacity: 2 });
    assert_eq!(wants(&mut world, 1).desired, 2);
    world.now = world.now.plus(20 * MINUTE);
    world.order(Command::Set { capacity: 1 });
    world.order(Command::Pin { capacity: 1, until: None });
    assert_eq!(wants(&mut world, 1).desired, 1);
    let mut world = slowed();
    world.group.bounds = novascale::domain::count::Bounds::new(1, 7);
    assert_eq!(wants(&mut world, 1).desired, 7);
}

#[test]
fn a_cooldown_out_is_for_signals_and_ends_to_the_moment() {
    let mut world = at(5, 1, 50);
    world.group.behaviour.scale_out.cooldown = 2 * MINUTE;
    let begin = world.now;
    assert_eq!(wants(&mut world, 6).desired, 6);
    world.now = begin.plus(2 * MINUTE - MILLI);
    let decision = wants(&mut world, 9);
    let words = "held at 6 rather than 9: cooldown of scale_out, 1 s left";
    assert_eq!((decision.desired, said(&decision).as_str()), (6, words));
    assert_eq!(wants(&mut world, 3).desired, 3, "the way in has a cooldown of its own");
    world.now = begin.plus(4 * MINUTE - MILLI);
    assert_eq!(wants(&mut world, 9).desired, 9);
}

#[test]
fn a_window_out_ends_to_the_moment() {
    let mut world = at(5, 1, 50);
    world.group.behaviour.scale_out.stabilization = 5 * MINUTE;
    wants(&mut world, 5);
    world.now = world.now.plus(MINUTE);
    let rise = world.now;
    let words = "held at 5 rather than 9: no more than 5 were wanted at some time within the last \
                 5 min (scale_out.stabilization, 5 min left)";
    assert_eq!(said(&wants(&mut world, 9)), words);
    world.now = rise.plus(2 * MINUTE);
    wants(&mut world, 7);
    world.now = rise.plus(5 * MINUTE - MILLI);
    let decision = wants(&mut world, 9);
    assert_eq!((decision.desired, decision.next_look), (5, world.now.steady.plus(SECOND)));
    world.now = rise.plus(5 * MINUTE);
    assert_eq!(wants(&mut world, 9).desired, 7, "7 were wanted since");
    world.now = rise.plus(10 * MINUTE);
    let decision = wants(&mut world, 9);
    assert_eq!((decision.desired, said(&decision).as_str()), (9, ""));
}

/// What was desired before a fall of this minute still counts as where the minute began; once that
/// is out of sight the fall itself counts, and then what was given back.
#[test]
fn after_a_fall_and_a_rise_within_a_period_the_next_step_waits_for_the_end_of_both() {
    let mut world = slow(9);
    let begin = world.now;
    assert_eq!(wants(&mut world, 5).desired, 5);
    world.now = begin.plus(20 * SECOND);
    let decision = wants(&mut world, 20);
    assert_eq!((decision.desired, decision.next_look), (10, begin.steady.plus(80 * SECOND)));
    world.now = begin.plus(80 * SECOND - MILLI);
    assert_eq!(wants(&mut world, 20).desired, 10);
    world.now = begin.plus(80 * SECOND);
    assert_eq!(wants(&mut world, 20).desired, 11);
}

#[test]
fn on_the_way_in_it_is_looked_at_again_when_less_is_possible() {
    let slow = |current| {
        let mut world = at(current, 1, 50);
        world.group.behaviour.scale_in.rates = max(&[count(1, 60)]);
        world
    };
    let mut world = slow(9);
    let begin = world.now;
    assert_eq!(wants(&mut world, 1).desired, 8);
    world.now = begin.plus(20 * SECOND);
    let decision = wants(&mut world, 1);
    assert_eq!((decision.desired, decision.next_look), (8, begin.steady.plus(MINUTE)));
    // What was desired before a rise of this minute counts first, and then the rise.
    let mut world = slow(5);
    let begin = world.now;
    assert_eq!(wants(&mut world, 9).desired, 9);
    world.now = begin.plus(20 * SECOND);
    let decision = wants(&mut world, 1);
    assert_eq!((decision.desired, decision.next_look), (4, begin.steady.plus(80 * SECOND)));
}

/// A spike that was over before its rate let it in does not raise the fleet for the rest of the
/// window.
#[test]
fn what_was_not_given_in_time_is_not_given_later() {
    let mut world = slow(5);
    world.group.behaviour.scale_in.stabilization = 5 * MINUTE;
    assert_eq!(wants(&mut world, 20).desired, 6);
    for _ in 0..4 {
        world.now = world.now.plus(MINUTE);
        assert_eq!(wants(&mut world, 2).desired, 6);
    }
    world.now = world.now.plus(2 * MINUTE);
    assert_eq!(wants(&mut world, 2).desired, 2);
}

#[test]
fn nothing_is_said_where_the_bounds_come_first() {
    let mut world = slow(49);
    assert_eq!(said(&wants(&mut world, 80)), "cut from 80 to 50, which is max");
    world.group.behaviour.scale_out.cooldown = 5 * MINUTE;
    world.group.behaviour.scale_out.stabilization = 5 * MINUTE;
    assert_eq!(said(&wants(&mut world, 90)), "cut from 90 to 50, which is max");
}

/// From no servers at all a share leads out, too.
#[test]
fn a_share_of_nothing_is_one() {
    let mut world = at(0, 0, 50);
    world.group.behaviour.scale_out.rates = max(&[percent(50.0, 60)]);
    assert_eq!(wants(&mut world, 9).desired, 1);
}

#[test]
fn the_first_decision_begins_at_what_stands() {
    let mut world = slow(5);
    world.memory = None;
    world.measure("load", 9.0);
    assert_eq!(world.pass().desired, 2, "one more than min");
    assert_eq!(world.pass().desired, 2, "within the minute");
    world.order(Command::Set { capacity: 4 });
    world.settle(20);
    world.lose_state();
    world.measure("load", 9.0);
    assert_eq!(world.pass().desired, 5, "one more than stand");
    assert_eq!(world.pass().desired, 5, "within the minute");
}

/// While data is missing nothing falls, whatever the rates allow; and nothing that is known in part
/// counts as little.
#[test]
fn missing_data_comes_before_rates() {
    let mut world = at(6, 1, 50);
    world.group.behaviour.scale_in.rates = max(&[count(2, 60)]);
    world.group.behaviour.scale_out.stabilization = 5 * MINUTE;
    wants(&mut world, 6);
    world.now = world.now.plus(20 * MINUTE);
    let decision = world.decide();
    assert!(matches!(decision.tempering[..], [Tempering::Blind { from: 1, to: 6, .. }]));
}

/// What an older release stored has no history: it is read, and begins now.
#[test]
fn an_older_memory_is_read() {
    let text = "{\"desired\":5,\"changed\":7,\"peaks\":[],\"held\":null}";
    let memory: Memory = serde_json::from_str(text).unwrap();
    assert_eq!((&memory.past[..], &memory.troughs[..]), (&[][..], &[][..]));
    let text = serde_json::to_string(&memory).unwrap();
    assert!(!text.contains("past") && !text.contains("troughs"), "{text}");
    let mut world = slow(5);
    world.memory = Some(memory);
    assert_eq!(wants(&mut world, 9).desired, 6);
    let past = world.memory.unwrap().past;
    assert_eq!(past, [Past { until: world.now.steady, desired: 5 }]);
}

#[test]
fn without_rates_and_windows_nothing_is_kept() {
    let mut world = slow(5);
    world.group.behaviour.scale_out.stabilization = SECOND;
    wants(&mut world, 5);
    world.now = world.now.plus(MINUTE);
    wants(&mut world, 9);
    world.now = world.now.plus(MINUTE);
    wants(&mut world, 9);
    assert!(!world.memory.as_ref().unwrap().troughs.is_empty());
    assert!(!world.memory.as_ref().unwrap().past.is_empty());
    world.group.behaviour.scale_out = Default::default();
    wants(&mut world, 9);
    let memory = world.memory.unwrap();
    assert_eq!((&memory.past[..], &memory.troughs[..]), (&[][..], &[][..]));
    assert_eq!(memory.changed.map(|at| at > Steady(0)), Some(true));
}
