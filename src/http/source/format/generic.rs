//! Any JSON, read by the source's pointers (RFC 6901).
//!
//! `list` names an array, each element of which is read by the others; without it the whole body
//! is read once. `id` is the message's, and read from the whole body; so is `group` where an
//! element has none. An element with a value at `status` tells an alert, one with a value at
//! `value` a sample. What a pointer of its kind names has to be there: a sample whose server or
//! time is missing means something else than its sender does.
//!
//! Of a source without pointers the body is in our own words ([`plain`]).

use serde_json::Value;

use super::{Incoming, fields, plain};
use crate::config::source::{Pointers, Whose};
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Payload, Sample, State, Told, unreadable};
use crate::http::webhook::sent_key;

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let body: Value = serde_json::from_slice(incoming.body)
        .map_err(|error| unreadable("the sender of this source", &error))?;
    let key = sent_key(incoming.headers)?.map(str::to_owned);
    if incoming.source.pointers == Pointers::default() {
        let told = plain::read(&body, incoming, &Labels::new())?;
        return Ok(Payload { told, id: key, ..Payload::default() });
    }
    let reader = Reader { incoming, pointers: &incoming.source.pointers, body: &body };
    let mut told = Vec::new();
    let (list, base) = reader.list()?;
    for (n, element) in list.iter().enumerate() {
        let base = base.map_or_else(String::new, |base| format!("{base}/{n}"));
        reader.element(element, &base, &mut told)?;
    }
    let id = reader.pointers.id.as_ref().map(|at| needed(&body, at, "")).transpose()?;
    let id = id.filter(|id| !id.is_empty()).or(key);
    Ok(Payload { told, id, notes: Vec::new() })
}

struct Reader<'a> {
    incoming: &'a Incoming<'a>,
    pointers: &'a Pointers,
    body: &'a Value,
}

/// What is there, null being nothing.
fn found<'v>(value: &'v Value, pointer: &str) -> Option<&'v Value> {
    value.pointer(pointer).filter(|value| !value.is_null())
}

fn missing(base: &str, pointer: &str) -> Problem {
    let said = "nothing stands where a pointer of this source points, or no text or number does";
    Problem::new(Kind::Invalid, said)
        .at(format!("{base}{pointer}"))
        .hint("compare [source.NAME.pointers] with what the sender sends")
}

/// The text, number or boolean there.
fn needed(value: &Value, pointer: &str, base: &str) -> Result<String, Problem> {
    found(value, pointer).and_then(fields::word).ok_or_else(|| missing(base, pointer))
}

impl<'a> Reader<'a> {
    /// All elements, and where they stand if that is a list.
    fn list(&self) -> Result<(&'a [Value], Option<&'a str>), Problem> {
        let Some(pointer) = &self.pointers.list else {
            return Ok((std::slice::from_ref(self.body), None));
        };
        match self.body.pointer(pointer) {
            Some(Value::Array(list)) => Ok((list.as_slice(), Some(pointer))),
            _ => Err(Problem::new(Kind::Invalid, "no list stands where `list` points").at(pointer)),
        }
    }

    fn element(&self, element: &Value, base: &str, told: &mut Vec<Told>) -> Result<(), Problem> {
        let before = told.len();
        if let Some(status) = &self.pointers.status
            && found(element, status).is_some()
        {
            told.push(Told::Alert(self.alert(element, status, base)?));
        }
        if let (Some(signal), Some(value)) = (&self.pointers.signal, &self.pointers.value)
            && found(element, value).is_some()
        {
            told.push(Told::Sample(self.sample(element, (signal, value), base)?));
        }
        if told.len() > before {
            return Ok(());
        }
        let first = self.pointers.status.as_ref().or(self.pointers.value.as_ref());
        Err(missing(base, first.map_or("", String::as_str)))
    }

    fn alert(&self, element: &Value, status: &str, base: &str) -> Result<Alert, Problem> {
        let read = |pointer: &Option<String>| {
            pointer.as_ref().map(|at| needed(element, at, base)).transpose()
        };
        // Where the source names all its alerts, none has to be in the body.
        let name = read(&self.pointers.alert)?.unwrap_or_default();
        let fingerprint = read(&self.pointers.fingerprint)?.unwrap_or_default();
        let at = self.pointers.fingerprint.as_deref().unwrap_or_default();
        let fingerprint = fields::fingerprint(fingerprint, &format!("{base}{at}"))?;
        let state = self.state(&needed(element, status, base)?).ok_or_else(|| {
            let said = "a status that is listed neither in `firing` nor in `resolved`";
            Problem::new(Kind::Invalid, said).at(format!("{base}{status}"))
        })?;
        Ok(Alert { labels: self.labels(element), ..Alert::new(name, fingerprint, state) })
    }

    fn state(&self, word: &str) -> Option<State> {
        let listed = |words: &[String], alone: &str| {
            if words.is_empty() { word == alone } else { words.iter().any(|w| w == word) }
        };
        match () {
            () if listed(&self.pointers.firing, "firing") => Some(State::Firing),
            () if listed(&self.pointers.resolved, "resolved") => Some(State::Resolved),
            () => None,
        }
    }

    fn sample(
        &self,
        element: &Value,
        (signal, value): (&str, &str),
        base: &str,
    ) -> Result<Sample, Problem> {
        let number = needed(element, value, base)?.trim().parse::<f64>().map_err(|_| {
            Problem::new(Kind::Invalid, "the value is no number").at(format!("{base}{value}"))
        })?;
        let at = self.pointers.at.as_ref().map(|pointer| {
            when(&needed(element, pointer, base)?).ok_or_else(|| {
                let said = "a time is RFC 3339, or seconds or milliseconds since 1970";
                Problem::new(Kind::Invalid, said).at(format!("{base}{pointer}"))
            })
        });
        let server = self.pointers.server.as_ref().map(|at| needed(element, at, base));
        Ok(Sample {
            metric: needed(element, signal, base)?,
            labels: self.labels(element),
            value: number,
            at: at.transpose()?,
            server: server.transpose()?,
        })
    }

    /// The label that names the group, where one does.
    fn labels(&self, element: &Value) -> Labels {
        let (Whose::Label { label, .. }, Some(pointer)) =
            (&self.incoming.source.group, &self.pointers.group)
        else {
            return Labels::new();
        };
        let group = found(element, pointer).or_else(|| found(self.body, pointer));
        let group = group.and_then(fields::word);
        group.map(|group| (label.clone(), group)).into_iter().collect()
    }
}

fn when(text: &str) -> Option<Wall> {
    let unix = || text.parse().ok().and_then(fields::unix);
    Wall::parse(text).ok().or_else(unix)
}
