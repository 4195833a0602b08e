//! What each policy asks for, by tables from the sources that its rules come from.

mod alerts;
mod averages;
mod expressions;
mod fallbacks;
mod laws;
mod resting;
mod steps;
mod totals;
mod windows;

use std::time::Duration;

use novascale::domain::claim::{Claim, Source, Wants};
use novascale::domain::id::{ServerId, SignalName};
use novascale::domain::policy::{Aggregate, Average, Policy, Reading, Tolerance};
use novascale::domain::server::Status;

use super::world::{World, settled};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn reading(signal: &str) -> Reading {
    Reading::newest(SignalName::new(signal).unwrap(), 5 * MINUTE)
}

fn windowed(signal: &str, aggregate: &str, window: Duration) -> Reading {
    let aggregate = Aggregate::parse(aggregate).unwrap();
    Reading { aggregate, window, ..reading(signal) }
}

fn average(target: f64) -> Average {
    let tolerance = Tolerance { out: 0.1, into: 0.1 };
    Average { reading: reading("cpu"), target, tolerance, warm_up: MINUTE, fallback: None }
}

/// So many servers that have served for long, and this policy.
fn fleet(n: u32, policy: Policy) -> World {
    let mut world = settled(0, 100, n);
    world.pass_time(10 * MINUTE);
    world.pass();
    world.group.policies = vec![policy];
    world
}

fn ids(world: &World) -> Vec<ServerId> {
    world.cloud.keys().cloned().collect()
}

/// What signals ask for now, by the one policy that there is.
fn claim(world: &mut World) -> Claim {
    world.observe();
    let decision = world.decide();
    let signalled =
        |claim: &&Claim| claim.source.measured() || matches!(claim.source, Source::Alert { .. });
    let found = decision.claims.iter().find(signalled).cloned();
    found.unwrap_or_else(|| panic!("no claim: {:#?}", decision.sentences()))
}

fn wants(world: &mut World) -> Option<u32> {
    claim(world).wants.number()
}

fn status(world: &mut World, id: &ServerId, status: Status) {
    world.cloud.get_mut(id).unwrap().status = status;
}

/// Sorted by the servers' ids; None of one that does not report.
fn report(world: &mut World, values: &[Option<f64>]) {
    for (id, value) in ids(world).iter().zip(values) {
        if let Some(value) = value {
            world.measure_on(std::slice::from_ref(id), "cpu", *value);
        }
    }
}

fn unknown(claim: &Claim) -> bool {
    claim.wants == Wants::Unknown
}
