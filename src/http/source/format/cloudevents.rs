//! CloudEvents 1.0 over HTTP: structured, binary and in batches.
//!
//! The content type tells the mode. What an event says stands in its data, in our own words. Its
//! type, source, subject and extension attributes are labels; source and id together are the
//! event's id, and two events of one id are the same event.
//! Source: cloudevents/spec `cloudevents/spec.md`, `bindings/http-protocol-binding.md`,
//! `formats/json-format.md`.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Incoming, plain};
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, Payload, unreadable};

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let events = match mode(incoming.headers)? {
        Mode::Structured => vec![structured(&json(incoming.body)?)?],
        Mode::Batch => batch(&json(incoming.body)?)?,
        Mode::Binary => vec![binary(incoming)?],
    };
    let several = events.len() > 1;
    let (mut told, mut ids) = (Vec::new(), BTreeSet::new());
    for (n, event) in events.into_iter().enumerate() {
        let place = if several { format!("/{n}{}", event.place) } else { event.place.to_owned() };
        // The same event twice in a batch is one.
        if ids.insert(event.id) {
            let at = event.time.map(|text| plain::time("time", &text)).transpose()?;
            let of_it = plain::read(&event.data, incoming, &event.labels);
            let of_it = of_it.map_err(|problem| plain::below(problem, &place))?;
            told.extend(plain::dated(of_it, at));
        }
    }
    let id = (!ids.is_empty()).then(|| serde_json::to_string(&ids).unwrap_or_default());
    Ok(Payload { told, id, ..Payload::default() })
}

enum Mode {
    Structured,
    Batch,
    Binary,
}

/// What counts of an event here.
struct Event {
    /// Its source and its id.
    id: (String, String),
    time: Option<String>,
    labels: Labels,
    data: Value,
    /// Where the data stand in the body.
    place: &'static str,
}

fn mode(headers: &HeaderMap) -> Result<Mode, Problem> {
    let unknown = || {
        let said = "events are read as application/cloudevents+json, as \
                    application/cloudevents-batch+json, and with `ce-` headers as application/json";
        Problem::new(Kind::WrongType, said)
    };
    let text = headers.get(CONTENT_TYPE).map(|value| value.to_str().map_err(|_| unknown()));
    let text = text.transpose()?.unwrap_or("application/json").to_ascii_lowercase();
    match text.split(';').next().unwrap_or_default().trim() {
        "application/cloudevents+json" => Ok(Mode::Structured),
        "application/cloudevents-batch+json" => Ok(Mode::Batch),
        other if other.starts_with("application/cloudevents") || !is_json(other) => Err(unknown()),
        _ => Ok(Mode::Binary),
    }
}

fn is_json(media_type: &str) -> bool {
    let (_, subtype) = media_type.split_once('/').unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

fn json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|error| unreadable("a sender of CloudEvents", &error))
}

fn batch(body: &Value) -> Result<Vec<Event>, Problem> {
    let Value::Array(all) = body else {
        return Err(Problem::new(Kind::Invalid, "a batch of events must be a list"));
    };
    let each = all.iter().enumerate();
    each.map(|(n, one)| structured(one).map_err(|problem| plain::below(problem, &format!("/{n}"))))
        .collect()
}

fn structured(body: &Value) -> Result<Event, Problem> {
    let Value::Object(members) = body else {
        return Err(Problem::new(Kind::Invalid, "an event must be an object"));
    };
    let (data, place) = data(members)?;
    let attributes = members.iter().filter(|(name, _)| !name.starts_with("data"));
    let attributes = attributes.filter_map(|(name, value)| Some((name.clone(), canonical(value)?)));
    event(attributes.collect(), data, place)
}

/// What an attribute is as text; none for what is null and for what no attribute may be.
fn canonical(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn data(members: &Map<String, Value>) -> Result<(Value, &'static str), Problem> {
    let media_type = members.get("datacontenttype").and_then(Value::as_str);
    let media_type = media_type.and_then(|text| text.split(';').next()).map(str::trim);
    if media_type.is_some_and(|text| !is_json(&text.to_ascii_lowercase())) {
        let said = "the data of an event must be JSON";
        return Err(Problem::new(Kind::Invalid, said).at("/datacontenttype"));
    }
    match (members.get("data"), members.get("data_base64")) {
        (Some(data), None) => Ok((data.clone(), "/data")),
        (None, Some(Value::String(text))) => {
            let wrong = |said| Problem::new(Kind::Invalid, said).at("/data_base64");
            let bytes = STANDARD.decode(text).map_err(|_| wrong("it must be base64"))?;
            let data = serde_json::from_slice(&bytes).map_err(|_| wrong("it must hold JSON"))?;
            Ok((data, "/data_base64"))
        }
        _ => Err(Problem::new(Kind::Invalid, "an event needs either `data` or `data_base64`")),
    }
}

fn binary(incoming: &Incoming<'_>) -> Result<Event, Problem> {
    let mut attributes = Labels::new();
    for (name, value) in incoming.headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let text = value.to_str().ok().and_then(unescaped).ok_or_else(|| {
            let said = format!("the header `{name}` is not percent-encoded UTF-8");
            Problem::new(Kind::Invalid, said)
        })?;
        if attributes.insert(attribute.to_owned(), text).is_some() {
            let said = format!("the header `{name}` stands there twice");
            return Err(Problem::new(Kind::Invalid, said));
        }
    }
    event(attributes, json(incoming.body)?, "")
}

/// A header's value: out of its quotes, and percent-decoded once.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let quoted = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let mut rest = quoted.unwrap_or(text).bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'\\' if quoted.is_some() => bytes.push(rest.next()?),
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}

fn event(mut attributes: Labels, data: Value, place: &'static str) -> Result<Event, Problem> {
    let mut need = |name: &str| {
        let found = attributes.remove(name).filter(|text| !text.is_empty());
        found.ok_or_else(|| {
            let said = format!("an event needs the attribute `{name}`");
            Problem::new(Kind::Invalid, said)
        })
    };
    if need("specversion")? != "1.0" {
        let said = "the event is not of version 1.0, the only one of CloudEvents that is read";
        return Err(Problem::new(Kind::Invalid, said));
    }
    let (id, source) = (need("id")?, need("source")?);
    attributes.insert("source".to_owned(), source.clone());
    if attributes.get("type").is_none_or(String::is_empty) {
        return Err(Problem::new(Kind::Invalid, "an event needs the attribute `type`"));
    }
    let time = attributes.remove("time");
    attributes.retain(|name, _| !name.starts_with("data"));
    Ok(Event { id: (source, id), time, labels: attributes, data, place })
}
