//! Zabbix, as our media type sends it (`deploy/zabbix/media_novascale.yaml`).
//!
//! Zabbix has no body of its own: a media type's script posts what it likes, made of macros. An
//! alert is known by the event's name (`{EVENT.NAME}`), alerts of one name by `{TRIGGER.ID}`; what
//! an update tells (`{EVENT.UPDATE.STATUS}` 1, as an acknowledgement) is the same state again.
//! `{EVENT.VALUE}` is 1 of a problem and 0 once it is over. A macro that a Zabbix does not know
//! stays as it is written, so that of `{EVENT.TIMESTAMP}` only a number counts.
//! Source: Zabbix manual, "Supported macros" and "Webhook media type".

use serde::Deserialize;
use serde_json::Value;

use super::{Incoming, fields};
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Payload, State, Told, unreadable};

#[derive(Deserialize)]
struct Tag {
    tag: String,
    #[serde(default)]
    value: String,
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let message = fields::object(incoming.body, "Zabbix")?;
    let state = match fields::needed(&message, "event_value")?.as_str() {
        "1" => State::Firing,
        "0" => State::Resolved,
        _ => {
            let said = "`event_value` is 1 for a problem and 0 once it is over";
            return Err(Problem::new(Kind::Invalid, said).at("/event_value"));
        }
    };
    let name = fields::needed(&message, "event_name")?;
    let fingerprint = fields::needed(&message, "trigger_id")?;
    let fingerprint = fields::fingerprint(fingerprint, "/trigger_id")?;
    let mut labels = tags(message.get("tags"))?;
    if let Some(host) = message.get("host").and_then(fields::word) {
        labels.insert("host".to_owned(), host);
    }
    let starts = fields::moment_unix(message.get("event_timestamp"));
    let alert = Alert { labels, starts, ..Alert::new(name, fingerprint, state) };
    Ok(Payload::of(vec![Told::Alert(alert)]))
}

/// `{EVENT.TAGSJSON}`; of a tag that comes twice the first counts.
fn tags(value: Option<&Value>) -> Result<Labels, Problem> {
    let mut labels = Labels::new();
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(labels) };
    let tags: Vec<Tag> = serde_json::from_value(value.clone())
        .map_err(|error| unreadable("Zabbix", &error).at("/tags"))?;
    for Tag { tag, value } in tags {
        labels.entry(tag).or_insert(value);
    }
    Ok(labels)
}
