//! Freezing: whoever freezes, by command or by file, nothing is changed from then on, and all
//! else goes on as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use novascale::cloud::{Audit, Compute, Create, Deleted, Marks, MayDelete};
use novascale::control::Parts;
use novascale::control::act::act;
use novascale::domain::explain::Situation;
use novascale::domain::freeze::{Brake, Braked, Freeze};
use novascale::domain::group::Group;
use novascale::domain::id::{GroupName, Region, ServerId, Tag};
use novascale::domain::outcome::{CallResult, Failure, FailureKind};
use novascale::domain::plan::Decision;
use novascale::domain::server::Server;
use novascale::domain::signal::{Command, Ordered};
use novascale::domain::time::Wall;
use novascale::store::{Admit, What};

use super::loops::parts;
use super::world::{World, group};

fn by_file(every: bool, fault: Option<&str>) -> Braked {
    let (path, fault) = ("/state/freeze".to_owned(), fault.map(str::to_owned));
    Braked::File { path, since: Wall(0), every, fault }
}

fn other_project() -> Braked {
    Braked::OtherProject { ours: "aaa".into(), theirs: "bbb".into() }
}

/// Each way to hold a group, and words that its explanation has.
fn holds(world: &mut World, way: usize) -> &'static str {
    let at = world.now;
    match way {
        0 => {
            world.order(Command::Freeze);
            "by test: nothing is changed until `novascale unfreeze web`"
        }
        1 => {
            let reason = Some("storm".to_owned());
            world.all_frozen = Some(Freeze { since: at, by: "operate".into(), reason });
            "with every other group by operate (storm): nothing is changed until `novascale unfreeze`"
        }
        2 => {
            world.brake = Some(by_file(false, None));
            "by the file /state/freeze: nothing is changed until its line `web` is removed"
        }
        3 => {
            world.brake = Some(by_file(true, None));
            "by the file /state/freeze: nothing is changed until it is removed"
        }
        4 => {
            world.brake = Some(by_file(true, Some("line 2 is no group's name")));
            "cannot be understood (line 2 is no group's name)"
        }
        _ => {
            world.brake = Some(other_project());
            "the token is for the project bbb, but this state is of the project aaa"
        }
    }
}

const WAYS: usize = 6;

#[test]
fn whoever_freezes_nothing_is_changed_and_it_says_who() {
    for way in 0..WAYS {
        for (from, to) in [(0, 4), (4, 1)] {
            let mut world = World::new(group(0, 8), 1);
            world.order(Command::Set { capacity: from });
            world.settle(20);
            let words = holds(&mut world, way);
            world.order(Command::Set { capacity: to });
            let before = world.cloud.len();
            let decision = world.pass();
            assert_eq!(decision.plan, [], "way {way}");
            assert_eq!(decision.desired, to, "it is decided for as before");
            let said = decision.sentences().join(" ");
            assert!(said.to_lowercase().contains(words), "{said}");
            let situation = if way == WAYS - 1 { Situation::Holding } else { Situation::Frozen };
            assert_eq!(decision.situation(), situation, "way {way}");
            assert!(decision.headline().contains(words), "{}", decision.headline());
            assert_eq!(world.cloud.len(), before);

            (world.all_frozen, world.brake) = (None, None);
            world.order(Command::Unfreeze);
            world.settle(20);
            assert_eq!(world.cloud.len(), to as usize, "way {way}");
        }
    }
}

#[test]
fn the_second_judge_lets_nothing_through_either() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 2 });
    world.observe();
    let decision = world.decide();
    assert!(!decision.plan.is_empty() && world.judge(&decision).is_empty());
    for way in 0..WAYS {
        (world.all_frozen, world.brake, world.state.freeze) = (None, None, None);
        holds(&mut world, way);
        let rules: Vec<&str> = world.judge(&decision).iter().map(|v| v.invariant).collect();
        assert!(rules.contains(&"freeze"), "way {way}: {rules:?}");
    }
}

#[test]
fn a_freeze_ends_no_cooldown() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 1 });
    let ordered = world.state.ordered;
    world.pass_time(std::time::Duration::from_secs(5));
    world.order(Command::Freeze);
    world.order(Command::Unfreeze);
    assert_eq!(world.state.ordered, ordered);
    assert_eq!(world.state.freeze, None);
}

