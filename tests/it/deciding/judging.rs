//! The second judge must be able to say no: bad decisions, made by hand, and the rule that
//! each one breaks.

use std::sync::Arc;
use std::time::Duration;

use novascale::domain::count::Bounds;
use novascale::domain::fleet::{Observation, Seen};
use novascale::domain::id::{IntentId, LaunchId, Region, ServerId, mark};
use novascale::domain::intent::{Intent, Launch, State, Terminate, Trouble, What};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::server::Server;

use super::world::{World, settled, target};

/// Where nothing is to be done: three servers, three desired, at most five.
fn at_rest() -> (World, Decision) {
    let mut world = settled(1, 5, 3);
    let decision = again(&mut world);
    assert!(decision.plan.is_empty() && world.judge(&decision).is_empty());
    (world, decision)
}

/// What is decided now.
fn again(world: &mut World) -> Decision {
    world.observe();
    world.decide()
}

fn line(world: &World, bits: u128, what: What) -> Intent {
    let (group, opened) = (world.group.name.clone(), world.now);
    let id = IntentId::from_bits(bits);
    Intent { id, group, opened, what, state: State::Open, trouble: None }
}

fn launch(world: &World, bits: u128, n: u32) -> Launch {
    Launch {
        launch: LaunchId::from_bits(bits),
        n,
        region: world.group.region.clone(),
        zone: None,
        flavor: "small".into(),
        template: world.group.template.hash.clone(),
        proven: false,
    }
}

fn plan_launch(world: &World, decision: &mut Decision, bits: u128, n: u32) {
    let launch = launch(world, bits, n);
    let line = line(world, bits, What::Launch(launch.clone()));
    decision.plan.push(Action::Launch { intent: line.id.clone(), launch });
    decision.changes.intents.push(line);
}

fn terminate(world: &World, bits: u128, server: &ServerId) -> Intent {
    let (server, cause) = (server.clone(), Cause::Surplus);
    line(world, bits, What::Terminate(Terminate { server, cause, served: true, attempts: 0 }))
}

fn plan_end(world: &World, decision: &mut Decision, bits: u128, server: &ServerId) {
    let line = terminate(world, bits, server);
    let (intent, server) = (line.id.clone(), server.clone());
    decision.plan.push(Action::Terminate { intent, server, cause: Cause::Surplus });
    decision.changes.intents.push(line);
}

/// The end of the first so many servers.
fn plan_ends(world: &World, decision: &mut Decision, n: usize) {
    for (bits, id) in (1..).zip(world.cloud.keys().take(n)) {
        plan_end(world, decision, bits, id);
    }
}

/// Something about the first server, with its end planned.
fn end_of(world: &mut World, change: impl FnOnce(&mut Server)) -> Decision {
    let id = world.first_id();
    change(world.cloud.get_mut(&id).unwrap());
    let mut decision = again(world);
    plan_end(world, &mut decision, 1, &id);
    decision
}

/// The first server carries another installation's mark.
fn stranger(world: &mut World) {
    let id = world.first_id();
    let metadata = &mut world.cloud.get_mut(&id).unwrap().metadata;
    metadata.insert(mark::INSTALL.into(), "f".repeat(32));
    world.observe();
}

fn seen(world: &mut World) -> &mut Seen {
    match &mut world.observation {
        Observation::Seen(seen) => seen,
        Observation::Unseen { why, .. } => panic!("{why}"),
    }
}

type Bad = fn(&mut World, Decision) -> Decision;

