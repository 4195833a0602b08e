//! Grafana alerting, webhook version 1: Alertmanager's message with more around it.
//!
//! A rule without data, or whose query fails, sends an alert of its own, `DatasourceNoData` or
//! `DatasourceError`, with the rule's name in the label `rulename` and with other fingerprints than
//! the rule's alerts have. While it fires they all hold; its end says only that there are data.
//! Source: grafana/alerting `receivers/webhook/v1/webhook.go`; grafana/grafana
//! `pkg/services/ngalert/state/compat.go`.

use super::{Incoming, alertmanager};
use crate::http::error::Problem;
use crate::http::source::told::{Alert, Payload, State, Told};

pub(super) fn read(incoming: &Incoming<'_>) -> Result<Payload, Problem> {
    let message = alertmanager::message(incoming, "Grafana alerting", "1")?;
    let mut told = Vec::new();
    for (n, one) in message.alerts.into_iter().enumerate() {
        let alert = of_its_rule(alertmanager::alert(one, n, incoming)?);
        told.extend(alert.map(Told::Alert));
    }
    let notes = alertmanager::cut_short(message.truncated);
    Ok(Payload { told, notes, ..Payload::default() })
}

/// What an alert about data says of the rule's alerts, if anything.
fn of_its_rule(alert: Alert) -> Option<Alert> {
    let about_data = matches!(alert.name.as_str(), "DatasourceNoData" | "DatasourceError");
    let rule = alert.labels.get("rulename").filter(|_| about_data).cloned();
    match (rule, alert.state) {
        (None, _) => Some(alert),
        (Some(name), State::Firing | State::NoData) => {
            Some(Alert { name, fingerprint: String::new(), state: State::NoData, ..alert })
        }
        (Some(_), State::Resolved) => None,
    }
}