/// Lets the first question pass.
#[derive(Default)]
struct Later(AtomicBool);

impl Brake for Later {
    fn on(&self, _: &GroupName) -> Option<Braked> {
        self.0.swap(true, Ordering::Relaxed).then(|| by_file(true, None))
    }
}

async fn outcomes(parts: &Parts, group: &Group, decision: &Decision) -> (usize, Vec<String>) {
    let outcomes: Vec<_> = act(parts, group, decision).map(|o| o.result).collect().await;
    let why = outcomes.iter().filter_map(|result| match result {
        CallResult::NotSent { why } => Some(why.clone()),
        _ => None,
    });
    let why: Vec<String> = why.collect();
    (outcomes.len() - why.len(), why)
}

/// A cloud that lets calls wait for their turn, and somebody freezes meanwhile.
struct Jammed(Arc<AtomicBool>);

#[async_trait]
impl Compute for Jammed {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &Region, _: &ServerId) -> Result<Option<Server>, Failure> {
        Ok(None)
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        assert_eq!(request.leave.refused().await, None);
        self.0.store(true, Ordering::Relaxed);
        match request.leave.refused().await {
            Some(why) => Err(Failure::new(FailureKind::Held, why)),
            None => Ok(None),
        }
    }

    async fn adopt(&self, _: &Marks) -> Result<(), Failure> {
        Ok(())
    }

    async fn delete(&self, _: &Region, _: MayDelete) -> Result<Deleted, Failure> {
        Ok(Deleted::Gone)
    }
}

/// The file, once it is there.
struct Touched(Arc<AtomicBool>);

impl Brake for Touched {
    fn on(&self, _: &GroupName) -> Option<Braked> {
        self.0.load(Ordering::Relaxed).then(|| by_file(true, None))
    }
}

#[tokio::test]
async fn what_waits_for_its_turn_asks_again_and_was_never_sent() {
    let (mut decision, group) = plan_of_three();
    let (mut parts, file) = (parts(0), Arc::new(AtomicBool::new(false)));
    parts.compute = Arc::new(Jammed(Arc::clone(&file)));
    parts.brake = Arc::new(Touched(file));
    decision.at = parts.clock.now();
    let (sent, why) = outcomes(&parts, &group, &decision).await;
    assert_eq!((sent, why.len()), (0, 3), "it is no failure: {why:?}");
    assert!(why[0].contains("by the file /state/freeze"), "{why:?}");
}

fn plan_of_three() -> (Decision, Group) {
    let mut world = World::new(group(0, 8), 1);
    world.group.launch.batch = 1;
    world.order(Command::Set { capacity: 3 });
    world.observe();
    let decision = world.decide();
    assert_eq!(decision.plan.len(), 3);
    (decision, world.group)
}

#[tokio::test]
async fn a_freeze_stops_the_rest_of_a_plan_under_way() {
    let (mut decision, group) = plan_of_three();
    let mut parts = parts(0);
    parts.brake = Arc::new(Later::default());
    decision.at = parts.clock.now();
    let (sent, why) = outcomes(&parts, &group, &decision).await;
    assert_eq!((sent, why.len()), (1, 2));
    assert!(why[0].contains("by the file /state/freeze"), "{why:?}");
}

#[tokio::test]
async fn a_command_stops_the_rest_of_a_plan_as_well() {
    for all in [false, true] {
        let (mut decision, group) = plan_of_three();
        let parts = parts(0);
        let at = parts.clock.now();
        decision.at = at;
        if all {
            let freeze = Freeze { since: at, by: "test".into(), reason: None };
            parts.store.freeze_all(&parts.lease, Some(freeze)).await.unwrap();
        } else {
            let command = Command::Freeze;
            let order = Ordered { command, at, by: "test".into(), reason: None };
            let what = What::Command(order, group.bounds);
            let admit = Admit { group: group.name.clone(), what, key: None, at };
            parts.store.admit(&parts.lease, admit).await.unwrap();
        }
        let (sent, why) = outcomes(&parts, &group, &decision).await;
        assert_eq!((sent, why.len()), (0, 3), "{why:?}");
        assert!(why[0].starts_with("frozen for"), "{why:?}");
    }
}
