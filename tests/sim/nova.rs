//! The cloud: what is really there, whatever is said of it.
//!
//! It keeps the contract of [`Compute`] where the contract is the client's own (a listing is
//! complete by its own word or an error, absence is Nova's 404), and breaks everything that a
//! real Nova breaks. What each call means for the invariants is judged by the oracle, which
//! looks at the truth and not at what was told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, ResolvedNetworks, Wanted,
};
use novascale::domain::id::{LaunchId, Region, ServerId, Tag};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::server::{Fault as ServerFault, Server, Status};
use novascale::domain::time::{Clock, Now, Steady};

use super::brake::SimBrake;
use super::dice::Dice;
use super::faults::{Fault, Faults};
use super::gate::Gate;
use super::oracle::Oracle;
use super::time::SimClock;
use super::trace::Trace;
use super::wire::Embedded;

/// One server as it is.
#[derive(Debug, Clone)]
pub struct Body {
    pub server: Server,
    /// What its build comes to, and when.
    pub built: Steady,
    pub fate: Fate,
    /// When a delete that was taken is done; [`HANGS`] while it does not move.
    pub gone: Option<Steady>,
    /// In the cell that is sometimes unreachable.
    pub far: bool,
    pub made: Steady,
    /// When something happened to it that novascale did not do.
    pub touched: Steady,
    /// When the look began that the controller recorded it by; none since it lost its state.
    pub shown: Option<Steady>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Active,
    NoHost,
    Broken,
    Never,
}

/// A delete that makes no progress.
pub const HANGS: Steady = Steady(u64::MAX);

impl Body {
    pub fn deleting(&self) -> bool {
        self.gone.is_some()
    }

    pub fn soft(&self) -> bool {
        self.server.status == Status::SoftDeleted
    }

    pub fn in_words(&self) -> String {
        let Self { server, gone, far, made, touched, shown, .. } = self;
        let (status, id) = (server.status.word(), &server.id);
        format!("{id} {status} gone {gone:?} far {far} {made:?} {touched:?} shown {shown:?}")
    }

    pub fn serves(&self) -> bool {
        self.server.status == Status::Active && !self.deleting()
    }
}

/// What is there, and what is still to happen by itself.
pub struct State {
    pub bodies: BTreeMap<ServerId, Body>,
    /// Creates whose client gave up, and which land all the same.
    pub late: Vec<(Steady, Create)>,
    /// Servers that each launch id made.
    pub made: BTreeMap<LaunchId, u32>,
    pub faults: Faults,
    pub dice: Dice,
    pub quota: u32,
    pub far_cell_down: bool,
    pub oracle: Oracle,
    /// Creates and deletes that were asked for.
    pub changes: u64,
    serial: u32,
}

pub struct Nova {
    state: Mutex<State>,
    pub clock: Arc<SimClock>,
    pub gate: Arc<Gate>,
    pub trace: Arc<Trace>,
    /// What is really there at level B; the bodies are its mirror then.
    pub embedded: Option<Embedded>,
    /// The freeze file.
    pub brake: Arc<SimBrake>,
}

impl Nova {
    pub fn new(
        seed: u64,
        faults: Faults,
        clock: Arc<SimClock>,
        gate: Arc<Gate>,
        trace: Arc<Trace>,
        oracle: Oracle,
    ) -> Self {
        let state = State {
            bodies: BTreeMap::new(),
            late: Vec::new(),
            made: BTreeMap::new(),
            faults,
            dice: Dice::new(seed, 1),
            quota: u32::MAX,
            far_cell_down: false,
            oracle,
            changes: 0,
            serial: 0,
        };
        let brake = Arc::new(SimBrake::new(seed));
        Self { state: Mutex::new(state), clock, gate, trace, brake, embedded: None }
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn event(&self, code: u64, number: u64, say: impl FnOnce() -> String) {
        self.trace.event(self.clock.now().steady, code, number, say);
    }

    /// Lets everything happen that is due.
    pub fn tick(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.mirror(self);
            return;
        }
        let now = self.clock.now();
        let mut state = self.state();
        let due = |late: &(Steady, Create)| late.0 <= now.steady;
        let landing: Vec<Create> =
            state.late.iter().filter(|l| due(l)).map(|(_, create)| create.clone()).collect();
        state.late.retain(|late| !due(late));
        for create in landing {
            self.event(20, u64::from(create.n), || {
                format!("a create that was given up lands: {} of {}", create.n, create.launch)
            });
            state.make(&create, now);
        }
        state.mature(now);
    }