/// The rule that is broken, in which words, and how.
const BAD: [(&str, &str, Bad); 28] = [
    ("I1", "3 more beside 3 and 0 coming exceed max 5", |w, mut d| {
        plan_launch(w, &mut d, 1, 3);
        d
    }),
    ("I1", "1 more beside 3 and 2 coming exceed max 5", |w, mut d| {
        let coming = line(w, 9, What::Launch(launch(w, 9, 2)));
        w.intents.insert(coming.id.clone(), coming);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I2", "1 would serve, below min 2", |w, mut d| {
        w.group.bounds = Bounds::new(2, 5);
        plan_ends(w, &mut d, 2);
        d
    }),
    ("I2", "the last 3 would go at once", |w, mut d| {
        w.group.bounds = Bounds::new(0, 5);
        plan_ends(w, &mut d, 3);
        d.desired = 0;
        d
    }),
    ("I2", "the last server would go while more are desired", |w, _| {
        *w = settled(0, 5, 1);
        let mut d = again(w);
        plan_ends(w, &mut d, 1);
        d
    }),
    ("I2", "2 terminations after 0 exceed 1 a minute", |w, mut d| {
        w.group.behaviour.scale_in.velocity.percent = 25.0;
        plan_ends(w, &mut d, 2);
        d
    }),
    ("I2", "1 terminations after 1 exceed 1 a minute", |w, mut d| {
        w.group.behaviour.scale_in.velocity.percent = 25.0;
        let mut unclear = terminate(w, 9, &w.first_id());
        unclear.state = State::Closed { at: w.now, done: 0 };
        let failure = Failure::new(FailureKind::Unclear, "reset");
        unclear.trouble = Some(Trouble { at: w.now, failure });
        w.intents.insert(unclear.id.clone(), unclear);
        plan_ends(w, &mut d, 1);
        d
    }),
    ("I3", "one server is terminated twice", |w, mut d| {
        plan_end(w, &mut d, 1, &w.first_id());
        plan_end(w, &mut d, 2, &w.first_id());
        d
    }),
    ("I3", "is not ours to delete", |w, _| end_of(w, |s| s.metadata.clear())),
    ("I3", "is not ours to delete", |w, _| end_of(w, |s| s.locked = true)),
    ("I3", "is not ours to delete", |w, _| {
        end_of(w, |s| {
            s.metadata.insert(mark::PROTECT.into(), "yes".into());
        })
    }),
    ("I3", "is not ours to delete", |w, _| {
        end_of(w, |s| {
            s.metadata.insert(mark::INSTALL.into(), "f".repeat(32));
        })
    }),
    ("I3", "server nobody is not ours to delete", |w, mut d| {
        plan_end(w, &mut d, 1, &ServerId::new("nobody").unwrap());
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        plan_launch(w, &mut d, 1, 1);
        d.changes.intents.clear();
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        plan_launch(w, &mut d, 1, 1);
        d.changes.intents[0].what = What::Launch(launch(w, 1, 2));
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        plan_ends(w, &mut d, 1);
        d.changes.intents.clear();
        d
    }),
    ("I4", "is used twice", |w, mut d| {
        let mut old = line(w, 9, What::Launch(launch(w, 1, 1)));
        old.state = State::Closed { at: w.now, done: 1 };
        w.intents.insert(old.id.clone(), old);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I4", "is used twice", |w, mut d| {
        plan_launch(w, &mut d, 1, 1);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I6", "actions are planned without a listing", |w, mut d| {
        w.observation = Observation::Unseen { since: w.now, why: "503".into() };
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I6", "the listing is 31 s old", |w, mut d| {
        w.now = w.now.plus(Duration::from_secs(31));
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I6", "3 of 3 known servers are missing", |w, mut d| {
        seen(w).servers.clear();
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I6", "is in region R1", |w, mut d| {
        w.group.region = Region::new("R2").unwrap();
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I7", "a launch though another installation was here first", |w, _| {
        stranger(w);
        let mut d = again(w);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I7", "servers go though another installation works here", |w, _| {
        stranger(w);
        let mut d = again(w);
        let last = w.cloud.keys().last().cloned().unwrap();
        plan_end(w, &mut d, 1, &last);
        d
    }),
    ("I10", "desired 6 is outside 1 to 5", |_, mut d| {
        d.desired = 6;
        d
    }),
    ("I10", "desired 0 is outside 1 to 5", |_, mut d| {
        d.desired = 0;
        d
    }),
    ("I11", "desired falls from 3 to 1 on missing data", |w, _| {
        w.group.policies = vec![target("load", 10.0)];
        let mut d = again(w);
        d.desired = 1;
        d
    }),
    ("I14", "1 go by a cut of max from 5 to 2 that waits", |w, mut d| {
        w.group.bounds = Bounds::new(1, 2);
        plan_ends(w, &mut d, 1);
        d
    }),
];

#[test]
fn bad_decisions_are_refused_by_name() {
    for (invariant, words, bad) in BAD {
        let (mut world, decision) = at_rest();
        let decision = bad(&mut world, decision);
        let broken = world.judge(&decision);
        let named = broken.iter().any(|v| v.invariant == invariant && v.what.contains(words));
        assert!(named, "{invariant}: {words}: {broken:?}");
    }
}

#[test]
fn a_good_one_is_not() {
    let (mut world, mut decision) = at_rest();
    plan_launch(&world, &mut decision, 1, 2);
    assert_eq!(world.judge(&decision), []);
    let mut decision = again(&mut world);
    plan_ends(&world, &mut decision, 2);
    assert_eq!(world.judge(&decision), []);
    // A listing that lags shows what a 404 has since proved gone.
    let gone = Arc::clone(&seen(&mut world).servers[0]);
    let mut proof = terminate(&world, 9, &gone.id);
    proof.state = State::Closed { at: world.now, done: 1 };
    world.intents.insert(proof.id.clone(), proof);
    let mut decision = world.decide();
    decision.plan.clear();
    decision.changes.intents.clear();
    plan_launch(&world, &mut decision, 1, 3);
    assert_eq!(world.judge(&decision), []);
}
