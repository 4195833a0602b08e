//! The loops under paused time: how often they look, pass and audit, what holds up what, and
//! how they stop. The clock that they read is tokio's, which stands still while anybody works.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, ResolvedNetworks, Wanted,
};
use novascale::control::handle::{GroupHandle, Handle};
use novascale::control::run::{Loops, STOP_WITHIN};
use novascale::control::{Parts, Watcher};
use novascale::domain::count::Bounds;
use novascale::domain::freeze::NoBrake;
use novascale::domain::group::Group;
use novascale::domain::id::{GroupName, InstallId, Region, ServerId, Tag};
use novascale::domain::outcome::{CallResult, Failure, FailureKind, Outcome};
use novascale::domain::plan::Decision;
use novascale::domain::server::{Server, Status};
use novascale::domain::signal::{Command, Ordered};
use novascale::domain::time::{Clock, Now, Steady, Wall};
use novascale::http::probe::stalled;
use novascale::store::{Admit, MemoryStore, Store as _, What};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::deciding::world::group;

const SECOND: Duration = Duration::from_secs(1);
const OVERDUE: Duration = Duration::from_secs(180);
/// What a call under way gets when its group is configured otherwise.
const ROOM: Duration = Duration::from_secs(90);

struct Paused(Instant);

impl Clock for Paused {
    fn now(&self) -> Now {
        Now { wall: Wall(1_700_000_000_000), steady: Steady(1_000_000) }.plus(self.0.elapsed())
    }
}

/// A Nova whose calls may hang, and that notes when it was asked.
struct Nova {
    began: Instant,
    servers: Mutex<BTreeMap<ServerId, Server>>,
    lists: Mutex<Vec<Duration>>,
    audits: Mutex<Vec<Duration>>,
    /// Servers stay in BUILD.
    building: AtomicBool,
    lists_hang: AtomicBool,
    lists_fail: AtomicBool,
    audits_hang: AtomicBool,
    /// The servers come to be, but no create is answered while this is so.
    creates_hang: watch::Sender<bool>,
    /// What became of calls.
    ended: Mutex<Vec<CallResult>>,
}

impl Nova {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            servers: Mutex::default(),
            lists: Mutex::default(),
            audits: Mutex::default(),
            building: AtomicBool::default(),
            lists_hang: AtomicBool::default(),
            lists_fail: AtomicBool::default(),
            audits_hang: AtomicBool::default(),
            creates_hang: watch::Sender::new(false),
            ended: Mutex::default(),
        })
    }

    async fn asked(&self, when: &Mutex<Vec<Duration>>, hangs: &AtomicBool) {
        when.lock().unwrap().push(self.began.elapsed());
        if hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// The pauses between listings that began within the last `span`.
    fn cadence(&self, span: Duration) -> Vec<Duration> {
        let since = self.began.elapsed().saturating_sub(span);
        let lists = self.lists.lock().unwrap();
        let late: Vec<_> = lists.iter().filter(|at| **at >= since).collect();
        late.windows(2).map(|pair| *pair[1] - *pair[0]).collect()
    }

    fn listings(&self) -> usize {
        self.lists.lock().unwrap().len()
    }

    fn server(&self, request: &Create, n: u32) -> Server {
        let status =
            if self.building.load(Ordering::SeqCst) { Status::Build } else { Status::Active };
        Server {
            id: ServerId::new(format!("{}-{n}", request.launch)).unwrap(),
            name: request.name.clone(),
            status,
            deleting: false,
            launched: true,
            created: Wall(1_700_000_000_000),
            tags: request.tags.clone(),
            metadata: request.metadata.clone(),
            locked: false,
            region: request.region.clone(),
            zone: None,
            flavor: request.resolved.flavor.clone(),
            addresses: Vec::new(),
            fault: None,
        }
    }
}

#[async_trait]
impl Compute for Nova {
    async fn list(&self, _: &Region, _: &[Tag]) -> Result<Vec<Server>, Failure> {
        self.asked(&self.lists, &self.lists_hang).await;
        if self.lists_fail.load(Ordering::SeqCst) {
            return Err(Failure::new(FailureKind::Unreached, "nobody answers"));
        }
        Ok(self.servers.lock().unwrap().values().cloned().collect())
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        Ok(self.servers.lock().unwrap().get(id).cloned())
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        self.asked(&self.audits, &self.audits_hang).await;
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        for n in 0..request.n {
            let server = self.server(request, n);
            self.servers.lock().unwrap().insert(server.id.clone(), server);
        }
        let mut hang = self.creates_hang.subscribe();
        let _gone = hang.wait_for(|hangs| !hangs).await;
        Ok(None)
    }

