//! The HTTP face: every route on one page.
//!
//! It answers what groups, servers and decisions there are, takes signals and words about
//! capacity, and says whether the program is well. It must never reach the cloud or decide
//! anything: what it takes it makes durable and nudges a loop, what it shows are the
//! loops' latest decisions.
//!
//! A request passes: the listener ([`mod@serve`]: connections, header time and size) → counting
//! and panics (here) → requests in flight → `auth` (token, scope, rate) → `body` (type,
//! size, time) → its handler in [`webhook`] or `api`, within the time that the settings
//! allow. Every failure becomes a problem document in [`error`].
//!
//! Two listeners: `webhook` is for senders, `admin` has everything. Go on to [`webhook`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRequestParts, MatchedPath, Path, Request, State};
use axum::http::header::{CACHE_CONTROL, X_CONTENT_TYPE_OPTIONS};
use axum::http::request::Parts as RequestParts;
use axum::http::{HeaderValue, Method};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{MethodRouter, any, delete, get, post, put};
use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::timeout;

use crate::config::HttpSettings;
use crate::control::handle::{GroupHandle, Handle};
use crate::domain::freeze::Brake;
use crate::domain::id::GroupName;
use crate::domain::time::{Clock, Now, spoken};
use crate::store::freeze_file::FreezeFile;
use crate::store::{Lease, Store, StoreError};
use crate::telemetry::{BreakerState, CallCount, Counters, count};

mod api;
mod auth;
mod body;
mod crowd;
pub mod error;
mod freeze;
mod impatient;
pub mod limit;
pub mod metrics;
pub mod probe;
pub mod reload;
pub mod serve;
pub mod source;
pub mod tls;
pub mod tokens;
mod trouble;
pub mod view;
pub mod webhook;

use crowd::Crowds;
use error::{Kind, Problem};
use tokens::{Scope, Tokens};
use trouble::{Asked, Troubles};

pub use serve::serve;

/// The routers of both listeners: (webhook, admin).
pub fn router(app: &App) -> (Router, Router) {
    let (senders, operators) = (Gate::of(app), Gate::of(app));
    (senders.finish(webhook_routes(&senders)), operators.finish(admin_routes(&operators)))
}

/// Our way in with another handler at its end: what a benchmark holds ours against.
#[doc(hidden)]
pub fn bare(app: &App, handler: MethodRouter<App>) -> Router {
    let gate = Gate::of(app);
    let route = gate.taking(Scope::Signal, handler);
    gate.finish(Router::new().route("/v1/groups/{group}/signals", route))
}

fn webhook_routes(gate: &Gate) -> Router<App> {
    Router::new()
        .route(
            "/v1/groups/{group}/signals",
            gate.taking(Scope::Signal, post(webhook::signals::post)),
        )
        .route("/v1/groups/{group}/alerts", gate.taking(Scope::Signal, post(webhook::alerts::post)))
        .route(
            "/v1/groups/{group}/capacity",
            gate.taking(Scope::Capacity, post(webhook::capacity::post)),
        )
        .merge(source_routes(gate))
}

/// They have doors of their own.
fn source_routes(gate: &Gate) -> Router<App> {
    Router::new()
        .route("/v1/webhooks/{source}", any(source::post))
        .route("/v1/webhooks/{source}/{secret}", any(source::post_with_secret))
        // What OpenTelemetry's exporters add to the address that they are given.
        .route("/v1/webhooks/{source}/v1/metrics", any(source::post))
        .route("/v1/webhooks/{source}/{secret}/v1/metrics", any(source::post_with_secret))
        .route_layer(from_fn_with_state(gate.clone(), with_room))
}

