//! What senders write, and what they do when they get no answer: the same again, under the same
//! key, until it is taken. What strangers write is refused at the door.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use novascale::domain::group::Group;
use novascale::domain::id::{ServerId, SignalName};
use novascale::domain::signal::{AHEAD_MOST, Command, Ordered, Sample, Value};
use novascale::domain::time::{Clock, Now, Steady};
use novascale::store::{Admit, Admitted, IdempotencyKey, Identified, StoreError, What};

use super::broken::Broken;
use super::dice::Dice;
use super::faults::Fault;
use super::gauges::Gauges;
use super::policies::Rules;
use super::reference::Reference;
use super::world::{SIGNAL, World};

pub struct Post {
    pub boxes: Vec<Box>,
    pub dice: Dice,
    /// Of what is measured beside the load.
    pub gauges: Dice,
    serial: u64,
}

/// One group's letters, and what they should come to.
pub struct Box {
    pub reference: Reference,
    /// Sent and not answered: nothing else is ordered before it is.
    pending: VecDeque<Letter>,
    /// Measured, and still on the way: later ones overtake them.
    held: Vec<Letter>,
    /// Answered; it may be sent again all the same.
    done: VecDeque<Letter>,
    pub silent_until: Steady,
    /// Each server reports its share of the load, and nobody the whole.
    pub shared: bool,
    pub gauges: Gauges,
    /// When the loads of the reference were measured.
    measured: BTreeMap<&'static str, Now>,
}

#[derive(Clone)]
struct Letter {
    what: What,
    key: IdempotencyKey,
    written: Now,
    /// The signal and the whole load that it tells of.
    load: Option<(&'static str, f64)>,
}

impl Post {
    /// Only where some server always stands can servers be the ones who report.
    pub fn new(groups: &[Group], mut dice: Dice, rules: &Rules, gauges: Dice) -> Self {
        let boxes = groups.iter().zip(&rules.how).map(|(group, how)| {
            let shared = dice.percent(40) && group.bounds.min > 0;
            let (reference, pending, held, done, measured) = Default::default();
            let (silent_until, gauges) = (Steady(0), Gauges::new(*how));
            Box { reference, pending, held, done, silent_until, shared, gauges, measured }
        });
        Self { boxes: boxes.collect(), dice, gauges, serial: 0 }
    }

