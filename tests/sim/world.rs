//! One world: a cloud, a store, a controller, and all that happens to them, from one seed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use novascale::cloud::{Compute, Resolve};
use novascale::control::{Parts, Watcher};
use novascale::domain::count::Bounds;
use novascale::domain::freeze::{Brake, NoBrake};
use novascale::domain::group::Group;
use novascale::domain::id::InstallId;
use novascale::domain::outcome::Outcome;
use novascale::domain::plan::Decision;
use novascale::domain::policy::Policy;
use novascale::domain::time::{Clock, Steady, Wall};
use novascale::store::{Lease, MemoryStore};

use super::broken::{Broken, Misread};
use super::dice::Dice;
use super::disk::Disk;
use super::faults::{Fault, Faults, word};
use super::gate::Event;
use super::groups::{group, groups};
use super::machine::{Machine, Made, Passed};
use super::nova::Nova;
use super::oracle::Oracle;
use super::policies::Rules;
use super::post::Post;
use super::time::{SimClock, Timer};
use super::trace::Trace;
use super::windows::Calendar;
use super::wire::Client;

/// Passes of the stormy part of a world.
pub const PASSES: u32 = 200;
/// One seed in so many is a world of level B: the client on a wire (`wire.rs`).
pub const WIRE_EVERY: u64 = 20;
/// The load that one server carries, in every world.
pub const PER_SERVER: f64 = 10.0;
/// The signal that every world measures.
pub const SIGNAL: &str = "load";
/// When worlds begin by the wall clock; those with schedules begin at another time.
pub const BEGINS: Wall = Wall(1_767_000_000_000);

pub const ZONES: [&str; 2] = ["r1-a", "r1-b"];
pub const FLAVORS: [&str; 2] = ["d2-2", "b3-8"];

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
    pub calendar: Calendar,
    rules: Rules,
    /// What people and chance do.
    pub people: Dice,
    pub passes: u32,
    pub next_happening: Steady,
    install: InstallId,
    pub lease: Arc<Mutex<Lease>>,
    /// The controller's own draws.
    draws: Dice,
    started: u32,
    /// A controller that was started in the middle of another one's pass.
    second: Arc<Mutex<Option<Machine>>>,
}

struct Nobody;

