//! Pausing: one thing rests, all else goes on, and nothing is taken away by the pause itself.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;
use novascale::domain::behaviour::{Change, Rate, Rates};
use novascale::domain::count::Bounds;
use novascale::domain::explain::Situation;
use novascale::domain::pause::Process;
use novascale::domain::plan::{Cause, Decision, Held, Waiting};
use novascale::domain::schedule::recurrence::Recurrence;
use novascale::domain::schedule::{Ends, Gives, Lead, Schedule, When};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use novascale::domain::time::Wall;

use super::world::{World, group, launches, settled, target, terminations};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn these(processes: &[Process]) -> BTreeSet<Process> {
    processes.iter().copied().collect()
}

fn pause(world: &mut World, process: Process, span: Option<Duration>) {
    let until = span.map(|span| world.now.plus(span));
    world.order(Command::Pause { processes: these(&[process]), until });
}

fn resume(world: &mut World, process: Process) {
    world.order(Command::Resume { processes: these(&[process]) });
}

/// What the pauses hold back, as the decision tells it.
fn held(decision: &Decision) -> Vec<Held> {
    let held = |waiting: &Waiting| match waiting {
        Waiting::Paused { held, .. } => Some(*held),
        _ => None,
    };
    decision.waiting.iter().filter_map(held).collect()
}

/// Deciding again on what was recorded finds nothing more to do or to store.
fn at_rest(world: &mut World) -> Decision {
    let first = world.pass();
    let again = world.pass();
    assert!(again.plan.is_empty() && again.quiet(), "{:?}", again.sentences());
    assert_eq!(held(&first), held(&again));
    again
}

#[test]
fn while_launching_rests_nothing_is_launched_and_all_else_goes_on() {
    let mut world = settled(0, 8, 2);
    pause(&mut world, Process::Launch, None);
    world.order(Command::Set { capacity: 5 });
    let decision = at_rest(&mut world);
    assert_eq!((decision.desired, held(&decision)), (5, vec![Held::Launched(3)]));
    assert_eq!(decision.situation(), Situation::Holding);
    let said = "holding: 3 servers are not launched: launch is paused by test; `novascale resume \
                web` ends it";
    assert_eq!(decision.headline(), said);
    world.order(Command::Set { capacity: 1 });
    assert_eq!(terminations(&world.pass()).len(), 1, "scaling in goes on");
    world.pass_time(Duration::from_secs(10));
    world.pass();
    world.order(Command::Set { capacity: 4 });
    resume(&mut world, Process::Launch);
    assert_eq!(launches(&world.pass()), [3]);
}

#[test]
fn a_launch_that_was_begun_before_its_pause_is_settled_all_the_same() {
    let mut world = World::new(group(0, 8), 1);
    world.faults.reply_lost = 100;
    world.order(Command::Set { capacity: 2 });
    assert_eq!(launches(&world.pass()), [2]);
    pause(&mut world, Process::Launch, None);
    for _ in 0..10 {
        world.pass_time(Duration::from_secs(10));
        world.pass();
    }
    let decision = world.pass();
    assert_eq!((decision.tally.serving, decision.tally.coming), (2, 0));
    assert!(world.intents.values().all(|intent| !intent.state.live()));
}

#[test]
fn while_terminating_rests_nothing_that_is_only_surplus_goes_and_what_failed_is_swept() {
    let mut world = settled(0, 8, 4);
    pause(&mut world, Process::Terminate, None);
    world.order(Command::Set { capacity: 1 });
    let decision = at_rest(&mut world);
    assert_eq!((decision.desired, held(&decision)), (1, vec![Held::Terminated(3)]));
    assert_eq!(decision.situation(), Situation::Holding);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    assert_eq!(terminations(&world.pass()), [(&id, Cause::Error)]);
    resume(&mut world, Process::Terminate);
    assert!(terminations(&world.pass()).iter().any(|(_, cause)| *cause == Cause::Surplus));
}

#[test]
fn while_healing_rests_what_failed_is_left_and_what_is_missing_is_launched() {
    let mut world = settled(0, 8, 3);
    pause(&mut world, Process::Heal, None);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    let decision = world.pass();
    assert_eq!((terminations(&decision).len(), launches(&decision)), (0, vec![1]));
    assert_eq!(held(&decision), [Held::Swept(1)]);
    world.pass_time(Duration::from_secs(30));
    world.pass();
    assert!(world.cloud.contains_key(&id));
    resume(&mut world, Process::Heal);
    assert_eq!(terminations(&world.pass()), [(&id, Cause::Error)]);
}

