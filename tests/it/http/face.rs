//! The HTTP face with everything behind it held in the test's hands.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use novascale::config::http::HttpLimits;
use novascale::config::secret::SecretEnv;
use novascale::config::{Config, Env, HttpSettings};
use novascale::control::handle::{GroupEnd, GroupHandle, Handle, ObserverPulse, Preview};
use novascale::domain::behaviour::Behaviour;
use novascale::domain::count::Bounds;
use novascale::domain::fleet::{Member, Standing, Tally};
use novascale::domain::freeze::{Brake, Braked, Freeze, Freezes};
use novascale::domain::group::{
    Group, ImageRef, LaunchLimits, Networks, Patience, Placement, Template,
};
use novascale::domain::id::{
    GroupName, InstallId, Region, ServerId, SignalName, Tag, TemplateHash,
};
use novascale::domain::outcome::Outcome;
use novascale::domain::plan::{Changes, Decision};
use novascale::domain::policy::{Policy, Reading, Total};
use novascale::domain::server::Ownership;
use novascale::domain::signal::{Ordered, Sample};
use novascale::domain::time::{Clock, Now, Steady, Wall};
use novascale::http::limit::Peer;
use novascale::http::reload::{self, Asked, Desk, Refused, Report};
use novascale::http::source::keys::Sources;
use novascale::http::tokens::{Scope, Tokens};
use novascale::http::{App, Parts, router};
use novascale::store::freeze_file::FreezeFile;
use novascale::store::memory::Memory;
use novascale::store::{
    Admit, Admitted, Gathered, IdempotencyKey, Lease, Store, StoreError, Window,
};
use novascale::telemetry::{BreakerState, CallCount, Counters};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tower::ServiceExt;

/// After which silence a loop counts as hanging here.
pub const OVERDUE: Duration = Duration::from_secs(180);

/// A clock that moves when it is told to.
pub struct Hand {
    began: Now,
    moved: AtomicU64,
}

impl Hand {
    pub fn forward(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap();
        self.moved.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Now {
        self.began.plus(Duration::from_millis(self.moved.load(Ordering::SeqCst)))
    }
}

/// How a thing that is waited for behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Well,
    Fails,
    Hangs,
    Panics,
}

/// The store in memory behind a door that may stick.
pub struct Shop {
    pub inner: Memory,
    mood: watch::Sender<Mood>,
    /// Calls of `admit` that reached the store, and of `probe`.
    pub admits: AtomicU64,
    pub probes: AtomicU64,
}

