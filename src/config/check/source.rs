//! Sources: what each speaks, whom it is for, and how it proves who it is.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fault::{Sink, Spot};
use super::super::file::{MetricText, OrderText, PointersText, SourceText};
use super::super::read::{At, NamedEntry, OneOrMore, nearest};
use super::super::source::{Format, Metric, Pointers, Source, Whose};
use super::{Around, absent, at_most_one, range};
use crate::domain::count::MOST;
use crate::domain::group::Group;
use crate::domain::id::{AlertName, GroupName, SignalName, SourceName};
use crate::domain::signal::Command;

mod proof;

/// What sources take from the rest of the file.
pub(super) struct Setting<'a> {
    pub(super) around: Around<'a>,
    pub(super) groups: &'a [Group],
    /// Senders may show certificates.
    pub(super) client_ca: bool,
}

/// What senders of alerts send at most, as a rule; metrics come in larger batches.
const BODY_BYTES: u32 = 256 * 1024;
const METRICS_BYTES: u32 = 1024 * 1024;
const BODY_MOST: u32 = 16 * 1024 * 1024;
/// More metrics than this are a program's work, which has the API.
const METRICS_MOST: usize = 64;

/// All sources that could be understood, in the order of their names.
pub(super) fn check(
    entries: &[NamedEntry<SourceText>],
    setting: &Setting<'_>,
    sink: &mut Sink,
) -> Vec<Source> {
    entries.iter().filter_map(|entry| one(entry, setting, sink)).collect()
}

fn one(entry: &NamedEntry<SourceText>, setting: &Setting<'_>, sink: &mut Sink) -> Option<Source> {
    let text = &entry.entry;
    let name_spot = Spot { key: text.spot.key.clone(), span: entry.name_span.clone() };
    let name = At { value: entry.name.clone(), spot: name_spot };
    let name = range::id::<SourceName>(&name, sink);
    let format = format(text, sink);
    let group = whose(text, setting.groups, sink);
    let alert = text.alert.as_ref().and_then(|at| range::id::<AlertName>(at, sink));
    let auth = proof::check(text, format, setting, sink);
    let (format, group, name) = (format?, group?, name?);
    let signals = metrics(text, format, sink);
    let order = order(text, format, sink);
    let pointers = text.pointers.as_ref();
    if let (Some(at), false) = (pointers, format.is_foreign()) {
        let reason = format!("`{}` is for formats that carry any JSON", at.spot.key);
        sink.fault(&at.spot, reason).hint("they are generic, cloudevents and standard_webhooks");
    }
    let pointers = pointers.map(|at| {
        let read = self::pointers(at, sink);
        judge_pointers(&at.spot, &read, (format, &group, alert.is_some()), sink);
        read
    });
    let pointers = pointers.unwrap_or_default();
    judge_policies(text, (format, &group, &alert, &signals), setting.groups, sink);
    let most = if format.measures() { METRICS_BYTES } else { BODY_BYTES };
    let bytes = range::number(text.body_bytes.as_ref(), most, 256..=BODY_MOST, sink);
    let body_bytes = bytes as usize;
    Some(Source { name, format, auth, group, alert, signals, order, pointers, body_bytes })
}

fn format(text: &At<SourceText>, sink: &mut Sink) -> Option<Format> {
    let known = Format::ALL.map(|(word, _)| word);
    let Some(at) = &text.format else {
        sink.missing(&text.spot, "format").hint(format!("one of {}", known.join(", ")));
        return None;
    };
    let found = Format::ALL.into_iter().find(|(word, _)| *word == at.value);
    if found.is_none() {
        let fault = sink.fault(&at.spot, format!("`{}` is no format of senders", at.spot.key));
        match nearest(&at.value, &known) {
            Some(near) => fault.hint(format!("did you mean \"{near}\"?")),
            None => fault.hint(format!("one of {}", known.join(", "))),
        };
    }
    found.map(|(_, format)| format)
}

