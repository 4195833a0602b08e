//! The cloud as the controller meets it.
//!
//! It keeps the contract of [`Compute`] where the contract is the client's own (a listing is
//! complete by its own word or an error, each server listed carries one of the tags, absence is
//! Nova's 404), and breaks everything that a real Nova breaks. What each call means for the
//! invariants is judged by the oracle, which looks at the truth and not at what was told.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::{
    Audit, Compute, Create, Deleted, Marks, MayDelete, Resolve, Resolved, ResolvedNetworks, Wanted,
};
use novascale::domain::freeze::NoBrake;
use novascale::domain::id::{Region, ServerId, Tag};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::server::Server;
use novascale::domain::time::Clock;

use super::brake::SimBrake;
use super::faults::{Fault, Faults};
use super::gate::Gate;
use super::oracle::Oracle;
use super::oracle::calls::Kind;
use super::servers::{Body, State, failed};
use super::time::{SimClock, Timer};
use super::trace::Trace;
use super::wire::Embedded;

/// A create as it is kept once it was sent. It asks nobody's leave any more: whoever would be asked
/// holds the cloud that keeps it.
pub fn sent(request: &Create) -> Create {
    Create { leave: Arc::new(NoBrake), ..request.clone() }
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
    /// With a timer it is a world of level B.
    pub fn new(
        (seed, timer): (u64, Option<Arc<Timer>>),
        faults: Faults,
        trace: Arc<Trace>,
        oracle: Oracle,
    ) -> Self {
        let state = Mutex::new(State::new(seed, faults, oracle));
        let clock = Arc::new(SimClock::new(timer.clone()));
        let gate = Arc::new(Gate::new(timer.clone()));
        let embedded = timer.map(|timer| Embedded::new(seed, timer));
        let brake = Arc::new(SimBrake::new(seed));
        Self { state, clock, gate, trace, brake, embedded }
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
        if state.next > now.steady {
            return;
        }
        let due = |late: &(_, Create)| late.0 <= now.steady;
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

    /// A call begins: it takes a moment, sometimes a long one. Then it may come to nothing.
    async fn begin(&self, kind: Kind) -> Result<(), Failure> {
        self.gate.pass().await;
        let took = self.called(kind);
        self.clock.pass(took);
        self.tick();
        self.brake_in_passing();
        let now = self.clock.now().steady;
        self.state().unreachable(now).map_or(Ok(()), Err)
    }

    fn called(&self, kind: Kind) -> Duration {
        let mut state = self.counted(kind);
        if state.strikes(Fault::SlowCalls) {
            state.faults.dice(Fault::SlowCalls).millis(1_000, 59_000)
        } else {
            state.dice.millis(2, 40)
        }
    }

    /// A call goes out.
    pub fn counted(&self, kind: Kind) -> MutexGuard<'_, State> {
        let now = self.clock.now().steady;
        let mut state = self.state();
        state.called(kind, now, &self.trace);
        state
    }

    fn strikes(&self, fault: Fault) -> bool {
        self.state().strikes(fault)
    }
}

#[async_trait]
impl Compute for Nova {
    async fn list(&self, _: &Region, tags: &[Tag]) -> Result<Vec<Server>, Failure> {
        self.begin(Kind::List).await?;
        let listed = self.listing(tags);
        self.gate.pass().await;
        listed
    }

    async fn get(&self, _: &Region, id: &ServerId) -> Result<Option<Server>, Failure> {
        let begun = self.clock.now().steady;
        self.state().judge_delete_try(id, begun, &self.trace);
        self.begin(Kind::Get).await?;
        let found = self.look_up(id);
        self.gate.pass().await;
        found
    }

    async fn audit(&self, _: &Region) -> Result<Audit, Failure> {
        Ok(Audit::default())
    }

    async fn create(&self, request: &Create) -> Result<Option<ServerId>, Failure> {
        self.take_turn(&request.leave).await?;
        // Judged as the call begins: what changes while it is on its way is nobody's fault.
        let begun = self.clock.now();
        self.state().judge_create(request, begun, &self.trace);
        self.judge_frozen(begun.steady);
        self.begin(Kind::Create).await?;
        let made = self.launch(request);
        self.gate.pass().await;
        made
    }

