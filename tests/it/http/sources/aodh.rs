//! Aodh's alarm actions.

use std::time::Duration;

use serde_json::{Value, json};

use super::{alerts, face, post, told};

/// As Aodh sends it: openstack/aodh `aodh/notifier/rest.py`, `aodh/evaluator/threshold.py`.
fn alarm(previous: &str, current: &str) -> Value {
    json!({
        "alarm_name": "cpu_hi",
        "alarm_id": "c2a7ac5b-6ad2-4e4c-a3b9-8a3ba2b0a7f1",
        "severity": "low",
        "previous": previous,
        "current": current,
        "reason": "Transition to alarm due to 3 samples outside threshold, most recent: 81.4",
        "reason_data": {
            "type": "threshold", "disposition": "outside", "count": 3, "most_recent": 81.4,
        },
    })
}

fn kept(firing: bool) -> [(String, String, bool); 1] {
    [("cpu_hi".to_owned(), "c2a7ac5b-6ad2-4e4c-a3b9-8a3ba2b0a7f1".to_owned(), firing)]
}

#[tokio::test]
async fn the_state_is_the_level() {
    let face = face("aodh", "");
    let answer = post(&face, &alarm("ok", "alarm")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]));
    assert_eq!(alerts(&face, "web").await, kept(true));
    let began = face.stored("web").await.state.alerts[0].since;
    // `repeat_actions`: each repetition renews it.
    face.clock.forward(Duration::from_secs(60));
    assert_eq!(post(&face, &alarm("alarm", "alarm")).await.status, 202);
    let alert = face.stored("web").await.state.alerts[0].clone();
    assert_eq!((alert.since, alert.renewed), (began, began.plus(Duration::from_secs(60))));
    assert_eq!(post(&face, &alarm("alarm", "ok")).await.status, 202);
    assert_eq!(alerts(&face, "web").await, kept(false));
    assert_eq!(post(&face, &alarm("ok", "alarm")).await.status, 202);
    assert_eq!(alerts(&face, "web").await, kept(true), "another episode");
}

#[tokio::test]
async fn insufficient_data_opens_and_ends_nothing() {
    let face = face("aodh", "");
    assert_eq!(post(&face, &alarm("ok", "insufficient data")).await.status, 202);
    assert!(alerts(&face, "web").await.is_empty());
    post(&face, &alarm("ok", "alarm")).await;
    assert_eq!(post(&face, &alarm("alarm", "insufficient data")).await.status, 202);
    assert_eq!(alerts(&face, "web").await, kept(true));
}

#[tokio::test]
async fn the_request_id_is_no_id_of_the_message() {
    let face = face("aodh", "");
    for (state, firing) in [("alarm", true), ("ok", false), ("alarm", true)] {
        let asking = face.stranger("POST", "/v1/webhooks/s");
        let asking = asking.header("authorization", "Bearer open sesame");
        let asking = asking.header("x-openstack-request-id", "req-1");
        let answer = asking.json(&alarm("ok", state).to_string()).send().await;
        assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]), "{answer:?}");
        assert_eq!(alerts(&face, "web").await, kept(firing));
    }
}

#[tokio::test]
async fn what_is_no_alarm_changes_nothing() {
    let face = face("aodh", "");
    let without = |name: &str| {
        let mut body = alarm("ok", "alarm");
        body.as_object_mut().unwrap().remove(name);
        body
    };
    let mut long = alarm("ok", "alarm");
    long["alarm_id"] = json!("a".repeat(129));
    let mut blank = alarm("ok", "alarm");
    blank["alarm_name"] = json!("");
    let bad = [
        json!([]),
        without("alarm_name"),
        without("alarm_id"),
        without("current"),
        alarm("ok", "firing"),
        long,
        blank,
    ];
    for body in bad {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
}
