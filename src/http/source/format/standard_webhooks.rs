//! Standard Webhooks: an envelope of `type`, `timestamp` and `data`, in which our own words stand.
//!
//! The data may stand in `data` or beside the envelope's members. The header `webhook-id` is one
//! message's however often it is sent.
//! Source: standard-webhooks/standard-webhooks `spec/standard-webhooks.md`.

use serde::Deserialize;
use serde_json::Value;

use super::{Incoming, plain};
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, Payload, unreadable};

#[derive(Deserialize)]
struct Envelope {
    r#type: String,
    timestamp: Option<String>,
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let wrong = |error: &serde_json::Error| unreadable("a sender of Standard Webhooks", error);
    let body: Value = serde_json::from_slice(incoming.body).map_err(|error| wrong(&error))?;
    let envelope = Envelope::deserialize(&body).map_err(|error| wrong(&error))?;
    let at = envelope.timestamp.map(|text| plain::time("timestamp", &text)).transpose()?;
    let labels = Labels::from([("type".to_owned(), envelope.r#type)]);
    let (data, place) = body.get("data").map_or((&body, ""), |data| (data, "/data"));
    let told = plain::read(data, incoming, &labels);
    let told = told.map_err(|problem| plain::below(problem, place))?;
    let id = id(incoming)?;
    Ok(Payload { told: plain::dated(told, at), id, ..Payload::default() })
}

/// The message's id. Where the message is signed with it the door has read it already.
fn id(incoming: &Incoming<'_>) -> Result<Option<String>, Problem> {
    let Some(value) = incoming.headers.get("webhook-id") else { return Ok(None) };
    let text = value.to_str().map_err(|_| {
        Problem::new(Kind::Invalid, "the header `webhook-id` holds more than printable characters")
    })?;
    Ok((!text.is_empty()).then(|| text.to_owned()))
}
