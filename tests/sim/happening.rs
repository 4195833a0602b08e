//! Everything that happens between two passes: senders send, operators order, people meddle,
//! hosts fail. Each act is a line in a table, so that another one is a line more.

use std::collections::BTreeSet;

use novascale::domain::adoption::Adoptees;
use novascale::domain::id::{Owner, ServerId, Zone, mark};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use novascale::domain::time::{Clock, Steady};

use super::faults::Fault;
use super::servers::{Body, Weather};
use super::world::{FLAVORS, World, ZONES};

/// What an operator or a client with a token may order.
#[derive(Debug, Clone, Copy)]
enum Act {
    Set,
    Adjust,
    Percent,
    Pin,
    PinForAWhile,
    Reserve,
    Release,
    Unpin,
}

/// Each with its share of all orders.
const ACTS: [(Act, u32); 8] = [
    (Act::Set, 2),
    (Act::Adjust, 3),
    (Act::Percent, 1),
    (Act::Pin, 1),
    (Act::PinForAWhile, 1),
    (Act::Reserve, 2),
    (Act::Release, 1),
    (Act::Unpin, 2),
];

/// What is done to single servers of a group, behind novascale's back.
const MEDDLING: [Fault; 7] = [
    Fault::Vanish,
    Fault::Stopped,
    Fault::Moving,
    Fault::HostDown,
    Fault::Renamed,
    Fault::Untagged,
    Fault::Kept,
];

/// How something comes about in a world.
type Befalls = fn(&mut World);

/// What befalls cloud and controller as a whole.
const WEATHER: [(Fault, Befalls); 13] = [
    (Fault::CellDown, World::cell_down),
    (Fault::SmallQuota, World::small_quota),
    (Fault::ZoneFull, World::zone_full),
    (Fault::FlavorOut, World::flavor_out),
    (Fault::FlavorGone, World::flavor_gone),
    (Fault::ImageGone, World::image_gone),
    (Fault::SignedOut, World::signed_out),
    (Fault::Outage, World::outage),
    (Fault::ClockJump, World::clock_jump),
    (Fault::NewConfig, World::reconfigure),
    (Fault::GroupLeft, World::leave_out),
    (Fault::StartedTwice, World::start_twice),
    (Fault::StateLost, World::lose_state),
];

impl World {
    pub fn happen(&mut self) {
        for group in 0..self.groups.len() {
            self.deliver(group);
            self.hear_from(group);
            self.meddle(group);
            self.brake(group);
            self.melt(group);
        }
        for (fault, strike) in WEATHER {
            if self.strikes(fault) {
                strike(self);
            }
        }
    }

    pub fn strikes(&self, fault: Fault) -> bool {
        self.nova.state().strikes(fault)
    }

    fn hear_from(&mut self, group: usize) {
        if self.strikes(Fault::Silence) && self.people.percent(10) {
            self.hush(group);
        }
        let silent = self.post.boxes[group].silent_until > self.clock.now().steady;
        if self.people.percent(45) && !silent {
            let load = f64::from(self.people.below(130));
            self.measure(group, load);
        }
        self.hear_from_gauges(group, silent);
        if self.people.percent(18) {
            let command = self.command();
            self.order(group, command);
        }
        if self.strikes(Fault::Replays) {
            self.replay(group);
        }
        if self.strikes(Fault::Storm) {
            self.storm(group);
        }
        if self.strikes(Fault::Strangers) {
            self.hear_from_strangers(group);
        }
        let cut_waits = self.nova.state().oracle.groups[group].cut.waits;
        if cut_waits && self.people.percent(8) {
            self.order(group, Command::Confirm { max: self.groups[group].max_ever() });
        }
    }

    fn act(&mut self) -> Act {
        let all: u32 = ACTS.iter().map(|(_, share)| share).sum();
        let mut drawn = self.people.below(all);
        for (act, share) in ACTS {
            if drawn < share {
                return act;
            }
            drawn -= share;
        }
        Act::Unpin
    }

    fn command(&mut self) -> Command {
        let act = self.act();
        let until = self.clock.now().plus(self.people.millis(10_000, 900_000));
        let owner = Owner::new(*self.people.pick(&["night", "batch"]).unwrap()).unwrap();
        let capacity = self.people.below(14);
        match act {
            Act::Set => Command::Set { capacity },
            Act::Adjust => Command::Adjust { by: i64::from(self.people.below(9)) - 4 },
            Act::Percent => Command::Percent { by: f64::from(self.people.below(200)) - 80.0 },
            Act::Pin => Command::Pin { capacity, until: None },
            Act::PinForAWhile => Command::Pin { capacity, until: Some(until) },
            Act::Reserve => Command::Reserve { owner, capacity, until },
            Act::Release => Command::Release { owner },
            Act::Unpin => Command::Unpin,
        }
    }

