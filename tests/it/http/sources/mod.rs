//! Senders that speak a format of their own: who is let in, and what their words become.

use serde_json::{Value, json};

use super::face::{Answer, Face};

mod alertmanager;
mod aodh;
mod cloudevents;
mod datadog;
mod doors;
mod generic;
mod grafana;
mod measures;
mod otlp;
mod prompb;
mod remote_write;
mod standard_webhooks;
mod trigger;
mod uptime_kuma;
mod uptime_robot;
mod zabbix;

/// A source of this format for the group web, whose senders show a bearer token.
pub fn section(format: &str) -> String {
    format!(
        "[source.s]\nformat = \"{format}\"\ngroup = \"web\"\n[[source.s.auth]]\nbearer = {{ env = \"TOKEN\" }}\n"
    )
}

/// A face with that source and its token.
pub fn face(format: &str, more: &str) -> Face {
    let face = Face::new();
    face.speaks(&format!("{}{more}", section(format)), &[("TOKEN", "open sesame")]);
    face
}

pub async fn post(face: &Face, body: &Value) -> Answer {
    let asking = face.stranger("POST", "/v1/webhooks/s");
    asking.header("authorization", "Bearer open sesame").json(&body.to_string()).send().await
}

/// Name, fingerprint, and whether it fires, of all alerts of the group.
pub async fn alerts(face: &Face, group: &str) -> Vec<(String, String, bool)> {
    let state = face.stored(group).await.state;
    let alert = |a: &novascale::domain::alert::Alerted| {
        (a.name.to_string(), a.fingerprint.clone(), !a.resolved)
    };
    state.alerts.iter().map(alert).collect()
}

pub fn told(group: &str, alerts: u64, fresh: bool) -> Value {
    json!({ "group": group, "alerts": alerts, "samples": 0, "orders": 0, "fresh": fresh })
}
