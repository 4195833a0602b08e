//! One world: a cloud, a store, a controller, and all that happens to them, from one seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use novascale::cloud::{Compute, Resolve};
use novascale::control::{Parts, Watcher};
use novascale::domain::count::Bounds;
use novascale::domain::freeze::{Brake, NoBrake};
use novascale::domain::group::{
    Group, ImageRef, LaunchLimits, Networks, Patience, Placement, Template,
};
use novascale::domain::id::{GroupName, InstallId, Region, SignalName, Tag, TemplateHash};
use novascale::domain::outcome::Outcome;
use novascale::domain::plan::Decision;
use novascale::domain::policy::{Behaviour, Policy, TotalTarget};
use novascale::domain::time::{Clock, Steady};
use novascale::store::{Lease, MemoryStore};

use super::broken::{Broken, Misread};
use super::dice::Dice;
use super::disk::Disk;
use super::faults::{Fault, Faults, word};
use super::gate::Gate;
use super::machine::{Machine, Passed};
use super::nova::Nova;
use super::oracle::{Context, Oracle};
use super::post::Post;
use super::time::{SimClock, Timer};
use super::trace::Trace;
use super::wire::{Client, Embedded};

/// Passes of the stormy part of a world.
pub const PASSES: u32 = 200;
/// One seed in so many is a world of level B: the client on a wire (`wire.rs`).
pub const WIRE_EVERY: u64 = 20;
/// The load that one server carries, in every world.
pub const PER_SERVER: f64 = 10.0;
/// The signal that every world measures.
pub const SIGNAL: &str = "load";

/// How a world is made.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    pub seed: u64,
    pub without: Vec<Fault>,
    pub broken: Option<Broken>,
    pub story: bool,
}

impl Setting {
    /// Level B: the real client on the embedded cloud, in place of a model of both.
    pub fn on_the_wire(&self) -> bool {
        self.seed.is_multiple_of(WIRE_EVERY)
    }
}

pub struct World {
    pub setting: Setting,
    pub nova: Arc<Nova>,
    pub clock: Arc<SimClock>,
    pub trace: Arc<Trace>,
    pub store: Arc<MemoryStore>,
    pub groups: Vec<Group>,
    pub machine: Machine,
    pub post: Post,
    /// What people and chance do.
    pub people: Dice,
    pub passes: u32,
    pub next_happening: Steady,
    install: InstallId,
    pub lease: Arc<Mutex<Lease>>,
    gate: Arc<Gate>,
    /// The controller's own draws.
    draws: Dice,
    crashes: Dice,
    started: u32,
}

struct Nobody;

