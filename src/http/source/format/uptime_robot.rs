//! UptimeRobot's webhook: JSON, a form, or the query of the address.
//!
//! The fields are those of its own variables: `monitorID`, `monitorFriendlyName` and `alertType`,
//! which is 1 when a monitor went down and 2 when it is up again. Other types tell of something
//! else, as 3 of a certificate that is about to expire. Every further field is a label.
//! Source: help.uptimerobot.com "Webhook integration" (the variables); what was sent stands in
//! zulip/zulip `zerver/webhooks/uptimerobot/fixtures/` (1 is "Down", 2 is "Up").

use serde_json::{Map, Value};

use super::{Incoming, fields};
use crate::http::error::Problem;
use crate::http::source::told::{Alert, Payload, State, Told};

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let message = message(incoming)?;
    let state = match fields::needed(&message, "alertType")?.as_str() {
        "1" => State::Firing,
        "2" => State::Resolved,
        _ => {
            let note = "an `alertType` other than 1 (down) and 2 (up) says nothing here".to_owned();
            return Ok(Payload { notes: vec![note], ..Payload::default() });
        }
    };
    let name = fields::needed(&message, "monitorFriendlyName")?;
    let fingerprint = fields::fingerprint(fields::needed(&message, "monitorID")?, "/monitorID")?;
    let labels = fields::labels(&message);
    let alert = Alert { labels, ..Alert::new(name, fingerprint, state) };
    Ok(Payload::of(vec![Told::Alert(alert)]))
}

/// The query's fields, and over them those of the body.
fn message(incoming: &Incoming<'_>) -> Result<Map<String, Value>, Problem> {
    let mut all = texts(fields::pairs(incoming.query.as_bytes()));
    match fields::form(incoming)? {
        Some(form) => all.extend(texts(form)),
        None if incoming.body.trim_ascii().is_empty() => {}
        None => all.extend(fields::object(incoming.body, "UptimeRobot")?),
    }
    Ok(all)
}

fn texts(fields: Vec<(String, String)>) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}