    /// A call begins: it takes a moment, sometimes a long one.
    async fn begin(&self) {
        self.gate.pass().await;
        let took = self.takes();
        self.clock.pass(took);
        self.tick();
        self.brake_in_passing();
    }

    fn takes(&self) -> Duration {
        let mut state = self.state();
        if state.strikes(Fault::SlowCalls) {
            state.dice.millis(1_000, 59_000)
        } else {
            state.dice.millis(2, 40)
        }
    }

    fn strikes(&self, fault: Fault) -> bool {
        let mut state = self.state();
        let percent = state.faults.of(fault);
        state.dice.percent(percent)
    }
}

fn failed(kind: FailureKind, said: &str) -> Failure {
    Failure::new(kind, said)
}

impl State {
    /// Makes the servers of a create, whoever still waits for the answer.
    fn make(&mut self, create: &Create, now: Now) -> Option<ServerId> {
        let no_host = self.strikes(Fault::NoHost);
        let mut first = None;
        for _ in 0..create.n {
            self.serial += 1;
            let id = ServerId::new(format!("s{:05}", self.serial)).unwrap();
            let body = self.body(create, id.clone(), no_host, now);
            self.bodies.insert(id.clone(), body);
            first.get_or_insert(id);
        }
        *self.made.entry(create.launch.clone()).or_default() += create.n;
        first
    }

    fn body(&mut self, create: &Create, id: ServerId, no_host: bool, now: Now) -> Body {
        let fate = if no_host {
            Fate::NoHost
        } else if self.strikes(Fault::BuildError) {
            Fate::Broken
        } else if self.strikes(Fault::BuildNever) {
            Fate::Never
        } else {
            Fate::Active
        };
        let takes = if self.strikes(Fault::BuildSlow) {
            self.dice.millis(60_000, 400_000)
        } else {
            self.dice.millis(500, 20_000)
        };
        let server = Server {
            id,
            name: create.name.clone(),
            status: Status::Build,
            deleting: false,
            launched: false,
            created: now.wall,
            tags: create.tags.clone(),
            metadata: create.metadata.clone(),
            locked: false,
            region: create.region.clone(),
            zone: create.zone.clone(),
            flavor: create.resolved.flavor.clone(),
            addresses: Vec::new(),
            fault: None,
        };
        Body {
            server,
            built: now.steady.plus(takes),
            fate,
            gone: None,
            far: self.dice.percent(30),
            made: now.steady,
            touched: Steady(0),
            shown: None,
        }
    }

    pub fn strikes(&mut self, fault: Fault) -> bool {
        let percent = self.faults.of(fault);
        self.dice.percent(percent)
    }

    /// Somebody's own server, tagged for a group.
    pub fn add_by_hand(&mut self, tag: &Tag, region: &Region, now: Now) {
        self.serial += 1;
        let id = ServerId::new(format!("h{:05}", self.serial)).unwrap();
        let server = Server {
            id: id.clone(),
            name: "by-hand".to_owned(),
            status: Status::Active,
            deleting: false,
            launched: true,
            created: now.wall,
            tags: vec![tag.to_string()],
            metadata: BTreeMap::new(),
            locked: false,
            region: region.clone(),
            zone: None,
            flavor: "small".to_owned(),
            addresses: Vec::new(),
            fault: None,
        };
        let (built, fate, far) = (now.steady, Fate::Active, self.dice.percent(30));
        let (made, touched) = (now.steady, now.steady);
        let body = Body { server, built, fate, gone: None, far, made, touched, shown: None };
        self.bodies.insert(id, body);
    }

    fn mature(&mut self, now: Now) {
        self.bodies.retain(|_, body| body.gone.is_none_or(|gone| gone > now.steady));
        for body in self.bodies.values_mut() {
            let due = body.server.status == Status::Build && body.built <= now.steady;
            match body.fate {
                _ if !due => {}
                Fate::Active => {
                    body.server.status = Status::Active;
                    body.server.launched = true;
                }
                Fate::NoHost => body.fail(500, "No valid host was found."),
                Fate::Broken => body.fail(500, "Build of instance aborted: volume"),
                Fate::Never => {}
            }
        }
    }

