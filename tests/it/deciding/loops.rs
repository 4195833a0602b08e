//! The loops' own work: whom an observer asks for, and what a pass stores of its calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, ResolvedNetworks, Wanted,
};
use novascale::control::act::act;
use novascale::control::observe::{Haste, Round, STUCK_AFTER, Watched, observe};
use novascale::control::pass::{pass, preview};
use novascale::control::{Parts, Watcher};
use novascale::domain::fleet::{Found, Observation, Seen};
use novascale::domain::freeze::{Freeze, Freezes, NoBrake};
use novascale::domain::group::Group;
use novascale::domain::id::{GroupName, InstallId, Region, ServerId, SignalName, Tag};
use novascale::domain::intent::State;
use novascale::domain::outcome::{CallResult, Failure, FailureKind, Outcome};
use novascale::domain::plan::{Decision, Waiting};
use novascale::domain::policy::{Policy, STALE_MOST};
use novascale::domain::server::Server;
use novascale::domain::signal::{Command, Ordered, Sample};
use novascale::domain::time::{Clock, Now, Steady, Wall};
use novascale::store::{
    Admit, Admitted, Gathered, IdempotencyKey, Identified, Lease, MemoryStore, Store, StoreError,
    What, Window,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::watch;

use super::world::{Dice, World, group, target};

struct Still;

impl Clock for Still {
    fn now(&self) -> Now {
        Now { wall: Wall(1_700_000_000_000), steady: Steady(1_000_000) }
    }
}

/// Lists nothing and accepts every create. Of servers called `down…` it says nothing, of
/// those called `slow…` never; all others are gone.
pub(super) struct Empty;

#[async_trait]
impl Compute for Empty {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        Ok(Vec::new())
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        match id.as_str().get(..4) {
            Some("down") => Err(Failure::new(FailureKind::Unclear, "its cell is down")),
            Some("slow") => std::future::pending().await,
            _ => Ok(None),
        }
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit { servers: Vec::new(), unreachable: Vec::new() })
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        Ok(ServerId::new(request.launch.as_str()).ok())
    }

    async fn adopt(&self, _: &Marks) -> Result<(), Failure> {
        panic!("nobody ordered an adoption")
    }

    async fn delete(&self, _: &Region, _: MayDelete) -> Result<Deleted, Failure> {
        Ok(Deleted::Gone)
    }
}

#[async_trait]
impl Resolve for Empty {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        Ok(Resolved {
            flavor: wanted.flavor.to_owned(),
            image: "image".to_owned(),
            networks: ResolvedNetworks::Auto,
            security_groups: Vec::new(),
            server_group: None,
        })
    }

    fn forget(&self, _: &Region) {}
}

impl Watcher for Empty {
    fn decided(&self, _: &Decision) {}
    fn ended(&self, _: &Decision, _: &Outcome) {}
}

/// A group as its observer knows it, whose last decision knows these servers.
fn watched(name: &str, ids: Vec<String>) -> (Watched, watch::Receiver<Observation>) {
    let mut world = World::new(group(0, 50), 1);
    let mut decision = world.pass();
    decision.changes.watched = ids.iter().map(|id| ServerId::new(id.as_str()).unwrap()).collect();
    world.group.tag = Tag::new(format!("novascale:{name}")).unwrap();
    let unseen = Observation::Unseen { since: world.now, why: String::new() };
    let (out, seen) = watch::channel(unseen);
    let latest = watch::channel(Some(Arc::new(decision))).1;
    (Watched { group: Arc::new(world.group), latest, out }, seen)
}

fn gone(seen: &watch::Receiver<Observation>) -> usize {
    let Observation::Seen(Seen { lookups, .. }) = &*seen.borrow() else { panic!("not seen") };
    lookups.iter().filter(|l| l.found == Found::Absent).count()
}

#[tokio::test]
async fn what_cannot_be_told_of_some_servers_keeps_no_other_from_being_asked_for() {
    let down = (0..30).map(|n| format!("down-{n:02}"));
    let (first, mine) = watched("first", down.chain((0..5).map(|n| format!("gone-{n}"))).collect());
    let (second, other) = watched("second", (0..3).map(|n| format!("gone-{n}")).collect());
    let (groups, mut round) = ([first, second], Round::default());
    let region = groups[0].group.region.clone();
    let mut proved = (0, 0);
    for _ in 0..2 {
        let enough = std::future::pending;
        observe(&Empty, &Still, &region, &groups, &mut round, enough).await.unwrap();
        proved = (proved.0 + gone(&mine), proved.1 + gone(&other));
    }
    assert_eq!(proved, (5, 3));
}

