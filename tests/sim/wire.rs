//! Level B: the real client over a wire that ends in the embedded cloud's router, in this process
//! and in virtual time.
//!
//! The embedded cloud is the truth. Before and after every request the world's bodies are made its
//! mirror ([`Embedded::mirror`]): what people did to a body is done to the server, and what the
//! cloud did is seen in the bodies, so that oracle, senders and people are the same at both levels.
//! What goes wrong between client and cloud is the embedded cloud's own business, by the names that
//! both have for it.

mod meter;
mod mirror;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use novascale::cloud::openstack::OpenStack;
use novascale::cloud::openstack::transport::{
    InProcess, Request, Response, Transport, TransportError,
};
use novascale::cloud::sandbox::Sandbox;
use novascale::cloud::sandbox::config::{Credentials, SandboxConfig};
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, Wanted,
};
use novascale::config::cloud::{
    AccessTokenType, Auth, CloudSettings, Interface, Limits, Oidc, Project, Tls,
};
use novascale::config::secret::Secret;
use novascale::domain::id::{LaunchId, Region, ServerId, Tag, mark};
use novascale::domain::outcome::Failure;
use novascale::domain::server::Server;
use novascale::domain::time::{Clock, Steady};
use reqwest::Method;
use serde_json::Value;

use super::dice::Dice;
use super::faults::Fault;
use super::nova::{Nova, sent};
use super::oracle::calls::Kind;
use super::time::Timer;
use super::world::BEGINS;
use meter::Meter;
use mirror::{Seen, Wished};

const BASE: &str = "http://127.0.0.1:5000";
const SECRET: &str = "secret";

/// The cloud's own clock begins here, and nobody sets it.
const BEGAN: Steady = Steady(1_000_000);
const BEGAN_WALL: i64 = BEGINS.0;

/// The embedded cloud, and what the world last saw of it.
pub struct Embedded {
    pub sandbox: Sandbox,
    router: Router,
    seen: Mutex<BTreeMap<ServerId, Seen>>,
    /// The faults that it was told of last, the far cell and the quota.
    wished: Mutex<Option<Wished>>,
    /// The creates that were asked of the client, by launch.
    asked: Mutex<BTreeMap<LaunchId, Create>>,
    /// The servers that were to be adopted.
    adopted: Mutex<BTreeSet<String>>,
}

fn configured(seed: u64) -> SandboxConfig {
    let credentials = Credentials {
        client_id: "client".to_owned(),
        client_secret: SECRET.into(),
        username: "operator".to_owned(),
        password: "password".into(),
        application_credential: None,
    };
    let mut config = SandboxConfig::new(BASE, credentials).in_region("R1");
    config.rules.build_ms = 500..=20_000;
    config.rules.delete_ms = 500..=15_000;
    let quota = &mut config.rules.quota;
    (quota.instances, quota.cores, quota.ram_mb) = (-1, -1, -1);
    config.rehearsal.seed = Some(seed);
    config
}

impl Embedded {
    pub fn new(seed: u64, timer: Arc<Timer>) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let clock = Arc::clone(&timer);
        let clock = Arc::new(move || BEGAN_WALL + clock.elapsed().as_millis() as i64);
        let opening = Sandbox::open(configured(seed), clock, bytes, None);
        let sandbox = timer.run(opening).unwrap();
        // A stranger in the project, for a listing that ignores its filter.
        sandbox.meddle(|model| model.add_by_hand("stranger".into(), "else".into(), BEGAN_WALL));
        let router = sandbox.router();
        let (seen, wished, asked, adopted) = Default::default();
        Self { sandbox, router, seen, wished, asked, adopted }
    }
}

fn settings() -> CloudSettings {
    let config = configured(0);
    CloudSettings {
        name: "simulated".to_owned(),
        auth: Auth::OidcClientCredentials(Oidc {
            auth_url: config.auth_url(),
            identity_provider: config.identity_provider.clone(),
            protocol: config.protocol.clone(),
            client_id: config.credentials.client_id.clone(),
            client_secret: Secret::Given(SECRET.into()),
            discovery_endpoint: Some(config.discovery_url()),
            access_token_endpoint: None,
            access_token_type: AccessTokenType::IdToken,
            openid_scope: "openid profile email publicCloudProject/all".to_owned(),
            project: Project::Id(config.project_id.clone()),
        }),
        region: Some(Region::new("R1").unwrap()),
        region_keys: BTreeMap::new(),
        interface: Interface::Public,
        tls: Tls::default(),
        limits: Limits::default(),
        allow_http: false,
        allowed_hosts: Vec::new(),
    }
}