fn admin_routes(gate: &Gate) -> Router<App> {
    let pin = gate
        .taking(Scope::Operate, put(webhook::capacity::put_pin))
        .merge(gate.guarded(Scope::Operate, delete(webhook::capacity::delete_pin)));
    let freeze = gate
        .taking(Scope::Operate, put(freeze::put_group))
        .merge(gate.guarded(Scope::Operate, delete(freeze::delete_group)));
    let pause = gate
        .taking(Scope::Operate, put(webhook::pause::put_group))
        .merge(gate.guarded(Scope::Operate, delete(webhook::pause::delete_group)));
    let pause_all = gate
        .taking(Scope::Operate, put(webhook::pause::put_all))
        .merge(gate.guarded(Scope::Operate, delete(webhook::pause::delete_all)));
    let freeze_all = gate
        .taking(Scope::Operate, put(freeze::put_all))
        .merge(gate.guarded(Scope::Operate, delete(freeze::delete_all)));
    webhook_routes(gate)
        .route("/v1/groups", gate.guarded(Scope::Read, get(api::groups)))
        .route("/v1/groups/{group}", gate.guarded(Scope::Read, get(api::group)))
        .route("/v1/groups/{group}/servers", gate.guarded(Scope::Read, get(api::servers)))
        .route("/v1/groups/{group}/decisions", gate.guarded(Scope::Read, get(api::decisions)))
        .route("/v1/groups/{group}/commands", gate.guarded(Scope::Read, get(api::commands)))
        .route("/v1/groups/{group}/plan", gate.guarded(Scope::Read, get(api::plan)))
        .route("/v1/groups/{group}/pin", pin)
        .route("/v1/reload", gate.at_leisure(Scope::Operate, post(reload::post)))
        .route("/v1/groups/{group}/freeze", freeze)
        .route("/v1/freeze", freeze_all)
        .route("/v1/groups/{group}/pause", pause)
        .route("/v1/pause", pause_all)
        .route("/v1/groups/{group}/adopt", gate.taking(Scope::Operate, post(webhook::adopt::post)))
        .route("/metrics", gate.guarded(Scope::Read, get(metrics::show)))
}

/// What the HTTP face is made from.
pub struct Parts {
    /// The loops of the configuration that counts now.
    pub handle: watch::Receiver<Handle>,
    pub reload: reload::Desk,
    pub store: Arc<dyn Store>,
    pub lease: Lease,
    pub clock: Arc<dyn Clock>,
    pub settings: HttpSettings,
    /// After which silence a loop counts as hanging, see [`probe::overdue`].
    pub overdue: Duration,
    pub tokens: Tokens,
    /// The senders that speak a format of their own, as the configuration has them now.
    pub sources: watch::Receiver<Arc<source::keys::Sources>>,
    /// What stops the loops without the store.
    pub brake: Arc<dyn Brake>,
    /// What stops the loops where the store does not take a freeze.
    pub freeze_file: FreezeFile,
    pub counters: Counters,
    /// The calls made to the cloud so far, as its side counts them.
    pub calls: CallSource,
    /// Which of its services are left alone.
    pub breakers: BreakerSource,
}

/// Where `/metrics` reads the cloud's side from.
pub type CallSource = Box<dyn Fn() -> Vec<CallCount> + Send + Sync>;
pub type BreakerSource = Box<dyn Fn() -> Vec<BreakerState> + Send + Sync>;

/// What every handler is given. Clones share it.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    parts: Parts,
    senders: limit::Senders,
    /// Bodies that may be under way before it is known who sends them.
    unproven: Semaphore,
    started: Now,
    ready: probe::StoreCheck,
    troubles: Troubles,
    crowds: Crowds,
}

impl App {
    pub fn new(parts: Parts) -> Self {
        let senders = limit::Senders::new(&parts.settings.limits, Arc::clone(&parts.clock));
        let (started, ready) = (parts.clock.now(), probe::StoreCheck::default());
        let (troubles, crowds) = (Troubles::default(), Crowds::default());
        let unproven = Semaphore::new((parts.settings.limits.in_flight / 4).max(1));
        Self(Arc::new(Inner { parts, senders, unproven, started, ready, troubles, crowds }))
    }