    fn meddle(&mut self, group: usize) {
        for fault in MEDDLING {
            if self.strikes(fault)
                && let Some(id) = self.some_member(group)
            {
                self.harm(group, &id, fault);
            }
        }
        if self.strikes(Fault::Restored) {
            self.restore(group);
        }
        if !self.strikes(Fault::TaggedByHand) {
            return;
        }
        if self.by_hand(group).len() == 2 {
            self.adopt(group);
        } else {
            let of = self.groups[group].clone();
            let now = self.clock.now();
            self.nova.state().add_by_hand(&of.tag, &of.region, now);
            self.nova.event(40, group as u64, || format!("group {group}: one is tagged by hand"));
        }
    }

    fn some_member(&mut self, group: usize) -> Option<ServerId> {
        let members: Vec<ServerId> =
            self.nova.state().members(group).map(|body| body.server.id.clone()).collect();
        self.people.pick(&members).cloned()
    }

    fn by_hand(&self, group: usize) -> BTreeSet<ServerId> {
        let state = self.nova.state();
        let by_hand = state.members(group).filter(|body| body.by_hand());
        by_hand.map(|body| body.server.id.clone()).collect()
    }

    /// An operator orders every server that was tagged by hand to be adopted.
    fn adopt(&mut self, group: usize) {
        let servers = self.by_hand(group);
        let known = servers.iter().cloned();
        self.nova.state().oracle.groups[group].adoptees.extend(known);
        self.order(group, Command::Adopt(Adoptees::Servers { servers, untagged: false }));
    }

    /// Somebody brings back a server that was deleted softly.
    fn restore(&mut self, group: usize) {
        let now = self.clock.now().steady;
        let mut state = self.nova.state();
        let soft = state.members(group).find(|body| body.soft()).map(|b| b.server.id.clone());
        let Some(body) = soft.as_ref().and_then(|id| state.bodies.get_mut(id)) else { return };
        // It was gone for all that was known, until it is shown.
        (body.server.status, body.touched, body.shown) = (Status::Active, now, None);
        let id = body.server.id.clone();
        drop(state);
        self.nova.event(46, group as u64, || format!("group {group}: {id} is restored"));
    }

    pub fn harm(&mut self, group: usize, id: &ServerId, how: Fault) {
        let now = self.clock.now().steady;
        let mut state = self.nova.state();
        let dice = state.faults.dice(how);
        let (toggled, drawn) = (dice.percent(50), dice.below(4) as usize);
        // The embedded cloud can only be stopped.
        let rest = if self.setting.on_the_wire() { 0 } else { drawn };
        let Some(body) = state.bodies.get_mut(id) else { return };
        let served = body.serves();
        let tag = &self.groups[group].tag;
        match how {
            Fault::Stopped => body.put_to_rest(rest),
            Fault::Moving if self.setting.on_the_wire() => {}
            Fault::Moving => body.move_about(drawn),
            Fault::HostDown => body.lose_its_host(),
            Fault::Renamed => body.server.name = format!("web-{drawn}"),
            Fault::Untagged => body.server.tags.retain(|t| !tag.same(t)),
            Fault::Kept if toggled => body.server.locked = !body.server.locked,
            Fault::Kept => body.protect(),
            _ => {}
        }
        if how != Fault::Renamed {
            body.touched = now;
        }
        if how == Fault::Vanish {
            state.bodies.remove(id);
        }
        if matches!(how, Fault::Vanish | Fault::Untagged) {
            state.oracle.groups[group].melt.took(id);
        }
        let serves = |b: &Body| b.serves() && b.server.has_tag(tag);
        if served && !state.bodies.get(id).is_some_and(serves) {
            state.oracle.groups[group].harm.push(now);
        }
        drop(state);
        self.nova.event(41, how as u64, || format!("group {group}: {id}: {how:?}"));
    }
}

impl Body {
    fn put_to_rest(&mut self, how: usize) {
        const RESTS: [Status; 4] =
            [Status::Shutoff, Status::Paused, Status::Rescue, Status::ShelvedOffloaded];
        if self.serves() {
            self.server.status = RESTS[how].clone();
        } else if self.rests() {
            self.server.status = Status::Active;
        }
    }

