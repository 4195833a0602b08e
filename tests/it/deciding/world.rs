//! A world small enough to be obviously right: one group, a cloud in memory, a journal.
//!
//! It plays the parts of store, observer and executor, with faults drawn from a seed:
//! lost replies, refusals, faulty builds, lagging listings, crashes between any two steps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use novascale::decide::verify::{Violation, verify};
use novascale::decide::{Draws, Open, Snapshot, decide};
use novascale::domain::adoption::Adopt;
use novascale::domain::behaviour::Behaviour;
use novascale::domain::claim::Memory;
use novascale::domain::count::Bounds;
use novascale::domain::fleet::{Found, Lookup, Observation, Seen, Sought};
use novascale::domain::freeze::{Braked, Freeze};
use novascale::domain::group::{
    Group, GroupState, ImageRef, LaunchLimits, Networks, Patience, Placement, Template,
};
use novascale::domain::id::{
    GroupName, InstallId, IntentId, Region, ServerId, Tag, TemplateHash, Zone, mark,
};
use novascale::domain::intent::{Intent, Launch};
use novascale::domain::outcome::{CallResult, Failure, FailureKind, Outcome};
use novascale::domain::plan::{Action, Cause, Decision};
use novascale::domain::policy::{Policy, Reading, Total};
use novascale::domain::server::{Fault, Known, Server, Status};
use novascale::domain::signal::{Command, Ordered, Sample, Value, apply};
use novascale::domain::time::{Now, Steady, Wall};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub struct Dice(pub StdRng);

impl Draws for Dice {
    fn bits(&mut self) -> u128 {
        self.0.random()
    }
}

pub fn group(min: u32, max: u32) -> Group {
    let hash = TemplateHash::new("0123456789abcdef").unwrap();
    let mut behaviour = Behaviour::default();
    behaviour.scale_in.stabilization = Duration::ZERO;
    behaviour.scale_in.cooldown = Duration::ZERO;
    behaviour.scale_in.velocity.percent = 100.0;
    Group {
        name: GroupName::new("web").unwrap(),
        tag: Tag::new("novascale:web").unwrap(),
        region: Region::new("R1").unwrap(),
        bounds: Bounds::new(min, max),
        template: Template {
            flavors: vec!["small".into()],
            image: ImageRef::Name("Debian 12".into()),
            networks: Networks::Auto,
            security_groups: Vec::new(),
            key_name: None,
            zones: Vec::new(),
            user_data: None,
            metadata: BTreeMap::new(),
            name_prefix: "web".into(),
            config_drive: false,
            boot_volume: None,
            placement: Placement::Anywhere,
            hash: hash.clone(),
        },
        policies: Vec::new(),
        schedules: Vec::new(),
        behaviour,
        patience: Patience::default(),
        launch: LaunchLimits::default(),
        config_hash: hash,
    }
}

pub fn target(signal: &str, per_server: f64) -> Policy {
    let signal = novascale::domain::id::SignalName::new(signal).unwrap();
    Policy::Total(Total::of(Reading::newest(signal, Duration::from_secs(300)), per_server))
}

/// How often each fault strikes, in percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    pub reply_lost: u32,
    pub request_lost: u32,
    pub refused: u32,
    pub build_fails: u32,
    pub lag: u32,
    pub unseen: u32,
    pub crash: u32,
    pub vanish: u32,
    /// A server that Nova is deleting is still there a step later.
    pub delete_hangs: u32,
    /// A delete is refused because of the server's state.
    pub conflict: u32,
    /// A delete is refused for want of a right.
    pub denied: u32,
    /// A GET by id says nothing.
    pub blind: u32,
}

/// A world that has settled at its base.
pub fn settled(min: u32, max: u32, base: u32) -> World {
    let mut world = World::new(group(min, max), 1);
    world.order(Command::Set { capacity: base });
    world.settle(20);
    world.pass_time(Duration::from_secs(60));
    world
}

/// How many servers each launch of the plan asks for.
pub fn launches(decision: &Decision) -> Vec<u32> {
    let launch = |action: &Action| match action {
        Action::Launch { launch, .. } => Some(launch.n),
        Action::Terminate { .. } | Action::Adopt { .. } => None,
    };
    decision.plan.iter().filter_map(launch).collect()
}

