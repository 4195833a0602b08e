//! What one group has, with the rules that SQL has in the other store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::claim;
use crate::domain::freeze::Freeze;
use crate::domain::group::GroupState;
use crate::domain::id::{GroupName, IntentId, ServerId, SignalName};
use crate::domain::intent::{Intent, State};
use crate::domain::outcome::Outcome;
use crate::domain::plan::Decision;
use crate::domain::server::Known;
use crate::domain::signal::{self, Ordered, Sample};
use crate::domain::time::{Now, Steady, Wall};
use crate::store::row::{self, Line};
use crate::store::{
    Admit, Admitted, Gathered, IdempotencyKey, Identified, StoreError, What, Window, keep,
};

#[derive(Debug, Clone, Default)]
pub(super) struct Shelf {
    state: GroupState,
    memory: Option<claim::Memory>,
    orders: VecDeque<Ordered>,
    keys: BTreeMap<String, ([u8; 32], Steady)>,
    ids: BTreeMap<String, Steady>,
    signals: BTreeMap<SignalName, Signal>,
    intents: BTreeMap<IntentId, Intent>,
    known: BTreeMap<ServerId, Known>,
    /// Each with whether it repeats the one before.
    decisions: VecDeque<(Arc<Decision>, bool)>,
}

#[derive(Debug, Clone, Default)]
struct Signal {
    newest: BTreeMap<Option<ServerId>, Sample>,
    window: BTreeMap<(Wall, Option<ServerId>), Sample>,
}

impl Shelf {
    pub(super) fn admit(&mut self, admit: &Admit) -> Result<Admitted, StoreError> {
        if let Some(key) = &admit.key
            && self.repeated(key, admit.at)?
        {
            return Ok(Admitted::Repeated { state: self.state.clone() });
        }
        let fresh = match &admit.what {
            What::Samples(samples, read) => {
                let room = keep::Room { group: &admit.group, read };
                self.check_limits(&room, samples, admit.at)?;
                let put = samples.iter().filter(|sample| self.put_sample(sample, admit.at));
                u32::try_from(put.count()).unwrap_or(u32::MAX)
            }
            What::Command(order, bounds) => {
                let next = signal::apply(&self.state, order, *bounds)?;
                let news = signal::news(&self.state, &next, order);
                self.state = next;
                if order.command.journaled() {
                    self.orders.push_back(order.clone());
                }
                u32::from(news)
            }
        };
        if let Some(key) = &admit.key {
            self.keys.insert(key.key.clone(), (key.digest, admit.at.steady));
        }
        Ok(Admitted::Stored { fresh, state: self.state.clone() })
    }

    pub(super) fn repeated(&self, key: &IdempotencyKey, now: Now) -> Result<bool, StoreError> {
        match self.keys.get(&key.key) {
            Some((digest, at)) if !keep::expired(*at, keep::KEYS, now) => {
                if *digest == key.digest {
                    Ok(true)
                } else {
                    Err(StoreError::KeyReused)
                }
            }
            _ => Ok(false),
        }
    }

    fn known_id(&self, id: Option<&String>, now: Now) -> bool {
        let at = id.and_then(|id| self.ids.get(id));
        at.is_some_and(|at| !keep::expired(*at, keep::KEYS, now))
    }

    /// Before anything is changed, so that a refusal changes nothing.
    fn check_limits(
        &self,
        room: &keep::Room<'_>,
        samples: &[Identified],
        now: Now,
    ) -> Result<(), StoreError> {
        let mut names = self.signals.len();
        let mut series: usize = self.signals.values().map(|s| s.newest.len()).sum();
        let mut added: BTreeMap<&SignalName, BTreeSet<Option<&ServerId>>> = BTreeMap::new();
        for Identified { sample, id } in samples {
            if self.known_id(id.as_ref(), now) {
                continue;
            }
            let signal = self.signals.get(&sample.name);
            if signal.is_none() && !added.contains_key(&sample.name) {
                room.for_name(sample, names)?;
                names += 1;
            }
            let servers = added.entry(&sample.name).or_default();
            let known = signal.is_some_and(|s| s.newest.contains_key(&sample.server));
            let of_name = signal.map_or(0, |s| s.newest.len()) + servers.len();
            if !known && servers.insert(sample.server.as_ref()) {
                room.for_series(sample, keep::Series { all: series, of_name })?;
                series += 1;
            }
        }
        Ok(())
    }