impl Shop {
    pub fn is(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    async fn door(&self) -> Result<(), StoreError> {
        let mut mood = self.mood.subscribe();
        let mood = *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap();
        match mood {
            Mood::Fails => Err(StoreError::Unavailable("/canary/path: disk full".into())),
            Mood::Panics => panic!("canary-panic"),
            Mood::Well | Mood::Hangs => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Shop {
    async fn admit(&self, lease: &Lease, admit: Admit) -> Result<Admitted, StoreError> {
        self.admits.fetch_add(1, Ordering::SeqCst);
        self.door().await?;
        self.inner.admit(lease, admit).await
    }

    async fn repeated(
        &self,
        group: &GroupName,
        key: &IdempotencyKey,
        now: Now,
    ) -> Result<bool, StoreError> {
        self.door().await?;
        self.inner.repeated(group, key, now).await
    }

    async fn gather(&self, group: &GroupName, since: Window) -> Result<Gathered, StoreError> {
        self.door().await?;
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
        self.inner.settle(lease, group, outcomes).await
    }

    async fn history(
        &self,
        group: &GroupName,
        name: &SignalName,
        since: Steady,
    ) -> Result<Vec<Sample>, StoreError> {
        self.door().await?;
        self.inner.history(group, name, since).await
    }

    async fn decisions(&self, group: &GroupName, limit: u32) -> Result<Vec<Decision>, StoreError> {
        self.door().await?;
        self.inner.decisions(group, limit).await
    }

    async fn commands(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError> {
        self.door().await?;
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
        self.door().await?;
        self.inner.freeze_all(lease, freeze).await
    }

    async fn project(&self) -> Result<Option<String>, StoreError> {
        self.inner.project().await
    }

    async fn bind(&self, lease: &Lease, project: &str) -> Result<String, StoreError> {
        self.inner.bind(lease, project).await
    }

    async fn freezes(&self, group: &GroupName) -> Result<Freezes, StoreError> {
        self.door().await?;
        self.inner.freezes(group).await
    }

    async fn probe(&self, lease: &Lease) -> Result<(), StoreError> {
        self.probes.fetch_add(1, Ordering::SeqCst);
        self.door().await?;
        self.inner.probe(lease).await
    }
}

/// Previews that say what the base says, as far as their mood allows.
struct Foresight {
    mood: Arc<Mutex<Mood>>,
    group: Arc<Group>,
    store: Arc<Shop>,
    clock: Arc<Hand>,
}

#[async_trait]
impl Preview for Foresight {
    async fn preview(&self) -> Result<Decision, StoreError> {
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => {}
            Mood::Hangs => std::future::pending().await,
            Mood::Fails | Mood::Panics => return Err(StoreError::Unavailable("busy".into())),
        }
        let now = self.clock.now();
        let window = Window { now, signals: Duration::ZERO, past: Duration::ZERO };
        let state = self.store.inner.gather(&self.group.name, window).await?.state;
        let desired = state.base.unwrap_or(self.group.bounds.min);
        Ok(decision(&self.group.name, now, desired))
    }
}

/// A brake that knows no fence.
struct FileAlone(FreezeFile);

impl Brake for FileAlone {
    fn on(&self, group: &GroupName) -> Option<Braked> {
        self.0.look().on(group)
    }
}

/// One of the two listeners.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Listener {
    Webhook,
    Admin,
}

pub struct Face {
    pub webhook: Router,
    pub admin: Router,
    pub store: Arc<Shop>,
    pub lease: Lease,
    pub clock: Arc<Hand>,
    pub counters: Counters,
    pub ends: BTreeMap<String, GroupEnd>,
    pub observer: watch::Sender<ObserverPulse>,
    pub foresight: Arc<Mutex<Mood>>,
    /// The loops of the configuration that counts.
    pub loops: watch::Sender<Handle>,
    sources: watch::Sender<Arc<Sources>>,
    reloads: Mutex<Option<mpsc::Receiver<Asked>>>,
    pub standing: watch::Sender<reload::Standing>,
    pub tokens: Tokens,
    pub limits: HttpLimits,
    home: TempDir,
}

impl Face {
    pub fn new() -> Self {
        Self::with(HttpLimits::default())
    }

    /// Two groups: `web` (2 to 8 servers, reads `requests`) and `db` (reads nothing).
    pub fn with(limits: HttpLimits) -> Self {
        let home = tempfile::tempdir().unwrap();
        let wall = Wall::parse("2026-11-23T12:00:00Z").unwrap();
        let clock = Arc::new(Hand {
            began: Now { wall, steady: Steady(1_000_000) },
            moved: AtomicU64::default(),
        });
        let inner = Memory::new(InstallId::from_bits(7));
        let lease = inner.acquire("the test");
        let store = Arc::new(Shop {
            inner,
            mood: watch::channel(Mood::Well).0,
            admits: AtomicU64::default(),
            probes: AtomicU64::default(),
        });
        let foresight = Arc::new(Mutex::new(Mood::Well));
        let (mut handles, mut ends) = (Vec::new(), BTreeMap::new());
        for group in [group("web", Some("requests")), group("db", None)] {
            let group = Arc::new(group);
            let preview = Arc::new(Foresight {
                mood: Arc::clone(&foresight),
                group: Arc::clone(&group),
                store: Arc::clone(&store),
                clock: Arc::clone(&clock),
            });
            let (handle, end) = GroupHandle::new(Arc::clone(&group), preview);
            ends.insert(group.name.to_string(), end);
            handles.push(handle);
        }
        let (observer, pulse) = watch::channel(pulse(clock.now(), None));
        let counters = Counters::default();
        let tokens = Tokens::open(&home.path().join("tokens")).unwrap();
        let loopback = "127.0.0.1:0".parse().unwrap();
        let (loops, handle) = watch::channel(Handle::new(handles, vec![pulse]));
        let (standing, stands) = watch::channel(reload::Standing::taken(clock.now().wall));
        let (sources, heard) = watch::channel(Arc::new(Sources::default()));
        let (ask, reloads) = mpsc::channel(1);
        let app = App::new(Parts {
            sources: heard,
            handle,
            reload: Desk { ask, standing: stands },
            store: Arc::clone(&store) as Arc<dyn Store>,
            lease: lease.clone(),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            settings: HttpSettings {
                webhook: loopback,
                admin: loopback,
                behind_proxy: false,
                tls: None,
                limits,
            },
            overdue: OVERDUE,
            tokens: tokens.clone(),
            brake: Arc::new(FileAlone(FreezeFile::of(home.path()))),
            freeze_file: FreezeFile::of(home.path()),
            counters: counters.clone(),
            calls: Box::new(|| vec![call("compute", "GET", "2xx", 3)]),
            breakers: Box::new(|| {
                let service = "compute in R1".to_owned();
                vec![BreakerState { service, class: "read", open: true }]
            }),
        });
        let (webhook, admin) = router(&app);
        Self {
            webhook,
            admin,
            store,
            lease,
            clock,
            counters,
            ends,
            observer,
            foresight,
            loops,
            sources,
            reloads: Mutex::new(Some(reloads)),
            standing,
            tokens,
            limits,
            home,
        }
    }

    pub fn freeze_file(&self) -> FreezeFile {
        FreezeFile::of(self.home.path())
    }

    pub fn token(&self, scope: Scope) -> String {
        read(&self.tokens.file(scope))
    }

    /// A request of this scope's token to the admin listener.
    pub fn ask(&self, scope: Scope, method: &str, path: &str) -> Asking<'_> {
        let asking = Asking {
            face: self,
            listener: Listener::Admin,
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
        };
        asking.header("authorization", &format!("Bearer {}", self.token(scope)))
    }

    /// A request without a token.
    pub fn stranger(&self, method: &str, path: &str) -> Asking<'_> {
        Asking {
            face: self,
            listener: Listener::Admin,
            request: Request::builder().method(method).uri(path),
            body: Body::empty(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask(Scope::Read, "GET", path).send().await
    }

    pub async fn signals(&self, body: &str) -> Answer {
        self.ask(Scope::Signal, "POST", "/v1/groups/web/signals").json(body).send().await
    }

    pub async fn capacity(&self, body: &str) -> Answer {
        self.ask(Scope::Capacity, "POST", "/v1/groups/web/capacity").json(body).send().await
    }

    /// All that the store holds of a group.
    pub async fn stored(&self, group: &str) -> Gathered {
        let day = Duration::from_secs(86_400);
        let window = Window { now: self.clock.now(), signals: day, past: day };
        self.store.inner.gather(&GroupName::new(group).unwrap(), window).await.unwrap()
    }

    /// From now on these sections [source.NAME] count; secrets are the variables' values.
    pub fn speaks(&self, sections: &str, secrets: &[(&str, &str)]) {
        let group = |name| {
            format!(
                "[group.{name}]\nmin = 0\nmax = 8\nflavor = \"f\"\nimage = \"i\"\nnetworks = \"auto\"\n"
            )
        };
        let text = format!("[cloud]\nuse = \"sandbox\"\n{}{}{sections}", group("web"), group("db"));
        let env = Env::new(secrets.iter().copied(), None, self.home.path().to_owned());
        let loaded = Config::parse(&text, Path::new("scaling.toml"), &env);
        let loaded = loaded.unwrap_or_else(|faults| panic!("{faults}"));
        let sources = Sources::read(&loaded.config.sources, &SecretEnv::new(env));
        self.sources.send_replace(Arc::new(sources));
    }

    /// The group's loop decided something.
    pub fn decide(&self, group: &str, desired: u32) -> Decision {
        let decision = decision(&GroupName::new(group).unwrap(), self.clock.now(), desired);
        self.ends[group].latest.send_replace(Some(Arc::new(decision.clone())));
        decision
    }

    /// From now on whoever asks for a reload hears this; what was asked, by whom, comes out.
    pub fn reloads(&self, answer: Result<Report, Refused>) -> mpsc::Receiver<(bool, String)> {
        let mut asked = self.reloads.lock().unwrap().take().unwrap();
        let (out, heard) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Some(Asked { confirm, by, answer: to }) = asked.recv().await {
                let _nobody_looks = out.try_send((confirm, by));
                to.send(answer.clone()).unwrap();
            }
        });
        heard
    }

    /// Reloads as they are asked for, which nobody does.
    pub fn asked(&self) -> mpsc::Receiver<Asked> {
        self.reloads.lock().unwrap().take().unwrap()
    }

    /// Whoever does reloads has ended.
    pub fn stops_reloading(&self) {
        self.reloads.lock().unwrap().take();
    }

    /// The region was listed completely just now.
    pub fn listed(&self) {
        self.observer.send_replace(pulse(self.clock.now(), Some(self.clock.now())));
    }
}

pub struct Asking<'f> {
    face: &'f Face,
    listener: Listener,
    request: axum::http::request::Builder,
    body: Body,
}

