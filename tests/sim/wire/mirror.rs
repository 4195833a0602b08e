//! The world's bodies as the mirror of the embedded cloud.

use std::collections::BTreeMap;

use novascale::cloud::sandbox::faults::lot;
use novascale::cloud::sandbox::model::{Millis, Model, server as there};
use novascale::config::rehearsal::{Fault as Named, Strength, Unit, Wishes};
use novascale::domain::id::{LaunchId, Region, ServerId, Zone, mark};
use novascale::domain::server::{Fault as ServerFault, Server, Status};
use novascale::domain::time::{Steady, Wall};

use super::super::faults::FAULTS;
use super::super::nova::Nova;
use super::super::servers::{Body, Fate, HANGS, State};
use super::{BEGAN, BEGAN_WALL, Embedded};

/// Of a hundred servers so many lie in the far cell.
const FAR: u32 = 30;

/// What the world itself does to servers, and the embedded cloud therefore not.
const DONE_BY_PEOPLE: [&str; 5] = ["vanish", "stopped", "untagged", "tagged-by-hand", "kept"];

/// How often each fault strikes, whether the far cell is down, and the quota.
pub type Wished = (Vec<u32>, bool, Option<u32>);

/// What people can change of a server.
#[derive(PartialEq)]
pub struct Seen {
    status: Status,
    tags: Vec<String>,
    protect: Option<String>,
    locked: bool,
}

impl Seen {
    fn of(server: &Server) -> Self {
        Self {
            status: server.status.clone(),
            tags: server.tags.clone(),
            protect: server.metadata.get(mark::PROTECT).cloned(),
            locked: server.locked,
        }
    }
}

impl Embedded {
    /// Does to the servers what was done to their mirror, and shows in it what became of them.
    pub fn mirror(&self, nova: &Nova) {
        let mut state = nova.state();
        self.impose(&state);
        let before = std::mem::take(&mut state.bodies);
        let bodies = self.sandbox.inspect(|model| bodies(model, &before));
        *self.seen.lock().unwrap() =
            bodies.iter().map(|(id, body)| (id.clone(), Seen::of(&body.server))).collect();
        state.bodies = bodies;
        self.put_off(&mut state);
        note_changes(&mut state, &before, nova);
    }

    /// Does to the servers what was done to their mirror.
    pub fn impose(&self, state: &State) {
        self.wish(state);
        self.meddle(state);
    }

    fn wish(&self, state: &State) {
        let weather = &state.weather;
        let now = (state.faults.percents(), weather.far_cell_down, weather.quota);
        let mut wished = self.wished.lock().unwrap();
        if wished.as_ref() != Some(&now) {
            self.sandbox.wish(wishes(state));
            *wished = Some(now);
        }
    }

    fn meddle(&self, state: &State) {
        let seen = self.seen.lock().unwrap();
        let gone = seen.keys().filter(|id| !state.bodies.contains_key(*id));
        let gone: Vec<&ServerId> = gone.collect();
        let other = state.bodies.values();
        let other = other.filter(|it| seen.get(&it.server.id) != Some(&Seen::of(&it.server)));
        let other: Vec<&Body> = other.collect();
        if gone.is_empty() && other.is_empty() {
            return;
        }
        self.sandbox.meddle(|model| {
            gone.into_iter().for_each(|id| model.remove(id.as_str()));
            for Body { server, made, .. } in other {
                if !seen.contains_key(&server.id) {
                    let tag = server.tags[0].clone();
                    model.add_by_hand(server.id.to_string(), tag, millis(*made));
                }
                model.alter(server.id.as_str(), |there| imitate(there, server));
            }
        });
    }

    /// Creates that are still on their way.
    fn put_off(&self, state: &mut State) {
        let asked = self.asked.lock().unwrap();
        state.late = self.sandbox.faults(|faults| {
            let late = faults.late().iter().filter_map(|late| {
                let launch = late.launch.metadata.get(mark::LAUNCH)?;
                let create = asked.get(&LaunchId::new(launch.clone()).ok()?)?;
                Some((steady(late.due), create.clone()))
            });
            late.collect()
        });
    }
}