impl Watcher for Nobody {
    fn decided(&self, _: &Decision) {}
    fn ended(&self, _: &Decision, _: &Outcome) {}
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let seed = setting.seed;
        let mut faults = Faults::drawn(seed, &setting.without);
        let timer = setting.on_the_wire().then(|| Arc::new(Timer::new()));
        if timer.is_none() {
            faults = faults.off_the_wire();
        }
        let mut groups = groups(&mut Dice::of(seed, "groups"));
        let mut calendar = Calendar::of(seed, BEGINS, timer.is_some());
        let mut rules = Rules::of(seed);
        for (at, group) in groups.iter_mut().enumerate() {
            rules.rule(at, group);
            group.schedules = calendar.schedules(calendar.begins, group.bounds.min.min(1));
        }
        let trace = Arc::new(Trace::telling(setting.story, setting.broken.map(Broken::invariant)));
        let install = InstallId::from_bits(7);
        let store = new_store(&faults, &install);
        let oracle = Oracle::new(groups.clone(), Arc::clone(&store), install.clone());
        let hot: Vec<&str> = faults.hot().into_iter().map(word).collect();
        let nova = Arc::new(Nova::new((seed, timer), faults, Arc::clone(&trace), oracle));
        nova.event(0, seed, || format!("seed {seed}: {} groups, {}", groups.len(), hot.join(", ")));
        let clock = Arc::clone(&nova.clock);
        if groups.iter().any(|group| !group.schedules.is_empty()) {
            clock.jump(calendar.begins.0 - BEGINS.0);
        }
        let lease = Arc::new(Mutex::new(store.acquire("simulated")));
        let spare = Spare { setting: &setting, nova: &nova, store: &store, lease: &lease };
        let machine = spare.start(groups.iter().cloned().enumerate().collect());
        Self {
            nova,
            trace,
            store,
            post: Post::new(&groups, Dice::of(seed, "post"), &rules, Dice::of(seed, "gauges")),
            rules,
            groups,
            calendar,
            machine,
            people: Dice::of(seed, "people"),
            passes: 0,
            next_happening: clock.now().steady,
            clock,
            install,
            lease,
            draws: Dice::of(seed, "draws"),
            started: 0,
            second: Arc::default(),
            setting,
        }
    }

    /// The group is not in the configuration for now.
    pub fn absent(&self, group: usize) -> bool {
        self.nova.state().oracle.groups[group].absent
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
        self.nova.gate.quiet();
    }

    /// What befalls the machine within this step.
    fn arm(&mut self) {
        let mut state = self.nova.state();
        let crash = state.strikes(Fault::Crash);
        let crash = crash.then(|| state.faults.dice(Fault::Crash).below(40));
        let pause = state.strikes(Fault::Pause);
        let pause = pause.then(|| {
            let dice = state.faults.dice(Fault::Pause);
            (dice.below(16), dice.millis(1_000, 900_000))
        });
        let twice = state.strikes(Fault::StartedTwice);
        let twice = twice.then(|| state.faults.dice(Fault::StartedTwice).below(16));
        drop(state);
        if let Some(call) = crash {
            self.nova.gate.crash_at(call);
        } else if let Some((call, span)) = pause {
            self.nova.gate.at(call, self.pause(span));
        } else if let Some(call) = twice {
            self.nova.gate.at(call, self.takeover());
        }
    }

    /// The machine stands still, and then goes on where it was.
    fn pause(&self, span: Duration) -> Event {
        let nova = Arc::clone(&self.nova);
        Box::pin(async move {
            nova.event(9, 0, || format!("the machine stands still for {} s", span.as_secs()));
            nova.clock.stand_still(span).await;
            nova.state().stood_still(span);
            nova.tick();
        })
    }

    /// Another controller starts, and looks and acts at once.
    fn takeover(&self) -> Event {
        let (setting, nova) = (self.setting.clone(), Arc::clone(&self.nova));
        let (store, lease) = (Arc::clone(&self.store), Arc::clone(&self.lease));
        let (groups, started) = (self.configured(), self.started + 1);
        let second = Arc::clone(&self.second);
        Box::pin(async move {
            nova.event(10, 0, || "started twice, in the middle of a pass".to_owned());
            let spare = Spare { setting: &setting, nova: &nova, store: &store, lease: &lease };
            let mut machine = spare.start(groups);
            machine.once(&nova, &mut Dice::new(setting.seed, u64::from(started))).await;
            *second.lock().unwrap() = Some(machine);
        })
    }

    fn list(&mut self) {
        if !self.machine.listing(&self.nova) {
            self.crash();
        } else {
            self.hand_over();
        }
    }

    /// Whoever was started last goes on.
    fn hand_over(&mut self) -> bool {
        let Some(second) = self.second.lock().unwrap().take() else { return false };
        self.started += 1;
        self.machine = second;
        true
    }

    fn pass(&mut self, group: usize) {
        self.passes += 1;
        match self.pass_of(group) {
            Passed::Crashed => self.crash(),
            Passed::Refused(why) => {
                self.trace.broken(self.clock.now().steady, "verify", &why);
            }
            Passed::Fenced if !self.hand_over() => {
                self.trace.broken(self.clock.now().steady, "I7", "the only controller is fenced");
            }
            Passed::Fenced | Passed::Quietly | Passed::WithCalls | Passed::Failed => {
                self.hand_over();
            }
        }
    }

    fn pass_of(&mut self, group: usize) -> Passed {
        let (passed, decision) = self.machine.pass(group, &self.nova, &mut self.draws);
        self.tell(group, &decision);
        passed
    }

    fn tell(&self, group: usize, decision: &Made) {
        let (desired, actions) = decision.as_ref().map_or((0, 0), |d| (d.desired, d.plan.len()));
        self.nova.event(5, u64::from(desired) << 32 | actions as u64, || {
            let said = decision.as_ref().map(|d| d.sentences().join(" ")).unwrap_or_default();
            format!("pass of group {group}: {said}")
        });
    }

    /// The process ends where it stood; what was not synced is gone. It is started again.
    fn crash(&mut self) {
        self.nova.gate.quiet();
        self.store.crash();
        let off = self.nova.state().faults.dice(Fault::Crash).millis(200, 120_000);
        self.nova.event(6, 0, || format!("crash; off for {} s", off.as_secs()));
        self.clock.pass(off);
        self.nova.tick();
        self.restart();
    }

    /// The groups that are in the configuration.
    fn configured(&self) -> Vec<(usize, Group)> {
        let all = self.groups.iter().cloned().enumerate();
        let there = all.filter(|(at, _)| !self.absent(*at));
        let mut groups: Vec<_> = there.collect();
        match self.setting.broken {
            Some(Broken::KeepsOldBounds) => {
                for (at, group) in self.machine.groups() {
                    groups.retain(|(of, _)| *of != at);
                    groups.push((at, group.clone()));
                }
            }
            Some(Broken::DrainsWhatLeft) => {
                let absent = (0..self.groups.len()).filter(|at| self.absent(*at));
                groups.extend(absent.map(|at| (at, drained(&self.groups[at]))));
            }
            _ => {}
        }
        groups
    }

    pub fn restart(&mut self) {
        self.nova.gate.quiet();
        self.started += 1;
        let now = self.clock.now().steady;
        self.nova.state().called_anew(now);
        let groups = self.configured();
        let Self { setting, nova, store, lease, .. } = self;
        self.machine = Spare { setting, nova, store, lease }.start(groups);
    }

    /// The whole state is gone; the install id lies in a file of its own.
    pub fn lose_state(&mut self) {
        if self.nova.state().faults.dice(Fault::StateLost).percent(70) {
            return;
        }
        self.nova.event(7, 0, || "the state is lost".to_owned());
        let mut state = self.nova.state();
        self.store = new_store(&state.faults, &self.install);
        state.oracle.store = Arc::clone(&self.store);
        state.oracle.groups.iter_mut().for_each(super::oracle::Watch::forget);
        state.bodies.values_mut().for_each(|body| body.shown = None);
        drop(state);
        self.post.forget();
        self.restart();
    }

    /// Another controller starts on the same state; the first one goes on for a while.
    pub fn start_twice(&mut self) {
        self.nova.event(8, 0, || "started twice".to_owned());
        let now = self.clock.now().steady;
        self.nova.gate.quiet();
        self.started += 1;
        let groups = self.configured();
        let Self { setting, nova, store, lease, .. } = &*self;
        let second = Spare { setting, nova, store, lease }.start(groups.clone());
        for (group, _) in groups {
            if matches!(self.pass_of(group), Passed::WithCalls | Passed::Quietly) {
                self.trace.broken(now, "I7", "a controller acted though another had taken over");
            }
        }
        self.machine = second;
    }

    /// Other bounds, perhaps all else, by a restart.
    pub fn reconfigure(&mut self) {
        let at = self.people.below(u32::try_from(self.groups.len()).unwrap()) as usize;
        // What waits for an answer is answered first: by which bounds it counts is plain then.
        if !self.post.boxes[at].empty() {
            return;
        }
        let mut new = group(u32::try_from(at).unwrap(), &mut self.people);
        self.rules.rule(at, &mut new);
        let least = new.bounds.min.min(1);
        new.schedules = self.calendar.schedules(self.clock.now().wall, least);
        if self.people.percent(50) {
            self.groups[at].bounds = new.bounds;
            self.groups[at].config_hash = new.config_hash;
        } else {
            self.groups[at] = new;
        }
        let plain = |policy: &Policy| matches!(policy, Policy::Total(_) | Policy::Alert(_));
        if self.post.boxes[at].shared || !self.groups[at].policies.iter().all(plain) {
            self.groups[at].bounds.min = self.groups[at].bounds.min.max(1);
            for schedule in &mut self.groups[at].schedules {
                schedule.gives.min = schedule.gives.min.map(|min| min.max(1));
            }
        }
        let group = self.groups[at].clone();
        self.nova.event(45, at as u64, || format!("group {at}: now {:?}", group.bounds));
        self.nova.state().oracle.groups[at].reconfigure(group);
        self.restart();
    }

    /// The bounds that the door of the daemon takes for those in force.
    pub fn bounds(&self, group: usize) -> Bounds {
        self.groups[group].bounds_at(self.clock.now().wall)
    }

    /// A group is not in the configuration for a while.
    pub fn leave_out(&mut self) {
        if self.groups.len() < 2 {
            return;
        }
        let at = self.people.below(u32::try_from(self.groups.len()).unwrap()) as usize;
        let mut state = self.nova.state();
        let groups = &mut state.oracle.groups;
        groups.iter_mut().enumerate().for_each(|(of, watch)| {
            watch.absent = of == at && !watch.absent;
        });
        let absent = groups[at].absent;
        drop(state);
        self.nova.event(54, u64::from(absent), || {
            format!("group {at} is in the configuration: {}", !absent)
        });
        self.restart();
    }

    /// All that was left out comes back.
    pub fn all_present(&mut self) {
        self.nova.state().oracle.groups.iter_mut().for_each(|watch| watch.absent = false);
        self.restart();
    }
}