impl Watcher for Nobody {
    fn decided(&self, _: &Decision) {}
    fn ended(&self, _: &Decision, _: &Outcome) {}
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let seed = setting.seed;
        let mut faults = Faults::drawn(&mut Dice::new(seed, 10), &setting.without);
        let timer = setting.on_the_wire().then(|| Arc::new(Timer::new()));
        if timer.is_none() {
            faults = faults.off_the_wire();
        }
        let groups = groups(&mut Dice::new(seed, 11));
        let clock = Arc::new(SimClock::new(timer.clone()));
        let gate = Arc::new(Gate::new(timer.clone()));
        let trace = Arc::new(Trace::telling(setting.story));
        let install = InstallId::from_bits(7);
        let store = Arc::new(MemoryStore::new(install.clone()));
        let oracle = Oracle::new(groups.clone(), Arc::clone(&store), install.clone());
        let (to_clock, to_gate, to_trace) = (clock.clone(), gate.clone(), trace.clone());
        let hot: Vec<&str> = faults.hot().into_iter().map(word).collect();
        let mut nova = Nova::new(seed, faults, to_clock, to_gate, to_trace, oracle);
        nova.embedded = timer.map(|timer| Embedded::new(seed, timer));
        let nova = Arc::new(nova);
        nova.event(0, seed, || format!("seed {seed}: {} groups, {}", groups.len(), hot.join(", ")));
        let now = clock.now().steady;
        let lease = Arc::new(Mutex::new(store.acquire("simulated")));
        let parts = parts(&setting, &nova, &store, &lease, 0);
        let machine = Machine::start(parts, groups.clone(), now);
        Self {
            nova,
            clock,
            trace,
            store,
            post: Post::new(&groups, Dice::new(seed, 12)),
            groups,
            machine,
            people: Dice::new(seed, 13),
            passes: 0,
            next_happening: now,
            install,
            lease,
            gate,
            draws: Dice::new(seed, 14),
            crashes: Dice::new(seed, 15),
            started: 0,
            setting,
        }
    }

    pub fn fault(&self, fault: Fault) -> u32 {
        self.nova.state().faults.of(fault)
    }

    /// The next thing that is due.
    pub fn step(&mut self) {
        let (due, group) = self.machine.due();
        let next = due.min(self.next_happening);
        self.clock.pass(next.since(self.clock.now().steady));
        self.nova.tick();
        if self.next_happening <= due {
            self.happen();
            let pause = self.people.millis(200, 25_000);
            self.next_happening = self.clock.now().steady.plus(pause);
            return;
        }
        self.arm();
        match group {
            None => self.list(),
            Some(group) => self.pass(group),
        }
        self.gate.crash_at(None);
    }

    fn arm(&mut self) {
        let chance = self.fault(Fault::Crash);
        let at = self.crashes.percent(chance).then(|| self.crashes.below(40));
        self.gate.crash_at(at);
    }

    fn list(&mut self) {
        if !self.machine.listing(&self.nova) {
            self.crash();
        }
    }

    fn pass(&mut self, group: usize) {
        self.passes += 1;
        match self.pass_of(group) {
            Passed::Crashed => self.crash(),
            Passed::Refused(why) => {
                self.trace.broken(self.clock.now().steady, "verify", &why);
            }
            Passed::Fenced => {
                self.trace.broken(self.clock.now().steady, "I7", "the only controller is fenced");
            }
            Passed::Quietly | Passed::WithCalls | Passed::Failed => {}
        }
    }

    fn pass_of(&mut self, group: usize) -> Passed {
        let now = self.clock.now().steady;
        let observation = self.machine.observation(group);
        let mut state = self.nova.state();
        state.forget_harm(group, now);
        state.oracle.context = Some(Context { group, observation, decision: None });
        drop(state);
        let passed = self.machine.pass(group, &self.nova, &mut self.draws);
        let mut state = self.nova.state();
        let context = state.oracle.context.take();
        let decision = context.and_then(|context| context.decision);
        if decision.is_none() {
            let unsure = &mut state.oracle.groups[group].unsure;
            *unsure = unsure.or(Some(now));
            state.oracle.groups[group].cut.unsure = true;
        }
        drop(state);
        let (desired, actions) = decision.as_ref().map_or((0, 0), |d| (d.desired, d.plan.len()));
        self.nova.event(5, u64::from(desired) << 32 | actions as u64, || {
            let said = decision.as_ref().map(|d| d.sentences().join(" ")).unwrap_or_default();
            format!("pass of group {group}: {said}")
        });
        passed
    }

    /// The process ends where it stood; what was not synced is gone. It is started again.
    fn crash(&mut self) {
        self.store.crash();
        let off = self.crashes.millis(200, 120_000);
        self.nova.event(6, 0, || format!("crash; off for {} s", off.as_secs()));
        self.nova.state().oracle.context = None;
        self.clock.pass(off);
        self.nova.tick();
        self.restart(self.groups.clone());
    }

    pub fn restart(&mut self, groups: Vec<Group>) {
        self.gate.crash_at(None);
        self.started += 1;
        let parts = parts(&self.setting, &self.nova, &self.store, &self.lease, self.started);
        let now = self.clock.now().steady;
        let groups = match self.setting.broken {
            Some(Broken::KeepsOldBounds) => {
                self.machine.groups.iter().map(|group| (**group).clone()).collect()
            }
            _ => groups,
        };
        self.machine = Machine::start(parts, groups, now);
    }

    /// The whole state is gone; the install id lies in a file of its own.
    pub fn lose_state(&mut self) {
        self.nova.event(7, 0, || "the state is lost".to_owned());
        self.store = Arc::new(MemoryStore::new(self.install.clone()));
        let mut state = self.nova.state();
        state.oracle.store = Arc::clone(&self.store);
        state.oracle.groups.iter_mut().for_each(super::oracle::Watch::forget);
        state.bodies.values_mut().for_each(|body| body.shown = None);
        drop(state);
        self.post.forget();
        self.restart(self.groups.clone());
    }

    /// Another controller starts on the same state; the first one goes on for a while.
    pub fn start_twice(&mut self) {
        self.nova.event(8, 0, || "started twice".to_owned());
        let groups = self.groups.clone();
        let now = self.clock.now().steady;
        let parts = parts(&self.setting, &self.nova, &self.store, &self.lease, self.started + 1);
        self.gate.crash_at(None);
        let second = Machine::start(parts, groups, now);
        for group in 0..self.groups.len() {
            if matches!(self.pass_of(group), Passed::WithCalls | Passed::Quietly) {
                self.trace.broken(now, "I7", "a controller acted though another had taken over");
            }
        }
        self.started += 1;
        self.machine = second;
    }
}