    fn put_sample(&mut self, identified: &Identified, now: Now) -> bool {
        if self.known_id(identified.id.as_ref(), now) {
            return false;
        }
        if let Some(id) = &identified.id {
            self.ids.insert(id.clone(), now.steady);
        }
        let sample = &identified.sample;
        let signal = self.signals.entry(sample.name.clone()).or_default();
        let place = (sample.at, sample.server.clone());
        if signal.window.get(&place).is_some_and(|held| !keep::adds(sample, held)) {
            return false;
        }
        signal.window.insert(place, sample.clone());
        if signal.window.len() > keep::SAMPLES_MOST as usize {
            signal.window.pop_first();
        }
        let newest = signal.newest.entry(sample.server.clone()).or_insert_with(|| sample.clone());
        if keep::newer(sample, newest) {
            *newest = sample.clone();
        }
        true
    }

    pub(super) fn gather(&self, since: Window) -> Gathered {
        let (now, received) = (since.now, since.now.steady.minus(since.signals));
        let within =
            |ended: Option<Steady>| ended.is_none_or(|e| !keep::expired(e, since.past, now));
        let here = |(server, _): &(&Option<ServerId>, _)| self.left(server.as_ref()).is_none();
        let samples = self.signals.values().flat_map(|s| s.newest.iter()).filter(here);
        let mut intents: Vec<_> = self
            .intents
            .values()
            .filter(|i| !matches!(i.state, State::Closed { .. }) || within(row::intent_ended(i)))
            .cloned()
            .collect();
        intents.sort_by(|a, b| (a.opened.steady, &a.id).cmp(&(b.opened.steady, &b.id)));
        Gathered {
            state: self.state.clone(),
            memory: self.memory.clone(),
            samples: samples
                .map(|(_, s)| s)
                .filter(|s| s.received.steady >= received)
                .cloned()
                .collect(),
            intents,
            known: self.known.values().filter(|k| within(row::known_ended(k))).cloned().collect(),
            all_frozen: None,
        }
    }

    pub(super) fn freeze(&self) -> Option<Freeze> {
        self.state.freeze.clone()
    }

    /// When the server ceased to be a member, if it was one.
    fn left(&self, server: Option<&ServerId>) -> Option<Steady> {
        self.known.get(server?).and_then(row::known_ended)
    }

    /// Whether anything was written.
    pub(super) fn record(&mut self, decision: &Decision) -> bool {
        let last = self.decisions.back().map(|(last, again)| (&**last, *again));
        let line = row::next_line(last, decision);
        match line {
            Line::Skip if decision.quiet() => return false,
            Line::Skip => {}
            Line::Replace => {
                self.decisions.pop_back();
                self.decisions.push_back((Arc::new(row::stored(decision)), true));
            }
            Line::Append { again } => {
                self.decisions.push_back((Arc::new(row::stored(decision)), again));
            }
        }
        let changes = &decision.changes;
        if let Some(memory) = &changes.memory {
            self.memory = Some(memory.clone());
        }
        self.state.adoptions = changes.adopted.leaves(&self.state.adoptions, decision.at.steady);
        self.intents.extend(changes.intents.iter().map(|i| (i.id.clone(), i.clone())));
        self.known.extend(changes.known.iter().map(|k| (k.id.clone(), k.clone())));
        true
    }

    pub(super) fn settle(
        &mut self,
        group: &GroupName,
        outcomes: &[Outcome],
    ) -> Result<(), StoreError> {
        if let Some(lost) = outcomes.iter().find(|o| !self.intents.contains_key(&o.intent)) {
            return Err(row::unknown_intent(group, &lost.intent));
        }
        for outcome in outcomes {
            if let Some(intent) = self.intents.get_mut(&outcome.intent) {
                *intent = intent.after(outcome);
            }
        }
        Ok(())
    }

    pub(super) fn decisions(&self, limit: u32) -> Vec<Decision> {
        let newest = self.decisions.iter().rev().take(limit as usize);
        newest.map(|(decision, _)| Decision::clone(decision)).collect()
    }

    pub(super) fn orders(&self, limit: u32) -> Vec<Ordered> {
        self.orders.iter().rev().take(limit as usize).cloned().collect()
    }

