//! Random worlds: whatever strikes, the rules hold, and in the end the fleet is as desired.

use std::time::Duration;

use novascale::domain::count::Bounds;
use novascale::domain::id::TemplateHash;
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use rand::RngExt;

use super::world::{Faults, World, group, target};

const SEEDS: u64 = 120;
const MEDDLED: u64 = 60;
const PASSES: u32 = 120;

/// Every seed: a storm of faults and orders; then calm, and the fleet must be what is
/// desired, each launch id on no more servers than it asked for, and nothing left to do.
#[test]
fn after_any_storm_the_fleet_is_as_desired() {
    for seed in 0..SEEDS {
        let mut world = World::new(group(1, 12), seed);
        world.group.policies = vec![target("load", 10.0)];
        storm(&mut world, seed);
        calm(&mut world, seed);
    }
}

/// The same while people meddle: they untag, lock, stop and add servers, change the bounds and
/// the template, set the clock and lose the state. Once they have put that right, the fleet is
/// as desired.
#[test]
fn after_any_meddling_the_fleet_is_as_desired() {
    for seed in 0..MEDDLED {
        let mut world = World::new(group(1, 12), seed);
        world.group.policies = vec![target("load", 10.0)];
        world.group.behaviour.scale_in.velocity.percent = 25.0;
        for _ in 0..PASSES {
            draw_faults(&mut world);
            draw_order(&mut world);
            meddle(&mut world);
            world.pass();
            let pause = Duration::from_millis(world.dice.0.random_range(1000..40_000));
            world.pass_time(pause);
            if world.strikes(20) {
                world.pass_on_last_listing();
            }
        }
        put_right(&mut world);
        calm(&mut world, seed);
    }
}

fn meddle(world: &mut World) {
    let lot = world.dice.0.random_range(0..30);
    let at = world.dice.0.random_range(0..world.cloud.len().max(1));
    let one = world.cloud.values_mut().nth(at);
    match (lot, one) {
        (0, Some(server)) => server.tags.clear(),
        (1, Some(server)) => server.locked = !server.locked,
        (2, Some(server)) if server.status == Status::Active => server.status = Status::Shutoff,
        (3, Some(server)) if server.status == Status::Shutoff => server.status = Status::Active,
        (4, Some(server)) => server.deleting = true,
        (5, Some(server)) if server.status == Status::Active => server.status = Status::Error,
        (6, _) => world.add_by_hand(),
        (7, _) => {
            let (min, max) = (world.dice.0.random_range(0..4), world.dice.0.random_range(2..14));
            world.group.bounds = Bounds::new(min, max);
        }
        (8, _) => {
            let bits = world.dice.0.random();
            world.group.template.hash = TemplateHash::from_bits(bits);
        }
        (9, _) => world.now.wall.0 += world.dice.0.random_range(-3_600_000..3_600_000),
        (10, _) => world.lose_state(),
        _ => {}
    }
}

fn put_right(world: &mut World) {
    world.group.bounds = Bounds::new(1, 12);
    world.cloud.retain(|id, _| !id.as_str().starts_with("hand"));
    for server in world.cloud.values_mut() {
        server.locked = false;
        if server.status == Status::Shutoff {
            server.status = Status::Active;
        }
    }
}

fn storm(world: &mut World, seed: u64) {
    for pass in 0..PASSES {
        draw_faults(world);
        draw_order(world);
        let decision = world.pass();
        let occupied = u32::try_from(world.members()).unwrap();
        let surplus: u32 = late(world);
        assert!(occupied <= 12 + surplus, "seed {seed} pass {pass}: {occupied} servers");
        assert!((1..=12).contains(&decision.desired), "seed {seed} pass {pass}");
        let pause = Duration::from_millis(world.dice.0.random_range(1000..40_000));
        world.pass_time(pause);
        if world.strikes(20) {
            world.pass_on_last_listing();
        }
    }
}

/// Servers of launches that were given up and came after all: the only way past max.
fn late(world: &World) -> u32 {
    use novascale::domain::intent::State;
    world
        .intents
        .values()
        .filter(|i| matches!(i.state, State::Abandoned { .. }))
        .filter_map(|i| i.launch())
        .map(|l| l.n)
        .sum()
}

fn draw_faults(world: &mut World) {
    let mut one = |most: u32| {
        let hot = world.dice.0.random_range(0..4) == 0;
        if hot { world.dice.0.random_range(0..most) } else { 0 }
    };
    world.faults = Faults {
        reply_lost: one(50),
        request_lost: one(50),
        refused: one(60),
        build_fails: one(40),
        lag: one(60),
        unseen: one(60),
        crash: one(40),
        vanish: one(30),
        delete_hangs: one(90),
        conflict: one(50),
        denied: one(50),
        blind: one(60),
    };
}

fn draw_order(world: &mut World) {
    match world.dice.0.random_range(0..8) {
        0 => {
            let capacity = world.dice.0.random_range(0..15);
            world.order(Command::Set { capacity });
        }
        1 => {
            let by = world.dice.0.random_range(-5..6);
            world.order(Command::Adjust { by });
        }
        2 => {
            let load = f64::from(world.dice.0.random_range(0..150));
            world.measure("load", load);
        }
        3 => {
            let capacity = world.dice.0.random_range(0..15);
            world.order(Command::Pin { capacity, until: None });
        }
        4 => world.order(Command::Unpin),
        _ => {}
    }
}

fn calm(world: &mut World, seed: u64) {
    world.faults = Faults::default();
    world.measure("load", 45.0);
    world.order(Command::Unpin);
    world.order(Command::Set { capacity: 3 });
    // Settling time and back-off first, then the way down at its velocity.
    for _ in 0..120 {
        world.pass();
        world.pass_time(Duration::from_secs(11));
        world.measure("load", 45.0);
    }
    // Who looks in finds what the meltdown guard stopped, once all that was lost is known.
    world.pass();
    world.order(Command::Unfreeze);
    let last = world.settle(40);
    assert_eq!(last.desired, 5, "seed {seed}: {:#?}", last.sentences());
    assert_eq!(world.members(), 5, "seed {seed}: {:#?}", last.sentences());
    assert_eq!(last.situation().word(), "steady", "seed {seed}");
    for intent in world.intents.values().filter_map(|i| i.launch()) {
        let made = world.made.get(intent.launch.as_str()).copied().unwrap_or(0);
        assert!(made <= intent.n, "seed {seed}: a launch made {made} of {}", intent.n);
    }
    let (created, deleted) = (world.created, world.deleted);
    world.settle(5);
    assert_eq!((created, deleted), (world.created, world.deleted), "seed {seed}: writes go on");
}