/// What a controller that starts now holds of the world.
fn parts(
    setting: &Setting,
    nova: &Arc<Nova>,
    store: &Arc<MemoryStore>,
    latest: &Arc<Mutex<Lease>>,
    started: u32,
) -> Parts {
    let install = nova.state().oracle.install.clone();
    let lease = store.acquire("simulated");
    *latest.lock().unwrap() = lease.clone();
    let busy = nova.state().faults.of(Fault::StoreBusy);
    let dice = Dice::new(setting.seed, 100 + u64::from(started));
    let disk = Disk {
        inner: Arc::clone(store),
        gate: Arc::clone(&nova.gate),
        busy: Mutex::new((dice, busy)),
        broken: setting.broken,
        latest: Arc::clone(latest),
    };
    let (mut compute, resolve): (Arc<dyn Compute>, Arc<dyn Resolve>) = match &nova.embedded {
        None => (Arc::clone(nova) as _, Arc::clone(nova) as _),
        Some(_) => {
            let client = Arc::new(Client::start(nova, setting.seed, started));
            (Arc::clone(&client) as _, client)
        }
    };
    if let Some(broken) = setting.broken {
        compute = Arc::new(Misread { nova: compute, broken, install: install.clone() });
    }
    let brake: Arc<dyn Brake> = match setting.broken {
        Some(Broken::IgnoresFreezes) => Arc::new(NoBrake),
        _ => Arc::clone(&nova.brake) as Arc<dyn Brake>,
    };
    Parts {
        compute,
        resolve,
        store: Arc::new(disk),
        lease,
        clock: Arc::clone(&nova.clock) as Arc<dyn Clock>,
        install,
        watcher: Arc::new(Nobody),
        brake,
        stopping: Default::default(),
        broken: Default::default(),
    }
}

fn groups(dice: &mut Dice) -> Vec<Group> {
    let n = if dice.percent(30) { 2 } else { 1 };
    (0..n).map(|at| group(at, dice)).collect()
}

pub fn bounds(dice: &mut Dice) -> Bounds {
    let min = dice.below(4);
    Bounds::new(min, min + dice.between(1, 10))
}

pub fn hash(dice: &mut Dice) -> TemplateHash {
    TemplateHash::new(format!("{:016x}", dice.below(u32::MAX))).unwrap()
}

fn group(at: u32, dice: &mut Dice) -> Group {
    let secs = Duration::from_secs;
    let mut behaviour = Behaviour::default();
    behaviour.scale_in.stabilization = secs(*dice.pick(&[0, 0, 30, 300]).unwrap());
    behaviour.scale_in.cooldown = secs(*dice.pick(&[0, 10, 60]).unwrap());
    behaviour.scale_in.velocity.percent = *dice.pick(&[25.0, 50.0, 100.0]).unwrap();
    let patience = Patience {
        build: secs(u64::from(dice.between(180, 900))),
        delete: secs(u64::from(dice.between(60, 300))),
        settle: secs(u64::from(dice.between(120, 600))),
    };
    let mut launch = LaunchLimits { batch: dice.between(1, 8), ..LaunchLimits::default() };
    launch.backoff.first = secs(u64::from(dice.between(2, 30)));
    launch.backoff.most = secs(u64::from(dice.between(30, 300)));
    let signal = SignalName::new(SIGNAL).unwrap();
    let stale_after = secs(u64::from(dice.between(120, 400)));
    let target = TotalTarget { signal, per_server: PER_SERVER, stale_after };
    let policies = if dice.percent(70) { vec![Policy::Target(target)] } else { Vec::new() };
    Group {
        name: GroupName::new(format!("g{at}")).unwrap(),
        tag: Tag::new(format!("novascale:g{at}")).unwrap(),
        region: Region::new("R1").unwrap(),
        bounds: bounds(dice),
        template: template(at, dice),
        policies,
        behaviour,
        patience,
        launch,
        config_hash: hash(dice),
    }
}

fn template(at: u32, dice: &mut Dice) -> Template {
    Template {
        flavors: vec!["d2-2".into()],
        image: ImageRef::Name("Debian 12".into()),
        networks: Networks::Auto,
        security_groups: Vec::new(),
        key_name: None,
        zones: Vec::new(),
        user_data: None,
        metadata: Default::default(),
        name_prefix: format!("g{at}"),
        config_drive: false,
        boot_volume: None,
        placement: Placement::Anywhere,
        hash: hash(dice),
    }
}