pub fn terminations(decision: &Decision) -> Vec<(&ServerId, Cause)> {
    decision
        .plan
        .iter()
        .filter_map(|action| match action {
            Action::Terminate { server, cause, .. } => Some((server, *cause)),
            Action::Launch { .. } | Action::Adopt { .. } => None,
        })
        .collect()
}

/// What one create call does in [`World::create`].
pub struct World {
    pub group: Group,
    pub install: InstallId,
    pub now: Now,
    pub state: GroupState,
    pub memory: Option<Memory>,
    pub samples: Vec<Sample>,
    /// All that was ever measured.
    pub history: Vec<Sample>,
    pub intents: BTreeMap<IntentId, Intent>,
    pub known: BTreeMap<ServerId, Known>,
    pub cloud: BTreeMap<ServerId, Server>,
    pub observation: Observation,
    pub all_frozen: Option<Freeze>,
    pub brake: Option<Braked>,
    watched: Vec<ServerId>,
    sought: Vec<Tag>,
    pub faults: Faults,
    pub dice: Dice,
    /// Servers that each launch id made.
    pub made: BTreeMap<String, u32>,
    pub quota: u32,
    pub created: u32,
    pub deleted: u32,
    /// Deletes that were asked for, whatever came of them.
    pub asked: u32,
    /// Deleting this one ends so.
    pub stubborn: Option<(ServerId, FailureKind)>,
    /// A used-up quota says what is left of it.
    pub quota_tells: bool,
    /// Nova knows no such zone.
    pub shut_zone: Option<Zone>,
    /// How many servers were made here: it numbers them.
    pub serial: u32,
}

impl World {
    pub fn new(group: Group, seed: u64) -> Self {
        let now = Now { wall: Wall(1_700_000_000_000), steady: Steady(1_000_000) };
        Self {
            group,
            install: InstallId::from_bits(1),
            now,
            state: GroupState::default(),
            memory: None,
            samples: Vec::new(),
            history: Vec::new(),
            intents: BTreeMap::new(),
            known: BTreeMap::new(),
            cloud: BTreeMap::new(),
            observation: Observation::Unseen { since: now, why: "start".into() },
            all_frozen: None,
            brake: None,
            watched: Vec::new(),
            sought: Vec::new(),
            faults: Faults::default(),
            dice: Dice(StdRng::seed_from_u64(seed)),
            made: BTreeMap::new(),
            quota: u32::MAX,
            created: 0,
            deleted: 0,
            asked: 0,
            stubborn: None,
            quota_tells: true,
            shut_zone: None,
            serial: 0,
        }
    }

    pub fn strikes(&mut self, percent: u32) -> bool {
        self.dice.0.random_range(0..100) < percent
    }

    pub fn pass_time(&mut self, span: Duration) {
        self.now = self.now.plus(span);
        let due = self.now.wall.0 - 5_000;
        let fails = self.faults.build_fails;
        let ids: Vec<ServerId> = self.cloud.keys().cloned().collect();
        for id in ids {
            let failed = self.strikes(fails);
            let hangs = self.strikes(self.faults.delete_hangs);
            let server = self.cloud.get_mut(&id).unwrap();
            if server.deleting {
                if !hangs {
                    self.cloud.remove(&id);
                }
            } else if server.status == Status::Build && server.created.0 <= due {
                if failed {
                    server.status = Status::Error;
                    let message = "No valid host was found. There are not enough hosts available.";
                    server.fault = Some(Fault { code: 500, message: message.into() });
                } else {
                    server.status = Status::Active;
                    server.launched = true;
                }
            }
        }
        if self.strikes(self.faults.vanish)
            && let Some(id) = self.cloud.keys().next().cloned()
        {
            self.cloud.remove(&id);
        }
    }