/// The faults of both levels by their names.
fn wishes(state: &State) -> Wishes {
    let mut wishes = Wishes::default();
    for (fault, _, word) in FAULTS {
        let Ok(named) = Named::named(word) else { continue };
        if named.unit() != Unit::Amount && !DONE_BY_PEOPLE.contains(word) {
            let percent = u8::try_from(state.faults.of(*fault)).unwrap();
            wishes.put(named, Strength::Percent(percent));
        }
    }
    if state.weather.far_cell_down {
        wishes.put(Named::CellDown, Strength::Amount(FAR));
    }
    if let Some(quota) = state.weather.quota {
        wishes.put(Named::SmallQuota, Strength::Amount(quota));
    }
    wishes
}

fn imitate(there: &mut there::Server, server: &Server) {
    match server.status {
        Status::Shutoff => there.vm = there::VmState::Stopped,
        Status::Active => there.vm = there::VmState::Active,
        Status::Unknown => there.vm = there::VmState::Unknown,
        _ => {}
    }
    there.tags = server.tags.iter().cloned().collect();
    there.metadata = server.metadata.clone();
    there.lock = server.locked.then_some(there::Lock { reason: None });
}

fn bodies(model: &Model, before: &BTreeMap<ServerId, Body>) -> BTreeMap<ServerId, Body> {
    let bodies = model.servers().map(|there| {
        let id = ServerId::new(there.id.clone()).unwrap();
        let body = body(there, id.clone(), before.get(&id));
        (id, body)
    });
    bodies.collect()
}

fn body(there: &there::Server, id: ServerId, before: Option<&Body>) -> Body {
    Body {
        built: there.launched.map_or(HANGS, steady),
        fate: Fate::Active,
        gone: there.is_deleting().then_some(HANGS),
        far: lot(&there.id, 0) < FAR,
        made: steady(there.created),
        touched: before.map_or(Steady(0), |body| body.touched),
        shown: before.and_then(|body| body.shown),
        server: server(there, id),
    }
}

fn server(there: &there::Server, id: ServerId) -> Server {
    let fault = there.fault.as_ref();
    Server {
        id,
        name: there.name.clone(),
        status: Status::from(there.status().to_owned()),
        deleting: there.is_deleting(),
        launched: there.launched.is_some(),
        created: Wall(there.created),
        tags: there.tags.iter().cloned().collect(),
        metadata: there.metadata.clone(),
        locked: there.lock.is_some(),
        region: Region::new("R1").unwrap(),
        zone: there.zone.clone().and_then(|zone| Zone::new(zone).ok()),
        flavor: there.flavor.id.clone(),
        addresses: Vec::new(),
        fault: fault.map(|it| ServerFault { code: it.code, message: it.message.clone() }),
    }
}

fn steady(at: Millis) -> Steady {
    Steady(BEGAN.0 + u64::try_from(at - BEGAN_WALL).unwrap())
}

/// In the cloud's own time, whatever the machine's clock says.
fn millis(at: Steady) -> Millis {
    BEGAN_WALL + i64::try_from(at.0 - BEGAN.0).unwrap()
}

/// What came and went by the controller's doing.
fn note_changes(state: &mut State, before: &BTreeMap<ServerId, Body>, nova: &Nova) {
    let new = state.bodies.values().filter(|body| !before.contains_key(&body.server.id));
    let new: Vec<LaunchId> = new.filter_map(|body| body.server.launch()).collect();
    if !new.is_empty() {
        nova.event(23, new.len() as u64, || format!("{} servers were made", new.len()));
        state.launched();
    }
    for launch in new {
        *state.made.entry(launch).or_default() += 1;
    }
    let leaves = |body: &Body| body.deleting() || body.soft();
    let served = before.values().filter(|body| body.serves());
    let taken = served.filter(|body| state.bodies.get(&body.server.id).is_some_and(leaves)).count();
    for _ in 0..taken {
        state.taken(&nova.trace);
    }
}