/// Which groups it may speak to: one, or those that a label names.
fn whose(text: &At<SourceText>, groups: &[Group], sink: &mut Sink) -> Option<Whose> {
    at_most_one(&[spot(&text.group), spot(&text.group_label)], sink);
    if let (Some(at), None) = (&text.groups, &text.group_label) {
        let reason = format!("`{}` goes with `group_label`", at.spot.key);
        sink.fault(&at.spot, reason).hint("one group is written as group = \"NAME\"");
    }
    if let Some(at) = &text.group {
        return known(at, groups, sink).map(Whose::Group);
    }
    let Some(label) = &text.group_label else {
        let hint = "group = \"NAME\", or group_label = \"LABEL\" where a label names the group";
        sink.missing(&text.spot, "group").hint(hint);
        return None;
    };
    let listed = text.groups.iter().flat_map(|at| &at.value);
    let of: BTreeSet<GroupName> = listed.filter_map(|at| known(at, groups, sink)).collect();
    Some(Whose::Label { label: range::name(label, sink)?, of })
}

pub(super) fn spot<T>(at: &Option<At<T>>) -> Option<&Spot> {
    at.as_ref().map(|at| &at.spot)
}

pub(super) fn known(at: &At<String>, groups: &[Group], sink: &mut Sink) -> Option<GroupName> {
    let name = range::id::<GroupName>(at, sink)?;
    // Of a group that could not be understood the file says so elsewhere.
    let refused = sink.refused_at(|key| key.starts_with(&format!("group.{name}")));
    if !refused && !groups.iter().any(|group| group.name == name) {
        let all: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let fault = sink.fault(&at.spot, format!("`{}` names no group of this file", at.spot.key));
        fault.hint(format!("the groups are {}", all.join(", ")));
        return None;
    }
    Some(name)
}

fn metrics(text: &At<SourceText>, format: Format, sink: &mut Sink) -> Vec<Metric> {
    let Some(at) = &text.signal else {
        if format.measures() {
            let hint =
                format!("[[{}.signal]] with metric and signal, once for each", text.spot.key);
            sink.missing(&text.spot, "signal").hint(hint);
        }
        return Vec::new();
    };
    if !format.measures() {
        let reason = format!("`{}` is for formats that carry metrics", at.spot.key);
        sink.fault(&at.spot, reason).hint("they are remote_write and otlp");
    }
    if at.value.len() > METRICS_MOST {
        sink.fault(&at.spot, format!("`{}` has more than {METRICS_MOST} metrics", at.spot.key));
    }
    at.value.iter().filter_map(|text| metric(text, sink)).collect()
}

fn metric(text: &At<MetricText>, sink: &mut Sink) -> Option<Metric> {
    let Some(metric) = &text.metric else {
        sink.missing(&text.spot, "metric");
        return None;
    };
    let Some(signal) = &text.signal else {
        sink.missing(&text.spot, "signal").hint("the name that a policy of the group reads");
        return None;
    };
    let labels = text.labels.iter().flat_map(|at| &at.value.0);
    let labels: BTreeMap<String, String> =
        labels.map(|label| (label.name.clone(), label.entry.value.clone())).collect();
    let server = text.server_label.as_ref().and_then(|at| range::name(at, sink));
    let metric = range::name(metric, sink)?;
    let signal = range::id::<SignalName>(signal, sink)?;
    Some(Metric { metric, labels, signal, server })
}

fn order(text: &At<SourceText>, format: Format, sink: &mut Sink) -> Option<Command> {
    let Some(at) = &text.order else {
        if format == Format::Trigger {
            let none = absent(OrderText::empty(), &format!("{}.order", text.spot.key));
            sink.missing(&text.spot, "order").hint(WAYS);
            return way(&none);
        }
        return None;
    };
    if format != Format::Trigger {
        let reason = format!("`{}` is for the format trigger alone", at.spot.key);
        sink.fault(&at.spot, reason).hint("alerts ask for servers by a policy of the group");
        return None;
    }
    at_most_one(&[spot(&at.set), spot(&at.adjust), spot(&at.percent)], sink);
    if let Some(set) = &at.set {
        range::number(Some(set), 0, 0..=MOST, sink);
    }
    let order = way(at);
    if order.is_none() {
        sink.fault(&at.spot, format!("`{}` says no number", at.spot.key)).for_want().hint(WAYS);
    }
    order
}