    /// It serves on, under another word.
    fn move_about(&mut self, how: usize) {
        const MOVES: [Status; 4] =
            [Status::Migrating, Status::Resize, Status::Reboot, Status::Password];
        if self.server.status == Status::Active {
            self.server.status = MOVES[how].clone();
        } else if self.serves() {
            self.server.status = Status::Active;
        }
    }

    fn lose_its_host(&mut self) {
        if self.serves() {
            self.server.status = Status::Unknown;
        } else if self.server.status == Status::Unknown {
            self.server.status = Status::Active;
        }
    }

    fn protect(&mut self) {
        if self.server.metadata.remove(mark::PROTECT).is_none() {
            self.server.metadata.insert(mark::PROTECT.to_owned(), "yes".to_owned());
        }
    }
}

/// Each of these begins or ends; who strikes next is drawn by the fault's own dice.
impl World {
    fn change_weather(&self, code: u64, change: impl FnOnce(&mut Weather) -> String) {
        let said = change(&mut self.nova.state().weather);
        self.nova.event(code, said.len() as u64, || said);
    }

    fn draw(&self, fault: Fault, below: usize) -> usize {
        let mut state = self.nova.state();
        state.faults.dice(fault).below(u32::try_from(below).unwrap()) as usize
    }

    fn cell_down(&mut self) {
        self.change_weather(42, |weather| {
            weather.far_cell_down = !weather.far_cell_down;
            format!("the far cell is down: {}", weather.far_cell_down)
        });
    }

    fn small_quota(&mut self) {
        if self.draw(Fault::SmallQuota, 5) > 0 {
            return;
        }
        let quota = u32::try_from(self.draw(Fault::SmallQuota, 16)).unwrap();
        self.change_weather(43, |weather| {
            weather.quota = Some(quota);
            format!("quota: {quota}")
        });
    }

    fn zone_full(&mut self) {
        let zone = ZONES[self.draw(Fault::ZoneFull, ZONES.len())];
        self.change_weather(47, |weather| {
            let zone = Zone::new(zone).unwrap();
            weather.zone_full = if weather.zone_full.is_some() { None } else { Some(zone) };
            format!("the full zone: {:?}", weather.zone_full)
        });
    }

    fn flavor_out(&mut self) {
        let flavor = FLAVORS[self.draw(Fault::FlavorOut, FLAVORS.len())].to_owned();
        self.change_weather(48, |weather| {
            weather.flavor_out = if weather.flavor_out.is_some() { None } else { Some(flavor) };
            format!("the flavor that has run out: {:?}", weather.flavor_out)
        });
    }

    fn flavor_gone(&mut self) {
        let flavor = FLAVORS[self.draw(Fault::FlavorGone, FLAVORS.len())].to_owned();
        self.change_weather(49, |weather| {
            weather.flavor_gone = if weather.flavor_gone.is_some() { None } else { Some(flavor) };
            format!("the flavor that is no more: {:?}", weather.flavor_gone)
        });
    }

    fn image_gone(&mut self) {
        self.change_weather(51, |weather| {
            weather.image_gone = !weather.image_gone;
            format!("the image is gone: {}", weather.image_gone)
        });
    }

    fn until(&self, fault: Fault) -> (Steady, Steady) {
        let now = self.clock.now().steady;
        let span = self.nova.state().faults.dice(fault).millis(10_000, 900_000);
        (now, now.plus(span))
    }

    fn signed_out(&mut self) {
        let (now, until) = self.until(Fault::SignedOut);
        self.change_weather(52, |weather| {
            weather.signed_out = until;
            weather.dark.get_or_insert(now);
            format!("every call is refused for {} s", until.since(now).as_secs())
        });
    }

    fn outage(&mut self) {
        let (now, until) = self.until(Fault::Outage);
        self.change_weather(53, |weather| {
            weather.outage = until;
            weather.dark.get_or_insert(now);
            format!("nothing answers for {} s", until.since(now).as_secs())
        });
    }

    fn clock_jump(&mut self) {
        let by = self.draw(Fault::ClockJump, 7_200_000) as i64 - 3_600_000;
        self.clock.jump(by);
        self.nova.event(44, by.unsigned_abs(), || format!("the wall clock jumps by {by} ms"));
    }
}