    /// The controller's state is gone, and with it all that was answered.
    pub fn forget(&mut self) {
        for of in &mut self.boxes {
            (of.reference, of.measured) = Default::default();
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

impl Box {
    /// Everything that was sent has been answered.
    pub fn empty(&self) -> bool {
        self.pending.is_empty()
    }
}

impl World {
    /// A sample of the group's load.
    pub fn measure(&mut self, group: usize, load: f64) {
        self.measure_of(group, SIGNAL, load);
    }

    pub fn measure_of(&mut self, group: usize, signal: &'static str, load: f64) {
        let now = self.clock.now();
        let key = self.post.key();
        let samples = self.samples(group, (signal, load), &key);
        self.nova.event(30, group as u64, || {
            format!("group {group}: {signal} {load} in {} samples", samples.len())
        });
        if samples.is_empty() {
            return;
        }
        let what = What::Samples(samples, Default::default());
        let letter = Letter { what, key, written: now, load: Some((signal, load)) };
        if self.strikes(Fault::Reordered) {
            self.post.boxes[group].held.push(letter);
        } else {
            self.send(group, letter);
        }
    }

    fn samples(
        &self,
        group: usize,
        (signal, load): (&str, f64),
        key: &IdempotencyKey,
    ) -> Vec<Identified> {
        let received = self.clock.now();
        let sample = |(server, value): (Option<ServerId>, f64)| {
            let (name, value) = (SignalName::new(signal).unwrap(), Value::new(value).unwrap());
            let id = Some(format!("{}-{server:?}", key.key));
            let at = received.wall;
            Identified { sample: Sample { name, value, at, received, server }, id }
        };
        self.values(group, signal, load).into_iter().map(sample).collect()
    }

    pub fn order(&mut self, group: usize, command: Command) {
        self.order_late(group, command, false);
    }

    /// It may come late, where that may not matter.
    pub fn order_late(&mut self, group: usize, command: Command, late: bool) {
        let now = self.clock.now();
        let key = self.post.key();
        self.nova.event(31, group as u64, || format!("group {group}: {command:?}"));
        let order = Ordered { command, at: now, by: "sim".into(), reason: None };
        let what = What::Command(order, self.bounds(group));
        let letter = Letter { what, key, written: now, load: None };
        if late && self.strikes(Fault::Reordered) {
            self.post.boxes[group].held.push(letter);
        } else {
            self.send(group, letter);
        }
    }

    /// Sends what is pending, the oldest first, as far as it is answered; then what was held up.
    pub fn deliver(&mut self, group: usize) {
        self.deliver_pending(group);
        if self.post.dice.percent(30) {
            self.post_what_was_held(group);
        }
    }

    /// It arrives, after what was written later.
    pub fn post_what_was_held(&mut self, group: usize) {
        let mut held = std::mem::take(&mut self.post.boxes[group].held);
        held.reverse();
        self.post.boxes[group].pending.extend(held);
        self.deliver_pending(group);
    }

    fn deliver_pending(&mut self, group: usize) {
        while let Some(letter) = self.post.boxes[group].pending.front().cloned() {
            let refused = self.is_of_the_future(&letter);
            if !refused && !self.admit(group, &letter) {
                return;
            }
            let of = &mut self.post.boxes[group];
            of.pending.pop_front();
            of.done.extend(Some(letter).filter(|_| !refused));
            if of.done.len() > 20 {
                of.done.pop_front();
            }
        }
    }

    /// Something that was answered comes again.
    pub fn replay(&mut self, group: usize) {
        let done = self.post.boxes[group].done.len();
        if done == 0 {
            return;
        }
        let at = self.post.dice.below(u32::try_from(done).unwrap()) as usize;
        let letter = self.post.boxes[group].done[at].clone();
        self.nova.event(32, group as u64, || format!("group {group}: a letter comes again"));
        let what = self.arrived(letter.what);
        self.submit(group, what, letter.key);
    }

    /// A sender runs wild: hundreds of letters at once, most of them known.
    pub fn storm(&mut self, group: usize) {
        self.nova.event(34, group as u64, || format!("group {group}: a storm of letters"));
        for _ in 0..self.post.dice.between(5, 60) {
            self.replay(group);
            self.machine.nudge(group);
        }
    }

    fn send(&mut self, group: usize, letter: Letter) {
        self.post.boxes[group].pending.push_back(letter);
        self.deliver_pending(group);
    }

    /// Whether it was taken. Each counts in the reference when it is answered first.
    fn admit(&mut self, group: usize, letter: &Letter) -> bool {
        let what = self.arrived(letter.what.clone());
        self.may_count(group, &what);
        let answer = self.submit(group, what, letter.key.clone());
        if !matches!(answer, Some(Ok(Admitted::Stored { .. } | Admitted::Repeated { .. }))) {
            return false;
        }
        self.taken(group, letter);
        self.machine.nudge(group);
        true
    }

    /// The door refuses a sample whose time lies ahead of its own clock by more than clocks differ.
    fn is_of_the_future(&self, letter: &Letter) -> bool {
        let limit = self.clock.now().wall.plus(AHEAD_MOST);
        letter.load.is_some() && letter.written.wall > limit
    }

    fn submit(
        &mut self,
        group: usize,
        what: What,
        key: IdempotencyKey,
    ) -> Option<Result<Admitted, StoreError>> {
        if self.absent(group) {
            return None;
        }
        let answer = self.store(group, what, Some(key))?;
        // What waits to be synced is not answered before it is.
        if self.strikes(Fault::SlowDisk) {
            return None;
        }
        self.store.sync();
        Some(answer)
    }

    /// It comes in now, whenever it was written; but a command counts by the bounds that held when
    /// it was written, so that it is plain which they are however long it is on its way.
    fn arrived(&self, what: What) -> What {
        let at = self.clock.now();
        match what {
            What::Command(order, bounds) => What::Command(Ordered { at, ..order }, bounds),
            What::Samples(mut samples, read) => {
                samples.iter_mut().for_each(|identified| identified.sample.received = at);
                What::Samples(samples, read)
            }
        }
    }

    fn store(
        &self,
        group: usize,
        what: What,
        key: Option<IdempotencyKey>,
    ) -> Option<Result<Admitted, StoreError>> {
        let (group, at) = (self.groups[group].name.clone(), self.clock.now());
        let admit = Admit { group, what, key, at };
        let (store, lease) = (self.machine.parts.store.clone(), self.machine.parts.lease.clone());
        let call = std::boxed::Box::pin(async move { store.admit(&lease, admit).await });
        self.nova.gate.run(call)
    }

    /// What was refused may have been kept all the same: the oracle grants it.
    fn may_count(&mut self, group: usize, what: &What) {
        let at = self.clock.now();
        let mut state = self.nova.state();
        let watch = &mut state.oracle.groups[group];
        watch.inputs.sent(what, at.steady);
        match what {
            // What alerts say is no operator's word.
            What::Command(Ordered { command: Command::Alerts { .. }, .. }, _) => {}
            What::Command(order, _) => {
                watch.ordered = at.steady;
                if let Command::Confirm { max } = order.command {
                    watch.cut.confirmed = Some(max);
                }
            }
            What::Samples(samples, _) => {
                let names = samples.iter().map(|identified| identified.sample.name.clone());
                watch.fed.extend(names.map(|name| (name, at.steady)));
            }
        }
    }

    fn taken(&mut self, group: usize, letter: &Letter) {
        let of = &mut self.post.boxes[group];
        match &letter.what {
            What::Command(order, bounds) => {
                of.reference.order(&order.command, *bounds);
                let base = of.reference.base;
                let mut state = self.nova.state();
                let watch = &mut state.oracle.groups[group];
                watch.inputs.based(base);
                watch.inputs.answered(&order.command, letter.written.steady);
                if let Command::Confirm { max } = order.command {
                    watch.cut.sure = Some(max);
                }
            }
            What::Samples(..) => {
                let (measured, (signal, load)) = (letter.written, letter.load.unwrap());
                if of.measured.get(signal).is_none_or(|last| last.steady <= measured.steady) {
                    of.reference.loads.insert(signal, load);
                    of.measured.insert(signal, measured);
                }
                let now = self.clock.now().steady;
                if measured.steady == now && !self.how(group, signal).by_servers() {
                    let mut state = self.nova.state();
                    state.oracle.groups[group].inputs.surely_fed(signal, now);
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

    /// Somebody without a token writes, or somebody with one what makes no sense. I8: that
    /// changes nothing.
    pub fn hear_from_strangers(&mut self, group: usize) {
        let what = self.nonsense(group);
        let forged = self.post.dice.percent(50);
        // The door asks for a token before it reads anything.
        let let_in = self.setting.broken == Some(Broken::AsksNoToken);
        if forged && let_in && !self.absent(group) {
            self.store(group, what, None);
            self.machine.nudge(group);
            return;
        }
        if !forged {
            self.refused(group);
        }
    }

    /// What a stranger would like to be believed.
    fn nonsense(&mut self, group: usize) -> What {
        if self.post.dice.percent(50) {
            let key = self.post.key();
            let load = 1000.5 + f64::from(self.post.dice.below(1000));
            return What::Samples(self.samples(group, (SIGNAL, load), &key), Default::default());
        }
        let capacity = self.post.dice.between(15, 40);
        let command = Command::Pin { capacity, until: None };
        let order = Ordered { command, at: self.clock.now(), by: "stranger".into(), reason: None };
        What::Command(order, self.bounds(group))
    }

    /// What the store itself refuses.
    fn refused(&mut self, group: usize) {
        let known = self.post.boxes[group].done.back().map(|letter| letter.key.clone());
        let (command, key) = match self.post.dice.below(3) {
            0 => (Command::Set { capacity: 10_001 + self.post.dice.below(9) }, None),
            1 => (Command::Percent { by: f64::NAN }, None),
            // The key of another request.
            _ => {
                let Some(known) = known else { return };
                let key = IdempotencyKey { digest: [7; 32], ..known };
                (Command::Set { capacity: 1 }, Some(key))
            }
        };
        if self.absent(group) || key.is_some() && self.setting.broken == Some(Broken::IgnoresKeys) {
            return;
        }
        let now = self.clock.now();
        let order = Ordered { command, at: now, by: "sim".into(), reason: None };
        let before = self.nova.state().oracle.journal(group, now);
        let answer = self.store(group, What::Command(order, self.bounds(group)), key);
        let after = self.nova.state().oracle.journal(group, now);
        if before != after || matches!(answer, Some(Ok(_))) {
            self.trace.broken(now.steady, "I8", "what was refused changed the state");
        }
    }
}
