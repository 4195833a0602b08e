//! Our own words in JSON, in the envelopes of others: an alert, a sample, or a list of both.
//!
//! An alert is `{"alert": NAME, "status": "firing", "fingerprint", "starts_at"}`, where the status
//! is `firing` (also if it is left out), `resolved` or `no_data`. A sample is
//! `{"signal": NAME, "value": N, "at", "server"}`. Times are RFC 3339. `group` stands for the label
//! that names the group, if the source goes by one. Data of another shape are read by the source's
//! pointers.

use serde_json::{Map, Value};

use super::{Incoming, generic};
use crate::config::source::{Pointers, Whose};
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Sample, State, Told, moment};

/// All that the value tells; `labels` are its envelope's.
pub(super) fn read(
    value: &Value,
    incoming: &Incoming<'_>,
    labels: &Labels,
) -> Result<Vec<Told>, Problem> {
    if incoming.source.pointers != Pointers::default() {
        return pointed(value, incoming, labels);
    }
    let Value::Array(list) = value else {
        return Ok(vec![one(value, incoming, labels)?]);
    };
    let each = list.iter().enumerate();
    each.map(|(n, value)| {
        one(value, incoming, labels).map_err(|problem| below(problem, &format!("/{n}")))
    })
    .collect()
}

/// By the source's pointers, as if the value were all of the body.
fn pointed(value: &Value, incoming: &Incoming<'_>, labels: &Labels) -> Result<Vec<Told>, Problem> {
    let body = value.to_string();
    let mut told = generic::read(&Incoming { body: body.as_bytes(), ..*incoming })?.told;
    for one in &mut told {
        let own = one.labels_mut();
        *own = labels.clone().into_iter().chain(std::mem::take(own)).collect();
    }
    Ok(told)
}

/// What tells no time of its own is of its envelope's. So of two words about one alert the later
/// one counts, in whatever order they arrive, and a sample that arrives twice is one.
pub(super) fn dated(mut told: Vec<Told>, at: Option<Wall>) -> Vec<Told> {
    for one in &mut told {
        match one {
            Told::Alert(alert) => alert.said = at,
            Told::Sample(sample) => sample.at = sample.at.or(at),
            Told::Order(_) => {}
        }
    }
    told
}

/// The fault with its place in what stands around it.
pub(super) fn below(mut problem: Problem, pointer: &str) -> Problem {
    let inner = problem.pointer.take().unwrap_or_default();
    problem.at(format!("{pointer}{inner}"))
}

fn one(value: &Value, incoming: &Incoming<'_>, labels: &Labels) -> Result<Told, Problem> {
    let Value::Object(object) = value else {
        return Err(Problem::new(Kind::Invalid, SHAPES));
    };
    let fields = Fields(object);
    let labels = labelled(&fields, incoming, labels)?;
    match (fields.text("alert")?, fields.text("signal")?) {
        (Some(name), None) => alert(&fields, name, labels).map(Told::Alert),
        (None, Some(metric)) => sample(&fields, metric, labels).map(Told::Sample),
        (None, None) | (Some(_), Some(_)) => Err(Problem::new(Kind::Invalid, SHAPES)),
    }
}

const SHAPES: &str = "it must be an object with either `alert` or `signal`, as {\"alert\": \
                      \"QueueHigh\", \"status\": \"firing\"} or {\"signal\": \"requests\", \
                      \"value\": 540}";

/// `group` names the group as the label would.
fn labelled(
    fields: &Fields<'_>,
    incoming: &Incoming<'_>,
    labels: &Labels,
) -> Result<Labels, Problem> {
    let mut labels = labels.clone();
    if let (Some(group), Whose::Label { label, .. }) =
        (fields.text("group")?, &incoming.source.group)
    {
        labels.insert(label.clone(), group.to_owned());
    }
    Ok(labels)
}

fn alert(fields: &Fields<'_>, name: &str, labels: Labels) -> Result<Alert, Problem> {
    let state = match fields.text("status")? {
        None | Some("firing") => State::Firing,
        Some("resolved") => State::Resolved,
        Some("no_data") => State::NoData,
        Some(_) => return Err(fault("status", "it must be firing, resolved or no_data")),
    };
    let fingerprint = fields.text("fingerprint")?.unwrap_or_default().to_owned();
    let fingerprint = super::fields::fingerprint(fingerprint, "/fingerprint")?;
    let starts = fields.text("starts_at")?.map(moment).transpose();
    let starts = starts.map_err(|problem| below(problem, "/starts_at"))?.flatten();
    Ok(Alert { labels, starts, ..Alert::new(name.to_owned(), fingerprint, state) })
}

fn sample(fields: &Fields<'_>, metric: &str, labels: Labels) -> Result<Sample, Problem> {
    let value = match fields.0.get("value") {
        Some(Value::Number(number)) => number.as_f64(),
        _ => None,
    };
    let value = value.ok_or_else(|| fault("value", "it must be a number"))?;
    let at = fields.text("at")?.map(|text| time("at", text)).transpose()?;
    let server = fields.text("server")?.map(str::to_owned);
    Ok(Sample { metric: metric.to_owned(), labels, value, at, server })
}

/// When something was measured, or happened.
pub(super) fn time(name: &str, text: &str) -> Result<Wall, Problem> {
    Wall::parse(text).map_err(|_| fault(name, "it must be RFC 3339, as 2026-11-23T18:00:00Z"))
}

fn fault(name: &str, said: &str) -> Problem {
    Problem::new(Kind::Invalid, said).at(format!("/{name}"))
}

/// The members of an object; what is null is as good as absent.
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    fn text(&self, name: &str) -> Result<Option<&'a str>, Problem> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(fault(name, "it must be a text")),
        }
    }
}
