//! The meltdown guard: too many that served are lost at once, and a person has to look.

use std::sync::Arc;
use std::time::Duration;

use novascale::domain::explain::Situation;
use novascale::domain::fleet::Observation;
use novascale::domain::id::{InstallId, IntentId, ServerId};
use novascale::domain::intent::{Intent, State, Terminate, Trouble, What};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::plan::{Cause, Decision, Waiting};
use novascale::domain::server::{Fault, Known, KnownState, Ownership, Server, Status};
use novascale::domain::signal::Command;
use novascale::domain::time::{Now, Steady};

use super::world::{World, group};

const MINUTE: Duration = Duration::from_secs(60);

fn fleet_of(n: u32) -> World {
    let mut world = World::new(group(0, 30), 1);
    world.order(Command::Set { capacity: n });
    world.settle(20);
    assert_eq!(world.cloud.len(), n as usize);
    world
}

fn ids(world: &World, n: usize) -> Vec<ServerId> {
    world.cloud.keys().take(n).cloned().collect()
}

fn vanish(world: &mut World, n: usize) -> Vec<novascale::domain::server::Server> {
    ids(world, n).into_iter().map(|id| world.cloud.remove(&id).unwrap()).collect()
}

fn fail(world: &mut World, n: usize) -> Vec<ServerId> {
    let ids = ids(world, n);
    for id in &ids {
        let server = world.cloud.get_mut(id).unwrap();
        server.status = Status::Error;
        server.fault = Some(Fault { code: 500, message: "the host is gone".into() });
    }
    ids
}

fn stop(world: &mut World, n: usize) -> Vec<ServerId> {
    let ids = ids(world, n);
    ids.iter().for_each(|id| world.cloud.get_mut(id).unwrap().status = Status::Shutoff);
    ids
}

fn stopped(decision: &Decision) -> Option<(u32, u32)> {
    decision.waiting.iter().find_map(|waiting| match waiting {
        Waiting::Meltdown { lost, of, .. } => Some((*lost, *of)),
        _ => None,
    })
}

#[test]
fn more_than_the_share_and_more_than_a_few_stop_the_group() {
    let cases = [
        // fleet, lost, stopped
        (3, 3, false),
        (4, 4, true),
        (8, 3, false),
        (8, 4, true),
        (9, 4, false),
        (20, 9, false),
        (20, 10, true),
    ];
    for (n, lost, stops) in cases {
        for how in ["gone", "in ERROR", "stopped"] {
            let mut world = fleet_of(n);
            match how {
                "gone" => drop(vanish(&mut world, lost)),
                "in ERROR" => drop(fail(&mut world, lost)),
                _ => drop(stop(&mut world, lost)),
            }
            let decision = world.pass();
            let case = format!("{lost} of {n} {how}: {:?}", decision.sentences());
            assert_eq!(stopped(&decision).is_some(), stops, "{case}");
            assert_eq!(decision.plan.is_empty(), stops, "{case}");
            if stops {
                assert_eq!(stopped(&decision), Some((lost as u32, n)), "{case}");
                assert_eq!(decision.situation(), Situation::Frozen);
                assert!(decision.headline().contains("`novascale unfreeze web`"), "{case}");
            }
        }
    }
}

#[test]
fn it_waits_for_a_person_however_long_that_takes() {
    let mut world = fleet_of(10);
    vanish(&mut world, 6);
    for _ in 0..5 {
        assert!(stopped(&world.pass()).is_some());
        world.pass_time(60 * MINUTE);
    }
    assert_eq!(world.cloud.len(), 4);
    world.order(Command::Unfreeze);
    world.settle(20);
    assert_eq!(world.cloud.len(), 10);
    assert_eq!(stopped(&world.pass()), None);
}

#[test]
fn it_goes_on_by_itself_once_enough_serve_again() {
    let mut world = fleet_of(10);
    let failed = fail(&mut world, 6);
    assert_eq!(stopped(&world.pass()), Some((6, 10)));
    for id in &failed[..2] {
        world.cloud.get_mut(id).unwrap().status = Status::Active;
    }
    assert_eq!(stopped(&world.pass()), None, "4 of 10 are within the share");
    world.settle(40);
    assert_eq!(world.cloud.len(), 10);
}