#[test]
fn a_pause_ends_by_itself_and_the_loop_wakes_for_it() {
    let mut world = settled(0, 8, 2);
    pause(&mut world, Process::Launch, Some(Duration::from_secs(30)));
    let end = world.now.plus(Duration::from_secs(30));
    world.order(Command::Set { capacity: 3 });
    let decision = world.pass();
    assert_eq!((launches(&decision), decision.next_look), (vec![], end.steady));
    assert!(decision.sentences().join(" ").contains("for 30 s more"), "{:?}", decision.sentences());
    // A wall clock that jumps ends nothing.
    world.now.wall = world.now.wall.plus(HOUR);
    assert_eq!(launches(&world.pass()), [0u32; 0]);
    world.now.steady = end.steady;
    let decision = world.pass();
    assert_eq!((launches(&decision), decision.pauses.len()), (vec![1], 0));
}

#[test]
fn a_pause_that_holds_nothing_back_is_shown_all_the_same() {
    let mut world = settled(0, 8, 2);
    for process in Process::ALL {
        pause(&mut world, process, Some(2 * HOUR));
    }
    let decision = world.pass();
    assert_eq!((held(&decision), decision.situation()), (vec![], Situation::Steady));
    assert_eq!(decision.pauses.len(), 5);
    let said = decision.sentences().join(" ");
    for process in Process::ALL {
        let words = format!("{} is paused for 2 h more by test.", process.word());
        assert!(said.to_lowercase().contains(&words), "{said}");
    }
}

/// Open for an hour from eight in the morning (UTC), every day.
fn mornings(gives: Gives) -> Schedule {
    let cron = Recurrence::parse("0 8 * * *", TimeZone::UTC).unwrap();
    let when = When::Recurring(cron, Ends::After(HOUR));
    Schedule { name: "office".into(), when, gives, lead: Lead::Fixed(Duration::ZERO) }
}

fn at_half_past(hour: u32, gives: Gives) -> World {
    let mut world = World::new(group(1, 12), 1);
    world.group.schedules = vec![mornings(gives)];
    world.now.wall = Wall::parse(&format!("2026-11-25T0{hour}:30:00Z")).unwrap();
    world.settle(10);
    world
}

#[test]
fn while_the_schedule_rests_what_is_open_stays_open_and_nothing_else_opens() {
    let capacity = Gives { capacity: Some(4), ..Gives::default() };
    let min = Gives { min: Some(4), ..Gives::default() };
    for gives in [capacity, min] {
        let mut world = at_half_past(8, gives);
        assert_eq!(world.pass().desired, 4);
        pause(&mut world, Process::Schedule, None);
        let decision = world.pass();
        assert_eq!((decision.desired, held(&decision)), (4, vec![]));
        for _ in 0..3 {
            world.pass_time(HOUR);
            // A later word moves its end and not the clock.
            pause(&mut world, Process::Schedule, Some(2 * HOUR));
            let decision = at_rest(&mut world);
            assert_eq!((decision.desired, held(&decision)), (4, vec![Held::Windows]));
            assert_eq!(decision.schedules[0].left_secs, None);
        }
        resume(&mut world, Process::Schedule);
        assert_eq!(world.pass().desired, 1);

        let mut world = at_half_past(7, gives);
        pause(&mut world, Process::Schedule, Some(HOUR));
        world.pass_time(40 * MINUTE);
        let decision = world.pass();
        assert_eq!((decision.desired, held(&decision)), (1, vec![Held::Windows]));
        world.pass_time(21 * MINUTE);
        assert_eq!(world.pass().desired, 4, "it is over, and the window is open");
    }
}

#[test]
fn while_the_schedule_rests_no_lead_gets_shorter() {
    let mut world = World::new(group(1, 12), 1);
    let capacity = Gives { capacity: Some(4), ..Gives::default() };
    world.group.schedules = vec![Schedule { lead: Lead::Learned, ..mornings(capacity) }];
    world.now.wall = Wall::parse("2026-11-25T07:30:00Z").unwrap();
    world.settle(10);
    world.memory.as_mut().unwrap().boots = vec![2400];
    assert_eq!(world.pass().desired, 4, "ahead of its hour");
    pause(&mut world, Process::Schedule, None);
    world.order(Command::Set { capacity: 12 });
    world.settle(20);
    world.order(Command::Set { capacity: 1 });
    assert_eq!(world.pass().desired, 4, "the others booted in seconds");
}

fn measured(value: f64) -> World {
    let mut world = World::new(group(1, 12), 1);
    world.group.policies = vec![target("requests", 100.0)];
    world.measure("requests", value);
    world.pass();
    world.measure("requests", value);
    world.settle(20);
    world
}