    /// Everything that Nova has of a quota.
    fn used(&self) -> u32 {
        u32::try_from(self.bodies.values().filter(|b| !b.soft()).count()).unwrap()
    }
}

impl Body {
    fn fail(&mut self, code: u16, message: &str) {
        self.server.status = Status::Error;
        self.server.fault = Some(ServerFault { code, message: message.to_owned() });
    }
}

#[async_trait]
impl Compute for Nova {
    async fn list(&self, _: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        self.begin().await;
        let listed = self.listing(tags);
        self.gate.pass().await;
        listed
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        self.begin().await;
        let found = self.look_up(id);
        self.gate.pass().await;
        found
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        // Judged as the call begins: what changes while it is on its way is nobody's fault.
        let begun = self.clock.now();
        self.judge_frozen(begun.steady);
        self.state().judge_create(request, begun, &self.trace);
        self.begin().await;
        let made = self.launch(request);
        self.gate.pass().await;
        made
    }

    async fn adopt(&self, request: &Marks) -> Result<(), Failure> {
        self.state().judge_adoption(&request.server, self.clock.now(), &self.trace);
        self.begin().await;
        let marked = self.mark(request);
        self.gate.pass().await;
        marked
    }

    async fn delete(&self, _: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        let begun = self.clock.now();
        self.judge_frozen(begun.steady);
        self.state().judge_delete(permit.id(), begun, &self.trace);
        self.begin().await;
        let done = self.terminate(permit.id());
        self.gate.pass().await;
        done
    }
}

impl Nova {
    fn listing(&self, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        if self.strikes(Fault::ListFails) {
            return Err(failed(FailureKind::Unclear, "the listing failed"));
        }
        let now = self.clock.now();
        let mut state = self.state();
        state.oracle.listed(now, &self.trace);
        let lags = state.strikes(Fault::ListLags);
        let mut listed = Vec::new();
        let State { bodies, dice, far_cell_down, .. } = &mut *state;
        for body in bodies.values() {
            let young = now.steady.since(body.made) < Duration::from_secs(90);
            let omitted = lags && (young && dice.percent(70) || dice.percent(20));
            let tagged = tags.iter().any(|tag| body.server.has_tag(tag));
            let hidden = body.soft() || omitted || *far_cell_down && body.far;
            if tagged && !hidden {
                listed.push(body.server.clone());
            }
        }
        self.event(1, listed.len() as u64, || format!("listed {}", listed.len()));
        Ok(listed)
    }

    fn look_up(&self, id: &ServerId) -> Result<Option<Server>, Failure> {
        if self.strikes(Fault::GetFails) {
            return Err(failed(FailureKind::Unclear, "the look-up failed"));
        }
        let now = self.clock.now().steady;
        let mut state = self.state();
        let down = state.far_cell_down;
        let found = state.bodies.get(id);
        if found.is_some_and(|body| down && body.far) {
            return Err(failed(FailureKind::Unclear, "its cell cannot be reached"));
        }
        let server = found.map(|body| body.server.clone());
        state.oracle.looked(id, now);
        Ok(server)
    }

    fn launch(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        let now = self.clock.now();
        let mut state = self.state();
        if let Some(failure) = state.refusal(request) {
            self.event(2, 0, || format!("create of {} refused: {failure}", request.n));
            return Err(failure);
        }
        let timeout = || Err(failed(FailureKind::Unclear, "timeout"));
        if state.strikes(Fault::CreateLost) {
            self.event(21, 0, || format!("create of {} lost on its way", request.n));
            return timeout();
        }
        if state.strikes(Fault::CreateLate) {
            let after = state.dice.millis(1_000, 240_000);
            self.event(22, 0, || format!("create of {} will land late", request.n));
            state.late.push((now.steady.plus(after), request.clone()));
            return timeout();
        }
        let first = state.make(request, now);
        state.launched();
        let lost = state.strikes(Fault::CreateReplyLost);
        self.event(3, u64::from(request.n), || {
            format!("made {} of {}, reply lost: {lost}", request.n, request.launch)
        });
        if lost { timeout() } else { Ok(first) }
    }

