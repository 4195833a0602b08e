//! And it must let pass what keeps to the rules, however close to their edge.

use std::sync::Arc;

use novascale::domain::adoption::Adopt;
use novascale::domain::behaviour::Velocity;
use novascale::domain::fleet::{Found, Lookup};
use novascale::domain::id::ServerId;
use novascale::domain::intent::{Launch, State, What};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;

use super::{
    Case, adoption, again, at_rest, before, cut, former, launch, line, order_old, order_one,
    plan_end,
};
use super::{plan_adoption, plan_ends, plan_launch, seen, terminate};

/// Each to the edge of what its rule allows.
const GOOD: [(&str, Case); 13] = [
    ("a delete of a minute ago does not count", |w, mut d| {
        w.group.behaviour.scale_in.velocity.percent = 25.0;
        let mut old = terminate(w, 9, &ServerId::new("gone").unwrap());
        old.opened.steady = w.now.steady.minus(Velocity::PERIOD);
        before(w, old, State::Closed { at: w.now, done: 1 });
        plan_ends(w, &mut d, 1);
        d
    }),
    ("a member that is adopted takes no second place", |w, _| {
        let mut d = order_old(w);
        let from = Some(former("old"));
        plan_adoption(w, &mut d, Adopt { from, ..adoption(w.first_id().as_str(), true) });
        plan_launch(w, &mut d, 1, 2);
        d
    }),
    ("with the group's tag is less than without it", |w, mut d| {
        order_one(w, true);
        plan_adoption(w, &mut d, adoption("one", false));
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("an old listing is good to its last moment", |w, mut d| {
        let (began, fresh_for) = (seen(w).began.steady, seen(w).fresh_for);
        w.now.steady = began.plus(fresh_for);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("what was first seen when the listing began is not missing from it", |w, mut d| {
        let began = seen(w).began.steady;
        seen(w).servers.clear();
        w.known.values_mut().for_each(|known| known.first_seen = began);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("what goes by our doing is not missing", |w, mut d| {
        for (bits, id) in (10..).zip(w.cloud.keys().cloned().collect::<Vec<_>>()) {
            let going = terminate(w, bits, &id);
            before(w, going, State::Open);
        }
        seen(w).servers.clear();
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("what is soft-deleted takes no place", |w, mut d| {
        Arc::make_mut(&mut seen(w).servers[0]).status = Status::SoftDeleted;
        plan_launch(w, &mut d, 1, 3);
        d
    }),
    ("nor does what is without the tag", |w, mut d| {
        Arc::make_mut(&mut seen(w).servers[0]).tags.clear();
        plan_launch(w, &mut d, 1, 3);
        d
    }),
    ("what has come of a launch is not awaited beside it", |w, mut d| {
        let came = w.cloud[&w.first_id()].launch().unwrap();
        let coming = Launch { launch: came, ..launch(w, 9, 3) };
        let coming = line(w, 9, What::Launch(coming));
        before(w, coming, State::Open);
        plan_launch(w, &mut d, 1, 2);
        d
    }),
    ("a server that only a look by id shows may go", |w, mut d| {
        let hidden = seen(w).servers.pop().unwrap();
        let (id, began) = (hidden.id.clone(), w.now);
        let found = Found::Present(hidden);
        seen(w).lookups.push(Lookup { id: id.clone(), began, found });
        plan_end(w, &mut d, 1, &id);
        d
    }),
    ("two missing at once are believed", |w, mut d| {
        seen(w).servers.truncate(1);
        plan_launch(w, &mut d, 1, 1);
        d
    }),
    ("a word for this max lets it go", |w, _| {
        let mut d = cut(w);
        d.tally.building = 1;
        w.order(Command::Confirm { max: 4 });
        d
    }),
    ("what is more than the last max goes all the same", |w, _| {
        let mut d = cut(w);
        d.tally.building = 6;
        d
    }),
];

#[test]
fn good_decisions_are_not_refused() {
    for (words, good) in GOOD {
        let (mut world, decision) = at_rest();
        let decision = good(&mut world, decision);
        assert_eq!(world.judge(&decision), [], "{words}");
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
