//! The end of every world: the faults stop, and the fleet must come to what is desired and then
//! fall silent (I5, I9, I15).
//!
//! What a group can do without stays broken: one of two zones, one of two flavors.

use std::time::Duration;

use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use novascale::domain::time::{Clock, Steady};

use super::policies::HEAT;
use super::reference::Fleet;
use super::servers::{Body, Fate, HANGS, State, Weather};
use super::world::{FLAVORS, SIGNAL, World};

/// Long enough for a launch that nobody heard of again, a build that never ends, and the way
/// down one by one after it.
const CONVERGES_WITHIN: Duration = Duration::from_secs(3 * 3600);
/// Passes of all groups within that.
const CONVERGES_IN: u32 = 2_500;
/// A fleet that changes nothing for so long is at rest.
const AT_REST: Duration = Duration::from_secs(600);
/// Everybody measures so often.
const FED_EVERY: Duration = Duration::from_secs(60);

impl World {
    pub fn come_to_rest(&mut self) {
        self.calm_down();
        let (begin, first) = (self.clock.now().steady, self.passes);
        // What would only be looked at again is skipped, but not in every world.
        let hurried = !self.people.percent(12);
        let (mut still, mut quiet_since) = (self.shape(), begin);
        let mut fed = Steady(0);
        while self.clock.now().steady.since(begin) < CONVERGES_WITHIN
            && self.passes - first < CONVERGES_IN
            && self.trace.sound()
        {
            if self.clock.now().steady.since(fed) >= FED_EVERY {
                self.feed();
                self.look_in();
                fed = self.clock.now().steady;
            }
            if hurried && self.machine.still() {
                self.skip_idle_looks(fed.plus(FED_EVERY));
            }
            self.next_happening = HANGS;
            self.step();
            let shape = self.shape();
            if shape != still {
                (still, quiet_since) = (shape, self.clock.now().steady);
            }
            let at_rest = self.clock.now().steady.since(quiet_since) > AT_REST;
            if at_rest && self.unlike().is_none() {
                return;
            }
        }
        if let Some((invariant, unlike)) = self.unlike() {
            self.trace.broken(self.clock.now().steady, invariant, &unlike);
        } else if self.trace.sound() {
            self.trace.broken(self.clock.now().steady, "I15", "the fleet does not come to rest");
        }
    }

    /// While no pass has anything to do, nothing happens in the cloud, nobody writes and no
    /// decision asked for a look, every listing would show the same: the next one is made when
    /// something of that is due.
    fn skip_idle_looks(&mut self, fed: Steady) {
        let happens = self.nova.state().next;
        let due = self.machine.next_look().min(happens).min(fed);
        self.machine.look_at(due.max(self.machine.next_listing));
    }

    /// Which servers there are, which of them are on their way out, and how many changes were
    /// asked for so far.
    fn shape(&self) -> (u64, usize, usize) {
        let state = self.nova.state();
        let leaving = state.bodies.values().filter(|body| body.deleting()).count();
        (state.changes, state.bodies.len(), leaving)
    }

    /// The faults stop, what hangs goes on, and people put right what they did.
    fn calm_down(&mut self) {
        self.nova.event(50, 0, || "calm".to_owned());
        self.come_to_a_quiet_hour();
        let now = self.clock.now().steady;
        let stays_broken = self.people.percent(50);
        let mut state = self.nova.state();
        state.faults.stop();
        state.bodies.values_mut().for_each(|body| body.put_right(now));
        state.happens_at(now);
        for watch in &mut state.oracle.groups {
            watch.harm.push(now);
        }
        self.clear_up(&mut state, stays_broken);
        drop(state);
        // What went wrong in a process must not need another one to come right.
        if (0..self.groups.len()).any(|group| self.absent(group)) || self.people.percent(50) {
            self.all_present();
        }
        for group in 0..self.groups.len() {
            self.let_go(group);
            self.post_what_was_held(group);
            self.calm_gauges(group);
            self.order(group, Command::Unpin);
            self.order(group, Command::Confirm { max: self.groups[group].max_ever() });
        }
    }

    fn clear_up(&self, state: &mut State, stays_broken: bool) {
        let only = self.groups.iter().filter(|group| group.template.flavors.len() == 1);
        let needed = if only.count() > 0 { Some(FLAVORS[0]) } else { None };
        let Weather { zone_full, flavor_out, flavor_gone, .. } = std::mem::take(&mut state.weather);
        let spare = |flavor: &String| stays_broken && needed != Some(flavor.as_str());
        let weather = &mut state.weather;
        weather.zone_full = zone_full.filter(|_| stays_broken);
        weather.flavor_out = flavor_out.filter(spare);
        let other = weather.flavor_out.clone();
        weather.flavor_gone = flavor_gone.filter(spare).filter(|_| other.is_none());
    }

    /// Everybody measures the load that was measured last.
    fn feed(&mut self) {
        for group in 0..self.groups.len() {
            let load = self.post.boxes[group].reference.loads.get(SIGNAL).copied();
            self.measure(group, load.unwrap_or(0.0));
            self.feed_gauges(group);
        }
    }

    /// How the fleets differ from what they should be.
    fn unlike(&self) -> Option<(&'static str, String)> {
        (0..self.groups.len()).find_map(|group| self.unlike_of(group))
    }

    fn unlike_of(&self, at: usize) -> Option<(&'static str, String)> {
        let reference = &self.post.boxes[at].reference;
        let latest = self.machine.latest(at);
        let mut state = self.nova.state();
        let (bounds, scheduled) = state.oracle.groups[at].in_force(self.clock.now().wall);
        let desired = state.oracle.groups[at].desired.map(|(desired, _)| desired);
        let serving = state.serving(at);
        let fleet = Fleet {
            group: &self.groups[at],
            bounds,
            scheduled,
            desired: desired.unwrap_or(0),
            serving,
            heat: self.how(at, HEAT),
            firing: self.post.boxes[at].gauges.firing(),
            told: latest.as_ref().map_or(&[], |decision| &decision.claims),
        };
        let wanted = reference.desired(&fleet);
        if desired != Some(wanted) {
            let said = format!("group {at}: desired is {desired:?}, the reference says {wanted}");
            return Some(("I9", said));
        }
        let members = state.members(at).count();
        let foreign = state.members(at).filter(|body| body.foreign()).count();
        let expected = (wanted as usize).max(foreign);
        if members != expected || serving != expected {
            let said = format!(
                "group {at}: {members} members of which {serving} serve, {expected} expected"
            );
            return Some((if serving < members { "I5" } else { "I15" }, said));
        }
        None
    }
}

impl Body {
    fn put_right(&mut self, now: Steady) {
        self.touched = now;
        if self.gone == Some(HANGS) || self.soft() {
            self.gone = Some(now);
        }
        if self.rests() || self.serves() || self.server.status == Status::Unknown {
            self.server.status = Status::Active;
        }
        if matches!(self.fate, Fate::Never | Fate::Stopped | Fate::Unknown)
            && self.server.status == Status::Build
        {
            self.fate = Fate::Active;
        }
        self.server.locked = false;
        self.server.metadata.remove(novascale::domain::id::mark::PROTECT);
    }
}