/// Somebody stops the whole fleet for the night: no second one is launched beside it.
#[test]
fn servers_that_are_stopped_at_once_are_not_replaced_before_a_persons_word() {
    let mut world = fleet_of(10);
    let asleep = stop(&mut world, 10);
    for _ in 0..5 {
        assert_eq!(stopped(&world.pass()), Some((10, 10)));
        world.pass_time(60 * MINUTE);
    }
    assert_eq!(world.cloud.len(), 10);
    for id in &asleep {
        world.cloud.get_mut(id).unwrap().status = Status::Active;
    }
    assert_eq!(stopped(&world.pass()), None);
    world.settle(20);
    assert_eq!(world.cloud.len(), 10);

    stop(&mut world, 10);
    assert!(stopped(&world.pass()).is_some());
    world.order(Command::Unfreeze);
    world.settle(20);
    assert_eq!(world.cloud.len(), 20, "a person wanted them replaced");
    // What stopped was lost then: that it goes is no loss of now, and those that serve are few.
    asleep.iter().for_each(|id| drop(world.cloud.remove(id)));
    assert_eq!(stopped(&world.pass()), None);
    world.settle(20);
    stop(&mut world, 5);
    assert_eq!(stopped(&world.pass()), Some((5, 10)));
}

#[test]
fn losses_add_up_within_the_span_and_no_longer() {
    for (pause, stops) in [(MINUTE, true), (11 * MINUTE, false)] {
        let mut world = fleet_of(12);
        vanish(&mut world, 3);
        world.pass();
        world.pass_time(pause);
        world.settle(3);
        vanish(&mut world, 4);
        assert_eq!(stopped(&world.pass()).is_some(), stops, "{pause:?}");
    }
}

#[test]
fn what_we_ended_never_served_or_was_announced_does_not_count() {
    let mut world = fleet_of(10);
    world.order(Command::Set { capacity: 1 });
    world.settle(40);
    assert_eq!((world.cloud.len(), stopped(&world.pass())), (1, None), "our own terminations");

    let mut world = World::new(group(0, 30), 1);
    world.faults.build_fails = 100;
    world.order(Command::Set { capacity: 10 });
    for _ in 0..10 {
        assert_eq!(stopped(&world.pass()), None, "they never served");
        world.pass_time(MINUTE);
    }

    let mut world = fleet_of(10);
    world.order(Command::Freeze);
    vanish(&mut world, 8);
    world.pass();
    world.order(Command::Unfreeze);
    world.settle(20);
    assert_eq!((world.cloud.len(), stopped(&world.pass())), (10, None), "a person saw it happen");
}

#[test]
fn the_second_judge_counts_for_itself() {
    let mut world = fleet_of(8);
    let before = world.decide();
    world.group.behaviour.meltdown.percent = 100.0;
    fail(&mut world, 5);
    world.observe();
    let decision = world.decide();
    assert!(!decision.plan.is_empty(), "the guard is off: {:?}", before.sentences());
    assert_eq!(world.judge(&decision), []);
    world.group.behaviour.meltdown.percent = 45.0;
    let rules: Vec<&str> = world.judge(&decision).iter().map(|v| v.invariant).collect();
    assert_eq!(rules, ["meltdown"]);

    let mut world = fleet_of(8);
    world.group.behaviour.meltdown.percent = 100.0;
    stop(&mut world, 5);
    world.observe();
    let decision = world.decide();
    assert!(!decision.plan.is_empty() && world.judge(&decision).is_empty());
    world.group.behaviour.meltdown.percent = 45.0;
    let rules: Vec<&str> = world.judge(&decision).iter().map(|v| v.invariant).collect();
    assert_eq!(rules, ["meltdown"]);
}

/// Our own way down makes the fleet smaller, and what was lost before it no worse.
#[test]
fn a_few_losses_before_a_scale_in_stop_nothing() {
    let mut world = fleet_of(10);
    vanish(&mut world, 4);
    world.pass();
    world.order(Command::Set { capacity: 4 });
    for _ in 0..20 {
        world.pass_time(10 * Duration::from_secs(1));
        assert_eq!(stopped(&world.pass()), None);
    }
    assert_eq!(world.cloud.len(), 4);
}

/// Else whoever takes tags off brings as many new servers, time and again.
#[test]
fn a_fleet_that_loses_its_tags_stops_the_group() {
    let mut world = fleet_of(10);
    for id in ids(&world, 7) {
        world.cloud.get_mut(&id).unwrap().tags.clear();
    }
    let created = world.created;
    for _ in 0..10 {
        world.pass();
        world.pass_time(10 * Duration::from_secs(1));
    }
    assert_eq!((stopped(&world.pass()), world.created), (Some((7, 10)), created));
}

