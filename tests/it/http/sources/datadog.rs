//! Datadog's webhooks, with the payload that docs/sources.md has for them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{alerts, face, post, section, told};

/// What Datadog makes of the payload; `date` in seconds after 11:55 of the test's day.
fn message(transition: &str, date: i64) -> Value {
    let began = novascale::domain::time::Wall::parse("2026-11-23T11:55:00Z").unwrap().0;
    json!({
        "alert_id": "1234",
        "alert_transition": transition,
        "alert_cycle_key": "9bd4ac313a4d1e8fae2482df7b77628",
        "alert_metric": "system.load.1",
        "alert_scope": "availability-zone:us-east-1a, role:computing-node",
        "tags": "team:web,url:http://x:80,monitor",
        "date": (began + date * 1000).to_string(),
    })
}

fn kept(name: &str, firing: bool) -> [(String, String, bool); 1] {
    [(name.to_owned(), "9bd4ac313a4d1e8fae2482df7b77628".to_owned(), firing)]
}

#[tokio::test]
async fn transitions_are_levels() {
    for firing in ["Triggered", "Re-Triggered", "Warn", "Re-Warn", "Renotify"] {
        let face = face("datadog", "");
        let answer = post(&face, &message(firing, 0)).await;
        assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]), "{answer:?}");
        assert_eq!(alerts(&face, "web").await, kept("system.load.1", true), "{firing}");
        for held in ["No Data", "Re-No Data"] {
            assert_eq!(post(&face, &message(held, 10)).await.status, 202);
            assert_eq!(alerts(&face, "web").await, kept("system.load.1", true), "{held}");
        }
        assert_eq!(post(&face, &message("Recovered", 20)).await.status, 202);
        assert_eq!(alerts(&face, "web").await, kept("system.load.1", false));
        // Datadog tries five times: an attempt that comes late changes nothing.
        assert_eq!(post(&face, &message(firing, 0)).await.status, 202);
        assert_eq!(alerts(&face, "web").await, kept("system.load.1", false), "{firing}");
    }
}

#[tokio::test]
async fn what_is_only_said_again_fires_since_it_fired_first() {
    let face = face("datadog", "");
    assert_eq!(post(&face, &message("Triggered", 0)).await.json()["groups"][0]["fresh"], true);
    let first = face.stored("web").await.state.alerts[0].clone();
    for (n, repeated) in (1..).zip(["Renotify", "Re-Triggered", "Warn"]) {
        face.clock.forward(Duration::from_secs(60));
        let answer = post(&face, &message(repeated, 60 * n)).await;
        assert_eq!(answer.json()["groups"][0]["fresh"], false, "{answer:?}");
    }
    let last = face.stored("web").await.state.alerts[0].clone();
    assert_eq!((last.since, last.resolved), (first.since, false));
    assert_ne!(last.renewed, first.renewed);
    post(&face, &message("Recovered", 240)).await;
    assert_eq!(alerts(&face, "web").await, kept("system.load.1", false));
    face.clock.forward(Duration::from_secs(60));
    post(&face, &message("Triggered", 241)).await;
    assert_ne!(face.stored("web").await.state.alerts[0].since, first.since, "another episode");
}

#[tokio::test]
async fn a_title_names_the_alert_without_what_changes_in_it() {
    let face = face("datadog", "");
    let mut body = message("Triggered", 0);
    body["alert_title"] = json!("[P1] [Triggered on {host:ip-012345}] Queue is long");
    assert_eq!(post(&face, &body).await.status, 202);
    assert_eq!(alerts(&face, "web").await, kept("Queue is long", true));
    let mut body = message("Recovered", 60);
    body["alert_title"] = json!("[P1] [Recovered on {host:ip-012345}] Queue is long");
    assert_eq!(post(&face, &body).await.status, 202);
    assert_eq!(alerts(&face, "web").await, kept("Queue is long", false));
}

#[tokio::test]
async fn tags_and_scope_are_labels() {
    for (label, group) in [("team", "web"), ("role", "computing-node")] {
        let face = face("datadog", "");
        let by_label =
            section("datadog").replace("group = \"web\"", &format!("group_label = \"{label}\""));
        face.speaks(&by_label, &[("TOKEN", "open sesame")]);
        let status = post(&face, &message("Triggered", 0)).await.status;
        // There is no group computing-node.
        assert_eq!(status, if group == "web" { 202 } else { 422 }, "{label}");
        let mut body = message("Triggered", 0);
        body["alert_scope"] = json!(format!("x:y, {label}:db"));
        assert_eq!(post(&face, &body).await.status, 202, "{label}");
        assert_eq!(alerts(&face, "db").await.len(), 1, "{label}");
    }
}

#[tokio::test]
async fn too_fast_is_503_for_it_would_drop_a_429() {
    let limits = novascale::config::http::HttpLimits {
        signals_per_second: 1,
        signals_burst: 1,
        ..Default::default()
    };
    let face = super::Face::with(limits);
    face.speaks(&section("datadog"), &[("TOKEN", "open sesame")]);
    assert_eq!(post(&face, &message("Triggered", 0)).await.status, 202);
    let answer = post(&face, &message("Recovered", 5)).await;
    assert_eq!((answer.status, answer.header("retry-after")), (503, "1"), "{answer:?}");
    face.clock.forward(Duration::from_secs(1));
    assert_eq!(post(&face, &message("Recovered", 5)).await.status, 202);
}

#[tokio::test]
async fn what_is_no_alert_changes_nothing() {
    let face = face("datadog", "");
    let with = |name: &str, value: &str| {
        let mut body = message("Triggered", 0);
        body[name] = json!(value);
        body
    };
    let bad = [
        json!([]),
        json!({ "title": "$EVENT_TITLE" }),
        with("alert_transition", ""),
        with("alert_transition", "$ALERT_TRANSITION"),
        with("alert_transition", "recovered"),
        with("alert_metric", " "),
        with("alert_cycle_key", &"k".repeat(129)),
        with("date", "$DATE"),
        with("date", "2026-11-23T11:55:00Z"),
        with("alert_title", &"t".repeat(129)),
    ];
    for body in bad {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
}