const WAYS: &str = "order = { set = 4 }, { adjust = 1 }, { adjust = -1 } or { percent = 50.0 }";

fn way(text: &OrderText) -> Option<Command> {
    let set = || text.set.as_ref().and_then(|at| u32::try_from(at.value).ok());
    let adjust = || text.adjust.as_ref().map(|at| Command::Adjust { by: at.value });
    let percent = || text.percent.as_ref().map(|at| Command::Percent { by: at.value });
    set().map(|capacity| Command::Set { capacity }).or_else(adjust).or_else(percent)
}

fn pointers(text: &At<PointersText>, sink: &mut Sink) -> Pointers {
    let text = &text.value;
    let mut one = |written: &Option<At<String>>| range::pointer(written.as_ref()?, sink);
    let words = |written: &Option<At<OneOrMore>>| {
        let all = written.iter().flat_map(|at| &at.value.0);
        all.map(|at| at.value.clone()).collect()
    };
    Pointers {
        list: one(&text.list),
        group: one(&text.group),
        id: one(&text.id),
        alert: one(&text.alert),
        fingerprint: one(&text.fingerprint),
        status: one(&text.status),
        signal: one(&text.signal),
        value: one(&text.value),
        at: one(&text.at),
        server: one(&text.server),
        firing: words(&text.firing),
        resolved: words(&text.resolved),
    }
}

/// Refuses pointers that say too little for anything to be read.
fn judge_pointers(
    at: &Spot,
    read: &Pointers,
    (format, group, named): (Format, &Whose, bool),
    sink: &mut Sink,
) {
    let alerts = read.status.is_some() && (read.alert.is_some() || named);
    let samples = read.signal.is_some() && read.value.is_some();
    if !alerts && !samples {
        let reason = format!("`{}` says where neither an alert nor a sample stands", at.key);
        let hint = "an alert needs `alert` (or the source's own `alert`) and `status`, a sample \
                    `signal` and `value`";
        sink.fault(at, reason).for_want().hint(hint);
    }
    // Other formats have labels beside what is read by pointers.
    let by_label = matches!(group, Whose::Label { .. }) && format == Format::Generic;
    if by_label && read.group.is_none() {
        let reason = format!("`{}` says not where the group's name stands", at.key);
        sink.fault(at, reason).for_want().hint("add `group`, a pointer to it");
    }
}

/// Points at what nothing would follow from.
fn judge_policies(
    text: &At<SourceText>,
    (format, group, alert, signals): (Format, &Whose, &Option<AlertName>, &[Metric]),
    groups: &[Group],
    sink: &mut Sink,
) {
    let Whose::Group(name) = group else { return };
    let Some(group) = groups.iter().find(|group| group.name == *name) else { return };
    if let Some(alert) = alert
        && !group.alerts().any(|followed| followed == alert)
    {
        let reason = format!("no policy of the group {name} follows the alert {alert}");
        let at = spot(&text.alert).unwrap_or(&text.spot);
        sink.warn(at, reason).hint(format!("add [[group.{name}.alert]], or correct the name"));
    }
    let read: BTreeSet<&SignalName> = group.signals().collect();
    for metric in signals.iter().filter(|metric| !read.contains(&metric.signal)) {
        let reason = format!("no policy of the group {name} reads {}", metric.signal);
        sink.warn(spot(&text.signal).unwrap_or(&text.spot), reason);
    }
    let alerts = !format.measures() && !format.is_foreign() && format != Format::Trigger;
    if alerts && alert.is_none() && group.alerts().next().is_none() {
        let reason =
            format!("the group {name} follows no alert, so nothing follows from this source");
        sink.warn(&text.spot, reason).hint(format!("add [[group.{name}.alert]]"));
    }
}