    async fn adopt(&self, request: &Marks) -> Result<(), Failure> {
        self.take_turn(&request.leave).await?;
        let begun = self.clock.now();
        self.state().judge_adoption(&request.server, begun, &self.trace);
        self.begin(Kind::Adopt).await?;
        let marked = self.state().mark(request);
        self.event(11, u64::from(marked.is_ok()), || format!("mark {}", request.server));
        self.gate.pass().await;
        marked
    }

    async fn delete(&self, _: &Region, permit: MayDelete) -> Result<Deleted, Failure> {
        self.take_turn(permit.leave()).await?;
        let begun = self.clock.now();
        self.state().judge_delete(permit.id(), begun, &self.trace);
        self.judge_frozen(begun.steady);
        self.begin(Kind::Delete).await?;
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
        let now = self.clock.now().steady;
        let mut state = self.state();
        let (lags, partial) = (state.strikes(Fault::ListLags), state.strikes(Fault::ListPartial));
        let mut listed = Vec::new();
        let State { bodies, dice, weather, .. } = &mut *state;
        for body in bodies.values() {
            let young = now.since(body.made) < Duration::from_secs(90);
            let lagging = lags && (young && dice.percent(70) || dice.percent(20));
            let omitted = lagging || partial && dice.percent(85);
            let tagged = tags.iter().any(|tag| body.server.has_tag(tag));
            let hidden = body.soft() || omitted || weather.far_cell_down && body.far;
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
        let down = state.weather.far_cell_down;
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
            let then = now.steady.plus(state.faults.dice(Fault::CreateLate).millis(1_000, 240_000));
            self.event(22, 0, || format!("create of {} will land late", request.n));
            state.late.push((then, sent(request)));
            state.happens_at(then);
            return timeout();
        }
        let first = state.make(request, now);
        state.launched();
        let lost = state.strikes(Fault::CreateReplyLost);
        self.event(3, u64::from(request.n), || {
            let (n, flavor, zone) = (request.n, &request.resolved.flavor, &request.zone);
            let zone = zone.as_ref().map_or("any zone", |zone| zone.as_str());
            format!("made {n} {flavor} in {zone} of {}, reply lost: {lost}", request.launch)
        });
        if lost { timeout() } else { Ok(first) }
    }

    fn terminate(&self, id: &ServerId) -> Result<Deleted, Failure> {
        let now = self.clock.now();
        let mut state = self.state();
        let served = state.served_when_looked_at(id);
        let done = state.delete(id, now);
        if served && !state.bodies.get(id).is_some_and(Body::serves) {
            state.taken(&self.trace);
        }
        state.told_of_delete(id, &done);
        self.event(4, u64::from(done.is_ok()), || format!("delete {id}: {done:?}"));
        done
    }

    fn found(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        let mut state = self.state();
        if state.strikes(Fault::ResolveFails) {
            return Err(failed(FailureKind::Unclear, "Glance does not answer"));
        }
        let missing = |what: &str| {
            let key = format!("group.{}.{what}", wanted.group);
            Err(failed(FailureKind::Refused, "there is no such thing").key(key))
        };
        if state.weather.image_gone {
            return missing("image");
        }
        if state.weather.flavor_gone.as_deref() == Some(wanted.flavor) {
            return missing("flavor");
        }
        Ok(Resolved {
            flavor: wanted.flavor.to_owned(),
            image: "image".to_owned(),
            networks: ResolvedNetworks::Auto,
            security_groups: Vec::new(),
            server_group: None,
        })
    }
}

#[async_trait]
impl Resolve for Nova {
    async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Resolved, Failure> {
        let begun = self.clock.now().steady;
        self.state().judge_try(begun, &self.trace);
        self.begin(Kind::Resolve).await?;
        self.found(wanted)
    }

    fn forget(&self, _: &Region) {}
}
