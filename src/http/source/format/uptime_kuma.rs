//! Uptime Kuma's webhook, as JSON or as a form whose field `data` is the same JSON.
//!
//! A monitor that is down is an alert that fires; while it is pending (retries are under way) or
//! in maintenance nothing is known. A message without a heartbeat is a test, or a word about a
//! certificate.
//! Source: louislam/uptime-kuma `server/notification-providers/webhook.js`, `src/util.ts`.

use serde::Deserialize;
use serde_json::Value;

use super::{Incoming, fields};
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Payload, State, Told, unreadable};

#[derive(Deserialize)]
struct Message {
    heartbeat: Option<Heartbeat>,
    monitor: Option<Monitor>,
    /// Every message of it has one.
    #[serde(rename = "msg")]
    _words: Value,
}

#[derive(Deserialize)]
struct Heartbeat {
    status: u8,
}

#[derive(Deserialize)]
struct Monitor {
    id: Value,
    name: String,
    #[serde(default)]
    tags: Vec<Value>,
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let form = fields::form(incoming)?;
    let data = match &form {
        None => incoming.body,
        Some(all) => {
            let data = all.iter().find(|(name, _)| name == "data");
            data.map(|(_, text)| text.as_bytes()).ok_or_else(|| fields::lacks("data"))?
        }
    };
    let message: Message =
        serde_json::from_slice(data).map_err(|error| unreadable("Uptime Kuma", &error))?;
    let (Some(heartbeat), Some(monitor)) = (message.heartbeat, message.monitor) else {
        let note = "the message has no heartbeat: a test, or a word about a certificate".to_owned();
        return Ok(Payload { notes: vec![note], ..Payload::default() });
    };
    let state = match heartbeat.status {
        0 => State::Firing,
        1 => State::Resolved,
        2 | 3 => State::NoData,
        _ => {
            let said = "a status is 0 (down), 1 (up), 2 (pending) or 3 (maintenance)";
            return Err(Problem::new(Kind::Invalid, said).at("/heartbeat/status"));
        }
    };
    let id = fields::word(&monitor.id).ok_or_else(|| fields::lacks("id").at("/monitor/id"))?;
    let fingerprint = fields::fingerprint(id, "/monitor/id")?;
    let labels = labels(&monitor.tags);
    let alert = Alert { labels, ..Alert::new(monitor.name, fingerprint, state) };
    Ok(Payload::of(vec![Told::Alert(alert)]))
}

/// The monitor's tags, `{"name": …, "value": …}` each.
fn labels(tags: &[Value]) -> Labels {
    let mut labels = Labels::new();
    for tag in tags {
        let text = |key: &str| tag.get(key).and_then(fields::word);
        if let (Some(name), Some(value)) = (text("name"), text("value")) {
            labels.entry(name).or_insert(value);
        }
    }
    labels
}
