//! The second judge must be able to say no: bad decisions, made by hand, and the rule that
//! each one breaks. What it lets pass is in `judging/good.rs`.

mod good;

use std::sync::Arc;
use std::time::Duration;

use novascale::domain::adoption::{Adopt, Adoptees, Former};
use novascale::domain::count::Bounds;
use novascale::domain::fleet::{Found, Lookup, Observation, Seen};
use novascale::domain::id::{IntentId, LaunchId, Region, ServerId, Tag, mark};
use novascale::domain::intent::{Intent, Launch, State, Terminate, Trouble, What};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::server::{KnownState, Server};
use novascale::domain::signal::Command;

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

fn plan_adoption(world: &World, decision: &mut Decision, adopt: Adopt) {
    let line = line(world, 77, What::Adopt(adopt.clone()));
    decision.plan.push(Action::Adopt { intent: line.id.clone(), adopt });
    decision.changes.intents.push(line);
}

/// Some server by its id, with the group's tag or not.
fn adoption(id: &str, untagged: bool) -> Adopt {
    let server = ServerId::new(id).unwrap();
    Adopt { server, launch: LaunchId::from_bits(77), untagged, from: None }
}

/// An order for the server `one`.
fn order_one(world: &mut World, untagged: bool) {
    let servers = [ServerId::new("one").unwrap()].into();
    world.order(Command::Adopt(Adoptees::Servers { servers, untagged }));
}

fn former(group: &str) -> Former {
    let tag = Tag::new(format!("novascale:{group}")).unwrap();
    Former { group: group.parse().unwrap(), tag }
}

/// An order for what the group `old` left: the first server is of it, the others are not.
fn order_old(world: &mut World) -> Decision {
    let id = world.first_id();
    let metadata = &mut world.cloud.get_mut(&id).unwrap().metadata;
    metadata.insert(mark::GROUP.into(), "old".into());
    world.order(Command::Adopt(Adoptees::renamed(former("old"))));
    let mut decision = again(world);
    decision.plan.clear();
    decision.changes.intents.clear();
    decision
}

/// A journal line of before, as it is by now.
fn before(world: &mut World, mut line: Intent, state: State) {
    line.state = state;
    world.intents.insert(line.id.clone(), line);
}