#[test]
fn numbers_of_its_own_are_heeded() {
    let mut world = fleet_of(10);
    world.group.behaviour.meltdown.most = 6;
    vanish(&mut world, 6);
    assert_eq!(stopped(&world.pass()), None);
    let mut world = fleet_of(10);
    world.group.behaviour.meltdown.percent = 60.0;
    vanish(&mut world, 6);
    assert_eq!(stopped(&world.pass()), None);
}

#[test]
fn what_was_not_ours_or_never_served_is_no_loss() {
    let mut world = World::new(group(0, 30), 1);
    (0..6).for_each(|_| world.add_by_hand());
    world.cloud.values_mut().for_each(|s| s.status = Status::Active);
    world.pass();
    vanish(&mut world, 5);
    assert_eq!(stopped(&world.pass()), None, "they were not ours");

    let mut world = World::new(group(0, 30), 1);
    world.order(Command::Set { capacity: 6 });
    world.pass();
    world.pass();
    vanish(&mut world, 5);
    assert_eq!(stopped(&world.pass()), None, "they were still built");
}

#[test]
fn the_share_is_one_of_those_that_are_ours_and_served() {
    let mut world = fleet_of(8);
    let ours = ids(&world, 8);
    (0..4).for_each(|_| world.add_by_hand());
    world.cloud.values_mut().for_each(|server| server.status = Status::Active);
    world.order(Command::Set { capacity: 15 });
    world.pass();
    assert_eq!(world.pass().tally.building, 3);
    ours.iter().take(4).for_each(|id| drop(world.cloud.remove(id)));
    assert_eq!(stopped(&world.pass()), Some((4, 8)), "not of the others, nor of what is built");
}

/// Once they are gone they were not serving before.
#[test]
fn servers_that_are_stopped_and_deleted_at_once_stop_the_group() {
    let mut world = fleet_of(8);
    world.faults.delete_hangs = 100;
    for id in stop(&mut world, 5) {
        world.cloud.get_mut(&id).unwrap().deleting = true;
    }
    assert_eq!(stopped(&world.pass()), Some((5, 8)));
    world.faults.delete_hangs = 0;
    world.pass_time(MINUTE);
    assert_eq!((world.cloud.len(), stopped(&world.pass())), (3, Some((5, 8))));
}

/// They may be there, or may go on to serve.
#[test]
fn what_a_listing_lacks_or_cannot_tell_of_is_no_loss() {
    let mut world = fleet_of(10);
    world.faults.blind = 100;
    world.observe();
    let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
    seen.servers.truncate(3);
    let decision = world.pass_on_last_listing();
    assert_eq!(stopped(&decision), None, "{:?}", decision.sentences());
    world.cloud.values_mut().take(6).for_each(|s| s.status = Status::Unknown);
    assert_eq!(stopped(&world.pass()), None);
}

/// What the second judge says of a plan that is made while five of eight are in ERROR, with what
/// was otherwise: none, or how many of how many are lost.
fn judged(change: impl FnOnce(&mut World, &[ServerId])) -> Option<String> {
    let mut world = fleet_of(8);
    world.group.behaviour.meltdown.percent = 100.0;
    let failed = fail(&mut world, 5);
    world.observe();
    let decision = world.decide();
    assert!(!decision.plan.is_empty());
    world.group.behaviour.meltdown.percent = 40.0;
    change(&mut world, &failed);
    said(&world, &decision)
}

/// What the second judge says of a meltdown.
fn said(world: &World, decision: &Decision) -> Option<String> {
    let broken = world.judge(decision).into_iter().find(|v| v.invariant == "meltdown")?;
    Some(broken.what.split("though ").nth(1)?.trim_end_matches(" were lost at once").to_owned())
}

/// What we ended ourselves is no loss, unless the delete certainly did nothing.
#[test]
fn the_second_judge_knows_what_we_ended() {
    let trouble = |kind| Some(Failure::new(kind, "so it goes"));
    let lost = Some("5 of 8".to_owned());
    for (accepted, failure, others, expected) in [
        (true, None, false, None),
        (false, None, false, lost.clone()),
        (false, trouble(FailureKind::Conflict), false, lost.clone()),
        (false, trouble(FailureKind::Unclear), false, None),
        (true, None, true, lost),
    ] {
        let case = format!("accepted: {accepted}, {failure:?}, others: {others}");
        let judged = judged(|world, failed| {
            let at = world.now;
            let state = match accepted {
                true => State::Accepted { at, first: None, short: None },
                false => State::Closed { at, done: 0 },
            };
            for (bits, id) in (1..).zip(failed) {
                let server = if others { ServerId::new("other").unwrap() } else { id.clone() };
                let what = Terminate { server, cause: Cause::Surplus, served: true, attempts: 1 };
                let trouble = failure.clone().map(|failure| Trouble { at, failure });
                let (id, group) = (IntentId::from_bits(bits), world.group.name.clone());
                let (what, state) = (What::Terminate(what), state.clone());
                let line = Intent { id: id.clone(), group, opened: at, what, state, trouble };
                world.intents.insert(id, line);
            }
        });
        assert_eq!(judged, expected, "{case}");
    }
}