    /// Somebody tags a server of their own for the group.
    pub fn add_by_hand(&mut self) {
        self.serial += 1;
        let launch = novascale::domain::id::LaunchId::from_bits(u128::from(self.serial));
        let n = 1;
        let mut server = self.build(&Launch {
            launch,
            n,
            region: self.group.region.clone(),
            zone: None,
            flavor: "small".into(),
            template: self.group.template.hash.clone(),
            proven: false,
        });
        server.id = ServerId::new(format!("hand{:05}", self.serial)).unwrap();
        server.tags = vec![self.group.tag.to_string()];
        server.metadata.clear();
        self.cloud.insert(server.id.clone(), server);
    }

    /// All that was stored is gone; the install id and the servers are there.
    pub fn lose_state(&mut self) {
        (self.memory, self.state) = (None, GroupState::default());
        self.known.clear();
        self.intents.clear();
        self.samples.clear();
        self.watched.clear();
    }

    pub fn order(&mut self, command: Command) {
        let order = Ordered { command, at: self.now, by: "test".into(), reason: None };
        self.state = apply(&self.state, &order, self.group.bounds).unwrap();
    }

    pub fn measure(&mut self, name: &str, value: f64) {
        let name = novascale::domain::id::SignalName::new(name).unwrap();
        self.samples.retain(|s| s.name != name || s.server.is_some());
        let (at, received) = (self.now.wall, self.now);
        let value = Value::new(value).unwrap();
        let sample = Sample { name, value, at, received, server: None };
        self.history.push(sample.clone());
        self.samples.push(sample);
    }

    /// One listing, as the observer would make it: possibly failed, possibly lagging.
    pub fn observe(&mut self) {
        let began = self.now;
        if self.strikes(self.faults.unseen) {
            self.observation = Observation::Unseen { since: began, why: "503".into() };
            return;
        }
        let lag = self.faults.lag;
        let mut servers = Vec::new();
        let all: Vec<Server> = self.cloud.values().cloned().collect();
        for server in all {
            let here = server.region == self.group.region;
            if !self.strikes(lag) && here && server.has_tag(&self.group.tag) {
                servers.push(Arc::new(server));
            }
        }
        let listed: Vec<&ServerId> = servers.iter().map(|s: &Arc<Server>| &s.id).collect();
        let tags = std::mem::take(&mut self.sought);
        let others = self
            .cloud
            .values()
            .filter(|s| !s.has_tag(&self.group.tag) && tags.iter().any(|tag| s.has_tag(tag)));
        let others = others.cloned().map(Arc::new).collect();
        let sought = Sought { tags, servers: others };
        let missing: Vec<ServerId> =
            self.watched.iter().filter(|id| !listed.contains(id)).cloned().collect();
        let lookups = missing.into_iter().map(|id| self.look_up(id, began)).collect();
        let fresh_for = Duration::from_secs(30);
        self.observation = Observation::Seen(Seen { servers, began, fresh_for, lookups, sought });
        self.now = self.now.plus(Duration::from_millis(5));
    }

    fn look_up(&mut self, id: ServerId, began: Now) -> Lookup {
        let blind = self.strikes(self.faults.blind);
        let here = |s: &&Server| s.region == self.group.region;
        let found = match self.cloud.get(&id).filter(here) {
            _ if blind => Found::Unclear("503".into()),
            Some(server) => Found::Present(Arc::new(server.clone())),
            None => Found::Absent,
        };
        Lookup { id, began, found }
    }

