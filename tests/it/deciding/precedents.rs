//! What went wrong in programs like this one, played through. `tests/CASES.md` has all of it,
//! with the tests that stand elsewhere.

use std::collections::BTreeSet;
use std::time::Duration;

use novascale::domain::plan::Cause;
use novascale::domain::server::Status;
use novascale::domain::signal::Command;

use super::world::{World, group, launches, settled, target, terminations};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Case 0: the listing did not show what was just made, and one more was made at every tick.
#[test]
fn a_listing_that_does_not_show_what_was_made_makes_no_more() {
    for lag in [100, 50] {
        let mut world = World::new(group(0, 40), 7);
        world.faults.lag = lag;
        world.order(Command::Set { capacity: 5 });
        for _ in 0..60 {
            world.pass();
            world.pass_time(10 * SECOND);
        }
        assert_eq!((world.created, world.deleted), (5, 0), "lag {lag}");
        world.faults.lag = 0;
        world.settle(10);
        assert_eq!((world.created, world.deleted), (5, 0), "lag {lag}, mended");
    }
}

/// Case 25: alarms during a slow scale-out were added to what was on its way.
#[test]
fn signals_during_a_slow_scale_out_add_nothing_to_what_is_on_its_way() {
    let mut world = World::new(group(1, 40), 1);
    world.group.policies = vec![target("requests", 100.0)];
    world.group.patience.build = 20 * MINUTE;
    for _ in 0..20 {
        world.measure("requests", 790.0);
        world.pass();
        world.now = world.now.plus(30 * SECOND);
    }
    assert_eq!(world.created, 8, "ten minutes in BUILD, a signal every 30 s");
    world.pass_time(SECOND);
    world.measure("requests", 790.0);
    world.settle(10);
    assert_eq!((world.created, world.deleted), (8, 0));
}

/// Case 26: load that wavers about a threshold made and unmade servers without end.
#[test]
fn load_that_wavers_about_a_threshold_turns_the_fleet_rarely() {
    let mut world = World::new(group(1, 40), 3);
    world.group.policies = vec![target("requests", 100.0)];
    world.group.behaviour.scale_in.stabilization = 5 * MINUTE;
    world.group.behaviour.scale_in.cooldown = MINUTE;
    let mut sizes = vec![];
    for tick in 0..720_u32 {
        // 399 and 401 want four servers and five.
        let noise = if (tick * 7919) % 13 < 6 { 1.0 } else { -1.0 };
        world.measure("requests", 400.0 + noise);
        sizes.push(world.pass().desired);
        world.pass_time(10 * SECOND);
    }
    sizes.dedup();
    // Two hours: it comes to five, and while five was wanted within five minutes it stays.
    assert_eq!(*sizes.last().unwrap(), 5, "{sizes:?}");
    assert!(sizes.len() <= 3, "it turned {} times: {sizes:?}", sizes.len());
    assert_eq!(world.deleted, 0, "{sizes:?}");
}

/// Case 27: two that looked after the same server each repaired it.
#[test]
fn a_failed_server_that_is_seen_twice_is_replaced_once() {
    let mut world = settled(0, 8, 3);
    let failed = world.first_id();
    world.cloud.get_mut(&failed).unwrap().status = Status::Error;
    let first = world.pass();
    assert_eq!(terminations(&first), [(&failed, Cause::Error)]);
    assert_eq!(launches(&first), [1]);
    // Twice more on the listing that still shows it, and once on a new one.
    for decision in [world.pass_on_last_listing(), world.pass_on_last_listing(), world.pass()] {
        assert!(decision.plan.is_empty(), "{:?}", decision.plan);
    }
    world.settle(20);
    assert_eq!((world.created, world.deleted, world.members()), (4, 1, 3));
}

/// Case 14: a stale listing had the same node deleted again and again, and counted each time.
#[test]
fn a_server_that_a_stale_listing_still_shows_is_deleted_once() {
    let mut world = settled(0, 8, 5);
    world.order(Command::Set { capacity: 2 });
    let mut asked = BTreeSet::new();
    let mut deletes = 0;
    let first = world.pass();
    for decision in [first, world.pass_on_last_listing(), world.pass_on_last_listing()] {
        let victims = terminations(&decision);
        deletes += victims.len();
        asked.extend(victims.into_iter().map(|(server, _)| server.clone()));
    }
    assert_eq!((deletes, asked.len()), (3, 3));
    world.settle(20);
    assert_eq!((world.created, world.deleted, world.members()), (5, 3, 2));
}
