//! The calls of a plan: which are made, and which are not any more.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, Wanted,
};
use novascale::control::act::{PLAN_GOOD_FOR, act};
use novascale::control::pass::{PassError, pass};
use novascale::decide::Draws;
use novascale::domain::adoption::{Adoptees, Former};
use novascale::domain::fleet::{Observation, Seen};
use novascale::domain::id::{InstallId, Region, ServerId, Tag, mark};
use novascale::domain::outcome::{CallResult, Failure, FailureKind, Outcome};
use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::server::{Server, Status};
use novascale::domain::signal::Command;
use novascale::domain::time::{Now, Steady};
use novascale::store::Window;

use super::loops::{Empty, order, parts};
use super::world::{World, group, settled};

/// Shows servers as they are by now, and notes the deletes and creates that it is asked for.
#[derive(Default)]
struct Cloud {
    servers: Vec<Server>,
    asked: Mutex<Vec<Steady>>,
    marked: Mutex<Vec<Marks>>,
    /// Every look and every create ends so.
    fails: Option<Failure>,
    forgotten: Mutex<u32>,
}

impl Cloud {
    fn answer<T>(&self, answer: T) -> Result<T, Failure> {
        self.fails.clone().map_or(Ok(answer), Err)
    }
}

#[async_trait]
impl Compute for Cloud {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        Ok(self.servers.clone())
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        self.answer(self.servers.iter().find(|s| s.id == *id).cloned())
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        self.asked.lock().unwrap().push(request.not_after);
        self.answer(None)
    }

    async fn adopt(&self, request: &Marks) -> Result<(), Failure> {
        self.marked.lock().unwrap().push(request.clone());
        Ok(())
    }

    async fn delete(&self, _: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        self.asked.lock().unwrap().push(permit.not_after());
        Ok(Deleted::Accepted)
    }
}

#[async_trait]
impl Resolve for Cloud {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        Empty.resolve(wanted).await
    }

    fn forget(&self, _: &Region) {
        *self.forgotten.lock().unwrap() += 1;
    }
}

/// What becomes of the decision's calls on a cloud that shows the servers so.
async fn acted(
    world: &World,
    decision: &Decision,
    servers: Vec<Server>,
) -> (Vec<Outcome>, Arc<Cloud>) {
    acted_on(Cloud { servers, ..Cloud::default() }, world, decision).await
}