    async fn adopt(&self, _: &Marks) -> Result<(), Failure> {
        panic!("nobody ordered an adoption")
    }

    async fn delete(&self, _: &Region, _: MayDelete) -> Result<Deleted, Failure> {
        Ok(Deleted::Gone)
    }
}

#[async_trait]
impl Resolve for Nova {
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

impl Watcher for Nova {
    fn decided(&self, _: &Decision) {}
    fn ended(&self, _: &Decision, outcome: &Outcome) {
        self.ended.lock().unwrap().push(outcome.result.clone());
    }
}

/// The loops of one group, running.
struct Running {
    nova: Arc<Nova>,
    parts: Parts,
    loops: Loops,
    handle: Handle,
    tracker: TaskTracker,
}

impl Running {
    fn fresh(nova: &Arc<Nova>) -> Self {
        Self::on(nova, Arc::new(MemoryStore::new(InstallId::from_bits(1))))
    }

    fn on(nova: &Arc<Nova>, store: Arc<MemoryStore>) -> Self {
        Self::of(nova, store, &[Arc::new(group(0, 8))])
    }

    fn of(nova: &Arc<Nova>, store: Arc<MemoryStore>, groups: &[Arc<Group>]) -> Self {
        let parts = Parts {
            compute: Arc::clone(nova) as Arc<dyn Compute>,
            resolve: Arc::clone(nova) as Arc<dyn Resolve>,
            lease: store.acquire("the test"),
            store,
            clock: Arc::new(Paused(nova.began)),
            install: InstallId::from_bits(1),
            watcher: Arc::clone(nova) as Arc<dyn Watcher>,
            brake: Arc::new(NoBrake),
            stopping: CancellationToken::new(),
            adopting: Arc::default(),
            broken: CancellationToken::new(),
        };
        let tracker = TaskTracker::new();
        let mut loops = Loops::new(&parts, &tracker, ROOM);
        let handle = loops.keep(groups, || 7);
        tracker.close();
        Self { nova: Arc::clone(nova), parts, loops, handle, tracker }
    }

    fn web(&self) -> &GroupHandle {
        self.handle.group("web").unwrap()
    }

    fn serving(&self) -> u32 {
        self.web().latest().map_or(0, |decision| decision.tally.serving)
    }

    async fn order(&self, capacity: u32) {
        self.store(capacity).await;
        self.web().nudge();
    }

    /// The order is durable, and nobody was nudged for it yet.
    async fn store(&self, capacity: u32) {
        let at = self.parts.clock.now();
        let order =
            Ordered { command: Command::Set { capacity }, at, by: "test".into(), reason: None };
        let group = &self.web().group;
        let what = What::Command(order, group.bounds);
        let admit = Admit { group: group.name.clone(), what, key: None, at };
        self.parts.store.admit(&self.parts.lease, admit).await.unwrap();
    }

    /// Another configuration.
    fn reload(&mut self, groups: &[Arc<Group>]) {
        self.handle = self.loops.keep(groups, || 7);
    }

    fn stalled(&self) -> Vec<String> {
        stalled(&self.handle, OVERDUE, self.parts.clock.now())
    }