/// What Nova cannot tell of, or deletes already, is not lost yet.
#[test]
fn the_second_judge_counts_what_is_down_for_certain() {
    for (status, deleting, lost) in [
        (Status::Error, false, true),
        (Status::Shutoff, false, true),
        (Status::Error, true, false),
        (Status::Unknown, false, false),
        (Status::Active, false, false),
    ] {
        let case = format!("{status:?}, deleting: {deleting}");
        let judged = judged(|world, failed| {
            let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
            for server in seen.servers.iter_mut().filter(|s| failed.contains(&s.id)) {
                let server = Arc::make_mut(server);
                (server.status, server.deleting) = (status.clone(), deleting);
            }
        });
        assert_eq!(judged.is_some(), lost, "{case}: {judged:?}");
    }
}

/// The share is of all that served and stand, whoever else is there.
#[test]
fn the_second_judge_counts_what_stood() {
    let (install, web) = (InstallId::from_bits(1), "web".parse().unwrap());
    let more = judged(|world, _| {
        let three = world.cloud.values().rev().take(3).cloned().collect::<Vec<_>>();
        let shown = [
            (Status::Active, false, true),
            (Status::Error, true, true),
            (Status::Shutoff, true, true),
            (Status::Build, false, true),
            (Status::Active, true, false),
        ];
        let Observation::Seen(seen) = &mut world.observation else { panic!("seen") };
        for (n, (status, launched, ours)) in shown.into_iter().enumerate() {
            let id = ServerId::new(format!("new{n}")).unwrap();
            let mut server = Server { id, status, launched, ..three[0].clone() };
            if !ours {
                server.metadata.clear();
            }
            assert_eq!(server.ownership(&install, &web) == Ownership::Ours, ours);
            seen.servers.push(Arc::new(server));
        }
        let hidden =
            |known: &Known, n: u32| (ServerId::new(format!("hidden{n}")).unwrap(), known.clone());
        let plain = world.known[&three[0].id].clone();
        let changes: [fn(&mut Known); 6] = [
            |_| (),
            |_| (),
            |k| k.served = false,
            |k| k.state = KnownState::Gone,
            |k| k.failure = Some(FailureKind::Unclear),
            |k| k.ownership = Ownership::Foreign,
        ];
        for (n, change) in (0..).zip(changes) {
            let (id, mut known) = hidden(&plain, n);
            known.id = id.clone();
            change(&mut known);
            world.known.insert(id, known);
        }
    });
    assert_eq!(more, Some("5 of 12".to_owned()), "the active, the failed and two hidden ones");
}

/// Losses of before count as long as they are young, and until a person let the group go on.
#[test]
fn the_second_judge_remembers_what_was_lost_before() {
    let within = group(0, 1).behaviour.meltdown.within;
    let instant = Duration::from_millis(1);
    // What has passed since, when a person let it go on, and whether it counts.
    for (passed, let_go, counts) in [
        (within, None, true),
        (within + instant, None, false),
        (MINUTE, None, true),
        (MINUTE, Some(-1), true),
        (MINUTE, Some(0), false),
        (MINUTE, Some(1), false),
    ] {
        let mut world = fleet_of(12);
        world.group.behaviour.meltdown.percent = 100.0;
        vanish(&mut world, 3);
        world.pass();
        let lost = world.memory.as_ref().unwrap().losses[0].at;
        world.settle(10);
        vanish(&mut world, 4);
        world.now.steady = lost.plus(passed).minus(Duration::from_millis(5));
        world.observe();
        assert_eq!(world.now.steady, lost.plus(passed));
        let decision = world.decide();
        world.group.behaviour.meltdown.percent = 45.0;
        let wall = world.now.wall;
        let at = |late: i64| Now { wall, steady: Steady(lost.0.saturating_add_signed(late)) };
        world.state.unfrozen = let_go.map(at);
        let case = format!("{passed:?} later, {let_go:?}");
        let expected = counts.then(|| "7 of 15".to_owned());
        assert_eq!(said(&world, &decision), expected, "{case}");
    }
}