    /// The loops as they are now; whoever asks twice may see two configurations.
    fn handle(&self) -> Handle {
        self.0.parts.handle.borrow().clone()
    }

    fn reload(&self) -> &reload::Desk {
        &self.0.parts.reload
    }

    fn store(&self) -> &dyn Store {
        &*self.0.parts.store
    }

    fn lease(&self) -> &Lease {
        &self.0.parts.lease
    }

    fn now(&self) -> Now {
        self.0.parts.clock.now()
    }

    /// When this part of the program began.
    fn started(&self) -> Now {
        self.0.started
    }

    fn overdue(&self) -> Duration {
        self.0.parts.overdue
    }

    fn settings(&self) -> &HttpSettings {
        &self.0.parts.settings
    }

    fn tokens(&self) -> &Tokens {
        &self.0.parts.tokens
    }

    fn sources(&self) -> Arc<source::keys::Sources> {
        Arc::clone(&self.0.parts.sources.borrow())
    }

    fn brake(&self) -> &dyn Brake {
        &*self.0.parts.brake
    }

    fn freeze_file(&self) -> &FreezeFile {
        &self.0.parts.freeze_file
    }

    fn counters(&self) -> &Counters {
        &self.0.parts.counters
    }

    fn calls(&self) -> Vec<CallCount> {
        (self.0.parts.calls)()
    }

    fn breakers(&self) -> Vec<BreakerState> {
        (self.0.parts.breakers)()
    }

    fn senders(&self) -> &limit::Senders {
        &self.0.senders
    }

    fn unproven(&self) -> &Semaphore {
        &self.0.unproven
    }

    fn crowds(&self) -> &Crowds {
        &self.0.crowds
    }

    fn store_check(&self) -> &probe::StoreCheck {
        &self.0.ready
    }

    /// What the store answered; what it could not do is counted, told and turned into an answer.
    fn stored<T>(
        &self,
        group: &GroupName,
        asked: Asked,
        result: Result<T, StoreError>,
    ) -> Result<T, Problem> {
        self.0.troubles.tell(group, asked, &result);
        result.map_err(|error| {
            let kind = error::store_error_word(&error);
            self.counters().add(count::STORE_ERRORS, &[("kind", kind)], 1);
            error.into()
        })
    }
}

/// The way into one listener. It is one layer and not one for each step: axum clones all layers
/// within a layer for each request.
#[derive(Clone)]
struct Gate {
    app: App,
    /// Requests that may be under way.
    room: Arc<Semaphore>,
}

/// What a route asks of those who come.
#[derive(Clone)]
struct Way {
    gate: Gate,
    needs: Scope,
    /// A JSON body.
    body: bool,
    /// Whether its answer has to be ready in time.
    timed: bool,
}

impl Gate {
    fn of(app: &App) -> Self {
        let room = Arc::new(Semaphore::new(app.settings().limits.in_flight));
        Self { app: app.clone(), room }
    }

    /// A route behind a token, answered in time.
    fn guarded(&self, needs: Scope, routes: MethodRouter<App>) -> MethodRouter<App> {
        self.behind(needs, (false, true), routes)
    }

    /// The same, with a JSON body.
    fn taking(&self, needs: Scope, routes: MethodRouter<App>) -> MethodRouter<App> {
        self.behind(needs, (true, true), routes)
    }

    /// The same, for a handler that bounds its time itself.
    fn at_leisure(&self, needs: Scope, routes: MethodRouter<App>) -> MethodRouter<App> {
        self.behind(needs, (true, false), routes)
    }

    fn behind(
        &self,
        needs: Scope,
        (body, timed): (bool, bool),
        routes: MethodRouter<App>,
    ) -> MethodRouter<App> {
        let way = Way { gate: self.clone(), needs, body, timed };
        routes.route_layer(from_fn_with_state(way, enter))
    }

