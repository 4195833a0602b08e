//! A call of the address is all that is said: the source's `order` is given once more.
//!
//! Heat's and Senlin's callers are understood. Of Heat's body only `current` (or `state`) `alarm`
//! acts, as a body without either does; of Senlin's (`?V=2`) `count` is the number of an `adjust`,
//! whose sign stays. A call cannot be told from its repetition, unless it carries an
//! `Idempotency-Key`.
//! Source: openstack/heat `heat/engine/resources/signal_responder.py`, `scaling_policy.py`;
//! openstack/senlin `api-ref/source/webhooks.inc`.

use serde_json::{Map, Value};

use super::{Incoming, fields};
use crate::domain::count::MOST;
use crate::domain::signal::Command;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Labels, Order, Payload, Told};
use crate::http::webhook::sent_key;

/// Heat's word for a state that calls for the order.
const ALARM: &str = "alarm";
/// The longest reason that is kept.
const REASON_MOST: usize = 256;

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let body = body(incoming)?;
    let id = sent_key(incoming.headers)?.map(str::to_owned);
    let state = ["current", "state"].iter().find_map(|key| body.get(*key).and_then(fields::word));
    if let Some(state) = state.filter(|state| !state.eq_ignore_ascii_case(ALARM)) {
        let state: String = state.chars().take(32).collect();
        let notes = vec![format!("the state is {state:?}, and only {ALARM:?} calls for the order")];
        return Ok(Payload { id, notes, ..Payload::default() });
    }
    let Some(order) = incoming.source.order.clone() else {
        return Err(Problem::new(Kind::Invalid, "this source has no `order`, which a call gives"));
    };
    let command = counted(order, body.get("count"))?;
    let reason = body.get("reason").and_then(Value::as_str).and_then(reason);
    let order = Order { labels: labels(incoming, &body), command, reason };
    Ok(Payload { told: vec![Told::Order(order)], id, ..Payload::default() })
}

fn body(incoming: &Incoming<'_>) -> Result<Map<String, Value>, Problem> {
    let body = incoming.body.trim_ascii();
    if body.is_empty() { Ok(Map::new()) } else { fields::object(body, "a caller") }
}

/// The order with the caller's number in place of its own.
fn counted(order: Command, count: Option<&Value>) -> Result<Command, Problem> {
    let Some(value) = count.filter(|value| !value.is_null()) else { return Ok(order) };
    let Command::Adjust { by } = order else {
        let said = "a `count` goes with an order that adjusts, and this source's does not";
        return Err(Problem::new(Kind::Invalid, said).at("/count"));
    };
    let count = fields::word(value).and_then(|text| text.parse::<u32>().ok());
    let count = count.filter(|count| (1..=MOST).contains(count)).ok_or_else(|| {
        Problem::new(Kind::Invalid, format!("`count` must be from 1 to {MOST}")).at("/count")
    })?;
    Ok(Command::Adjust { by: i64::from(count) * by.signum() })
}

/// As much of it as is kept, on one line.
fn reason(text: &str) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(REASON_MOST).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What may name the group: the query, and over it the body.
fn labels(incoming: &Incoming<'_>, body: &Map<String, Value>) -> Labels {
    let mut labels: Labels = fields::pairs(incoming.query.as_bytes()).into_iter().collect();
    labels.extend(fields::labels(body));
    labels
}
