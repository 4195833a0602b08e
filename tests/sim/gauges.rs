//! What is measured beside the one load that every world has, and alerts: senders who fire, renew,
//! resolve, say again what they said long ago, and fall silent.

use std::collections::BTreeMap;

use novascale::domain::alert::AlertTold;
use novascale::domain::id::{AlertName, ServerId};
use novascale::domain::signal::Command;
use novascale::domain::time::{Clock, Steady, Wall};

use super::dice::Dice;
use super::policies::{ALERT, EDGES, HEAT, How, SIGNALS};
use super::world::{BEGINS, SIGNAL, World};

/// One group's senders.
pub struct Gauges {
    pub how: [How; SIGNALS.len()],
    /// Servers whose own senders say nothing until then.
    mute: BTreeMap<ServerId, Steady>,
    /// Two alerts of one name. The first tells when it began.
    alerts: [Option<Wall>; 2],
    /// What was said of the first.
    said: Vec<AlertTold>,
}

impl Gauges {
    pub fn new(how: [How; SIGNALS.len()]) -> Self {
        Self { how, mute: BTreeMap::new(), alerts: [None; 2], said: Vec::new() }
    }

    /// One of its alerts fires, by its sender's word.
    pub fn firing(&self) -> bool {
        self.alerts.iter().any(Option::is_some)
    }

    fn told(&self, which: usize, firing: bool) -> AlertTold {
        let name = AlertName::new(ALERT).unwrap();
        let starts = self.alerts[which].filter(|_| which == 0);
        AlertTold { fingerprint: format!("f{which}"), starts, ..AlertTold::new(name, firing) }
    }
}

/// Of each signal so many of a hundred chances to measure it are taken.
const MEASURED: u32 = 40;

impl World {
    /// Who measures a signal, and how.
    pub fn how(&self, group: usize, signal: &str) -> How {
        let of = &self.post.boxes[group];
        match SIGNALS.iter().position(|name| *name == signal) {
            Some(at) => of.gauges.how[at],
            None if of.shared => How::Shared,
            None => How::Whole,
        }
    }

    /// The signals that the group's policies read, but for the one that is always measured.
    fn gauges(&self, group: usize) -> Vec<&'static str> {
        let read = |name: &&str| self.groups[group].signals().any(|read| read.as_str() == *name);
        SIGNALS.into_iter().filter(read).collect()
    }

    /// What each of those who measure would say now.
    pub fn values(&self, group: usize, signal: &str, amount: f64) -> Vec<(Option<ServerId>, f64)> {
        let how = self.how(group, signal);
        let state = self.nova.state();
        let serving = state.members(group).filter(|body| body.serves());
        let serving: Vec<ServerId> = serving.map(|body| body.server.id.clone()).collect();
        let value = how.value(amount, serving.len());
        if !how.by_servers() {
            return vec![(None, value)];
        }
        let now = self.clock.now().steady;
        let mute = &self.post.boxes[group].gauges.mute;
        let mute = |id: &ServerId| signal != SIGNAL && mute.get(id).is_some_and(|end| *end > now);
        serving.into_iter().filter(|id| !mute(id)).map(|id| (Some(id), value)).collect()
    }

    /// Senders of all that is read.
    pub fn hear_from_gauges(&mut self, group: usize, silent: bool) {
        for signal in self.gauges(group) {
            let between = f64::from(self.dice().below(100)) + 0.25;
            let edge = *self.dice().pick(&EDGES).unwrap();
            let on_edge = self.dice().percent(20) && signal == HEAT;
            let amount = if on_edge { edge } else { between };
            if self.dice().percent(MEASURED) && !silent {
                self.measure_of(group, signal, amount);
            }
        }
        if self.dice().percent(5) {
            self.mute_one(group);
        }
        let alerts = self.groups[group].policies.iter().any(|p| p.key().starts_with("alert"));
        if alerts && self.dice().percent(30) && !silent {
            self.alert(group);
        }
    }

    fn dice(&mut self) -> &mut Dice {
        &mut self.post.gauges
    }

    /// A server goes on serving, and its own senders say nothing for a while.
    fn mute_one(&mut self, group: usize) {
        let members =
            self.nova.state().members(group).map(|b| b.server.id.clone()).collect::<Vec<_>>();
        let span = self.dice().millis(60_000, 1_200_000);
        let Some(id) = self.dice().pick(&members).cloned() else { return };
        let until = self.clock.now().steady.plus(span);
        self.post.boxes[group].gauges.mute.insert(id.clone(), until);
        self.nova.event(36, group as u64, || {
            format!("group {group}: {id} measures nothing for {} s", span.as_secs())
        });
    }

    /// One of two alerts fires, is told of again, or ends; or an old word of it comes anew.
    fn alert(&mut self, group: usize) {
        let which = self.dice().below(2) as usize;
        let drawn = self.dice().below(4);
        let short = self.dice().percent(20);
        let (until, word) = (self.dice().millis(20_000, 900_000), self.dice().below(1000));
        // By the sender's clock, which nobody sets.
        let now = self.clock.now();
        let begins = Wall(BEGINS.0 + i64::try_from(now.steady.0).unwrap());
        let gauges = &mut self.post.boxes[group].gauges;
        let fires = gauges.alerts[which].is_some();
        let mut told = match drawn {
            0 if which == 0 && !gauges.said.is_empty() => {
                let at = word as usize % gauges.said.len();
                gauges.said[at].clone()
            }
            1 if fires => {
                let told = gauges.told(which, false);
                gauges.alerts[which] = None;
                told
            }
            _ => {
                gauges.alerts[which].get_or_insert(begins);
                gauges.told(which, true)
            }
        };
        told.until = Some(now.plus(until)).filter(|_| told.firing && short);
        self.tell_alert(group, told);
    }

    fn tell_alert(&mut self, group: usize, told: AlertTold) {
        let gauges = &mut self.post.boxes[group].gauges;
        if told.starts.is_some() {
            gauges.said.push(told.clone());
            let surplus = gauges.said.len().saturating_sub(8);
            gauges.said.drain(..surplus);
        }
        // Of an alert that tells when it began the order says nothing.
        let late = told.starts.is_some();
        self.order_late(group, Command::Alerts { alerts: vec![told] }, late);
    }

    /// Everybody measures what was measured last, and says of alerts what they said last; in some
    /// worlds they have ended.
    pub fn feed_gauges(&mut self, group: usize) {
        for signal in self.gauges(group) {
            let amount = self.post.boxes[group].reference.loads.get(signal).copied();
            self.measure_of(group, signal, amount.unwrap_or(0.25));
        }
        for which in 0..2 {
            let gauges = &self.post.boxes[group].gauges;
            if gauges.alerts[which].is_some() {
                let told = gauges.told(which, true);
                self.tell_alert(group, told);
            }
        }
    }

    /// Those who fell silent speak again, and some alerts end.
    pub fn calm_gauges(&mut self, group: usize) {
        self.post.boxes[group].gauges.mute.clear();
        let ends = self.dice().percent(50);
        for which in 0..2 {
            let gauges = &mut self.post.boxes[group].gauges;
            if ends && gauges.alerts[which].is_some() {
                let told = gauges.told(which, false);
                gauges.alerts[which] = None;
                self.tell_alert(group, told);
            }
        }
    }
}