impl Asking<'_> {
    pub fn on(mut self, listener: Listener) -> Self {
        self.listener = listener;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn from(mut self, peer: &str) -> Self {
        self.request = self.request.extension(Peer(peer.parse().unwrap()));
        self
    }

    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = body.into();
        self
    }

    pub fn json(self, body: &str) -> Self {
        self.header("content-type", "application/json").body(body.to_owned())
    }

    pub async fn send(self) -> Answer {
        let router = match self.listener {
            Listener::Webhook => self.face.webhook.clone(),
            Listener::Admin => self.face.admin.clone(),
        };
        let request = self.request.body(self.body).unwrap();
        Answer::of(router.oneshot(request).await.unwrap()).await
    }
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Self { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {:?}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of a problem document, which it must be, whole and consistent.
    pub fn code(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        let json = self.json();
        assert_eq!(json["status"], self.status, "{self:?}");
        assert_eq!(json["type"], "about:blank", "{self:?}");
        for member in ["title", "detail"] {
            assert!(json[member].as_str().is_some_and(|t| !t.is_empty()), "{member}: {self:?}");
        }
        json["code"].as_str().unwrap().to_owned()
    }

    pub fn pointer(&self) -> Option<String> {
        Some(self.json()["pointer"].as_str()?.to_owned())
    }
}