    /// Hands over all that a decision may look at.
    fn look<T>(&self, at: impl FnOnce(&Snapshot<'_>) -> T) -> T {
        let intents: Vec<Intent> = self.intents.values().cloned().collect();
        let known: Vec<Known> = self.known.values().cloned().collect();
        at(&Snapshot {
            now: self.now,
            group: &self.group,
            install: &self.install,
            state: &self.state,
            memory: self.memory.as_ref(),
            samples: &self.samples,
            history: &self.history,
            intents: &intents,
            known: &known,
            observation: &self.observation,
            all_frozen: self.all_frozen.as_ref(),
            brake: self.brake.as_ref(),
            open: &Open::default(),
        })
    }

    /// The rules that the decision would break here.
    pub fn judge(&self, decision: &Decision) -> Vec<Violation> {
        self.look(|snapshot| verify(snapshot, decision))
    }

    pub fn decide(&mut self) -> Decision {
        let mut dice = Dice(StdRng::seed_from_u64(self.dice.0.random()));
        let decision = self.look(|snapshot| decide(snapshot, &mut dice));
        let violations = self.judge(&decision);
        assert!(
            violations.is_empty(),
            "{violations:?}\n{:#?}\n{:?}",
            decision.sentences(),
            decision.tally
        );
        decision
    }

    /// One whole pass on a fresh listing; its decision.
    pub fn pass(&mut self) -> Decision {
        self.observe();
        self.pass_on_last_listing()
    }

    pub fn pass_on_last_listing(&mut self) -> Decision {
        let decision = self.decide();
        self.record(&decision);
        for action in decision.plan.clone() {
            if self.strikes(self.faults.crash) {
                break;
            }
            self.now = self.now.plus(Duration::from_millis(3));
            self.carry_out(&action);
        }
        decision
    }

    pub fn record(&mut self, decision: &Decision) {
        self.watched.clone_from(&decision.changes.watched);
        self.sought.clone_from(&decision.changes.sought);
        let over = &decision.changes.adopted;
        self.state.adoptions = over.leaves(&self.state.adoptions, decision.at.steady);
        if let Some(memory) = &decision.changes.memory {
            self.memory = Some(memory.clone());
        }
        for intent in &decision.changes.intents {
            self.intents.insert(intent.id.clone(), intent.clone());
        }
        for known in &decision.changes.known {
            self.known.insert(known.id.clone(), known.clone());
        }
    }

    fn carry_out(&mut self, action: &Action) {
        let (intent, result) = match action {
            Action::Launch { intent, launch } => (intent, self.create(launch)),
            Action::Terminate { intent, server, .. } => (intent, self.delete(server)),
            Action::Adopt { intent, adopt } => (intent, self.adopt(adopt)),
        };
        if self.strikes(self.faults.crash) {
            return;
        }
        let outcome = Outcome { intent: intent.clone(), at: self.now, result };
        let after = self.intents[intent].after(&outcome);
        self.intents.insert(intent.clone(), after);
    }

    fn create(&mut self, launch: &Launch) -> CallResult {
        let unclear = || CallResult::Unclear(Failure::new(FailureKind::Unclear, "timeout"));
        if self.strikes(self.faults.request_lost) {
            return unclear();
        }
        if self.strikes(self.faults.refused) {
            return CallResult::Refused(Failure::new(FailureKind::Busy, "503"));
        }
        if launch.zone.is_some() && launch.zone == self.shut_zone {
            let failure = Failure::new(FailureKind::Refused, "no such availability zone");
            return CallResult::Refused(failure.key("group.web.availability_zones"));
        }
        let used = u32::try_from(self.cloud.len()).unwrap();
        if used + launch.n > self.quota {
            let fits = self.quota_tells.then(|| self.quota.saturating_sub(used));
            return CallResult::Refused(Failure::new(FailureKind::Quota { fits }, "quota"));
        }
        let mut first = None;
        for _ in 0..launch.n {
            let server = self.build(launch);
            first.get_or_insert(server.id.clone());
            self.cloud.insert(server.id.clone(), server);
        }
        self.created += launch.n;
        *self.made.entry(launch.launch.to_string()).or_default() += launch.n;
        if self.strikes(self.faults.reply_lost) {
            unclear()
        } else {
            CallResult::Launched { first }
        }
    }

    fn build(&mut self, launch: &Launch) -> Server {
        self.serial += 1;
        let marks = [
            (mark::INSTALL, self.install.to_string()),
            (mark::GROUP, self.group.name.to_string()),
            (mark::LAUNCH, launch.launch.to_string()),
            (mark::TEMPLATE, launch.template.to_string()),
        ];
        Server {
            id: ServerId::new(format!("s{:05}", self.serial)).unwrap(),
            name: format!("web-{}", self.serial),
            status: Status::Build,
            deleting: false,
            launched: false,
            created: self.now.wall,
            tags: vec![self.group.tag.to_string(), launch.launch.tag()],
            metadata: marks.map(|(k, v)| (k.to_owned(), v)).into(),
            locked: false,
            region: launch.region.clone(),
            zone: launch.zone.clone(),
            flavor: launch.flavor.clone(),
            addresses: Vec::new(),
            fault: None,
        }
    }

    fn adopt(&mut self, adopt: &Adopt) -> CallResult {
        let (denied, lost) =
            (self.strikes(self.faults.denied), self.strikes(self.faults.reply_lost));
        if denied {
            return CallResult::Refused(Failure::new(FailureKind::Denied, "403"));
        }
        let Some(server) = self.cloud.get_mut(&adopt.server) else {
            return CallResult::Refused(Failure::new(FailureKind::Gone, "no such server"));
        };
        if server.locked {
            return CallResult::Refused(Failure::new(FailureKind::Conflict, "it is locked"));
        }
        let launch = server.launch().unwrap_or_else(|| adopt.launch.clone());
        let marks = [
            (mark::INSTALL, self.install.to_string()),
            (mark::GROUP, self.group.name.to_string()),
            (mark::LAUNCH, launch.to_string()),
        ];
        server.metadata.extend(marks.map(|(key, value)| (key.to_owned(), value)));
        if !server.has_tag(&self.group.tag) {
            server.tags.push(self.group.tag.to_string());
        }
        if let Some(former) = &adopt.from {
            server.tags.retain(|tag| !former.tag.same(tag) || self.group.tag.same(tag));
        }
        if lost {
            return CallResult::Unclear(Failure::new(FailureKind::Unclear, "reset"));
        }
        CallResult::Adopted
    }

    fn delete(&mut self, id: &ServerId) -> CallResult {
        let failed = || CallResult::Unclear(Failure::new(FailureKind::Unclear, "reset"));
        if self.strikes(self.faults.request_lost) {
            return failed();
        }
        let lost = self.strikes(self.faults.reply_lost);
        let conflict = self.strikes(self.faults.conflict);
        let denied = self.strikes(self.faults.denied);
        self.asked += 1;
        let Some(server) = self.cloud.get_mut(id) else { return CallResult::Gone };
        if !server.has_tag(&self.group.tag) {
            return CallResult::Detached;
        }
        if denied {
            return CallResult::Refused(Failure::new(FailureKind::Denied, "403"));
        }
        if conflict {
            return CallResult::Refused(Failure::new(FailureKind::Conflict, "409"));
        }
        if let Some((_, kind)) = self.stubborn.as_ref().filter(|(stubborn, _)| stubborn == id) {
            let failure = Failure::new(*kind, "it does not go");
            return if kind.certain() {
                CallResult::Refused(failure)
            } else {
                CallResult::Unclear(failure)
            };
        }
        if server.locked {
            return CallResult::Withheld { why: "locked".into() };
        }
        server.deleting = true;
        self.deleted += 1;
        if lost { failed() } else { CallResult::Deleting }
    }

    /// Passes until nothing is left to do, at most so many.
    pub fn settle(&mut self, most: usize) -> Decision {
        for _ in 0..most {
            let decision = self.pass();
            let quiet = decision.plan.is_empty() && !decision.in_flight() && decision.quiet();
            if quiet && decision.waiting.is_empty() {
                return decision;
            }
            self.pass_time(Duration::from_secs(2));
        }
        let last = self.pass();
        panic!("not settled after {most} passes: {:#?}", last.sentences());
    }

    pub fn first_id(&self) -> ServerId {
        self.cloud.keys().next().cloned().unwrap()
    }

    /// What single servers measure now of a signal, each the same.
    pub fn measure_on(&mut self, servers: &[ServerId], name: &str, value: f64) {
        let name = novascale::domain::id::SignalName::new(name).unwrap();
        let known = |s: &Sample| s.server.as_ref().is_some_and(|id| servers.contains(id));
        self.samples.retain(|s| s.name != name || !known(s));
        let (at, received) = (self.now.wall, self.now);
        let told = servers.iter().map(|id| Sample {
            name: name.clone(),
            value: Value::new(value).unwrap(),
            at,
            received,
            server: Some(id.clone()),
        });
        let told: Vec<Sample> = told.collect();
        self.history.extend(told.iter().cloned());
        self.samples.extend(told);
    }

    pub fn members(&self) -> usize {
        self.cloud.values().filter(|s| s.has_tag(&self.group.tag)).count()
    }
}
