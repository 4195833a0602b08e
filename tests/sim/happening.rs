//! Everything that happens between two passes: senders send, people meddle, machines fail.

use std::collections::BTreeSet;

use novascale::domain::adoption::Adoptees;
use novascale::domain::id::{Owner, ServerId, mark};
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use novascale::domain::time::Clock;

use super::faults::Fault;
use super::nova::Body;
use super::world::{World, bounds, hash};

impl World {
    pub fn happen(&mut self) {
        for group in 0..self.groups.len() {
            self.deliver(group);
            self.hear_from(group);
            self.meddle(group);
            self.brake(group);
        }
        self.weather();
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        let percent = self.fault(fault);
        self.people.percent(percent)
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
        if self.people.percent(18) {
            let command = self.command();
            self.order(group, command);
        }
        if self.strikes(Fault::Replays) {
            self.replay(group);
        }
        let cut_waits = self.nova.state().oracle.groups[group].cut.waits;
        if cut_waits && self.people.percent(8) {
            self.order(group, Command::Confirm { max: self.groups[group].bounds.max });
        }
    }

    fn command(&mut self) -> Command {
        let until = self.clock.now().plus(self.people.millis(10_000, 900_000));
        let owner = Owner::new(*self.people.pick(&["night", "batch"]).unwrap()).unwrap();
        match self.people.below(13) {
            0 | 1 => Command::Set { capacity: self.people.below(14) },
            2..=4 => Command::Adjust { by: i64::from(self.people.below(9)) - 4 },
            5 => Command::Percent { by: f64::from(self.people.below(200)) - 80.0 },
            6 => Command::Pin { capacity: self.people.below(12), until: None },
            7 => Command::Pin { capacity: self.people.below(12), until: Some(until) },
            8 | 9 => Command::Reserve { owner, capacity: self.people.below(12), until },
            10 => Command::Release { owner },
            _ => Command::Unpin,
        }
    }

    fn meddle(&mut self, group: usize) {
        for fault in [Fault::Vanish, Fault::Stopped, Fault::Untagged, Fault::Kept] {
            if self.strikes(fault)
                && let Some(id) = self.some_member(group)
            {
                self.harm(group, &id, fault);
            }
        }
        if !self.strikes(Fault::TaggedByHand) {
            return;
        }
        if self.foreign(group) == 2 {
            self.adopt(group);
        } else {
            let of = self.groups[group].clone();
            let now = self.clock.now();
            self.nova.state().add_by_hand(&of.tag, &of.region, now);
            self.nova.event(40, group as u64, || format!("group {group}: one is tagged by hand"));
        }
    }

    /// An operator orders every server that was tagged by hand to be adopted.
    fn adopt(&mut self, group: usize) {
        let mut state = self.nova.state();
        let by_hand = state.bodies.values().filter(|body| state.member(body, group));
        let ids = by_hand.map(|body| body.server.id.clone());
        let servers: BTreeSet<ServerId> = ids.filter(|id| id.as_str().starts_with('h')).collect();
        state.oracle.groups[group].adoptees.extend(servers.iter().cloned());
        drop(state);
        self.order(group, Command::Adopt(Adoptees::Servers { servers, untagged: false }));
    }

    fn some_member(&mut self, group: usize) -> Option<ServerId> {
        let state = self.nova.state();
        let members: Vec<ServerId> = state
            .bodies
            .values()
            .filter(|body| state.member(body, group))
            .map(|body| body.server.id.clone())
            .collect();
        drop(state);
        self.people.pick(&members).cloned()
    }

    fn foreign(&self, group: usize) -> usize {
        let state = self.nova.state();
        let foreign = |id: &ServerId| id.as_str().starts_with('h');
        let members = state.bodies.values().filter(|body| state.member(body, group));
        members.filter(|body| foreign(&body.server.id)).count()
    }

    fn harm(&mut self, group: usize, id: &ServerId, how: Fault) {
        let now = self.clock.now().steady;
        let toggled = self.people.percent(50);
        let mut state = self.nova.state();
        let Some(body) = state.bodies.get_mut(id) else { return };
        let served = body.serves();
        body.touched = now;
        let tag = &self.groups[group].tag;
        match how {
            Fault::Stopped if body.serves() => body.server.status = Status::Shutoff,
            Fault::Stopped if body.server.status == Status::Shutoff => {
                body.server.status = Status::Active;
            }
            Fault::Untagged => body.server.tags.retain(|t| !tag.same(t)),
            Fault::Kept if toggled => body.server.locked = !body.server.locked,
            Fault::Kept if body.server.metadata.remove(mark::PROTECT).is_none() => {
                body.server.metadata.insert(mark::PROTECT.to_owned(), "yes".to_owned());
            }
            Fault::Vanish => _ = state.bodies.remove(id),
            _ => {}
        }
        let serves = |b: &Body| b.serves() && b.server.has_tag(tag);
        if served && !state.bodies.get(id).is_some_and(serves) {
            state.oracle.groups[group].harm.push(now);
        }
        drop(state);
        self.nova.event(41, how as u64, || format!("group {group}: {id}: {how:?}"));
    }

    /// What befalls cloud and controller as a whole.
    fn weather(&mut self) {
        if self.strikes(Fault::CellDown) {
            let down = !self.nova.state().far_cell_down;
            self.nova.state().far_cell_down = down;
            self.nova.event(42, u64::from(down), || format!("the far cell is down: {down}"));
        }
        if self.strikes(Fault::SmallQuota) && self.people.percent(20) {
            let quota = self.people.below(16);
            self.nova.state().quota = quota;
            self.nova.event(43, u64::from(quota), || format!("quota: {quota}"));
        }
        if self.strikes(Fault::ClockJump) {
            let by = i64::from(self.people.below(7_200_000)) - 3_600_000;
            self.clock.jump(by);
            self.nova.event(44, by.unsigned_abs(), || format!("the wall clock jumps by {by} ms"));
        }
        if self.strikes(Fault::NewConfig) {
            self.reconfigure();
        }
        if self.strikes(Fault::StartedTwice) {
            self.start_twice();
        }
        if self.strikes(Fault::StateLost) && self.people.percent(30) {
            self.lose_state();
        }
    }

    /// Other bounds, perhaps another template, by a restart.
    fn reconfigure(&mut self) {
        let at = self.people.below(u32::try_from(self.groups.len()).unwrap()) as usize;
        self.groups[at].bounds = bounds(&mut self.people);
        if self.post.boxes[at].shared {
            self.groups[at].bounds.min = self.groups[at].bounds.min.max(1);
        }
        self.groups[at].config_hash = hash(&mut self.people);
        if self.people.percent(50) {
            self.groups[at].template.hash = hash(&mut self.people);
        }
        let group = self.groups[at].clone();
        self.nova.event(45, at as u64, || format!("group {at}: now {:?}", group.bounds));
        let mut state = self.nova.state();
        state.oracle.groups[at].reconfigure(group);
        drop(state);
        self.restart(self.groups.clone());
    }
}