pub fn call(service: &str, method: &str, outcome: &str, calls: u64) -> CallCount {
    let (service, method) = (service.to_owned(), method.to_owned());
    CallCount { service, method, outcome: outcome.to_owned(), calls }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

fn pulse(tried: Now, seen: Option<Now>) -> ObserverPulse {
    ObserverPulse {
        region: Region::new("GRA11").unwrap(),
        tried,
        seen,
        listings: 5,
        failed: 1,
        failure: None,
    }
}

/// A decision for a group with one serving server and one that is known by id only.
pub fn decision(group: &GroupName, at: Now, desired: u32) -> Decision {
    let member = |id: &str, standing| Member {
        id: ServerId::new(id).unwrap(),
        standing,
        ownership: Ownership::Ours,
        kept: false,
        served: true,
        serves_since: None,
        outdated: false,
        launch: None,
        server: None,
    };
    let members = vec![member("s-1", Standing::Serving), member("s-2", Standing::Unsure)];
    Decision {
        group: group.clone(),
        at,
        config_hash: TemplateHash::new("0123456789abcdef").unwrap(),
        bounds: Bounds::new(2, 8),
        schedules: Vec::new(),
        claims: Vec::new(),
        wanted: Some(desired),
        desired,
        tempering: Vec::new(),
        tally: Tally { serving: 1, unsure: 1, ..Tally::default() },
        plan: Vec::new(),
        waiting: Vec::new(),
        pauses: Default::default(),
        next_look: at.steady.plus(Duration::from_secs(30)),
        changes: Changes { members, ..Changes::default() },
    }
}

pub fn group(name: &str, signal: Option<&str>) -> Group {
    let hash = TemplateHash::new("0123456789abcdef").unwrap();
    let policies = signal.map(|signal| {
        let signal = SignalName::new(signal).unwrap();
        Policy::Total(Total::of(Reading::newest(signal, Duration::from_secs(180)), 100.0))
    });
    Group {
        name: GroupName::new(name).unwrap(),
        tag: Tag::new(format!("tag-{name}")).unwrap(),
        region: Region::new("GRA11").unwrap(),
        bounds: Bounds::new(2, 8),
        template: Template {
            flavors: vec!["b3-8".into()],
            image: ImageRef::Name("Debian 12".into()),
            networks: Networks::Auto,
            security_groups: Vec::new(),
            key_name: None,
            zones: Vec::new(),
            user_data: None,
            metadata: BTreeMap::new(),
            name_prefix: name.into(),
            config_drive: false,
            boot_volume: None,
            placement: Placement::Anywhere,
            hash: hash.clone(),
        },
        policies: policies.into_iter().collect(),
        schedules: Vec::new(),
        behaviour: Behaviour::default(),
        patience: Patience::default(),
        launch: LaunchLimits::default(),
        config_hash: hash,
    }
}
