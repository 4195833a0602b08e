//! Behaviour: windows, rates and cooldowns of either way.

mod hpa;
mod judged;
mod kep;
mod laws;
mod rules;

use std::time::Duration;

use novascale::domain::behaviour::{Change, Rate, Rates, Select};
use novascale::domain::claim::Memory;
use novascale::domain::plan::Decision;

use super::world::{World, group, target};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn count(n: u32, secs: u64) -> Rate {
    Rate { change: Change::Count(n), per: Duration::from_secs(secs) }
}

fn percent(percent: f64, secs: u64) -> Rate {
    Rate { change: Change::Percent(percent), per: Duration::from_secs(secs) }
}

fn select(select: Select, rates: &[Rate]) -> Rates {
    Rates { select, rates: rates.to_vec() }
}

fn max(rates: &[Rate]) -> Rates {
    select(Select::Max, rates)
}

/// A group whose load is a number of servers, long after `current` became desired.
fn at(current: u32, min: u32, max: u32) -> World {
    let mut world = World::new(group(min, max), 1);
    world.group.policies = vec![target("load", 1.0)];
    world.memory = Some(Memory { desired: Some(current), ..Memory::default() });
    world.now = world.now.plus(3 * 60 * MINUTE);
    world
}

/// Signals ask for so many; what is decided is recorded.
fn wants(world: &mut World, n: u32) -> Decision {
    world.measure("load", f64::from(n));
    let decision = world.decide();
    world.record(&decision);
    decision
}