/// As if max had been cut from 9 to 4 with four that serve: the end of one of them.
fn cut(world: &mut World) -> Decision {
    *world = settled(1, 9, 4);
    world.group.bounds = Bounds::new(1, 4);
    let mut decision = again(world);
    plan_ends(world, &mut decision, 1);
    decision
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

/// A look by id at some other server, and what was found.
fn look_up(world: &mut World, found: impl FnOnce(Server) -> Found) {
    let id = ServerId::new("other").unwrap();
    let server = Server { id: id.clone(), ..world.cloud[&world.first_id()].clone() };
    let (began, found) = (world.now, found(server));
    seen(world).lookups.push(Lookup { id, began, found });
}

type Case = fn(&mut World, Decision) -> Decision;

/// The rule that is broken, in which words, and how.
const BAD: [(&str, &str, Case); 52] = [
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
        look_up(w, |server| Found::Present(Arc::new(server)));
        plan_end(w, &mut d, 1, &ServerId::new("nobody").unwrap());
        d
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
    ("I1", "3 more beside 3 and 0 coming exceed max 5", |w, mut d| {
        let other = terminate(w, 9, &ServerId::new("gone").unwrap());
        before(w, other, State::Closed { at: w.now, done: 1 });
        plan_launch(w, &mut d, 1, 3);
        d
    }),
    ("I1", "1 more beside 3 and 2 coming exceed max 5", |w, mut d| {
        let coming = line(w, 9, What::Launch(launch(w, 9, 2)));
        before(w, coming.clone(), State::Open);
        let unsettled = State::Unsettled { since: w.now, absent: None };
        d.changes.intents.push(Intent { state: unsettled, ..coming });
        let mut other = line(w, 8, What::Launch(launch(w, 8, 1)));
        other.state = State::Closed { at: w.now, done: 1 };
        d.changes.intents.push(other);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I1", "3 more beside 3 and 0 coming exceed max 5", |w, mut d| {
        look_up(w, |_| Found::Absent);
        plan_launch(w, &mut d, 1, 3);
        d
    }),
    ("I1", "2 more beside 3 and 1 coming exceed max 5", |w, mut d| {
        order_one(w, true);
        plan_adoption(w, &mut d, adoption("one", true));
        plan_launch(w, &mut d, 1, 2);
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        plan_ends(w, &mut d, 1);
        let other = w.cloud.keys().last().cloned().unwrap();
        d.changes.intents[0].what = terminate(w, 1, &other).what;
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        plan_ends(w, &mut d, 1);
        d.changes.intents[0].id = IntentId::from_bits(9);
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        order_one(w, true);
        plan_adoption(w, &mut d, adoption("one", true));
        d.changes.intents[0].what = What::Adopt(adoption("one", false));
        d
    }),
    ("I4", "no journal line stands before", |w, mut d| {
        order_one(w, true);
        plan_adoption(w, &mut d, adoption("one", true));
        d.changes.intents[0].id = IntentId::from_bits(9);
        d
    }),
    ("I6", "3 of 3 known servers are missing", |w, mut d| {
        seen(w).servers.clear();
        let coming = line(w, 9, What::Launch(launch(w, 9, 1)));
        before(w, coming, State::Open);
        let other = terminate(w, 8, &ServerId::new("other").unwrap());
        before(w, other, State::Open);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I6", "3 of 3 known servers are missing", |w, mut d| {
        let began = seen(w).began.steady;
        seen(w).servers.clear();
        for known in w.known.values_mut() {
            (known.first_seen, known.state) = (began, KnownState::Missing);
        }
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I7", "a launch though another installation was here first", |w, _| {
        stranger(w);
        // It is the oldest, and listed last.
        let id = w.first_id();
        w.cloud.get_mut(&id).unwrap().created.0 -= 1;
        let mut d = again(w);
        seen(w).servers.reverse();
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("I8", "nobody ordered to adopt server one", |w, mut d| {
        plan_adoption(w, &mut d, adoption("one", false));
        d
    }),
    ("I8", "nobody ordered to adopt server two", |w, mut d| {
        order_one(w, true);
        plan_adoption(w, &mut d, adoption("two", false));
        d
    }),
    ("I8", "nobody ordered to adopt server one", |w, mut d| {
        order_one(w, false);
        plan_adoption(w, &mut d, adoption("one", true));
        d
    }),
    ("I8", "nobody ordered to adopt server s", |w, _| {
        let mut d = order_old(w);
        let theirs = w.first_id();
        let from = Some(former("older"));
        plan_adoption(w, &mut d, Adopt { from, ..adoption(theirs.as_str(), true) });
        d
    }),
    ("I8", "nobody ordered to adopt server s", |w, _| {
        let mut d = order_old(w);
        let ours = w.cloud.keys().last().cloned().unwrap();
        let from = Some(former("old"));
        plan_adoption(w, &mut d, Adopt { from, ..adoption(ours.as_str(), true) });
        d
    }),
    ("I8", "nobody ordered to adopt server nobody", |w, _| {
        let mut d = order_old(w);
        let from = Some(former("old"));
        plan_adoption(w, &mut d, Adopt { from, ..adoption("nobody", true) });
        d
    }),
    ("I14", "1 go by a cut of max from 9 to 4 that waits", |w, _| {
        let mut d = cut(w);
        d.tally.coming = 2;
        d
    }),
    ("I14", "1 go by a cut of max from 9 to 4 that waits", |w, _| {
        let mut d = cut(w);
        (d.tally.unsure, d.tally.coming) = (1, 0);
        d
    }),
    ("I14", "1 go by a cut of max from 9 to 4 that waits", |w, _| {
        let mut d = cut(w);
        (d.tally.building, d.tally.unsure) = (1, 1);
        d
    }),
    ("I14", "1 go by a cut of max from 9 to 4 that waits", |w, _| {
        let mut d = cut(w);
        d.tally.building = 5;
        d
    }),
    ("I14", "1 go by a cut of max from 9 to 4 that waits", |w, _| {
        let mut d = cut(w);
        d.tally.building = 1;
        w.order(Command::Confirm { max: 3 });
        d
    }),
    ("I14", "1 go by a cut of max from 9 to 4 that waits", |w, _| {
        let mut d = cut(w);
        d.tally.building = 1;
        let memory = w.memory.as_mut().unwrap();
        memory.accepted.as_mut().unwrap().since = w.now.plus(Duration::from_secs(1)).steady;
        w.order(Command::Confirm { max: 4 });
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
