//! What is really there, and what becomes of it by itself.

use std::collections::BTreeMap;

use novascale::cloud::{Create, Deleted, Marks};
use novascale::domain::id::{LaunchId, Region, ServerId, Tag, Zone, mark};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::server::{Fault as ServerFault, Server, Status};
use novascale::domain::time::{Now, Steady};

use super::dice::Dice;
use super::faults::{Fault, Faults};
use super::oracle::Oracle;

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

/// Of a server that serves, if it is not on its way out.
pub fn up(status: &Status) -> bool {
    matches!(
        status,
        Status::Active | Status::Migrating | Status::Resize | Status::Reboot | Status::Password
    )
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Active,
    NoHost,
    Broken,
    /// It comes up and goes down again at once.
    Stopped,
    /// Its host falls silent.
    Unknown,
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
        up(&self.server.status) && !self.deleting()
    }

    /// Somebody put it to rest.
    pub fn rests(&self) -> bool {
        matches!(
            self.server.status,
            Status::Shutoff | Status::Paused | Status::Rescue | Status::ShelvedOffloaded
        )
    }

    /// Tagged by somebody, not launched by novascale.
    pub fn by_hand(&self) -> bool {
        self.server.id.as_str().starts_with('h')
    }

    /// And not adopted since.
    pub fn foreign(&self) -> bool {
        self.by_hand() && !self.server.metadata.contains_key(mark::INSTALL)
    }

    fn fail(&mut self, code: u16, message: &str) {
        self.server.status = Status::Error;
        self.server.fault = Some(ServerFault { code, message: message.to_owned() });
    }

    fn become_what_it_is_to_be(&mut self) {
        let status = match self.fate {
            Fate::NoHost => return self.fail(500, "No valid host was found."),
            Fate::Broken => return self.fail(500, "Build of instance aborted: volume"),
            Fate::Never => return,
            Fate::Active => Status::Active,
            Fate::Stopped => Status::Shutoff,
            Fate::Unknown => Status::Unknown,
        };
        self.server.status = status;
        self.server.launched = true;
    }
}

/// What is wrong with the cloud as a whole.
#[derive(Debug, Default)]
pub struct Weather {
    pub far_cell_down: bool,
    pub zone_full: Option<Zone>,
    /// There is no host left for this flavor.
    pub flavor_out: Option<String>,
    /// Somebody deleted this flavor.
    pub flavor_gone: Option<String>,
    pub image_gone: bool,
    /// Every call is refused until then: the key was rotated, the token has expired.
    pub signed_out: Steady,
    /// Nothing answers until then.
    pub outage: Steady,
    /// When calls began to fail, all of them.
    pub dark: Option<Steady>,
    pub quota: Option<u32>,
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
    pub weather: Weather,
    pub oracle: Oracle,
    /// Creates and deletes that were asked for.
    pub changes: u64,
    /// When the next thing happens by itself, at the earliest.
    pub next: Steady,
    serial: u32,
}

pub fn failed(kind: FailureKind, said: &str) -> Failure {
    Failure::new(kind, said)
}