#[test]
fn a_slow_look_up_for_one_group_holds_up_no_other() {
    let (first, mine) = watched("first", vec!["slow-1".to_owned()]);
    let (second, other) = watched("second", Vec::new());
    let (groups, mut round) = ([first, second], Round::default());
    let region = groups[0].group.region.clone();
    let (over, time_is_up) = tokio::sync::oneshot::channel::<()>();
    let enough = || async { time_is_up.await.unwrap() };
    let mut run = Box::pin(observe(&Empty, &Still, &region, &groups, &mut round, enough));
    let mut context = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut context).is_pending());
    let seen = |of: &watch::Receiver<Observation>| matches!(*of.borrow(), Observation::Seen(_));
    assert_eq!((seen(&mine), seen(&other)), (false, true));
    over.send(()).unwrap();
    assert!(matches!(run.as_mut().poll(&mut context), Poll::Ready(Ok(_))));
    assert!(seen(&mine), "it has its listing at least");
}

#[test]
fn what_hangs_for_long_is_no_reason_to_hurry() {
    let (mut hanging, _) = watched("first", Vec::new());
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 2 });
    world.pass();
    let (latest, shown) = watch::channel(Some(Arc::new(world.pass())));
    hanging.latest = shown;
    let (groups, mut haste) = ([hanging], Haste::default());
    let (start, long) = (Steady(7), Steady(7).plus(STUCK_AFTER));
    assert!(haste.needed(&groups, start));
    assert!(!haste.needed(&groups, long));
    world.pass_time(Duration::from_secs(6));
    latest.send_replace(Some(Arc::new(world.pass_on_last_listing())));
    assert!(!haste.needed(&groups, long), "nothing has moved");
    latest.send_replace(Some(Arc::new(world.pass())));
    assert_eq!(haste.needed(&groups, long), groups[0].in_flight());
}

/// A store that cannot settle the first outcomes.
struct Stumbling {
    inner: MemoryStore,
    stumbles: AtomicU32,
}

#[async_trait]
impl Store for Stumbling {
    async fn admit(&self, lease: &Lease, admit: Admit) -> Result<Admitted, StoreError> {
        self.inner.admit(lease, admit).await
    }

    async fn repeated(
        &self,
        group: &GroupName,
        key: &IdempotencyKey,
        now: Now,
    ) -> Result<bool, StoreError> {
        self.inner.repeated(group, key, now).await
    }

    async fn gather(&self, group: &GroupName, since: Window) -> Result<Gathered, StoreError> {
        self.inner.gather(group, since).await
    }

    async fn record(&self, lease: &Lease, decision: &Decision) -> Result<(), StoreError> {
        self.inner.record(lease, decision).await
    }

    async fn settle(
        &self,
        lease: &Lease,
        group: &GroupName,
        outcomes: &[Outcome],
    ) -> Result<(), StoreError> {
        let left = self.stumbles.load(Ordering::Relaxed);
        if left > 0 {
            self.stumbles.store(left - 1, Ordering::Relaxed);
            return Err(StoreError::Unavailable("busy".to_owned()));
        }
        self.inner.settle(lease, group, outcomes).await
    }

    async fn history(
        &self,
        group: &GroupName,
        name: &SignalName,
        since: Steady,
    ) -> Result<Vec<Sample>, StoreError> {
        self.inner.history(group, name, since).await
    }

    async fn decisions(&self, group: &GroupName, limit: u32) -> Result<Vec<Decision>, StoreError> {
        self.inner.decisions(group, limit).await
    }

