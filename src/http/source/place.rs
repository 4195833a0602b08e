//! From what a payload tells to what the groups are told: which group, which alert, which signal.

use std::collections::BTreeMap;

use super::told::{Alert, Order, Payload, Sample as Measured, State, Told};
use crate::config::source::{Metric, Source, Whose};
use crate::domain::alert::{AlertTold, Teller};
use crate::domain::id::{AlertName, GroupName, ServerId, SignalName};
use crate::domain::signal::{AHEAD_MOST, Command, Sample, Value};
use crate::domain::time::Now;
use crate::http::error::{Kind, Problem};
use crate::http::webhook::signals::OLD_MOST;
use crate::store::Identified;

/// What a payload comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Placed {
    pub groups: BTreeMap<GroupName, Words>,
    /// By which the sender's repetitions are known.
    pub id: Option<String>,
    /// How much was passed over.
    pub passed: usize,
    /// What was passed over, and why.
    pub notes: Vec<String>,
}

/// What one group is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words {
    pub alerts: Vec<AlertTold>,
    pub samples: Vec<Identified>,
    pub orders: Vec<(Command, Option<String>)>,
}

/// Places all of it. What is for no group of ours is passed over with a note, for others in the
/// same body it may be right; a body of which nothing is left is refused.
pub fn place(
    source: &Source,
    payload: Payload,
    known: &dyn Fn(&str) -> bool,
    now: Now,
) -> Result<Placed, Problem> {
    let mut placer = Placer { source, now, groups: BTreeMap::new(), passed: BTreeMap::new() };
    let (told, empty) = (payload.told.len(), payload.told.is_empty());
    for one in payload.told {
        match placer.group(&one, known) {
            Ok(group) => placer.take(group, one)?,
            Err(why) => placer.pass(why),
        }
    }
    let passed = placer.passed.values().fold(0, |sum: usize, n| sum.saturating_add(*n));
    let mut notes = payload.notes;
    notes.extend(placer.passed.iter().map(|(why, n)| format!("{n} of {told} passed over: {why}")));
    if placer.groups.is_empty() && !empty && !source.format.measures() {
        let said = notes.pop().unwrap_or_default();
        let hint = "the section of this source in scaling.toml says which group and which names \
                    count; `novascale source test` shows what a payload becomes";
        return Err(Problem::new(
            Kind::Invalid,
            format!("nothing of it is for a group here: {said}"),
        )
        .hint(hint));
    }
    Ok(Placed { groups: placer.groups, id: payload.id, passed, notes })
}

struct Placer<'a> {
    source: &'a Source,
    now: Now,
    groups: BTreeMap<GroupName, Words>,
    /// How often each reason.
    passed: BTreeMap<String, usize>,
}

impl Placer<'_> {
    fn group(&self, told: &Told, known: &dyn Fn(&str) -> bool) -> Result<GroupName, String> {
        let (label, of) = match &self.source.group {
            Whose::Group(name) if known(name.as_str()) => return Ok(name.clone()),
            Whose::Group(name) => return Err(format!("the group {name} is not kept now")),
            Whose::Label { label, of } => (label, of),
        };
        let Some(name) = told.labels().get(label) else {
            return Err(format!("without the label {label}, which names the group"));
        };
        let group = GroupName::new(name.as_str()).ok().filter(|name| known(name.as_str()));
        let Some(group) = group else {
            return Err(format!("the label {label} names no group here"));
        };
        if !of.is_empty() && !of.contains(&group) {
            return Err(format!("this source may not speak to the group {group}"));
        }
        Ok(group)
    }

    fn pass(&mut self, why: String) {
        *self.passed.entry(why).or_default() += 1;
    }

    fn take(&mut self, group: GroupName, told: Told) -> Result<(), Problem> {
        match told {
            Told::Alert(alert) => {
                let alert = self.alert(alert)?;
                self.groups.entry(group).or_default().alerts.push(alert);
            }
            Told::Order(Order { command, reason, .. }) => {
                self.groups.entry(group).or_default().orders.push((command, reason));
            }
            Told::Sample(measured) => self.samples(&group, &measured)?,
        }
        Ok(())
    }

    fn alert(&self, alert: Alert) -> Result<AlertTold, Problem> {
        let named = || {
            AlertName::new(alert.name.trim()).map_err(|invalid| {
                let said = format!("an alert's name must be {}", invalid.rule);
                Problem::new(Kind::Invalid, said)
                    .hint("`alert` in the source's section names all of its alerts")
            })
        };
        let name = self.source.alert.clone().map_or_else(named, Ok)?;
        let fingerprint = alert.fingerprint;
        let (firing, held) = match alert.state {
            State::Firing => (true, false),
            State::Resolved => (false, false),
            State::NoData => (true, true),
        };
        let (now, begins) = (self.now.wall, alert.starts.or(alert.said));
        Ok(AlertTold {
            fingerprint,
            by: Teller::Source(self.source.name.clone()),
            held,
            starts: begins.map(|at| at.min(now)),
            ahead: begins.filter(|at| *at > now),
            dated: alert.starts.is_none() && alert.said.is_some(),
            ends: alert.ends,
            ..AlertTold::new(name, firing)
        })
    }

    fn samples(&mut self, group: &GroupName, measured: &Measured) -> Result<(), Problem> {
        if !self.source.format.measures() {
            let signal = SignalName::new(measured.metric.as_str()).map_err(|invalid| {
                Problem::new(Kind::Invalid, format!("a signal's name must be {}", invalid.rule))
            })?;
            let sample = self.sample(measured, signal, measured.server.as_deref());
            let sample = sample.map_err(|why| Problem::new(Kind::Invalid, why))?;
            self.groups.entry(group.clone()).or_default().samples.push(sample);
            return Ok(());
        }
        let rules = self.source.signals.iter().filter(|rule| fits(rule, measured));
        for rule in rules.cloned().collect::<Vec<_>>() {
            let server = match &rule.server {
                None => Ok(None),
                Some(label) => match measured.labels.get(label) {
                    Some(server) => Ok(Some(server.as_str())),
                    None => Err(format!("without the label {label}, which names the server")),
                },
            };
            match server.and_then(|server| self.sample(measured, rule.signal, server)) {
                Ok(sample) => self.groups.entry(group.clone()).or_default().samples.push(sample),
                Err(why) => self.pass(why),
            }
        }
        Ok(())
    }

    fn sample(
        &self,
        measured: &Measured,
        name: SignalName,
        server: Option<&str>,
    ) -> Result<Identified, String> {
        let value = Value::new(measured.value).map_err(|why| why.to_string())?;
        let server = server.map(ServerId::new).transpose();
        let server =
            server.map_err(|invalid| format!("the server's id must be {}", invalid.rule))?;
        let at = measured.at.unwrap_or(self.now.wall);
        if at > self.now.wall.plus(AHEAD_MOST) {
            return Err("measured in the future, by our clock".to_owned());
        }
        if self.now.wall.since(at) > OLD_MOST {
            return Err("measured more than a day ago".to_owned());
        }
        Ok(Identified { sample: Sample { name, value, at, received: self.now, server }, id: None })
    }
}

/// Whether the rule is for this metric.
fn fits(rule: &Metric, measured: &Measured) -> bool {
    rule.metric == measured.metric
        && rule.labels.iter().all(|(label, value)| measured.labels.get(label) == Some(value))
}