impl State {
    pub fn new(seed: u64, faults: Faults, oracle: Oracle) -> Self {
        Self {
            bodies: BTreeMap::new(),
            late: Vec::new(),
            made: BTreeMap::new(),
            faults,
            dice: Dice::of(seed, "nova"),
            weather: Weather::default(),
            oracle,
            changes: 0,
            next: HANGS,
            serial: 0,
        }
    }

    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault)
    }

    fn id(&mut self, letter: char) -> ServerId {
        self.serial += 1;
        ServerId::new(format!("{letter}{:05}", self.serial)).unwrap()
    }

    /// Makes the servers of a create, whoever still waits for the answer.
    pub fn make(&mut self, create: &Create, now: Now) -> Option<ServerId> {
        let Weather { zone_full, flavor_out, .. } = &self.weather;
        let full = zone_full.is_some() && *zone_full == create.zone
            || flavor_out.as_ref() == Some(&create.resolved.flavor);
        let no_host = self.strikes(Fault::NoHost) || full;
        let mut first = None;
        for _ in 0..create.n {
            let id = self.id('s');
            let body = self.body(create, id.clone(), no_host, now);
            self.happens_at(body.built);
            self.bodies.insert(id.clone(), body);
            first.get_or_insert(id);
        }
        *self.made.entry(create.launch.clone()).or_default() += create.n;
        first
    }

    fn fate(&mut self) -> Fate {
        let fates = [
            (Fault::BuildError, Fate::Broken),
            (Fault::BuildNever, Fate::Never),
            (Fault::BuildStopped, Fate::Stopped),
            (Fault::BuildUnknown, Fate::Unknown),
        ];
        let struck = fates.into_iter().find(|(fault, _)| self.strikes(*fault));
        struck.map_or(Fate::Active, |(_, fate)| fate)
    }

    fn body(&mut self, create: &Create, id: ServerId, no_host: bool, now: Now) -> Body {
        let fate = if no_host { Fate::NoHost } else { self.fate() };
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

    /// Somebody's own server, tagged for a group in whatever case.
    pub fn add_by_hand(&mut self, tag: &Tag, region: &Region, now: Now) {
        let id = self.id('h');
        let tag = if self.dice.percent(50) { tag.to_string() } else { tag.as_str().to_uppercase() };
        let server = Server {
            id: id.clone(),
            name: "by-hand".to_owned(),
            status: Status::Active,
            deleting: false,
            launched: true,
            created: now.wall,
            tags: vec![tag],
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

    /// Something is to happen by itself then.
    pub fn happens_at(&mut self, then: Steady) {
        self.next = self.next.min(then);
    }

    /// Lets servers become what they are to be by now.
    pub fn mature(&mut self, now: Now) {
        if self.next > now.steady {
            return;
        }
        self.bodies.retain(|_, body| body.gone.is_none_or(|gone| gone > now.steady));
        for body in self.bodies.values_mut() {
            if body.server.status == Status::Build && body.built <= now.steady {
                body.become_what_it_is_to_be();
            }
        }
        let ahead = self.bodies.values().flat_map(|body| [Some(body.built), body.gone]).flatten();
        let late = self.late.iter().map(|(then, _)| *then);
        self.next = ahead.chain(late).filter(|then| *then > now.steady).min().unwrap_or(HANGS);
    }

    /// Everything that Nova has of a quota.
    fn used(&self) -> u32 {
        u32::try_from(self.bodies.values().filter(|b| !b.soft()).count()).unwrap()
    }

    /// Why no call comes through now.
    pub fn unreachable(&mut self, now: Steady) -> Option<Failure> {
        let Weather { signed_out, outage, dark, .. } = &mut self.weather;
        let kind = if *outage > now {
            FailureKind::Unreached
        } else if *signed_out > now {
            FailureKind::Denied
        } else {
            *dark = None;
            return None;
        };
        Some(failed(kind, "nothing comes through"))
    }

    /// Nova's clear no to a create.
    pub fn refusal(&mut self, request: &Create) -> Option<Failure> {
        if self.strikes(Fault::CreateBusy) {
            let mut busy = failed(FailureKind::Busy, "429");
            let dice = self.faults.dice(Fault::CreateBusy);
            let wait = dice.millis(1_000, 90_000);
            busy.retry_after = dice.percent(50).then_some(wait);
            return Some(busy);
        }
        if self.strikes(Fault::CreateDenied) {
            return Some(failed(FailureKind::Denied, "403"));
        }
        if self.strikes(Fault::CreateRefused) {
            let key = format!("group.{}.image", request.group);
            return Some(failed(FailureKind::Refused, "400").key(key));
        }
        let (used, quota) = (self.used(), self.weather.quota?);
        if used + request.n > quota {
            let told = self.faults.dice(Fault::SmallQuota).percent(60);
            let fits = told.then_some(quota.saturating_sub(used));
            return Some(failed(FailureKind::Quota { fits }, "quota"));
        }
        None
    }

    /// Marks a server as ours.
    pub fn mark(&mut self, request: &Marks) -> Result<(), Failure> {
        let (lost, refused) = (self.strikes(Fault::DeleteLost), self.strikes(Fault::DeleteDenied));
        let reply_lost = self.strikes(Fault::DeleteReplyLost);
        if lost || refused {
            let kind = if lost { FailureKind::Unclear } else { FailureKind::Denied };
            return Err(failed(kind, "marks"));
        }
        let Some(body) = self.bodies.get_mut(&request.server) else {
            return Err(failed(FailureKind::Gone, "404"));
        };
        if body.server.locked || !body.serves() && !body.rests() {
            return Err(failed(FailureKind::Conflict, "409"));
        }
        let server = &mut body.server;
        server.metadata.extend(request.metadata.clone());
        server.tags.extend(request.tag.iter().map(ToString::to_string));
        server.tags.retain(|tag| request.untag.as_ref().is_none_or(|untag| !untag.same(tag)));
        if reply_lost { Err(failed(FailureKind::Unclear, "reset")) } else { Ok(()) }
    }

    pub fn delete(&mut self, id: &ServerId, now: Now) -> Result<Deleted, Failure> {
        if self.strikes(Fault::DeleteLost) {
            return Err(failed(FailureKind::Unclear, "timeout"));
        }
        let denied = self.strikes(Fault::DeleteDenied);
        let conflict = self.strikes(Fault::DeleteConflict);
        let hangs = self.strikes(Fault::DeleteHangs);
        let soft = self.strikes(Fault::DeleteSoft);
        let lost = self.strikes(Fault::DeleteReplyLost);
        let done = now.steady.plus(self.dice.millis(500, 15_000));
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
            body.gone = Some(if hangs { HANGS } else { done });
        }
        self.happens_at(done);
        if lost { Err(failed(FailureKind::Unclear, "reset")) } else { Ok(Deleted::Accepted) }
    }
}