async fn acted_on(cloud: Cloud, world: &World, decision: &Decision) -> (Vec<Outcome>, Arc<Cloud>) {
    let cloud = Arc::new(cloud);
    let mut parts = parts(0);
    parts.compute = Arc::clone(&cloud) as Arc<dyn Compute>;
    parts.resolve = Arc::clone(&cloud) as Arc<dyn Resolve>;
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

/// A decision to launch, made when the clock that acts stands.
fn launching() -> (World, Decision) {
    let mut world = settled(0, 8, 3);
    world.order(Command::Set { capacity: 6 });
    world.observe();
    world.now.steady = Steady(1_000_000);
    let decision = world.decide();
    (world, decision)
}

#[tokio::test]
async fn a_plan_is_good_to_its_last_moment() {
    for (late, sent) in [(0, 1), (1, 0)] {
        let (world, mut decision) = launching();
        let late = Duration::from_millis(late);
        decision.at.steady = decision.at.steady.minus(PLAN_GOOD_FOR).minus(late);
        let (outcomes, cloud) = acted(&world, &decision, Vec::new()).await;
        assert_eq!(cloud.asked.lock().unwrap().len(), sent, "{late:?} late: {outcomes:?}");
    }
}

/// An id behind a name may be another one by now.
#[tokio::test]
async fn a_refused_create_has_its_names_looked_up_anew_and_no_other_failure_has() {
    for (kind, forgotten, ends) in [
        (FailureKind::Refused, 1, "refused"),
        (FailureKind::Busy, 0, "refused"),
        (FailureKind::Unclear, 0, "unclear"),
        (FailureKind::Held, 0, "not sent"),
    ] {
        let (world, decision) = launching();
        let fails = Some(Failure::new(kind, "so it goes"));
        let cloud = Cloud { fails, ..Cloud::default() };
        let (outcomes, cloud) = acted_on(cloud, &world, &decision).await;
        assert_eq!(*cloud.forgotten.lock().unwrap(), forgotten, "{kind:?}");
        let ended = match &outcomes[0].result {
            CallResult::Refused(_) => "refused",
            CallResult::Unclear(_) => "unclear",
            CallResult::NotSent { .. } => "not sent",
            other => panic!("{other:?}"),
        };
        assert_eq!(ended, ends, "{kind:?}");
    }
}

/// Nothing was touched, so nothing is unclear: only this server waits.
#[tokio::test]
async fn a_look_without_an_answer_is_no_delete_without_one() {
    let mut world = settled(0, 8, 3);
    let decision = sweeping(&mut world);
    for (kind, becomes) in [
        (FailureKind::Unclear, FailureKind::Conflict),
        (FailureKind::Busy, FailureKind::Busy),
        (FailureKind::Denied, FailureKind::Denied),
    ] {
        let fails = Some(Failure::new(kind, "so it goes"));
        let (outcomes, _) = acted_on(Cloud { fails, ..Cloud::default() }, &world, &decision).await;
        let result = &outcomes[0].result;
        assert!(matches!(result, CallResult::Refused(f) if f.kind == becomes), "{result:?}");
    }
}

fn by_hand(world: &mut World) -> Server {
    world.add_by_hand();
    let server = world.cloud.values_mut().find(|s| s.id.as_str().starts_with("hand")).unwrap();
    server.status = Status::Active;
    server.clone()
}

/// What an adoption of the server comes to that is by now as the change says.
async fn adopted(
    from: Option<Former>,
    untagged: bool,
    change: impl Fn(&mut Server),
) -> (CallResult, Vec<Marks>) {
    let mut world = settled(0, 8, 1);
    let mut server = by_hand(&mut world);
    let what = match &from {
        Some(former) => Adoptees::renamed(former.clone()),
        None => Adoptees::Servers { servers: [server.id.clone()].into(), untagged },
    };
    if from.is_some() {
        let install = world.install.to_string();
        let marks = [(mark::INSTALL, install), (mark::GROUP, "old".to_owned())];
        server.metadata = marks.map(|(key, value)| (key.to_owned(), value)).into();
        world.cloud.insert(server.id.clone(), server.clone());
    }
    world.order(Command::Adopt(what));
    world.observe();
    world.now = Now { wall: world.now.wall, steady: Steady(1_000_000) };
    let adopting = world.decide();
    assert_eq!(adopting.plan.len(), 1, "{:?}", adopting.sentences());
    change(&mut server);
    let (outcomes, cloud) = acted(&world, &adopting, vec![server]).await;
    let marked = cloud.marked.lock().unwrap().clone();
    (outcomes[0].result.clone(), marked)
}

#[tokio::test]
async fn an_adoption_writes_what_the_server_lacks() {
    let (result, marked) = adopted(None, false, |_| ()).await;
    assert_eq!(result, CallResult::Adopted);
    let keys: Vec<&str> = marked[0].metadata.keys().map(String::as_str).collect();
    assert_eq!(keys, [mark::GROUP, mark::INSTALL, mark::LAUNCH]);
    assert_eq!((&marked[0].tag, &marked[0].untag), (&None, &None));
    // A launch id is for life, and an id of nonsense is none.
    let launched = |id: &'static str| {
        move |s: &mut Server| drop(s.metadata.insert(mark::LAUNCH.into(), id.into()))
    };
    let known = "0123456789abcdef0123456789abcdef";
    let (_, marked) = adopted(None, false, launched(known)).await;
    assert!(!marked[0].metadata.contains_key(mark::LAUNCH));
    let (_, marked) = adopted(None, false, launched("x")).await;
    assert!(marked[0].metadata.contains_key(mark::LAUNCH));
    let (_, marked) = adopted(None, true, |s| s.tags.clear()).await;
    assert_eq!(marked[0].tag.as_ref().map(Tag::as_str), Some("novascale:web"));
    let (result, _) = adopted(None, false, |s| s.locked = true).await;
    assert_eq!(result, CallResult::Adopted, "Nova says whether it may");
    let locked = |s: &mut Server| (s.locked, s.tags) = (true, Vec::new());
    let (result, marked) = adopted(None, true, locked).await;
    assert!(matches!(result, CallResult::Refused(f) if f.in_words().contains("server unlock")));
    assert!(marked.is_empty(), "its tag would only come and go");
}

