//! Alertmanager's webhook, version 4.

use axum::body::Body;
use futures_util::stream::pending;
use std::time::Duration;

use serde_json::{Value, json};

use super::{alerts, face, post, told};

/// As Alertmanager sends it: prometheus/alertmanager `template/template.go`.
fn message(list: &[Value]) -> Value {
    json!({
        "version": "4",
        "groupKey": "{}:{alertname=\"HighCPU\"}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "novascale",
        "groupLabels": { "alertname": "HighCPU" },
        "commonLabels": { "alertname": "HighCPU" },
        "commonAnnotations": {},
        "externalURL": "http://am:9093",
        "alerts": list,
    })
}

fn alert(status: &str, fingerprint: &str, asg: &str) -> Value {
    json!({
        "status": status,
        "labels": { "alertname": "HighCPU", "asg": asg },
        "annotations": { "summary": "hot" },
        "startsAt": "2026-11-23T11:58:00.123Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
        "fingerprint": fingerprint,
    })
}

#[tokio::test]
async fn each_alert_is_told_by_its_own_status() {
    let face = face("alertmanager", "");
    let body = message(&[alert("firing", "a1", "web"), alert("resolved", "a2", "web")]);
    let answer = post(&face, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 2, true)]));
    let kept = alerts(&face, "web").await;
    let named = |f: &str, firing| ("HighCPU".to_owned(), f.to_owned(), firing);
    assert_eq!(kept, [named("a1", true), named("a2", false)]);
    // Repeated for hours, it says the same.
    assert_eq!(post(&face, &body).await.status, 202);
    assert_eq!(alerts(&face, "web").await, kept);
    // Of one episode resolved is the last word, whatever comes after.
    post(&face, &message(&[alert("resolved", "a1", "web")])).await;
    post(&face, &message(&[alert("firing", "a1", "web")])).await;
    assert_eq!(alerts(&face, "web").await[0], named("a1", false));
}

#[tokio::test]
async fn a_label_names_the_group_and_strangers_are_passed_over() {
    let face = face("alertmanager", "");
    face.speaks(
        "[source.s]\nformat = \"alertmanager\"\ngroup_label = \"asg\"\ngroups = [\"web\"]\n",
        &[],
    );
    let token = face.token(novascale::http::tokens::Scope::Signal);
    let list = [alert("firing", "1", "web"), alert("firing", "2", "db"), alert("firing", "3", "x")];
    let asking = face.stranger("POST", "/v1/webhooks/s");
    let bearer = format!("Bearer {token}");
    let answer =
        asking.header("authorization", &bearer).json(&message(&list).to_string()).send().await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]));
    let notes = answer.json()["notes"].to_string();
    assert!(notes.contains("may not speak to the group db"), "{notes}");
    assert!(notes.contains("names no group here"), "{notes}");
    assert!(alerts(&face, "db").await.is_empty());
    // Nothing of it is for anybody: that is an error that its sender's log shows.
    let asking = face.stranger("POST", "/v1/webhooks/s").header("authorization", &bearer);
    let body = message(&[alert("firing", "2", "db")]).to_string();
    assert_eq!(asking.json(&body).send().await.status, 422);
}

#[tokio::test]
async fn what_was_cut_short_closes_nothing() {
    let face = face("alertmanager", "");
    post(&face, &message(&[alert("firing", "a1", "web"), alert("firing", "a2", "web")])).await;
    let mut body = message(&[alert("firing", "a1", "web")]);
    body["truncatedAlerts"] = json!(1);
    let answer = post(&face, &body).await;
    assert!(answer.json()["notes"].to_string().contains("max_alerts"), "{answer:?}");
    assert!(alerts(&face, "web").await.iter().all(|(_, _, fires)| *fires));
}

#[tokio::test]
async fn what_is_no_message_changes_nothing() {
    let face = face("alertmanager", "");
    let mut nameless = alert("firing", "a", "web");
    nameless["labels"] = json!({ "asg": "web" });
    let mut undated = alert("firing", "a", "web");
    undated["startsAt"] = json!("yesterday");
    let mut five = message(&[]);
    five["version"] = json!("5");
    let bad = [
        json!([]),
        json!({}),
        five,
        message(&[nameless]),
        message(&[undated]),
        message(&[alert("pending", "a", "web")]),
        message(&[alert("firing", "a", "web"), json!("x")]),
        message(&[alert("firing", &"f".repeat(129), "web")]),
    ];
    for body in bad {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_comes_too_slowly_is_to_be_sent_again() {
    let face = face("alertmanager", "");
    let never = Body::from_stream(pending::<Result<Vec<u8>, std::io::Error>>());
    let asking =
        face.stranger("POST", "/v1/webhooks/s").header("authorization", "Bearer open sesame");
    let answer = asking.body(never).send().await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "too-late"));
}

