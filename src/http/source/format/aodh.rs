//! OpenStack Aodh, its `http(s)` and `trust+http(s)` actions.
//!
//! An alarm is known by `alarm_name`, and alarms of one name by `alarm_id`. It tells no beginning;
//! with `repeat_actions` it tells its state again and again. The header `x-openstack-request-id`
//! is another one at each attempt, and no id of the message.
//! Source: openstack/aodh `aodh/notifier/rest.py`.

use serde::Deserialize;

use super::Incoming;
use crate::domain::alert::FINGERPRINT_MOST;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Payload, State, Told, unreadable};

#[derive(Deserialize)]
struct Message {
    alarm_name: String,
    alarm_id: String,
    current: Current,
    severity: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
enum Current {
    #[serde(rename = "ok")]
    Ok,
    #[serde(rename = "alarm")]
    Alarm,
    #[serde(rename = "insufficient data")]
    InsufficientData,
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let message: Message =
        serde_json::from_slice(incoming.body).map_err(|error| unreadable("Aodh", &error))?;
    if message.alarm_id.len() > FINGERPRINT_MOST {
        let said = format!("an alarm's id has at most {FINGERPRINT_MOST} characters");
        return Err(Problem::new(Kind::Invalid, said).at("/alarm_id"));
    }
    let state = match message.current {
        Current::Ok => State::Resolved,
        Current::Alarm => State::Firing,
        Current::InsufficientData => State::NoData,
    };
    let severity = message.severity.map(|severity| ("severity".to_owned(), severity));
    let name = ("alarm_name".to_owned(), message.alarm_name.clone());
    let labels: Labels = severity.into_iter().chain([name]).collect();
    let (name, fingerprint) = (message.alarm_name, message.alarm_id);
    let alert = Alert { labels, ..Alert::new(name, fingerprint, state) };
    Ok(Payload::of(vec![Told::Alert(alert)]))
}
