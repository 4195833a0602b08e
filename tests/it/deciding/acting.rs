//! The calls of a plan: which are made, and which are not any more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use novascale::cloud::{Audit, Compute, Create, Deleted, MayDelete};
use novascale::control::act::{PLAN_GOOD_FOR, act};
use novascale::control::pass::{PassError, pass};
use novascale::decide::Draws;
use novascale::domain::fleet::{Observation, Seen};
use novascale::domain::id::{Region, ServerId, Tag};
use novascale::domain::outcome::{CallResult, Failure, Outcome};
use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::server::{Server, Status};
use novascale::domain::signal::Command;
use novascale::domain::time::{Now, Steady};
use novascale::store::Window;

use super::loops::{order, parts};
use super::world::{World, group, settled};

/// Shows servers as they are by now, and notes the deletes and creates that it is asked for.
#[derive(Default)]
struct Cloud {
    servers: Vec<Server>,
    asked: Mutex<Vec<Steady>>,
}

#[async_trait]
impl Compute for Cloud {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        Ok(self.servers.clone())
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        Ok(self.servers.iter().find(|s| s.id == *id).cloned())
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        self.asked.lock().unwrap().push(request.not_after);
        Ok(None)
    }

    async fn delete(&self, _: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        self.asked.lock().unwrap().push(permit.not_after());
        Ok(Deleted::Accepted)
    }
}

/// What becomes of the decision's calls on a cloud that shows the servers so.
async fn acted(
    world: &World,
    decision: &Decision,
    servers: Vec<Server>,
) -> (Vec<Outcome>, Arc<Cloud>) {
    let cloud = Arc::new(Cloud { servers, ..Cloud::default() });
    let mut parts = parts(0);
    parts.compute = Arc::clone(&cloud) as Arc<dyn Compute>;
    let outcomes = act(&parts, &world.group, decision).collect().await;
    (outcomes, cloud)
}

/// A decision to sweep the first server, which a listing showed in ERROR.
fn sweeping(world: &mut World) -> Decision {
    let id = world.first_id();
    world.cloud.get_mut(&id).unwrap().status = Status::Error;
    world.observe();
    world.now = Now { wall: world.now.wall, steady: Steady(1_000_000) };
    let mut decision = world.decide();
    decision.plan.retain(|a| matches!(a, Action::Terminate { cause: Cause::Error, .. }));
    assert_eq!(decision.plan.len(), 1);
    decision
}

#[tokio::test]
async fn a_failed_server_that_serves_after_all_is_spared() {
    let mut world = settled(0, 8, 3);
    let decision = sweeping(&mut world);
    let shown = |status, deleting| {
        let servers = world.cloud.values().cloned();
        servers.map(|s| Server { status: Clone::clone(&status), deleting, ..s }).collect::<Vec<_>>()
    };
    for (status, deleting, goes) in [
        (Status::Active, false, false),
        (Status::Reboot, false, false),
        (Status::Error, false, true),
        (Status::Unknown, false, true),
        (Status::Active, true, true),
    ] {
        let (outcomes, cloud) = acted(&world, &decision, shown(status.clone(), deleting)).await;
        let sent = outcomes[0].result == CallResult::Deleting;
        assert_eq!(sent, goes, "{status:?}: {:?}", outcomes[0].result);
        assert_eq!(cloud.asked.lock().unwrap().len(), usize::from(goes));
        let spared = matches!(outcomes[0].result, CallResult::NotSent { .. });
        assert_eq!(spared, !goes, "it is no failure: {:?}", outcomes[0].result);
    }
}

#[tokio::test]
async fn every_change_says_until_when_its_plan_is_good() {
    let mut world = settled(0, 8, 3);
    world.order(Command::Set { capacity: 6 });
    world.observe();
    world.now.steady = Steady(1_000_000);
    let launching = world.decide();
    let (_, cloud) = acted(&world, &launching, Vec::new()).await;
    let end = launching.at.steady.plus(PLAN_GOOD_FOR);
    assert_eq!(*cloud.asked.lock().unwrap(), [end]);
    let decision = sweeping(&mut world);
    let servers: Vec<Server> = world.cloud.values().cloned().collect();
    let (_, cloud) = acted(&world, &decision, servers).await;
    assert_eq!(*cloud.asked.lock().unwrap(), [end]);
}

/// Dice that always fall the same: launches would share one id.
struct Loaded;

impl Draws for Loaded {
    fn bits(&mut self) -> u128 {
        7
    }
}

#[tokio::test]
async fn a_decision_that_breaks_a_rule_is_neither_recorded_nor_carried_out() {
    let (mut parts, group) = (parts(0), group(0, 200));
    let cloud = Arc::new(Cloud::default());
    parts.compute = Arc::clone(&cloud) as Arc<dyn Compute>;
    order(&parts, &group, 120).await;
    let (now, fresh_for) = (parts.clock.now(), Duration::from_secs(30));
    let seen = Seen { servers: Vec::new(), began: now, fresh_for, lookups: Vec::new() };
    let mut published = false;
    let (seen, mut dice) = (Observation::Seen(seen), Loaded);
    let publish = |_: &Arc<Decision>| published = true;
    let refused = pass(&parts, &group, &seen, now, &mut dice, publish).await.unwrap_err();
    assert!(matches!(&refused, PassError::Refused(broken) if broken[0].invariant == "I4"));
    assert!(refused.to_string().contains("is used twice"), "{refused}");
    let hour = Duration::from_secs(3600);
    let kept = parts.store.gather(&group.name, Window { now, signals: hour, past: hour }).await;
    let kept = kept.unwrap();
    assert_eq!((kept.memory, kept.intents, kept.known), (None, Vec::new(), Vec::new()));
    assert!(parts.store.decisions(&group.name, 1).await.unwrap().is_empty());
    assert!(cloud.asked.lock().unwrap().is_empty() && !published);
}
