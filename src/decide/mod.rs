//! What should be done for one group, and why: the whole of it in one pure function.
//!
//! Nothing here reads a clock, draws a number of its own, logs, waits or knows how
//! anything is stored or sent. The story: [`settle`] holds what Nova showed against
//! what is remembered and says who is a member and which intents are over; the
//! [`policy`] files turn signals into claims; [`temper`] turns the largest claim into
//! desired; [`diff`] turns the difference into actions, with [`victim`] and [`backoff`]
//! at its side. [`verify`] judges the result by rules of its own.

pub mod adopt;
pub mod backoff;
pub mod cut;
pub mod diff;
pub mod pause;
pub mod policy;
pub mod rivals;
pub mod settle;
pub mod snapshot;
pub mod temper;
pub mod verify;
pub mod victim;

pub use snapshot::{Open, Snapshot};

use std::time::Duration;

use self::cut::Cut;
use self::settle::Losses;
use crate::domain::claim::Memory;
use crate::domain::pause::Process;
use crate::domain::plan::{Changes, Decision};
use crate::domain::time::{Now, Steady};

/// Random bits, handed in.
pub trait Draws: Send {
    fn bits(&mut self) -> u128;
}

/// The longest that a group goes without a look, whatever happens.
pub const LOOK_MOST: Duration = Duration::from_secs(60);
/// The shortest pause between two looks.
pub const LOOK_LEAST: Duration = Duration::from_secs(1);

/// Decides for one group. Deciding twice on the same snapshot gives the same, but for
/// the drawn ids; deciding again once a decision was carried out gives nothing to do.
pub fn decide(snapshot: &Snapshot<'_>, draws: &mut dyn Draws) -> Decision {
    let fleet = settle::settle(snapshot);
    let signalled = policy::signalled(snapshot, &fleet);
    let signals = pause::Signals::of(snapshot, signalled.claims);
    let schedules = snapshot.in_force().to_vec();
    let claims = policy::claims(snapshot, &schedules, &signals);
    let stands = fleet.tally.capacity();
    let cut = Cut::of(snapshot, &fleet.tally);
    let kept = cut.waits.then_some(cut.accepted.max);
    let found = fleet.found;
    let measured = &signals.measured;
    let asked = temper::Asked { claims: &claims, measured, found, stands, kept };
    let tempered = temper::temper(snapshot, asked);
    let upheld = signals.upheld(snapshot, &tempered);
    let mut plan = diff::diff(snapshot, &fleet, tempered.desired, draws);
    plan.waiting.extend(pause::waiting(snapshot, &signals));
    let accepted = Some(cut.accepted);
    let memory = tempered.memory.map(|next| {
        let Losses { recent, melted, .. } = fleet.losses;
        let policies = signalled.memory;
        let mut next = Memory { accepted, losses: recent, melted, upheld, policies, ..next };
        // A shorter lead would end what a schedule that rests gives ahead of its hour.
        if snapshot.paused(Process::Schedule).is_none() {
            fleet.boots.iter().for_each(|took| next.booted(*took));
        }
        policy::ready::count(snapshot, fleet.tally.serving + fleet.tally.unsure, &mut next);
        next
    });
    let memory = memory.filter(|next| snapshot.memory != Some(next));
    let wakes = [tempered.wake, plan.wake, fleet.wake, signalled.wake, pause::wake(snapshot)];
    let next_look = next_look(snapshot.now, wakes);
    let mut intents = fleet.changed_intents;
    intents.extend(plan.intents);
    Decision {
        group: snapshot.group.name.clone(),
        at: snapshot.now,
        config_hash: snapshot.group.config_hash.clone(),
        bounds: snapshot.bounds(),
        schedules,
        claims,
        wanted: tempered.wanted,
        desired: tempered.desired,
        tempering: tempered.steps,
        tally: fleet.tally,
        plan: plan.actions,
        waiting: plan.waiting,
        pauses: crate::domain::pause::in_force(&snapshot.state.pauses, snapshot.now),
        next_look,
        changes: Changes {
            memory,
            intents,
            known: fleet.changed_known,
            members: fleet.members,
            watched: fleet.watched,
            sought: plan.sought,
            adopted: plan.adopted,
        },
    }
}

fn next_look(now: Now, wakes: [Option<Steady>; 5]) -> Steady {
    let latest = now.steady.plus(LOOK_MOST);
    let soonest = now.steady.plus(LOOK_LEAST);
    wakes.into_iter().flatten().fold(latest, Steady::min).max(soonest)
}

/// The earlier of two instants, where none means never.
fn sooner(a: Option<Steady>, b: Option<Steady>) -> Option<Steady> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// A fresh group's memory, for a snapshot without one.
fn remembered(snapshot: &Snapshot<'_>) -> Memory {
    snapshot.memory.cloned().unwrap_or_default()
}
