//! Prometheus Alertmanager, webhook version 4.
//!
//! An alert is known by its label `alertname`, and alerts of one name by their `fingerprint`. The
//! status of each alert counts, not the group's. `max_alerts` cuts lists short
//! (`truncatedAlerts`): what is missing from a list is neither opened nor closed by it.
//! Source: prometheus/alertmanager `template/template.go`, `notify/webhook/webhook.go`.

use serde::Deserialize;

use super::{Incoming, fields};
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Payload, State, Told, moment, unreadable};

/// Grafana's is the same but for its version and what it adds.
#[derive(Deserialize)]
pub(super) struct Message {
    version: String,
    #[serde(rename = "truncatedAlerts", default)]
    pub(super) truncated: u64,
    #[serde(default)]
    pub(super) alerts: Vec<One>,
}

#[derive(Deserialize)]
pub(super) struct One {
    status: Status,
    labels: Labels,
    #[serde(rename = "startsAt")]
    starts: String,
    #[serde(rename = "endsAt", default)]
    ends: Option<String>,
    #[serde(default)]
    fingerprint: String,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Status {
    Firing,
    Resolved,
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let message = message(incoming, "Alertmanager", "4")?;
    let mut told = Vec::new();
    for (n, one) in message.alerts.into_iter().enumerate() {
        told.push(Told::Alert(alert(one, n, incoming)?));
    }
    Ok(Payload { told, notes: cut_short(message.truncated), ..Payload::default() })
}

pub(super) fn message(
    incoming: &Incoming<'_>,
    sender: &str,
    version: &str,
) -> Result<Message, Problem> {
    let message: Message =
        serde_json::from_slice(incoming.body).map_err(|error| unreadable(sender, &error))?;
    if message.version == version {
        return Ok(message);
    }
    let said = format!("the message is not of version {version}, the only one of {sender}");
    Err(Problem::new(Kind::Invalid, said).at("/version"))
}

pub(super) fn alert(one: One, n: usize, incoming: &Incoming<'_>) -> Result<Alert, Problem> {
    // Where the source names all of its alerts, this one needs no name.
    let named = incoming.source.alert.as_ref().map(ToString::to_string);
    let Some(name) = one.labels.get("alertname").cloned().or(named) else {
        let said = "an alert without the label `alertname`";
        return Err(Problem::new(Kind::Invalid, said).at(format!("/alerts/{n}/labels")));
    };
    let at = format!("/alerts/{n}/fingerprint");
    let fingerprint = fields::fingerprint(one.fingerprint, &at)?;
    let state = match one.status {
        Status::Firing => State::Firing,
        Status::Resolved => State::Resolved,
    };
    let starts = moment(&one.starts)?;
    let ends = one.ends.as_deref().filter(|_| state == State::Resolved).map(moment).transpose()?;
    let ends = ends.flatten();
    Ok(Alert { labels: one.labels, starts, ends, ..Alert::new(name, fingerprint, state) })
}

/// What a sender should know that leaves alerts out.
pub(super) fn cut_short(missing: u64) -> Vec<String> {
    let said =
        || format!("{missing} alerts were left out by `max_alerts`: nothing is known of them");
    (missing > 0).then(said).into_iter().collect()
}