/// The client as one process has it: what it keeps is gone with the process.
pub struct Client {
    cloud: OpenStack,
    nova: Arc<Nova>,
}

impl Client {
    pub fn start(nova: &Arc<Nova>, seed: u64, epoch: u64) -> Self {
        let embedded = nova.embedded.as_ref().unwrap();
        let wire = Wire {
            inner: InProcess::new(embedded.router.clone()),
            nova: Arc::clone(nova),
            dice: Mutex::new(Dice::new(seed, 1_000 + epoch)),
            meter: Mutex::default(),
        };
        let clock = Arc::clone(&nova.clock) as Arc<dyn Clock>;
        let cloud = OpenStack::new(settings(), Arc::new(wire), clock);
        Self { cloud, nova: Arc::clone(nova) }
    }
}

#[async_trait]
impl Compute for Client {
    async fn list(&self, region: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        drop(self.nova.counted(Kind::List));
        let listed = self.cloud.list(region, tags).await;
        self.nova.event(
            1,
            listed.as_ref().map_or(u64::MAX, |l| l.len() as u64),
            || match &listed {
                Ok(servers) => format!("listed {}", servers.len()),
                Err(failure) => format!("listing failed: {failure}"),
            },
        );
        listed
    }

    async fn get(&self, region: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        self.nova.brake_in_passing();
        let now = self.nova.clock.now().steady;
        self.nova.state().judge_delete_try(id, now, &self.nova.trace);
        drop(self.nova.counted(Kind::Get));
        let found = self.cloud.get(region, id).await;
        if found.is_ok() {
            self.nova.state().oracle.looked(id, self.nova.clock.now().steady);
        }
        found
    }

    async fn audit(&self, region: &Region) -> Result<Audit, Failure> {
        self.cloud.audit(region).await
    }

    async fn adopt(&self, request: &Marks) -> Result<(), Failure> {
        let now = self.nova.clock.now();
        self.nova.tick();
        drop(self.nova.counted(Kind::Adopt));
        self.nova.state().judge_adoption(&request.server, now, &self.nova.trace);
        let embedded = self.nova.embedded.as_ref().unwrap();
        embedded.adopted.lock().unwrap().insert(request.server.to_string());
        let marked = self.cloud.adopt(request).await;
        self.nova.event(9, u64::from(marked.is_ok()), || {
            format!("adopted {}: {marked:?}", request.server)
        });
        marked
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        self.nova.judge_frozen(self.nova.clock.now().steady);
        drop(self.nova.counted(Kind::Create));
        let embedded = self.nova.embedded.as_ref().unwrap();
        embedded.asked.lock().unwrap().insert(request.launch.clone(), sent(request));
        let made = self.cloud.create(request).await;
        self.nova.event(3, u64::from(made.is_ok()), || {
            format!("create of {} for {}: {made:?}", request.n, request.launch)
        });
        made
    }

    async fn delete(&self, region: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        self.nova.judge_frozen(self.nova.clock.now().steady);
        drop(self.nova.counted(Kind::Delete));
        let id = permit.id().clone();
        let done = self.cloud.delete(region, permit).await;
        self.nova.state().told_of_delete(&id, &done);
        self.nova.event(4, u64::from(done.is_ok()), || format!("delete {id}: {done:?}"));
        done
    }
}

#[async_trait]
impl Resolve for Client {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        let now = self.nova.clock.now().steady;
        self.nova.state().judge_try(now, &self.nova.trace);
        drop(self.nova.counted(Kind::Resolve));
        self.cloud.resolve(wanted).await
    }

    fn forget(&self, region: &Region) {
        self.cloud.forget(region);
    }
}