    /// How long it takes to stop.
    async fn stop(&self) -> Duration {
        let began = Instant::now();
        self.parts.stopping.cancel();
        self.tracker.wait().await;
        assert!(!self.parts.broken.is_cancelled(), "it was told to stop");
        began.elapsed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_is_listed_often_while_something_is_in_flight_and_rarely_at_rest() {
    let run = Running::fresh(&Nova::new());
    sleep(60 * SECOND).await;
    assert_eq!(run.nova.cadence(50 * SECOND), [15 * SECOND; 2]);
    run.nova.building.store(true, Ordering::SeqCst);
    run.order(2).await;
    sleep(30 * SECOND).await;
    assert_eq!(run.nova.cadence(20 * SECOND)[..8], [2 * SECOND; 8]);
    for server in run.nova.servers.lock().unwrap().values_mut() {
        server.status = Status::Active;
    }
    sleep(60 * SECOND).await;
    assert_eq!(run.serving(), 2);
    assert_eq!(run.nova.cadence(50 * SECOND)[..2], [15 * SECOND; 2]);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_makes_a_pass_and_no_listing_and_a_second_holds_one_pass() {
    let run = Running::fresh(&Nova::new());
    sleep(33 * SECOND).await;
    let (passes, listings) = (run.web().pulse().passes, run.nova.listings());
    run.web().nudge();
    sleep(SECOND / 10).await;
    assert_eq!(run.web().pulse().passes, passes + 1);
    for _ in 0..50 {
        run.web().nudge();
        sleep(SECOND / 10).await;
    }
    let made = run.web().pulse().passes - passes;
    assert!((5..=7).contains(&made), "{made} passes in five seconds");
    assert_eq!(run.nova.listings(), listings);
}

#[tokio::test(start_paused = true)]
async fn a_region_is_audited_soon_and_then_every_ten_minutes() {
    let run = Running::fresh(&Nova::new());
    sleep(1900 * SECOND).await;
    let audits: Vec<_> = run.nova.audits.lock().unwrap().iter().map(Duration::as_secs).collect();
    assert_eq!(audits, [2, 602, 1202, 1802]);
}

#[tokio::test(start_paused = true)]
async fn an_audit_that_hangs_holds_up_nothing_and_comes_again() {
    let nova = Nova::new();
    nova.audits_hang.store(true, Ordering::SeqCst);
    let run = Running::fresh(&nova);
    sleep(100 * SECOND).await;
    assert_eq!(nova.audits.lock().unwrap().len(), 1);
    assert_eq!(nova.cadence(80 * SECOND)[..4], [15 * SECOND; 4]);
    run.order(2).await;
    sleep(5 * SECOND).await;
    assert_eq!(run.serving(), 2);
    nova.audits_hang.store(false, Ordering::SeqCst);
    sleep(600 * SECOND).await;
    assert_eq!(nova.audits.lock().unwrap().len(), 2);
    assert_eq!(run.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_hangs_is_given_up_and_no_loop_counts_as_hanging() {
    let nova = Nova::new();
    nova.lists_hang.store(true, Ordering::SeqCst);
    let run = Running::fresh(&nova);
    for _ in 0..20 {
        sleep(30 * SECOND).await;
        assert_eq!(run.stalled(), Vec::<String>::new());
    }
    let failure = run.handle.observers()[0].failure.clone();
    assert!(failure.as_ref().is_some_and(|f| f.contains("did not end")), "{failure:?}");
    assert!(run.web().latest().is_some(), "the group is decided for, blind as it is");
    nova.lists_hang.store(false, Ordering::SeqCst);
    run.order(2).await;
    sleep(200 * SECOND).await;
    assert_eq!(run.serving(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_loop_whose_call_never_ends_counts_as_hanging_and_the_observer_does_not() {
    let nova = Nova::new();
    nova.creates_hang.send_replace(true);
    let run = Running::fresh(&nova);
    sleep(20 * SECOND).await;
    run.order(2).await;
    sleep(OVERDUE).await;
    assert_eq!(run.stalled(), Vec::<String>::new());
    sleep(2 * SECOND).await;
    assert_eq!(run.stalled(), ["the loop of web"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_a_call_within_its_bound_and_the_next_start_recovers() {
    let nova = Nova::new();
    nova.creates_hang.send_replace(true);
    let store = Arc::new(MemoryStore::new(InstallId::from_bits(1)));
    let run = Running::on(&nova, Arc::clone(&store));
    sleep(20 * SECOND).await;
    run.order(3).await;
    sleep(5 * SECOND).await;
    assert_eq!(nova.servers.lock().unwrap().len(), 3, "the create is under way");
    assert_eq!(run.stop().await, STOP_WITHIN);

    store.crash();
    nova.creates_hang.send_replace(false);
    let run = Running::on(&nova, store);
    sleep(120 * SECOND).await;
    assert_eq!((run.serving(), nova.servers.lock().unwrap().len()), (3, 3));
    assert_eq!(run.stop().await, Duration::ZERO);
}

/// Whatever breaks, the work stays the same: no call more than at rest, and nothing to write.
#[tokio::test(start_paused = true)]
async fn a_cloud_that_is_down_for_hours_is_asked_no_more_than_one_at_rest() {
    let groups: Vec<Arc<Group>> = (0..30)
        .map(|n| {
            let name = GroupName::new(format!("g{n}")).unwrap();
            let tag = Tag::new(format!("novascale:g{n}")).unwrap();
            Arc::new(Group { name, tag, ..group(0, 8) })
        })
        .collect();
    let nova = Nova::new();
    let store = Arc::new(MemoryStore::new(InstallId::from_bits(1)));
    let run = Running::of(&nova, Arc::clone(&store), &groups);
    let listed_within = async |span: Duration| {
        let before = nova.listings();
        sleep(span).await;
        nova.listings() - before
    };
    let hour = 3600 * SECOND;
    sleep(60 * SECOND).await;
    assert_eq!(listed_within(600 * SECOND).await, 40, "one listing serves them all");
    nova.lists_fail.store(true, Ordering::SeqCst);
    sleep(60 * SECOND).await;
    let lines = async || store.decisions(&groups[0].name, 10_000).await.unwrap().len();
    let before = lines().await;
    assert_eq!(listed_within(2 * hour).await, 480);
    let more = lines().await - before;
    assert!(more <= 1, "{more} decisions were kept in an outage in which nothing changed");
    nova.lists_fail.store(false, Ordering::SeqCst);
    let back = listed_within(60 * SECOND).await;
    assert!(back <= 8, "{back} listings in the first minute, at rest there are 4");
    assert_eq!(run.stop().await, Duration::ZERO);
}

/// What comes as a pass ends has its pass: no flag is cleared that was set meanwhile.
#[tokio::test(start_paused = true)]
async fn an_order_that_comes_during_a_pass_is_not_lost() {
    let nova = Nova::new();
    let run = Running::fresh(&nova);
    sleep(20 * SECOND).await;
    for capacity in 1..=6 {
        run.order(capacity).await;
        // The pass for it is under way, or just at its end.
        sleep(SECOND + SECOND / 1000 * capacity).await;
        tokio::task::yield_now().await;
    }
    let listings = nova.listings();
    sleep(2 * SECOND).await;
    assert_eq!(nova.servers.lock().unwrap().len(), 6);
    assert!(nova.listings() <= listings + 2, "and it waited for no listing");
}

fn called(name: &str, max: u32) -> Arc<Group> {
    let name = GroupName::new(name).unwrap();
    let tag = Tag::new(format!("novascale:{name}")).unwrap();
    Arc::new(Group { name, tag, bounds: Bounds::new(0, max), ..group(0, 8) })
}

/// `web` and `db`, and a create of three under way for `web` that is not answered.
async fn launching() -> (Running, [Arc<Group>; 2]) {
    let (nova, groups) = (Nova::new(), [called("web", 8), called("db", 8)]);
    let run = Running::of(&nova, Arc::new(MemoryStore::new(InstallId::from_bits(1))), &groups);
    sleep(20 * SECOND).await;
    nova.creates_hang.send_replace(true);
    run.order(3).await;
    sleep(5 * SECOND).await;
    assert_eq!(nova.servers.lock().unwrap().len(), 3, "the create is under way");
    (run, groups)
}

impl Nova {
    fn launched(&self) -> usize {
        let ended = self.ended.lock().unwrap();
        ended.iter().filter(|result| matches!(result, CallResult::Launched { .. })).count()
    }
}

#[tokio::test(start_paused = true)]
async fn a_reload_disturbs_no_group_that_it_does_not_change() {
    let (mut run, [web, _]) = launching().await;
    let (passes, handle) = (run.web().pulse().passes, run.web().clone());
    run.reload(&[web, called("db", 5)]);
    sleep(2 * SECOND).await;
    let db = run.handle.group("db").unwrap();
    assert_eq!(db.latest().unwrap().bounds, Bounds::new(0, 5), "its new loop looks at once");
    // Longer than a stop would wait.
    sleep(60 * SECOND).await;
    assert_eq!(run.nova.launched(), 0);
    run.nova.creates_hang.send_replace(false);
    sleep(SECOND).await;
    assert_eq!(run.nova.launched(), 1);
    assert!(run.web().pulse().passes > passes);
    sleep(5 * SECOND).await;
    assert_eq!((run.serving(), handle.pulse().passes), (3, run.web().pulse().passes));
    assert_eq!(run.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_changed_group_has_its_next_loop_once_the_call_under_way_has_ended() {
    let (mut run, [_, db]) = launching().await;
    let passes = run.web().pulse().passes;
    run.reload(&[called("web", 4), Arc::clone(&db)]);
    sleep(60 * SECOND).await;
    assert_eq!((run.nova.launched(), run.web().pulse().passes), (0, passes), "no second loop");
    assert_eq!(run.stalled(), Vec::<String>::new());
    run.nova.creates_hang.send_replace(false);
    sleep(2 * SECOND).await;
    assert_eq!((run.nova.launched(), run.serving()), (1, 3));
    assert!(run.web().pulse().passes > passes + 1, "the last pass of the old loop counts too");
    assert_eq!(run.web().latest().unwrap().bounds, Bounds::new(0, 4));
    assert_eq!(run.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_outlasts_its_room_is_left_to_the_next_loop() {
    let (mut run, [_, db]) = launching().await;
    run.reload(&[called("web", 4), db]);
    sleep(ROOM - SECOND).await;
    assert_eq!(run.web().latest().unwrap().bounds, Bounds::new(0, 8));
    sleep(60 * SECOND).await;
    assert_eq!(run.web().latest().unwrap().bounds, Bounds::new(0, 4));
    assert_eq!((run.serving(), run.nova.servers.lock().unwrap().len()), (3, 3));
    assert_eq!(run.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_stop_after_a_reload_waits_no_longer_than_another() {
    let (mut run, [_, db]) = launching().await;
    run.reload(&[called("web", 4), db]);
    sleep(SECOND).await;
    assert_eq!(run.stop().await, STOP_WITHIN);
}

/// It left and came back while a call was under way: still it has one loop at a time.
#[tokio::test(start_paused = true)]
async fn a_group_that_comes_back_at_once_waits_for_its_call_too() {
    let (mut run, [web, db]) = launching().await;
    run.reload(std::slice::from_ref(&db));
    assert!(run.handle.group("web").is_none());
    sleep(5 * SECOND).await;
    run.reload(&[Arc::clone(&web), Arc::clone(&db)]);
    run.reload(&[called("web", 5), Arc::clone(&db)]);
    sleep(30 * SECOND).await;
    assert!(run.web().latest().is_none(), "it waits");
    run.nova.creates_hang.send_replace(false);
    sleep(3 * SECOND).await;
    assert_eq!((run.nova.launched(), run.serving()), (1, 3));
    assert_eq!(run.nova.servers.lock().unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_was_ordered_during_a_reload_is_looked_at_at_once_and_without_a_listing() {
    let mut run = Running::fresh(&Nova::new());
    sleep(33 * SECOND).await;
    let before = run.web().clone();
    run.nova.lists_hang.store(true, Ordering::SeqCst);
    // Stored, and the sender's nudge goes to the loop that ends.
    run.store(2).await;
    run.reload(&[called("web", 5)]);
    before.nudge();
    sleep(SECOND / 10).await;
    assert_eq!(run.nova.servers.lock().unwrap().len(), 2);
    // Whoever still holds the old handle reaches the new loop.
    sleep(2 * SECOND).await;
    run.store(3).await;
    before.nudge();
    sleep(SECOND + SECOND / 10).await;
    assert_eq!(run.nova.servers.lock().unwrap().len(), 3);
    assert_eq!(run.stop().await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_region_is_looked_at_as_long_as_a_group_is_there() {
    let there = Region::new("R9").unwrap();
    let far = Arc::new(Group { region: there.clone(), ..Group::clone(&called("far", 3)) });
    let web = called("web", 8);
    let mut run = Running::of(
        &Nova::new(),
        Arc::new(MemoryStore::new(InstallId::from_bits(1))),
        std::slice::from_ref(&web),
    );
    sleep(20 * SECOND).await;
    let listed = |run: &Running| {
        let pulse = run.handle.observers().into_iter().find(|pulse| pulse.region == there);
        pulse.map(|pulse| pulse.listings)
    };
    assert_eq!(listed(&run), None);
    run.reload(&[Arc::clone(&web), far]);
    sleep(SECOND).await;
    assert_eq!(listed(&run), Some(1), "it is new, and listed at once");
    assert!(run.handle.group("far").unwrap().latest().is_some());
    run.reload(&[web]);
    let before = run.nova.listings();
    sleep(60 * SECOND).await;
    assert_eq!((listed(&run), run.nova.listings() - before), (None, 4));
    assert_eq!(run.stop().await, Duration::ZERO);
}