    fn mark(&self, request: &Marks) -> Result<(), Failure> {
        let mut state = self.state();
        let (lost, refused) =
            (state.strikes(Fault::DeleteLost), state.strikes(Fault::DeleteDenied));
        let reply_lost = state.strikes(Fault::DeleteReplyLost);
        if lost || refused {
            let kind = if lost { FailureKind::Unclear } else { FailureKind::Denied };
            return Err(failed(kind, "marks"));
        }
        let Some(body) = state.bodies.get_mut(&request.server) else {
            return Err(failed(FailureKind::Gone, "404"));
        };
        if body.server.locked || !body.server.status.serves() && !body.server.status.rests() {
            return Err(failed(FailureKind::Conflict, "409"));
        }
        let server = &mut body.server;
        server.metadata.extend(request.metadata.clone());
        server.tags.extend(request.tag.iter().map(ToString::to_string));
        server.tags.retain(|tag| request.untag.as_ref().is_none_or(|untag| !untag.same(tag)));
        self.event(9, 0, || format!("marked {}", request.server));
        if reply_lost { Err(failed(FailureKind::Unclear, "reset")) } else { Ok(()) }
    }

    fn terminate(&self, id: &ServerId) -> Result<Deleted, Failure> {
        let now = self.clock.now();
        let mut state = self.state();
        let served = state.bodies.get(id).is_some_and(Body::serves);
        let done = state.delete(id, now);
        if served && !state.bodies.get(id).is_some_and(Body::serves) {
            state.taken(&self.trace);
        }
        self.event(4, u64::from(done.is_ok()), || format!("delete {id}: {done:?}"));
        done
    }
}

impl State {
    fn refusal(&mut self, request: &Create) -> Option<Failure> {
        if self.strikes(Fault::CreateBusy) {
            let mut busy = failed(FailureKind::Busy, "429");
            let wait = self.dice.millis(1_000, 90_000);
            busy.retry_after = self.dice.percent(50).then_some(wait);
            return Some(busy);
        }
        if self.strikes(Fault::CreateDenied) {
            return Some(failed(FailureKind::Denied, "403"));
        }
        if self.strikes(Fault::CreateRefused) {
            return Some(failed(FailureKind::Refused, "400").key("group.web.image"));
        }
        let used = self.used();
        if used + request.n > self.quota {
            let told = self.dice.percent(60);
            let fits = told.then_some(self.quota.saturating_sub(used));
            return Some(failed(FailureKind::Quota { fits }, "quota"));
        }
        None
    }

    fn delete(&mut self, id: &ServerId, now: Now) -> Result<Deleted, Failure> {
        if self.strikes(Fault::DeleteLost) {
            return Err(failed(FailureKind::Unclear, "timeout"));
        }
        let denied = self.strikes(Fault::DeleteDenied);
        let conflict = self.strikes(Fault::DeleteConflict);
        let hangs = self.strikes(Fault::DeleteHangs);
        let soft = self.strikes(Fault::DeleteSoft);
        let lost = self.strikes(Fault::DeleteReplyLost);
        let takes = self.dice.millis(500, 15_000);
        let Some(body) = self.bodies.get_mut(id) else { return Ok(Deleted::Gone) };
        if denied {
            return Err(failed(FailureKind::Denied, "403"));
        }
        if conflict {
            return Err(failed(FailureKind::Conflict, "409"));
        }
        if soft && body.server.launched {
            body.server.status = Status::SoftDeleted;
        } else if body.gone.is_none_or(|gone| gone == HANGS) {
            body.server.deleting = true;
            body.gone = Some(if hangs { HANGS } else { now.steady.plus(takes) });
        }
        if lost { Err(failed(FailureKind::Unclear, "reset")) } else { Ok(Deleted::Accepted) }
    }
}

#[async_trait]
impl Resolve for Nova {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        self.begin().await;
        if self.strikes(Fault::ResolveFails) {
            return Err(failed(FailureKind::Unclear, "Glance does not answer"));
        }
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
