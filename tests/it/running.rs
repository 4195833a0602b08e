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
use novascale::control::run::{Charge, STOP_WITHIN, start};
use novascale::control::{Parts, Watcher};
use novascale::domain::freeze::NoBrake;
use novascale::domain::group::Group;
use novascale::domain::id::{GroupName, InstallId, Region, ServerId, Tag};
use novascale::domain::outcome::{Failure, FailureKind, Outcome};
use novascale::domain::plan::Decision;
use novascale::domain::server::{Server, Status};
use novascale::domain::signal::{Command, Ordered};
use novascale::domain::time::{Clock, Now, Steady, Wall};
use novascale::http::probe::stalled;
use novascale::store::{Admit, MemoryStore, Store as _, What};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::deciding::world::group;

const SECOND: Duration = Duration::from_secs(1);
const OVERDUE: Duration = Duration::from_secs(180);

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
    /// The servers come to be, but no create is ever answered.
    creates_hang: AtomicBool,
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
            creates_hang: AtomicBool::default(),
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
        if self.creates_hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
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
    fn ended(&self, _: &Decision, _: &Outcome) {}
}

/// The loops of one group, running.
struct Running {
    nova: Arc<Nova>,
    parts: Parts,
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
        let charge = Charge { groups, before: &Handle::default() };
        let handle = start(&parts, charge, &tracker, || 7);
        tracker.close();
        Self { nova: Arc::clone(nova), parts, handle, tracker }
    }

    fn web(&self) -> &GroupHandle {
        self.handle.group("web").unwrap()
    }

    fn serving(&self) -> u32 {
        self.web().latest().map_or(0, |decision| decision.tally.serving)
    }

    async fn order(&self, capacity: u32) {
        let at = self.parts.clock.now();
        let order =
            Ordered { command: Command::Set { capacity }, at, by: "test".into(), reason: None };
        let group = &self.web().group;
        let what = What::Command(order, group.bounds);
        let admit = Admit { group: group.name.clone(), what, key: None, at };
        self.parts.store.admit(&self.parts.lease, admit).await.unwrap();
        self.web().nudge();
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
    nova.creates_hang.store(true, Ordering::SeqCst);
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
    nova.creates_hang.store(true, Ordering::SeqCst);
    let store = Arc::new(MemoryStore::new(InstallId::from_bits(1)));
    let run = Running::on(&nova, Arc::clone(&store));
    sleep(20 * SECOND).await;
    run.order(3).await;
    sleep(5 * SECOND).await;
    assert_eq!(nova.servers.lock().unwrap().len(), 3, "the create is under way");
    assert_eq!(run.stop().await, STOP_WITHIN);

    store.crash();
    nova.creates_hang.store(false, Ordering::SeqCst);
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