    /// What all routes of a listener share. Health is answered however busy the rest is.
    fn finish(&self, routes: Router<App>) -> Router {
        routes
            .route("/healthz", get(probe::healthz))
            .route("/readyz", get(probe::readyz))
            .fallback(no_route)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(self.app.clone(), observe))
            .with_state(self.app.clone())
    }

    /// Refuses at once what would only wait: a sender that hears 503 can come again.
    fn place(&self) -> Result<SemaphorePermit<'_>, Problem> {
        self.room.try_acquire().map_err(|_| {
            Problem::new(Kind::Overloaded, "too many requests at once")
                .after(Duration::from_secs(1))
        })
    }
}

async fn with_room(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let _place = gate.place()?;
    Ok(next.run(request).await)
}

async fn enter(State(way): State<Way>, request: Request, next: Next) -> Result<Response, Problem> {
    let _place = way.gate.place()?;
    let app = &way.gate.app;
    let mut request = auth::Door { app, needs: way.needs }.sign_in(request)?;
    if way.body {
        request = body::take(app, request).await?;
    }
    let answer = next.run(request);
    if way.timed { in_time(app, answer).await } else { Ok(answer.await) }
}

/// Bounds how long a handler may take. What it had begun to store may be stored all the
/// same; the sender repeats it with its Idempotency-Key.
async fn in_time(app: &App, answer: impl Future<Output = Response>) -> Result<Response, Problem> {
    let patience = app.settings().limits.request_timeout;
    timeout(patience, answer).await.map_err(|_| {
        Problem::new(Kind::Late, format!("no answer was ready within {}", spoken(patience)))
            .hint("send it again, with the same Idempotency-Key if it had one")
            .after(Duration::from_secs(1))
    })
}

/// Answers whatever happens, with what every answer carries, and counts and logs it by its route,
/// which is ours, and not by its path, which is the sender's.
async fn observe(State(app): State<App>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = method_word(request.method());
    let began = app.now().steady;
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let mut response = answer.unwrap_or_else(error::panicked);
    let headers = response.headers_mut();
    headers.entry(X_CONTENT_TYPE_OPTIONS).or_insert(HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let status = response.status();
    let took_ms = app.now().steady.since(began).as_millis();
    let labels = [("route", route), ("method", method), ("status", status.as_str())];
    app.counters().add(count::REQUESTS, &labels, 1);
    tracing::debug!(route, method, status = status.as_u16(), took_ms, "request answered");
    response
}

/// Methods may be any word; a label may not.
fn method_word(method: &Method) -> &'static str {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];
    known.into_iter().find(|word| *word == method.as_str()).unwrap_or("other")
}

async fn no_route() -> Problem {
    Problem::new(Kind::NoRoute, "there is no such route on this listener")
        .hint("the API lies below /v1/groups; senders and operators have listeners of their own")
}

async fn wrong_method() -> Problem {
    Problem::new(Kind::WrongMethod, "the route exists, but not with this method")
        .hint("the header Allow lists its methods")
}

/// The group that the path names.
struct Named(GroupHandle);

impl FromRequestParts<App> for Named {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut RequestParts, app: &App) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, app).await;
        let name = name.map(|Path(name)| name).unwrap_or_default();
        let handle = app.handle();
        handle.group(&name).cloned().map(Self).ok_or_else(|| unknown(&handle, &name))
    }
}

/// Why there are no loops for this name.
fn unknown(handle: &Handle, name: &str) -> Problem {
    if let Some(absent) = handle.absent().iter().find(|absent| absent.name.as_str() == name) {
        let said = format!("the group {name} is {absent}");
        return Problem::new(Kind::NotConfigured, said);
    }
    // What is no name at all is not repeated: a stranger chose it.
    let shown = if GroupName::is_valid(name) { name } else { "of this name" };
    Problem::new(Kind::UnknownGroup, format!("there is no group {shown}"))
        .hint("GET /v1/groups lists them; names stand in scaling.toml as [group.NAME]")
}