#[test]
fn while_alarms_rest_signals_stand_where_they_stood() {
    let mut world = measured(540.0);
    assert_eq!(world.members(), 6);
    pause(&mut world, Process::Alarm, None);
    let memory = world.memory.clone();
    for value in [900.0, 100.0, 0.0] {
        world.pass_time(MINUTE);
        world.measure("requests", value);
        let decision = at_rest(&mut world);
        assert_eq!(decision.desired, 6, "{value}");
        let now = Held::Wanted(Some((value / 100.0) as u32));
        assert_eq!(held(&decision), [now]);
        let said = &decision.sentences()[0];
        assert_eq!(said, "6 wanted: signals stand at 6, as alarm is paused by test.");
    }
    let stood = |memory: &Option<novascale::domain::claim::Memory>| {
        memory.as_ref().map(|memory| memory.upheld)
    };
    assert_eq!(stood(&world.memory), stood(&memory));
    // Without any sample nothing is blind, and other claims count as ever.
    world.samples.clear();
    world.pass_time(HOUR);
    let decision = world.pass();
    assert_eq!((decision.desired, decision.tempering.len()), (6, 0));
    world.order(Command::Set { capacity: 8 });
    assert_eq!(world.pass().desired, 8);
    world.order(Command::Set { capacity: 2 });
    assert_eq!(world.pass().desired, 6);
    world.measure("requests", 300.0);
    resume(&mut world, Process::Alarm);
    assert_eq!(world.pass().desired, 3);
}

#[test]
fn a_pause_of_alarms_lowers_nothing_whatever_upheld_it() {
    // Held by the stabilisation window, by missing data, and by nothing.
    for (window, silent) in [(10 * MINUTE, false), (Duration::ZERO, true), (Duration::ZERO, false)]
    {
        let mut world = measured(800.0);
        world.group.behaviour.scale_in.stabilization = window;
        world.measure("requests", 800.0);
        world.pass();
        if silent {
            world.samples.clear();
        } else if window > Duration::ZERO {
            world.pass_time(MINUTE);
            world.measure("requests", 100.0);
        }
        let before = world.pass().desired;
        assert_eq!(before, 8);
        pause(&mut world, Process::Alarm, None);
        for _ in 0..4 {
            assert_eq!(world.pass().desired, 8, "{window:?} {silent}");
            world.pass_time(20 * MINUTE);
        }
        resume(&mut world, Process::Alarm);
        let blind = world.pass();
        assert_eq!(blind.desired, 8, "no sample is fresh, so it may not fall");
    }
}

/// By one server a minute.
fn slow() -> Rates {
    let rate = Rate { change: Change::Count(1), per: MINUTE };
    Rates { rates: vec![rate], ..Rates::default() }
}

#[test]
fn a_pause_of_alarms_gives_nothing_that_was_held_back_on_its_way_out() {
    let mut world = measured(200.0);
    world.group.behaviour.scale_out.rates = slow();
    world.measure("requests", 900.0);
    assert_eq!(world.pass().desired, 3);
    pause(&mut world, Process::Alarm, None);
    for _ in 0..3 {
        world.pass_time(MINUTE);
        assert_eq!(world.pass().desired, 3);
    }
}

#[test]
fn a_pause_of_alarms_forgets_nothing_that_max_or_a_pin_stood_before() {
    let mut world = measured(2000.0);
    assert_eq!(world.pass().desired, 12, "max");
    pause(&mut world, Process::Alarm, None);
    world.group.bounds = Bounds::new(1, 30);
    assert_eq!(world.pass().desired, 20);
    let mut world = measured(540.0);
    world.group.behaviour.scale_out.rates = slow();
    world.order(Command::Pin { capacity: 2, until: None });
    assert_eq!(world.pass().desired, 2);
    pause(&mut world, Process::Alarm, None);
    world.pass();
    world.order(Command::Unpin);
    assert_eq!(world.pass().desired, 6, "it is what was upheld before");
}

#[test]
fn a_pin_stands_before_what_signals_stood_at() {
    let mut world = measured(540.0);
    pause(&mut world, Process::Alarm, None);
    world.order(Command::Pin { capacity: 2, until: None });
    assert_eq!(world.pass().desired, 2);
    world.order(Command::Unpin);
    assert_eq!(world.pass().desired, 6);
}

#[test]
fn the_second_judge_knows_what_is_paused() {
    let mut world = settled(0, 8, 3);
    world.order(Command::Set { capacity: 5 });
    world.observe();
    let out = world.decide();
    world.order(Command::Set { capacity: 1 });
    let down = world.decide();
    let id = world.first_id();
    world.order(Command::Set { capacity: 2 });
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    world.observe();
    let sweep = world.decide();
    let rules = |world: &World, decision: &Decision| -> Vec<&str> {
        world.judge(decision).iter().map(|violation| violation.invariant).collect()
    };
    let cases = [(Process::Launch, &out), (Process::Terminate, &down), (Process::Heal, &sweep)];
    for (process, decision) in cases {
        assert!(!rules(&world, decision).contains(&"pause"));
        pause(&mut world, process, None);
        assert!(rules(&world, decision).contains(&"pause"), "{process:?}");
        let (now, end) = (world.now, world.now.plus(MINUTE));
        pause(&mut world, process, Some(MINUTE));
        for (early, refused) in [(1, true), (0, false)] {
            world.now.steady = end.steady.minus(Duration::from_millis(early));
            let said = rules(&world, decision).contains(&"pause");
            assert_eq!(said, refused, "{process:?}, {early} ms before its end");
        }
        world.now = now;
        resume(&mut world, process);
    }
}