/// The way of one request: where the machine may crash, what the oracle judges, and the router.
struct Wire {
    inner: InProcess,
    nova: Arc<Nova>,
    dice: Mutex<Dice>,
    meter: Mutex<Meter>,
}

#[async_trait]
impl Transport for Wire {
    async fn send(&self, request: Request) -> Result<Response, TransportError> {
        let line = line(&request);
        let (way, reads) = (meter::way(&request), request.method == Method::GET);
        let embedded = self.nova.embedded.as_ref().unwrap();
        if !reads {
            self.nova.tick();
        }
        // Judged as the call begins: what changes while it is on its way is nobody's fault.
        self.judge(&request);
        self.nova.gate.pass().await;
        if reads {
            embedded.impose(&self.nova.state());
        } else {
            self.nova.tick();
        }
        let takes = self.dice.lock().unwrap().millis(2, 40);
        tokio::time::sleep(takes).await;
        let refused = self.refused();
        let answer = match refused {
            true => Err(TransportError::Unreached("connection refused".to_owned())),
            false => self.inner.send(request).await,
        };
        if !reads {
            self.nova.tick();
        }
        let status = answer.as_ref().map_or(0, |answer| u64::from(answer.status.as_u16()));
        self.nova.event(62, way.code() << 16 | status, || match &answer {
            Ok(_) => format!("  {line}: {status}"),
            Err(error) => format!("  {line}: {error}"),
        });
        if let Ok(answer) = &answer {
            self.meter.lock().unwrap().heard(way, answer, self.nova.clock.now().steady);
        }
        self.nova.gate.pass().await;
        answer
    }
}

/// A request as the story tells it: without what is the same in all of them.
fn line(request: &Request) -> String {
    let path = request.url.path();
    let path = path
        .split_once("/compute/v2.1/")
        .map_or(path, |(_, path)| path.split_once('/').map_or("the version", |(_, path)| path));
    format!("{} {path}", request.method)
}

impl Wire {
    /// Whether no connection comes about.
    fn refused(&self) -> bool {
        let now = self.nova.clock.now().steady;
        let mut state = self.nova.state();
        state.unreachable(now).is_some() || state.strikes(Fault::CallsDropped)
    }

    fn judge(&self, request: &Request) {
        let now = self.nova.clock.now();
        let why = self.meter.lock().unwrap().sent(meter::way(request), now.steady);
        if let Some(why) = why {
            self.nova.trace.broken(now.steady, "I12", &why);
        }
        let Some(below) = request.url.path().split("/servers").nth(1) else { return };
        let trace = &self.nova.trace;
        match (request.method.as_str(), below.trim_start_matches('/')) {
            (_, marks) if self.adopts(marks) => {}
            ("POST", "") => match self.asked(&request.body) {
                Some(create) => self.nova.state().judge_create(&create, now, trace),
                None => trace.broken(now.steady, "I4", "a create without a launch id"),
            },
            ("DELETE", id) => match ServerId::new(id.to_owned()) {
                Ok(id) => self.nova.state().judge_delete(&id, now, trace),
                Err(_) => trace.broken(now.steady, "I3", "a delete of nothing by id"),
            },
            ("GET", _) => {}
            (method, _) => trace.broken(now.steady, "I3", &format!("{method} of servers")),
        }
    }

    /// Whether marks or tags are written of a server that is adopted.
    fn adopts(&self, below: &str) -> bool {
        let embedded = self.nova.embedded.as_ref().unwrap();
        below.split_once('/').is_some_and(|(id, part)| {
            let marks = part.starts_with("metadata") || part.starts_with("tags");
            marks && embedded.adopted.lock().unwrap().contains(id)
        })
    }

    /// The create that this body belongs to, as its metadata and counts tell.
    fn asked(&self, body: &[u8]) -> Option<Create> {
        let body: Value = serde_json::from_slice(body).ok()?;
        let server = &body["server"];
        let launch = LaunchId::new(server["metadata"][mark::LAUNCH].as_str()?.to_owned()).ok()?;
        let embedded = self.nova.embedded.as_ref()?;
        let create = embedded.asked.lock().unwrap().get(&launch).cloned()?;
        let exactly = server["min_count"] == create.n && server["max_count"] == create.n;
        exactly.then_some(create)
    }
}
