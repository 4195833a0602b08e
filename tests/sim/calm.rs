//! The end of every world: the faults stop, and the fleet must come to what is desired and then
//! fall silent (I5, I9, I15).

use std::time::Duration;

use novascale::domain::id::mark;
use novascale::domain::server::Status;
use novascale::domain::signal::Command;
use novascale::domain::time::{Clock, Steady};

use super::faults::Faults;
use super::nova::{Body, Fate, HANGS};
use super::world::{PER_SERVER, World};

/// Long enough for a launch that nobody heard of again, a build that never ends, and the way
/// down one by one after it.
const CONVERGES_WITHIN: Duration = Duration::from_secs(3 * 3600);
/// A fleet that changes nothing for so long is at rest.
const AT_REST: Duration = Duration::from_secs(600);

impl World {
    pub fn come_to_rest(&mut self) {
        self.calm_down();
        let begin = self.clock.now().steady;
        let (mut still, mut quiet_since) = (self.shape(), begin);
        let mut fed = Steady(0);
        while self.clock.now().steady.since(begin) < CONVERGES_WITHIN && self.trace.sound() {
            let now = self.clock.now().steady;
            if now.since(fed) > Duration::from_secs(60) {
                self.feed();
                self.look_in();
                fed = now;
            }
            self.next_happening = now.plus(Duration::from_secs(61));
            self.step_calmly();
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

    fn step_calmly(&mut self) {
        let (due, _) = self.machine.due();
        if due < self.next_happening {
            self.step();
        } else {
            let now = self.clock.now().steady;
            self.clock.pass(self.next_happening.since(now));
            self.nova.tick();
        }
    }

    /// Which servers there are, which of them are on their way out, and how many changes were
    /// asked for so far.
    fn shape(&self) -> (u64, Vec<(String, bool)>) {
        let state = self.nova.state();
        let bodies = state.bodies.values().map(|b| (b.server.id.to_string(), b.deleting()));
        (state.changes, bodies.collect())
    }

    /// The faults stop, what hangs goes on, and people put right what they did.
    fn calm_down(&mut self) {
        self.nova.event(50, 0, || "calm".to_owned());
        let now = self.clock.now().steady;
        let mut state = self.nova.state();
        state.faults = Faults::none();
        state.quota = u32::MAX;
        state.far_cell_down = false;
        for body in state.bodies.values_mut() {
            body.touched = now;
            if body.gone == Some(HANGS) || body.soft() {
                body.gone = Some(now);
            }
            if body.server.status == Status::Shutoff {
                body.server.status = Status::Active;
            }
            if body.fate == Fate::Never && body.server.status == Status::Build {
                body.fate = Fate::Active;
            }
            body.server.locked = false;
            body.server.metadata.remove(mark::PROTECT);
        }
        for watch in &mut state.oracle.groups {
            watch.harm.push(now);
        }
        drop(state);
        // What went wrong in a process must not need another one to come right.
        if self.people.percent(50) {
            self.restart(self.groups.clone());
        }
        for group in 0..self.groups.len() {
            self.deliver(group);
            self.order(group, Command::Unpin);
            self.let_go(group);
            self.order(group, Command::Confirm { max: self.groups[group].bounds.max });
        }
        self.feed();
    }

    /// Everybody measures the load that was measured last.
    fn feed(&mut self) {
        for group in 0..self.groups.len() {
            let load = self.post.boxes[group].reference.load.unwrap_or(0.0);
            self.measure(group, load);
        }
    }

    /// How the fleets differ from what they should be.
    fn unlike(&self) -> Option<(&'static str, String)> {
        (0..self.groups.len()).find_map(|group| self.unlike_of(group))
    }

    fn unlike_of(&self, at: usize) -> Option<(&'static str, String)> {
        let group = &self.groups[at];
        let measured = !group.policies.is_empty();
        let mut reference = self.post.boxes[at].reference.clone();
        reference.load = reference.load.filter(|_| measured);
        let wanted = reference.desired(group.bounds, PER_SERVER);
        let state = self.nova.state();
        let desired = state.oracle.groups[at].desired.map(|(desired, _)| desired);
        if desired != Some(wanted) {
            let said = format!("group {at}: desired is {desired:?}, the reference says {wanted}");
            return Some(("I9", said));
        }
        let members: Vec<_> = state.bodies.values().filter(|b| state.member(b, at)).collect();
        let marked = |b: &Body| b.server.metadata.contains_key(mark::INSTALL);
        let by_hand = |b: &&&Body| b.server.id.as_str().starts_with('h') && !marked(b);
        let foreign = members.iter().filter(by_hand).count();
        let serving = members.iter().filter(|b| b.serves()).count();
        let expected = (wanted as usize).max(foreign);
        if members.len() != expected || serving != expected {
            let said = format!(
                "group {at}: {} members of which {serving} serve, {expected} expected",
                members.len()
            );
            return Some((if serving < members.len() { "I5" } else { "I15" }, said));
        }
        None
    }
}