/// As one takes it who thinks that what is not configured is to go. Its max stays, for a large cut of
/// max would wait for a person.
fn drained(group: &Group) -> Group {
    let (policies, schedules) = (Vec::new(), Vec::new());
    Group { bounds: Bounds::new(0, group.max_ever()), policies, schedules, ..group.clone() }
}

fn new_store(faults: &Faults, install: &InstallId) -> Arc<MemoryStore> {
    let store = MemoryStore::new(install.clone());
    store.sync_admits(faults.of(Fault::SlowDisk) == 0);
    Arc::new(store)
}

/// What it takes to start a controller.
struct Spare<'a> {
    setting: &'a Setting,
    nova: &'a Arc<Nova>,
    store: &'a Arc<MemoryStore>,
    lease: &'a Arc<Mutex<Lease>>,
}

impl Spare<'_> {
    fn start(&self, mut groups: Vec<(usize, Group)>) -> Machine {
        for (_, group) in &mut groups {
            match self.setting.broken {
                Some(Broken::IgnoresMeltdowns) => group.behaviour.meltdown.percent = 100.0,
                Some(Broken::IgnoresAWindowsMin) => {
                    group.schedules.iter_mut().for_each(|schedule| schedule.gives.min = None);
                }
                _ => {}
            }
        }
        Machine::start(parts(self.setting, self.nova, self.store, self.lease), groups)
    }
}

/// What a controller that starts now holds of the world.
fn parts(
    setting: &Setting,
    nova: &Arc<Nova>,
    store: &Arc<MemoryStore>,
    latest: &Arc<Mutex<Lease>>,
) -> Parts {
    let install = nova.state().oracle.install.clone();
    let lease = store.acquire("simulated");
    nova.state().oracle.epoch = lease.epoch();
    *latest.lock().unwrap() = lease.clone();
    let disk = Disk {
        inner: Arc::clone(store),
        nova: Arc::clone(nova),
        broken: setting.broken,
        latest: Arc::clone(latest),
    };
    let (mut compute, resolve): (Arc<dyn Compute>, Arc<dyn Resolve>) = match &nova.embedded {
        None => (Arc::clone(nova) as _, Arc::clone(nova) as _),
        Some(_) => {
            let client = Arc::new(Client::start(nova, setting.seed, lease.epoch()));
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
        brake,
        watcher: Arc::new(Nobody),
        stopping: Default::default(),
        adopting: Default::default(),
        broken: Default::default(),
    }
}
