//! What senders and operators write, and what they do when they get no answer: the same again,
//! under the same key, until it is taken.

use std::collections::VecDeque;
use std::time::Duration;

use novascale::domain::group::Group;
use novascale::domain::id::{ServerId, SignalName};
use novascale::domain::signal::{Command, Ordered, Sample, Value};
use novascale::domain::time::{Clock, Now, Steady};
use novascale::store::{Admit, Admitted, IdempotencyKey, Identified, StoreError, What};

use super::dice::Dice;
use super::reference::Reference;
use super::world::{SIGNAL, World};

pub struct Post {
    pub boxes: Vec<Box>,
    pub dice: Dice,
    serial: u64,
}

/// One group's letters, and what they should come to.
#[derive(Default)]
pub struct Box {
    pub reference: Reference,
    /// Sent and not answered: nothing else is ordered before it is.
    pending: VecDeque<Letter>,
    /// Answered; it may be sent again all the same.
    done: VecDeque<Letter>,
    pub silent_until: Steady,
    /// Each server reports its share of the load, and nobody the whole.
    pub shared: bool,
    /// When the load of the reference was measured.
    measured: Option<Now>,
}

#[derive(Clone)]
struct Letter {
    what: What,
    key: IdempotencyKey,
    /// The whole load that it tells of.
    load: Option<f64>,
}

impl Post {
    /// Only where some server always stands can servers be the ones who report.
    pub fn new(groups: &[Group], mut dice: Dice) -> Self {
        let boxes = groups.iter().map(|group| {
            let shared = dice.percent(40) && group.bounds.min > 0;
            Box { shared, ..Box::default() }
        });
        Self { boxes: boxes.collect(), dice, serial: 0 }
    }

    /// The controller's state is gone, and with it all that was answered.
    pub fn forget(&mut self) {
        for of in &mut self.boxes {
            (of.reference, of.measured) = (Reference::default(), None);
            of.done.clear();
        }
    }

    fn key(&mut self) -> IdempotencyKey {
        self.serial += 1;
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&self.serial.to_le_bytes());
        IdempotencyKey { key: format!("k{}", self.serial), digest }
    }
}

impl World {
    /// A sample of the group's load.
    pub fn measure(&mut self, group: usize, load: f64) {
        let now = self.clock.now();
        let key = self.post.key();
        let senders = self.senders(group);
        let each = load / senders.len().max(1) as f64;
        let sample = |server: Option<ServerId>| {
            let (name, value) = (SignalName::new(SIGNAL).unwrap(), Value::new(each).unwrap());
            let id = Some(format!("{}-{server:?}", key.key));
            Identified { sample: Sample { name, value, at: now.wall, received: now, server }, id }
        };
        let samples: Vec<Identified> = senders.into_iter().map(sample).collect();
        self.nova.event(30, group as u64, || {
            format!("group {group}: load {load} in {} samples", samples.len())
        });
        if !samples.is_empty() {
            let what = What::Samples(samples, Default::default());
            self.send(group, Letter { what, key, load: Some(load) });
        }
    }

    /// Who measures: somebody for the whole group, or each server that serves.
    fn senders(&self, group: usize) -> Vec<Option<ServerId>> {
        if !self.post.boxes[group].shared {
            return vec![None];
        }
        let state = self.nova.state();
        let serving = state.bodies.values().filter(|b| state.member(b, group) && b.serves());
        serving.map(|body| Some(body.server.id.clone())).collect()
    }

    pub fn order(&mut self, group: usize, command: Command) {
        let now = self.clock.now();
        let key = self.post.key();
        self.nova.event(31, group as u64, || format!("group {group}: {command:?}"));
        let order = Ordered { command, at: now, by: "sim".into(), reason: None };
        let what = What::Command(order, self.groups[group].bounds);
        self.send(group, Letter { what, key, load: None });
    }

    /// Sends what is pending, the oldest first, as far as it is answered.
    pub fn deliver(&mut self, group: usize) {
        while let Some(letter) = self.post.boxes[group].pending.front().cloned() {
            if !self.admit(group, &letter) {
                return;
            }
            let of = &mut self.post.boxes[group];
            of.pending.pop_front();
            of.done.push_back(letter);
            if of.done.len() > 20 {
                of.done.pop_front();
            }
        }
    }

    /// Something that was answered comes again.
    pub fn replay(&mut self, group: usize) {
        let done: Vec<Letter> = self.post.boxes[group].done.iter().cloned().collect();
        let Some(letter) = self.post.dice.pick(&done).cloned() else { return };
        self.nova.event(32, group as u64, || format!("group {group}: a letter comes again"));
        self.submit(group, &letter);
    }

    fn send(&mut self, group: usize, letter: Letter) {
        self.post.boxes[group].pending.push_back(letter);
        self.deliver(group);
    }

    /// Whether it was taken. Each counts in the reference when it is answered first.
    fn admit(&mut self, group: usize, letter: &Letter) -> bool {
        let at = self.clock.now();
        let answer = self.submit(group, letter);
        self.may_count(group, letter, at);
        if !matches!(answer, Some(Ok(Admitted::Stored { .. } | Admitted::Repeated { .. }))) {
            return false;
        }
        self.taken(group, letter);
        self.machine.nudge(group);
        true
    }

    fn submit(&mut self, group: usize, letter: &Letter) -> Option<Result<Admitted, StoreError>> {
        let name = self.groups[group].name.clone();
        let at = self.clock.now();
        let what = match letter.what.clone() {
            What::Command(order, _) => {
                What::Command(Ordered { at, ..order }, self.groups[group].bounds)
            }
            samples => samples,
        };
        let admit = Admit { group: name, what, key: Some(letter.key.clone()), at };
        let (store, lease) = (self.machine.parts.store.clone(), self.machine.parts.lease.clone());
        let call = std::boxed::Box::pin(async move { store.admit(&lease, admit).await });
        self.nova.gate.run(call)
    }

    /// What was refused may have been kept all the same: the oracle grants it.
    fn may_count(&mut self, group: usize, letter: &Letter, at: Now) {
        let mut state = self.nova.state();
        let watch = &mut state.oracle.groups[group];
        match &letter.what {
            What::Command(order, _) => {
                watch.ordered = at.steady;
                if let Command::Confirm { max } = order.command {
                    watch.cut.confirmed = Some(max);
                }
            }
            What::Samples(samples, _) => {
                watch.fed = watch.fed.max(Some(samples[0].sample.received.steady));
            }
        }
    }

    fn taken(&mut self, group: usize, letter: &Letter) {
        let bounds = self.groups[group].bounds;
        let of = &mut self.post.boxes[group];
        match &letter.what {
            What::Command(order, _) => of.reference.order(&order.command, bounds),
            What::Samples(samples, _) => {
                let sample = &samples[0].sample;
                let received = sample.received;
                if of.measured.is_none_or(|last| last.steady <= received.steady) {
                    of.reference.load = letter.load;
                    of.measured = Some(received);
                }
            }
        }
    }

    /// A group's senders say nothing for a while.
    pub fn hush(&mut self, group: usize) {
        let span = Duration::from_secs(u64::from(self.post.dice.between(30, 900)));
        self.post.boxes[group].silent_until = self.clock.now().steady.plus(span);
        self.nova.event(33, group as u64, || {
            format!("group {group}: its senders are silent for {} s", span.as_secs())
        });
    }
}