#[tokio::test]
async fn however_many_fire_what_is_over_ends_and_nothing_is_refused() {
    let face = face("alertmanager", "");
    let all = |over: std::ops::Range<usize>| {
        let one = |n| {
            alert(if over.contains(&n) { "resolved" } else { "firing" }, &format!("f{n}"), "web")
        };
        message(&(0..500).map(one).collect::<Vec<_>>())
    };
    let tell = async |over| {
        face.clock.forward(Duration::from_secs(10));
        let answer = post(&face, &all(over)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let alerts = face.get("/v1/groups/web").await.json()["alerts"].clone();
        (answer.json()["notes"].to_string(), alerts.as_array().unwrap().len())
    };
    let (notes, firing) = tell(0..0).await;
    assert!(notes.contains("244 firing alerts of web find no place"), "{notes}");
    assert_eq!(firing, 257, "those without a place count as one");
    // Those that are over come last in the message, and make room for the others all the same.
    assert_eq!(tell(244..500).await, ("null".to_owned(), 244));
    assert_eq!(tell(0..500).await, ("null".to_owned(), 0));
}

/// After a time without a word from Prometheus Alertmanager tells the end of what goes on, and
/// then that it fires, with the same `startsAt` (seen with 0.25).
#[tokio::test]
async fn what_fires_again_is_heard_though_it_is_said_to_have_begun_before_its_end() {
    let face = face("alertmanager", "");
    let fires = async || alerts(&face, "web").await[0].2;
    post(&face, &message(&[alert("firing", "a", "web")])).await;
    post(&face, &message(&[alert("resolved", "a", "web")])).await;
    face.clock.forward(Duration::from_secs(59));
    post(&face, &message(&[alert("firing", "a", "web")])).await;
    assert!(!fires().await, "what was overtaken opens nothing");
    face.clock.forward(Duration::from_secs(1));
    for _ in 0..2 {
        post(&face, &message(&[alert("firing", "a", "web")])).await;
        assert!(fires().await);
    }
    post(&face, &message(&[alert("resolved", "a", "web")])).await;
    assert!(!fires().await);
}

/// A sender's clock may be ahead of ours.
#[tokio::test]
async fn a_beginning_ahead_of_our_clock_stays_when_it_was_told_first() {
    let face = face("alertmanager", "");
    let told = async |status: &str, starts: &str| {
        let mut alert = alert(status, "a", "web");
        alert["startsAt"] = json!(starts);
        assert_eq!(post(&face, &message(&[alert])).await.status, 202);
        face.stored("web").await.state.alerts[0].clone()
    };
    let begins = "2026-11-23T12:03:00Z";
    let first = told("firing", begins).await;
    // It lies ahead still, and then no longer.
    for _ in 0..5 {
        face.clock.forward(Duration::from_secs(60));
        let again = told("firing", begins).await;
        assert_eq!((again.since, again.starts), (first.since, first.starts));
    }
    assert!(told("resolved", begins).await.resolved);
    assert!(told("firing", begins).await.resolved, "of one episode resolved is the last word");
    face.clock.forward(Duration::from_secs(60));
    assert!(!told("firing", begins).await.resolved, "what is said later is another one");
    assert!(told("resolved", begins).await.resolved);
    assert!(!told("firing", "2026-11-23T12:05:00Z").await.resolved, "and so is a later one");
}

/// One of a pair that was started again may hold a later beginning.
#[tokio::test]
async fn an_end_after_the_beginning_that_is_known_ends_it() {
    let face = face("alertmanager", "");
    let told = |status: &str, starts: &str, ends: &str| {
        let mut alert = alert(status, "a", "web");
        (alert["startsAt"], alert["endsAt"]) = (json!(starts), json!(ends));
        message(&[alert])
    };
    let (first, second) = ("2026-11-23T11:00:00Z", "2026-11-23T11:50:00Z");
    post(&face, &told("firing", second, "0001-01-01T00:00:00Z")).await;
    post(&face, &told("resolved", first, "2026-11-23T11:20:00Z")).await;
    assert!(alerts(&face, "web").await[0].2, "an episode that was over before this one began");
    post(&face, &told("resolved", first, "2026-11-23T11:59:00Z")).await;
    assert!(!alerts(&face, "web").await[0].2);
}