    pub(super) fn history(&self, name: &SignalName, since: Steady) -> Vec<Sample> {
        let window = self.signals.get(name).map(|s| s.window.values());
        window.into_iter().flatten().filter(|s| s.received.steady >= since).cloned().collect()
    }

    /// How many rows went.
    pub(super) fn sweep(&mut self, now: Now) -> u64 {
        let before = self.rows();
        let old = |at: Steady, span: Duration| keep::expired(at, span, now);
        self.decisions.retain(|(decision, _)| !old(decision.at.steady, keep::DECISIONS));
        keep_last(&mut self.decisions, keep::DECISIONS_MOST);
        self.orders.retain(|order| !old(order.at.steady, keep::COMMANDS));
        keep_last(&mut self.orders, keep::COMMANDS_MOST);
        let live = |ended: Option<Steady>, span| ended.is_none_or(|ended| !old(ended, span));
        self.intents.retain(|_, intent| live(row::intent_ended(intent), keep::INTENTS));
        keep_newest(&mut self.intents, keep::INTENTS_MOST, closed);
        self.known.retain(|_, known| live(row::known_ended(known), keep::KNOWN));
        keep_newest(&mut self.known, keep::KNOWN_MOST, row::known_ended);
        self.keys.retain(|_, (_, at)| !old(*at, keep::KEYS));
        self.ids.retain(|_, at| !old(*at, keep::KEYS));
        let spare = |at: Steady| old(at, keep::KEYS_LEAST).then_some(at);
        let young = |n: usize| keep::KEYS_MOST.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
        let keys = young(self.keys.values().filter(|(_, at)| spare(*at).is_none()).count());
        keep_newest(&mut self.keys, keys, |(_, at)| spare(*at));
        let ids = young(self.ids.values().filter(|at| spare(**at).is_none()).count());
        keep_newest(&mut self.ids, ids, |at| spare(*at));
        self.sweep_signals(now);
        before - self.rows()
    }

    fn sweep_signals(&mut self, now: Now) {
        let old = |at: Steady, span: Duration| keep::expired(at, span, now);
        let ends: BTreeMap<&ServerId, Option<Steady>> =
            self.known.values().map(|known| (&known.id, row::known_ended(known))).collect();
        let kept = |server: &Option<ServerId>, sample: &Sample| {
            let young = !old(sample.received.steady, keep::NEWEST);
            match server.as_ref().and_then(|id| ends.get(id)) {
                Some(Some(ended)) => young && !old(*ended, keep::NEWEST_LEFT),
                Some(None) => true,
                None => young,
            }
        };
        for signal in self.signals.values_mut() {
            signal.window.retain(|_, sample| !old(sample.received.steady, keep::SAMPLES));
            signal.newest.retain(|server, sample| kept(server, sample));
        }
        self.signals.retain(|_, signal| !signal.window.is_empty() || !signal.newest.is_empty());
    }

    fn rows(&self) -> u64 {
        let signals = self.signals.values().map(|s| 1 + s.window.len() + s.newest.len());
        let rest = [
            self.orders.len(),
            self.keys.len(),
            self.ids.len(),
            self.intents.len(),
            self.known.len(),
            self.decisions.len(),
        ];
        signals.chain(rest).map(|n| n as u64).sum()
    }
}

fn closed(intent: &Intent) -> Option<Steady> {
    matches!(intent.state, State::Closed { .. }).then(|| row::intent_ended(intent)).flatten()
}

fn keep_last<T>(rows: &mut VecDeque<T>, most: u32) {
    let surplus = rows.len().saturating_sub(most as usize);
    rows.drain(..surplus);
}

/// Of the rows that have an age, only so many of the newest stay.
fn keep_newest<K: Ord + Clone, V>(
    rows: &mut BTreeMap<K, V>,
    most: u32,
    age: impl Fn(&V) -> Option<Steady>,
) {
    let mut aged: Vec<(Steady, K)> =
        rows.iter().filter_map(|(key, row)| Some((age(row)?, key.clone()))).collect();
    let surplus = aged.len().saturating_sub(most as usize);
    if surplus > 0 {
        aged.sort();
        for (_, key) in mem::take(&mut aged).into_iter().take(surplus) {
            rows.remove(&key);
        }
    }
}