    async fn commands(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError> {
        self.inner.commands(group, limit).await
    }

    async fn groups(&self) -> Result<Vec<GroupName>, StoreError> {
        self.inner.groups().await
    }

    async fn sweep(&self, lease: &Lease, now: Now) -> Result<u64, StoreError> {
        self.inner.sweep(lease, now).await
    }

    async fn mark_time(&self, lease: &Lease, now: Now) -> Result<(), StoreError> {
        self.inner.mark_time(lease, now).await
    }

    async fn freeze_all(&self, lease: &Lease, freeze: Option<Freeze>) -> Result<(), StoreError> {
        self.inner.freeze_all(lease, freeze).await
    }

    async fn project(&self) -> Result<Option<String>, StoreError> {
        self.inner.project().await
    }

    async fn bind(&self, lease: &Lease, project: &str) -> Result<String, StoreError> {
        self.inner.bind(lease, project).await
    }

    async fn freezes(&self, group: &GroupName) -> Result<Freezes, StoreError> {
        self.inner.freezes(group).await
    }

    async fn probe(&self, lease: &Lease) -> Result<(), StoreError> {
        self.inner.probe(lease).await
    }
}

pub(super) fn parts(stumbles: u32) -> Parts {
    let install = InstallId::from_bits(1);
    let inner = MemoryStore::new(install.clone());
    let lease = inner.acquire("test");
    let store = Arc::new(Stumbling { inner, stumbles: AtomicU32::new(stumbles) });
    let (compute, resolve, watcher) = (Arc::new(Empty), Arc::new(Empty), Arc::new(Empty));
    let (clock, stopping, adopting) = (Arc::new(Still), Default::default(), Arc::default());
    let broken = Default::default();
    let brake = Arc::new(NoBrake);
    Parts {
        compute,
        resolve,
        store,
        lease,
        clock,
        install,
        watcher,
        brake,
        stopping,
        broken,
        adopting,
    }
}

pub(super) async fn order(parts: &Parts, group: &Group, capacity: u32) {
    let at = parts.clock.now();
    let command = Command::Set { capacity };
    let ordered = Ordered { command, at, by: "test".into(), reason: None };
    let what = What::Command(ordered, group.bounds);
    let admit = Admit { group: group.name.clone(), what, key: None, at };
    parts.store.admit(&parts.lease, admit).await.unwrap();
}

async fn one_pass(parts: &Parts, group: &Group) -> bool {
    let began = Now { wall: Wall(0), steady: Steady(999_000) };
    let (fresh_for, servers, lookups) = (Duration::from_secs(30), Vec::new(), Vec::new());
    let seen =
        Observation::Seen(Seen { servers, began, fresh_for, lookups, sought: Default::default() });
    let mut dice = Dice(StdRng::seed_from_u64(1));
    pass(parts, group, &seen, parts.clock.now(), &mut dice, |_| ()).await.is_ok()
}

#[tokio::test]
async fn nobody_is_looked_at_for_a_delete_that_comes_too_late() {
    let mut world = World::new(group(0, 8), 1);
    world.order(Command::Set { capacity: 2 });
    world.settle(10);
    world.order(Command::Set { capacity: 0 });
    world.observe();
    let decision = world.decide();
    let parts = parts(0);
    parts.stopping.cancel();
    let outcomes: Vec<Outcome> = act(&parts, &world.group, &decision).collect().await;
    let sent = |o: &&Outcome| !matches!(o.result, CallResult::NotSent { .. });
    assert_eq!((outcomes.len(), outcomes.iter().filter(sent).count()), (1, 0));
}

#[tokio::test]
async fn a_long_wait_after_a_failure_is_not_forgotten() {
    let mut world = World::new(group(0, 8), 1);
    world.group.launch.backoff.most = Duration::from_secs(12 * 3600);
    world.faults.refused = 100;
    world.order(Command::Set { capacity: 2 });
    let mut decision = world.pass();
    let mut refused: Vec<_> = world.intents.values().cloned().collect();
    let failure = &mut refused[0].trouble.as_mut().unwrap().failure;
    failure.retry_after = Some(Duration::from_secs(5 * 3600));
    decision.changes.intents = refused;
    let parts = parts(0);
    order(&parts, &world.group, 2).await;
    parts.store.record(&parts.lease, &decision).await.unwrap();
    let now = world.now.plus(Duration::from_secs(3 * 3600));
    let (fresh_for, servers, lookups) = (Duration::from_secs(30), Vec::new(), Vec::new());
    let seen = Observation::Seen(Seen {
        servers,
        began: now,
        fresh_for,
        lookups,
        sought: Default::default(),
    });
    let mut dice = Dice(StdRng::seed_from_u64(1));
    let decision = preview(&parts, &world.group, &seen, now, &mut dice).await.unwrap();
    let waits = |w: &Waiting| matches!(w, Waiting::Backoff { attempts: 1, .. });
    assert!(decision.waiting.iter().any(waits), "{:#?}", decision.sentences());
}

#[tokio::test]
async fn a_sample_counts_as_long_as_its_policy_says() {
    let (parts, mut world) = (parts(0), World::new(group(1, 8), 1));
    world.group.policies = vec![target("load", 10.0)];
    let Policy::Total(load) = &mut world.group.policies[0] else { panic!("a total") };
    load.reading.stale_after = STALE_MOST;
    world.measure("load", 50.0);
    let samples = world.samples.drain(..).map(|sample| Identified { sample, id: None }).collect();
    let (name, at) = (world.group.name.clone(), world.now);
    let admit =
        Admit { group: name, what: What::Samples(samples, Default::default()), key: None, at };
    parts.store.admit(&parts.lease, admit).await.unwrap();
    let now = at.plus(STALE_MOST);
    parts.store.sweep(&parts.lease, now).await.unwrap();
    let unseen = Observation::Unseen { since: now, why: String::new() };
    let mut dice = Dice(StdRng::seed_from_u64(1));
    let decision = preview(&parts, &world.group, &unseen, now, &mut dice).await.unwrap();
    assert_eq!(decision.desired, 5, "{:#?}", decision.sentences());
}

#[tokio::test]
async fn a_store_that_stumbles_cuts_no_call_of_the_pass_short() {
    for (stumbles, ends_well) in [(1, true), (3, true), (100, false)] {
        let (parts, group) = (parts(stumbles), group(0, 200));
        order(&parts, &group, 120).await;
        assert_eq!(one_pass(&parts, &group).await, ends_well);
        let hour = Duration::from_secs(3600);
        let window = Window { now: parts.clock.now(), signals: hour, past: hour };
        let intents = parts.store.gather(&group.name, window).await.unwrap().intents;
        let accepted = intents.iter().filter(|i| matches!(i.state, State::Accepted { .. }));
        assert_eq!((intents.len(), accepted.count()), (3, if ends_well { 3 } else { 0 }));
    }
}
