//! Grafana alerting's webhook, version 1.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Face, alerts, face, post, told};

/// As Grafana sends it: grafana/alerting `receivers/webhook/v1/webhook.go`.
fn message(list: &[Value]) -> Value {
    json!({
        "receiver": "novascale",
        "status": "firing",
        "orgId": 1,
        "alerts": list,
        "groupLabels": { "alertname": "HighCPU" },
        "commonLabels": { "alertname": "HighCPU" },
        "commonAnnotations": {},
        "externalURL": "http://grafana:3000/",
        "version": "1",
        "groupKey": "{}:{alertname=\"HighCPU\"}",
        "truncatedAlerts": 0,
        "title": "[FIRING:1] HighCPU",
        "state": "alerting",
        "message": "**Firing**",
    })
}

fn alert(status: &str, fingerprint: &str, labels: &Value) -> Value {
    json!({
        "status": status,
        "labels": labels,
        "annotations": { "summary": "hot" },
        "startsAt": "2026-11-23T11:58:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://grafana:3000/alerting/grafana/cpu/view",
        "fingerprint": fingerprint,
        "silenceURL": "http://grafana:3000/alerting/silence/new",
        "dashboardURL": "",
        "panelURL": "",
        "values": { "B": 44.2, "C": null },
        "valueString": "[ var='B' labels={} value=44.2 ]",
    })
}

fn cpu(status: &str, fingerprint: &str) -> Value {
    alert(status, fingerprint, &json!({ "alertname": "HighCPU", "grafana_folder": "web" }))
}

/// The alert about data of the rule HighCPU: grafana/grafana `pkg/services/ngalert/state/compat.go`.
fn about_data(name: &str, status: &str) -> Value {
    let labels = json!({
        "alertname": name, "rulename": "HighCPU", "grafana_folder": "web",
        "datasource_uid": "prom", "ref_id": "A",
    });
    alert(status, "other", &labels)
}

async fn put(face: &Face, body: &Value) -> u16 {
    let asking = face.stranger("PUT", "/v1/webhooks/s");
    let asking = asking.header("authorization", "Bearer open sesame");
    asking.json(&body.to_string()).send().await.status
}

fn named(fingerprint: &str, firing: bool) -> (String, String, bool) {
    ("HighCPU".to_owned(), fingerprint.to_owned(), firing)
}

#[tokio::test]
async fn each_alert_is_told_by_its_own_status_by_post_and_by_put() {
    let face = face("grafana", "");
    let body = message(&[cpu("firing", "g1"), cpu("resolved", "g2")]);
    let answer = post(&face, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 2, true)]));
    let kept = alerts(&face, "web").await;
    assert_eq!(kept, [named("g1", true), named("g2", false)]);
    assert_eq!(put(&face, &body).await, 202);
    assert_eq!(alerts(&face, "web").await, kept, "repeated");
    assert_eq!(put(&face, &message(&[cpu("resolved", "g1")])).await, 202);
    assert_eq!(put(&face, &body).await, 202);
    assert_eq!(alerts(&face, "web").await[0], named("g1", false), "of one episode the last word");
}

#[tokio::test]
async fn a_rule_without_data_holds_all_its_alerts() {
    for name in ["DatasourceNoData", "DatasourceError"] {
        let face = face("grafana", "");
        let start = [cpu("firing", "g1"), cpu("firing", "g2"), cpu("resolved", "g3")];
        post(&face, &message(&start)).await;
        let kept = alerts(&face, "web").await;
        face.clock.forward(Duration::from_secs(600));
        assert_eq!(post(&face, &message(&[about_data(name, "firing")])).await.status, 202);
        assert_eq!(alerts(&face, "web").await, kept, "{name}");
        let renewed = face.stored("web").await.state.alerts;
        let since = |n: usize| renewed[n].renewed.steady.since(renewed[n].since.steady).as_secs();
        assert_eq!((since(0), since(1), since(2)), (600, 600, 0), "{name}");
        // That there are data again says nothing of what they are.
        assert_eq!(post(&face, &message(&[about_data(name, "resolved")])).await.status, 202);
        assert_eq!(alerts(&face, "web").await, kept, "{name}");
    }
}

#[tokio::test]
async fn no_data_opens_nothing() {
    let face = face("grafana", "");
    let answer = post(&face, &message(&[about_data("DatasourceNoData", "firing")])).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(alerts(&face, "web").await.is_empty());
}

#[tokio::test]
async fn what_is_no_message_changes_nothing() {
    let face = face("grafana", "");
    let mut four = message(&[cpu("firing", "a")]);
    four["version"] = json!("4");
    // The alerting of before Grafana 9 has neither version nor alerts.
    let legacy = json!({ "title": "x", "ruleId": 1, "ruleName": "HighCPU", "state": "alerting" });
    let nameless = alert("firing", "a", &json!({ "grafana_folder": "web" }));
    let bad = [
        json!({}),
        four,
        legacy,
        message(&[nameless]),
        message(&[cpu("firing", "a"), cpu("alerting", "b")]),
        message(&[cpu("firing", &"f".repeat(129))]),
    ];
    for body in bad {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
}