#[tokio::test]
async fn a_renamed_groups_server_loses_its_old_tag_as_it_is_spelled() {
    let tag = Tag::new("novascale:old").unwrap();
    let former = Former { group: "old".parse().unwrap(), tag };
    let spelled = |s: &mut Server| s.tags = vec!["novascale:OLD".into(), "novascale:web".into()];
    let (result, marked) = adopted(Some(former.clone()), true, spelled).await;
    assert_eq!(result, CallResult::Adopted);
    assert_eq!(marked[0].metadata.get(mark::GROUP).map(String::as_str), Some("web"));
    assert_eq!(marked[0].untag.as_ref().map(Tag::as_str), Some("novascale:OLD"));
    let given_away = |s: &mut Server| {
        s.metadata.insert(mark::GROUP.into(), "third".into());
    };
    let (result, marked) = adopted(Some(former), true, given_away).await;
    assert!(matches!(result, CallResult::Refused(f) if f.message.contains("former group")));
    assert!(marked.is_empty());
}

#[tokio::test]
async fn what_changed_since_the_order_is_not_adopted() {
    let deleted = |s: &mut Server| s.status = Status::SoftDeleted;
    let (result, marked) = adopted(None, true, deleted).await;
    assert!(matches!(result, CallResult::Refused(f) if f.kind == FailureKind::Gone));
    assert!(marked.is_empty());
    let (result, marked) = adopted(None, false, |s| s.tags.clear()).await;
    assert!(matches!(result, CallResult::Refused(f) if f.message.contains("no longer carries")));
    assert!(marked.is_empty());
    let taken = |s: &mut Server| {
        s.metadata.insert(mark::INSTALL.into(), InstallId::from_bits(1).to_string());
        s.metadata.insert(mark::GROUP.into(), "api".into());
    };
    let (result, marked) = adopted(None, false, taken).await;
    let said = format!("{result:?}");
    assert!(said.contains("our mark of the group api") && said.contains("--from api"), "{said}");
    assert!(marked.is_empty());
    // Named by its id, but another installation's and none of the group's.
    let theirs = |s: &mut Server| {
        s.tags.clear();
        s.metadata.insert(mark::INSTALL.to_owned(), "f".repeat(32));
    };
    let (result, marked) = adopted(None, true, theirs).await;
    assert!(matches!(&result, CallResult::Refused(why) if why.message.contains("installation")));
    assert!(marked.is_empty());
}

/// Puts marks on a server.
fn marked(marks: &[(&str, &str)], tags: &[&str]) -> impl Fn(&mut Server) {
    let own = |text: &str| text.to_owned();
    let marks: Vec<_> = marks.iter().map(|(key, value)| (own(key), own(value))).collect();
    let tags: Vec<String> = tags.iter().map(|tag| own(tag)).collect();
    move |server| {
        server.metadata.extend(marks.iter().cloned());
        server.tags.clone_from(&tags);
    }
}

#[tokio::test]
async fn what_is_ours_already_or_was_given_to_us_is_adopted() {
    let ours = InstallId::from_bits(1).to_string();
    let (ours, theirs, launch) = (ours.as_str(), "f".repeat(32), "0".repeat(32));
    let tag = Tag::new("novascale:old").unwrap();
    let former = Some(Former { group: "old".parse().unwrap(), tag });
    let web = &["novascale:web"][..];
    let done = [(mark::INSTALL, ours), (mark::GROUP, "web"), (mark::LAUNCH, launch.as_str())];
    let (result, marks) = adopted(former, true, marked(&done, web)).await;
    assert_eq!((result, marks.len()), (CallResult::Adopted, 0), "a crash left nothing to do");

    for (words, marks, tags) in [
        ("another installation's, with our tag on it", vec![(mark::INSTALL, &*theirs)], web),
        ("and its group", vec![(mark::INSTALL, &*theirs), (mark::GROUP, "api")], web),
        ("ours, and the tag was lost", vec![(mark::INSTALL, ours)], &[]),
        ("left half way", vec![(mark::INSTALL, ours), (mark::GROUP, "web")], web),
    ] {
        let (result, written) = adopted(None, true, marked(&marks, tags)).await;
        assert_eq!((result, written.len()), (CallResult::Adopted, 1), "{words}");
        let kept = |key| written[0].metadata.get(key);
        let install = marks.iter().find(|(key, _)| *key == mark::INSTALL).unwrap().1;
        assert_eq!(kept(mark::INSTALL).is_none(), install == ours, "{words}");
        assert!(kept(mark::LAUNCH).is_some(), "{words}");
    }
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
    let (servers, lookups, sought) = Default::default();
    let seen = Seen { servers, began: now, fresh_for, lookups, sought };
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
