//! Failures, and what is still done beside them.

use std::time::Duration;

use novascale::decide::backoff::{Journal, Verdict};
use novascale::domain::group::LaunchLimits;
use novascale::domain::id::{IntentId, LaunchId, Zone};
use novascale::domain::intent::{Intent, Launch, State, Trouble, What};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::plan::Waiting;
use novascale::domain::server::{Fault, Status};
use novascale::domain::signal::Command;
use novascale::domain::time::{Now, Steady, Wall};

use super::world::{World, group, launches, settled, terminations};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_quota_without_numbers_is_filled() {
    let mut world = World::new(group(0, 20), 3);
    (world.quota, world.quota_tells) = (10, false);
    world.order(Command::Set { capacity: 12 });
    for _ in 0..4 * 60 {
        world.pass();
        world.pass_time(15 * SECOND);
    }
    assert_eq!(world.members(), 10);
}

#[test]
fn a_zone_that_is_out_keeps_nobody_from_the_others() {
    let mut world = World::new(group(0, 20), 3);
    world.group.template.zones = ["a", "b", "c"].map(|z| Zone::new(z).unwrap()).into();
    world.shut_zone = Some(Zone::new("b").unwrap());
    world.order(Command::Set { capacity: 9 });
    for _ in 0..8 {
        world.pass();
        world.pass_time(15 * SECOND);
    }
    assert_eq!(world.members(), 9);
}

#[test]
fn a_server_whose_delete_fails_without_a_reason_does_not_keep_the_others() {
    for kind in [FailureKind::Unclear, FailureKind::Refused] {
        let mut world = settled(0, 8, 4);
        world.group.behaviour.scale_in.velocity.percent = 25.0;
        world.stubborn = Some((world.first_id(), kind));
        world.order(Command::Set { capacity: 1 });
        for _ in 0..60 * 4 {
            world.pass();
            world.pass_time(15 * SECOND);
        }
        assert_eq!(world.members(), 1, "{kind:?}");
    }
}

const AT: Now = Now { wall: Wall(0), steady: Steady(1_000_000) };

fn launch(bits: u128, state: State, trouble: Option<Failure>) -> Intent {
    let group = group(0, 10);
    let launch = Launch {
        launch: LaunchId::from_bits(bits),
        n: 3,
        region: group.region,
        zone: None,
        flavor: "small".into(),
        template: group.template.hash,
        proven: false,
    };
    let trouble = trouble.map(|failure| Trouble { at: AT, failure });
    let (id, what) = (IntentId::from_bits(bits), What::Launch(launch));
    Intent { id, group: group.name, opened: AT, what, state, trouble }
}

fn verdict(intents: &[Intent]) -> Verdict {
    let now = AT.steady.plus(SECOND);
    let journal = Journal::of(intents, &group(0, 10).template.hash);
    journal.verdict("small", None, now, &LaunchLimits::default())
}

/// Whichever of the two ids is the larger.
#[test]
fn of_calls_that_fared_differently_in_one_pass_the_failed_ones_count() {
    for (one, other) in [(1 << 100, 2 << 100), (2 << 100, 1 << 100)] {
        let accepted = launch(one, State::Accepted { at: AT, first: None, short: None }, None);
        let refused =
            |bits, failure| launch(bits, State::Closed { at: AT, done: 0 }, Some(failure));
        let mut busy = Failure::new(FailureKind::Busy, "429");
        let short = refused(3, busy.clone());
        busy.retry_after = Some(5 * MINUTE);
        let waits = verdict(&[accepted.clone(), refused(other, busy), short]);
        let Verdict::Wait(wait) = waits else { panic!("{waits:?}") };
        assert_eq!((wait.until, wait.attempts), (AT.steady.plus(5 * MINUTE), 1));

        let told = |fits| Failure::new(FailureKind::Quota { fits: Some(fits) }, "quota");
        let (two, five) = (refused(other, told(2)), refused(3, told(5)));
        let most = |verdict| match verdict {
            Verdict::Go { fits, .. } => fits,
            Verdict::Wait(wait) => panic!("{wait:?}"),
        };
        assert_eq!(most(verdict(&[accepted, two, five])), Some(2));
    }
}

#[test]
fn a_reason_that_nova_tells_later_is_heard() {
    let mut world = World::new(group(0, 20), 5);
    world.faults.build_fails = 100;
    world.faults.denied = 100;
    world.order(Command::Set { capacity: 8 });
    assert_eq!(launches(&world.pass()), [8]);
    world.pass_time(6 * SECOND);
    let mut faults: Vec<Option<Fault>> = Vec::new();
    for server in world.cloud.values_mut() {
        faults.push(server.fault.take());
    }
    world.pass();
    for (server, fault) in world.cloud.values_mut().zip(faults) {
        server.fault = fault;
    }
    world.pass_time(2 * SECOND);
    world.pass();
    let kinds = world.known.values().map(|k| k.failure).collect::<Vec<_>>();
    assert_eq!(kinds, [Some(FailureKind::Capacity); 8]);
    let launched = world.intents.values().find(|i| i.launch().is_some()).unwrap();
    let trouble = launched.trouble.as_ref().unwrap();
    assert_eq!(trouble.failure.kind, FailureKind::Capacity);
    world.faults.build_fails = 0;
    world.faults.denied = 0;
    let mut sizes = Vec::new();
    for _ in 0..40 {
        sizes.extend(launches(&world.pass()));
        world.pass_time(10 * SECOND);
    }
    assert_eq!(sizes.first(), Some(&4), "as after any capacity fault");
}

#[test]
fn what_was_no_capacity_is_none_while_nobody_tells_of_it() {
    let mut world = settled(0, 8, 3);
    let ids: Vec<_> = world.cloud.keys().cloned().collect();
    world.cloud.get_mut(&ids[0]).unwrap().status = Status::Shutoff;
    world.cloud.get_mut(&ids[1]).unwrap().status = Status::Error;
    world.faults.denied = 100;
    world.pass();
    world.faults.blind = 100;
    world.cloud.get_mut(&ids[1]).unwrap().status = Status::Unknown;
    world.observe();
    let novascale::domain::fleet::Observation::Seen(seen) = &mut world.observation else {
        panic!("seen")
    };
    seen.servers.retain(|s| s.id != ids[0]);
    let tally = world.pass_on_last_listing().tally;
    assert_eq!((tally.idle, tally.failed, tally.unsure), (1, 1, 0), "{tally}");
}

#[test]
fn a_server_of_unknown_status_counts_as_what_it_was() {
    let mut world = settled(0, 8, 2);
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Unknown;
    let decision = world.pass();
    assert_eq!((decision.tally.unsure, decision.tally.capacity()), (1, 2));
    assert!(decision.plan.is_empty(), "{:?}", decision.plan);
}

#[test]
fn what_waits_for_one_server_is_said() {
    let mut world = settled(0, 8, 3);
    world.stubborn = Some((world.first_id(), FailureKind::Unclear));
    world.order(Command::Set { capacity: 0 });
    let mut said = false;
    for _ in 0..8 {
        let decision = world.pass();
        said |= decision.waiting.iter().any(|w| matches!(w, Waiting::DeleteBackoff { .. }));
        assert!(terminations(&decision).len() <= 2, "the last one goes alone");
        world.pass_time(SECOND);
    }
    assert!(said);
}
