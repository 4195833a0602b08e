//! Datadog's webhook integration, with the payload that docs/sources.md has for it.
//!
//! Datadog fixes no body: it fills the payload's variables in. An alert is known by its title or,
//! where the payload sends none, its metric; alerts of one name by their cycle, which lasts from
//! trigger to recovery. Its words are ordered by their `date`.
//! Source: docs.datadoghq.com/integrations/webhooks (the variables and the transitions).

use serde::Deserialize;

use super::Incoming;
use crate::domain::alert::FINGERPRINT_MOST;
use crate::domain::time::Wall;
use crate::http::error::{Kind, Problem};
use crate::http::source::told::{Alert, Labels, Payload, State, Told, unreadable};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Message {
    alert_id: String,
    alert_transition: String,
    alert_cycle_key: String,
    alert_title: String,
    alert_metric: String,
    alert_scope: String,
    tags: String,
    date: String,
}

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let message: Message =
        serde_json::from_slice(incoming.body).map_err(|error| unreadable("Datadog", &error))?;
    let state = state(&message.alert_transition)?;
    let name = [title(&message.alert_title), message.alert_metric.trim()];
    let name = name.into_iter().find(|name| !name.is_empty());
    let name = name.ok_or_else(|| {
        let said = "neither `alert_title` nor `alert_metric` names the alert";
        Problem::new(Kind::Invalid, said).at("/alert_metric").hint(TEMPLATE)
    })?;
    let key = [&message.alert_cycle_key, &message.alert_id].into_iter().find(|key| !key.is_empty());
    let fingerprint = key.cloned().unwrap_or_default();
    if fingerprint.len() > FINGERPRINT_MOST {
        let said = format!("a cycle's key has at most {FINGERPRINT_MOST} characters");
        return Err(Problem::new(Kind::Invalid, said).at("/alert_cycle_key"));
    }
    let said = date(&message.date)?;
    let tags = message.tags.split(',').chain(message.alert_scope.split(','));
    let labels: Labels = tags.filter_map(tag).collect();
    let alert = Alert { labels, said, ..Alert::new(name.to_owned(), fingerprint, state) };
    Ok(Payload::of(vec![Told::Alert(alert)]))
}

const TEMPLATE: &str = "docs/sources.md has the payload for Datadog's webhook";

fn state(transition: &str) -> Result<State, Problem> {
    match transition {
        "Triggered" | "Re-Triggered" | "Warn" | "Re-Warn" | "Renotify" => Ok(State::Firing),
        "Recovered" => Ok(State::Resolved),
        "No Data" | "Re-No Data" => Ok(State::NoData),
        _ => {
            let said = "it must be Triggered, Warn, Renotify, Recovered or No Data";
            Err(Problem::new(Kind::Invalid, said).at("/alert_transition").hint(TEMPLATE))
        }
    }
}

/// The title without what stands in brackets before it: `[Triggered on {host:a}] Queue is long`
/// and `[Recovered on …] Queue is long` are of one alert.
fn title(text: &str) -> &str {
    let mut rest = text.trim();
    while let Some((_, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        rest = after.trim_start();
    }
    rest
}

fn tag(text: &str) -> Option<(String, String)> {
    let (label, value) = text.trim().split_once(':')?;
    Some((label.to_owned(), value.to_owned()))
}

/// Milliseconds since 1970.
fn date(text: &str) -> Result<Option<Wall>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    let at = text.parse().map(Wall).map_err(|_| {
        let said = "it must be a time in milliseconds since 1970, as `$DATE` gives it";
        Problem::new(Kind::Invalid, said).at("/date")
    })?;
    Ok((at > Wall(0)).then_some(at))
}
