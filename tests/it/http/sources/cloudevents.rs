//! CloudEvents 1.0: structured, binary, in batches, and the handshake before them.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::face::{Answer, Asking};
use super::{Face, alerts, face, section, told};

const STRUCTURED: &str = "application/cloudevents+json; charset=UTF-8";
const BATCH: &str = "application/cloudevents-batch+json";
const PATH: &str = "/v1/webhooks/s";

/// As in cloudevents/spec `cloudevents/formats/json-format.md`.
fn event(id: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "type": "com.example.load.high",
        "source": "/monitoring/web",
        "subject": "queue",
        "id": id,
        "time": "2026-11-23T11:59:00Z",
        "team": "db",
        "level": 3,
        "datacontenttype": "application/json",
        "data": data,
    })
}

fn firing() -> Value {
    json!({ "alert": "QueueHigh", "fingerprint": "q" })
}

fn queue(firing: bool) -> [(String, String, bool); 1] {
    [("QueueHigh".to_owned(), "q".to_owned(), firing)]
}

fn asking<'f>(face: &'f Face, content_type: &str) -> Asking<'f> {
    let asking = face.stranger("POST", PATH).header("content-type", content_type);
    asking.header("authorization", "Bearer open sesame")
}

async fn send(face: &Face, content_type: &str, body: &Value) -> Answer {
    asking(face, content_type).body(body.to_string()).send().await
}

/// The binary mode's headers, but for those that are overwritten (or left out, if empty).
async fn binary(face: &Face, other: &[(&str, &str)], body: &str) -> Answer {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.load.high"),
        ("ce-source", "/monitoring/web"),
        ("ce-id", "b-1"),
        ("ce-time", "2026-11-23T11:59:00Z"),
        ("ce-team", "db"),
        ("content-type", "application/json; charset=utf-8"),
    ];
    let mut asking = face.stranger("POST", PATH).header("authorization", "Bearer open sesame");
    for (name, value) in headers {
        let other = other.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
        let value = other.unwrap_or(value);
        if !value.is_empty() {
            asking = asking.header(name, value);
        }
    }
    let more = other.iter().filter(|(name, _)| headers.iter().all(|(known, _)| known != name));
    for (name, value) in more {
        asking = asking.header(name, value);
    }
    asking.body(body.to_owned()).send().await
}

#[tokio::test]
async fn what_is_only_said_again_fires_since_it_fired_first() {
    let face = face("cloudevents", "");
    let at = async |id: &str, time: &str| {
        let mut event = event(id, &firing());
        event["time"] = json!(time);
        assert_eq!(send(&face, STRUCTURED, &event).await.status, 202);
        face.stored("web").await.state.alerts[0].clone()
    };
    let first = at("1", "2026-11-23T11:58:00Z").await;
    face.clock.forward(Duration::from_secs(60));
    let second = at("2", "2026-11-23T11:59:00Z").await;
    assert_eq!((second.since, second.resolved), (first.since, false));
    assert_ne!(second.renewed, first.renewed);
}

#[tokio::test]
async fn all_three_modes_tell_the_same() {
    for mode in ["structured", "binary", "batch", "base64"] {
        let face = face("cloudevents", "");
        let answer = match mode {
            "structured" => send(&face, STRUCTURED, &event("1", &firing())).await,
            "binary" => binary(&face, &[], &firing().to_string()).await,
            "batch" => send(&face, BATCH, &json!([event("1", &firing())])).await,
            _ => {
                let mut one = event("1", &Value::Null);
                one.as_object_mut().unwrap().remove("data");
                // {"alert": "QueueHigh", "fingerprint": "q"}
                one["data_base64"] =
                    json!("eyJhbGVydCI6ICJRdWV1ZUhpZ2giLCAiZmluZ2VycHJpbnQiOiAicSJ9");
                send(&face, STRUCTURED, &one).await
            }
        };
        assert_eq!(answer.status, 202, "{mode}: {answer:?}");
        assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]), "{mode}");
        assert_eq!(alerts(&face, "web").await, queue(true), "{mode}");
    }
}

#[tokio::test]
async fn source_and_id_together_tell_a_repetition() {
    let face = face("cloudevents", "");
    let undated = |id: &str, data: &Value| {
        let mut event = event(id, data);
        event.as_object_mut().unwrap().remove("time");
        event
    };
    let over = json!({ "alert": "QueueHigh", "fingerprint": "q", "status": "resolved" });
    let first = undated("1", &firing());
    assert_eq!(
        send(&face, STRUCTURED, &first).await.json()["groups"],
        json!([told("web", 1, true)])
    );
    assert_eq!(send(&face, STRUCTURED, &undated("2", &over)).await.status, 202);
    // Again as it was, in another mode, and written otherwise.
    let mut other = first.clone();
    other["traceparent"] = json!("00-1-2-01");
    let none = [("ce-time", ""), ("ce-id", "1")];
    for answer in [
        send(&face, STRUCTURED, &first).await,
        send(&face, STRUCTURED, &other).await,
        binary(&face, &none, &firing().to_string()).await,
    ] {
        assert_eq!(answer.json()["groups"], json!([told("web", 1, false)]), "{answer:?}");
        assert_eq!(alerts(&face, "web").await, queue(false));
    }
    // The same id of another source is another event.
    let mut elsewhere = first;
    elsewhere["source"] = json!("/monitoring/db");
    assert_eq!(send(&face, STRUCTURED, &elsewhere).await.status, 202);
    assert_eq!(alerts(&face, "web").await, queue(true));
}

#[tokio::test]
async fn events_count_by_when_they_happened() {
    let face = face("cloudevents", "");
    let mut over =
        event("2", &json!({ "alert": "QueueHigh", "fingerprint": "q", "status": "resolved" }));
    over["time"] = json!("2026-11-23T11:59:30Z");
    // The end arrives first, in a batch of its own, and no data is no end.
    assert_eq!(send(&face, BATCH, &json!([over])).await.status, 202);
    assert_eq!(send(&face, BATCH, &json!([event("1", &firing()), over])).await.status, 202);
    assert_eq!(alerts(&face, "web").await, queue(false));
    let mut again = event("3", &firing());
    again["time"] = json!("2026-11-23T11:59:50Z");
    assert_eq!(send(&face, STRUCTURED, &again).await.status, 202);
    let held = json!({ "alert": "QueueHigh", "fingerprint": "q", "status": "no_data" });
    assert_eq!(send(&face, STRUCTURED, &event("4", &held)).await.status, 202);
    assert_eq!(alerts(&face, "web").await, queue(true));
}

#[tokio::test]
async fn a_batch_is_taken_whole_or_not_at_all() {
    let face = face("cloudevents", "");
    let sample = |n: u32| event(&n.to_string(), &json!({ "signal": "requests", "value": n }));
    let bad = event("9", &json!({ "signal": "requests", "value": "many" }));
    let answer = send(&face, BATCH, &json!([sample(1), bad])).await;
    assert_eq!((answer.status, answer.pointer()), (422, Some("/1/data/value".to_owned())));
    assert!(face.stored("web").await.samples.is_empty());
    // Of two that are the same event one counts.
    let answer = send(&face, BATCH, &json!([sample(7), sample(7)])).await;
    assert_eq!(answer.json()["groups"][0]["samples"], 1, "{answer:?}");
    assert_eq!(send(&face, BATCH, &json!([])).await.status, 202);
}

#[tokio::test]
async fn attributes_are_labels() {
    let by = |label: &str| {
        section("cloudevents").replace("group = \"web\"", &format!("group_label = \"{label}\""))
    };
    let secrets = [("TOKEN", "open sesame")];
    let face = face("cloudevents", "");
    face.speaks(&by("team"), &secrets);
    assert_eq!(send(&face, STRUCTURED, &event("1", &firing())).await.status, 202);
    assert_eq!(alerts(&face, "db").await, queue(true));
    assert_eq!(binary(&face, &[("ce-team", "%77eb")], &firing().to_string()).await.status, 202);
    assert_eq!(alerts(&face, "web").await, queue(true), "percent-decoded");
    for (label, value) in [("type", "web"), ("subject", "web"), ("source", "web")] {
        face.speaks(&by(label), &secrets);
        let mut one = event(label, &json!({ "alert": label }));
        one[label] = json!(value);
        assert_eq!(send(&face, STRUCTURED, &one).await.status, 202, "{label}");
        let kept = alerts(&face, "web").await;
        assert!(kept.iter().any(|(name, _, _)| name == label), "{label}: {kept:?}");
    }
}

#[tokio::test]
async fn data_of_another_shape_are_read_by_pointers() {
    let pointers = "[source.s.pointers]\nlist = \"/items\"\nalert = \"/rule\"\n\
                    fingerprint = \"/key\"\nstatus = \"/state\"\nfiring = \"bad\"\n\
                    resolved = \"good\"\n";
    let of =
        |state: &str| json!({ "items": [{ "rule": "QueueHigh", "key": "q", "state": state }] });
    let face = face("cloudevents", pointers);
    assert_eq!(send(&face, STRUCTURED, &event("1", &of("bad"))).await.status, 202);
    assert_eq!(alerts(&face, "web").await, queue(true));
    let mut over = event("2", &of("good"));
    over["time"] = json!("2026-11-23T11:59:30Z");
    assert_eq!(send(&face, BATCH, &json!([over])).await.status, 202);
    assert_eq!(alerts(&face, "web").await, queue(false));
    let answer = send(&face, STRUCTURED, &event("3", &of("odd"))).await;
    assert_eq!((answer.status, answer.pointer()), (422, Some("/data/items/0/state".to_owned())));
    // The event's attributes are labels of these too.
    let by_label = section("cloudevents").replace("group = \"web\"", "group_label = \"team\"");
    face.speaks(&(by_label + pointers), &[("TOKEN", "open sesame")]);
    assert_eq!(send(&face, STRUCTURED, &event("4", &of("bad"))).await.status, 202);
    assert_eq!(alerts(&face, "db").await, queue(true));
}

#[tokio::test]
async fn what_is_no_event_changes_nothing() {
    let face = face("cloudevents", "");
    let without = |name: &str| {
        let mut one = event("1", &firing());
        one.as_object_mut().unwrap().remove(name);
        one
    };
    let with = |name: &str, value: Value| {
        let mut one = event("1", &firing());
        one[name] = value;
        one
    };
    let mut answers = Vec::new();
    for body in [
        without("id"),
        without("source"),
        without("type"),
        without("specversion"),
        without("data"),
        with("specversion", json!("0.3")),
        with("id", json!("")),
        with("time", json!("noon")),
        with("datacontenttype", json!("text/xml")),
        with("data_base64", json!("e30=")),
        with("data", json!("QueueHigh")),
        json!([event("1", &firing())]),
    ] {
        answers.push((422, send(&face, STRUCTURED, &body).await));
    }
    answers.push((422, send(&face, BATCH, &event("1", &firing())).await));
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type"] {
        answers.push((422, binary(&face, &[(name, "")], &firing().to_string()).await));
    }
    let text = firing().to_string();
    answers.push((422, binary(&face, &[("ce-team", "%C0%A0")], &text).await));
    answers.push((422, binary(&face, &[("ce-team", "%7")], &text).await));
    answers.push((400, binary(&face, &[], "{\"alert\": ").await));
    answers.push((415, binary(&face, &[("content-type", "text/plain")], &text).await));
    answers.push((415, send(&face, "application/cloudevents+avro", &firing()).await));
    for (n, (status, answer)) in answers.iter().enumerate() {
        assert_eq!(answer.status, *status, "{n}: {answer:?}");
        assert!(!answer.code().is_empty());
    }
    let stored = face.stored("web").await;
    assert!(stored.state.alerts.is_empty() && stored.samples.is_empty());
}

#[tokio::test]
async fn a_sender_may_ask_whether_its_events_are_wanted() {
    let face = face("cloudevents", "");
    let ask = || face.stranger("OPTIONS", PATH);
    let origin = ("webhook-request-origin", "eventemitter.example.com");
    let answer =
        ask().header(origin.0, origin.1).header("webhook-request-rate", "120").send().await;
    assert_eq!((answer.status, answer.text.as_str()), (200, ""), "{answer:?}");
    assert_eq!(answer.header("webhook-allowed-origin"), origin.1);
    let rate: u32 = answer.header("webhook-allowed-rate").parse().unwrap();
    assert_eq!(rate, face.limits.signals_per_second * 60);
    assert!(answer.header("allow").contains("POST"), "{answer:?}");
    // Who does not say who it is gets no permission.
    assert_eq!(ask().send().await.header("webhook-allowed-origin"), "");
    // What is shown has to be right.
    for (token, status) in [("Bearer open sesame", 200), ("Bearer guess", 401)] {
        let answer = ask().header(origin.0, origin.1).header("authorization", token).send().await;
        assert_eq!(answer.status, status, "{answer:?}");
        let granted = !answer.header("webhook-allowed-origin").is_empty();
        assert_eq!(granted, status == 200, "{answer:?}");
    }
}

#[tokio::test]
async fn guesses_by_options_are_slowed_down_too() {
    let face = face("cloudevents", "");
    let guess = || face.stranger("OPTIONS", PATH).header("authorization", "Bearer guess");
    let mut last = guess().send().await;
    for _ in 0..face.limits.failed_sign_ins_burst {
        last = guess().send().await;
    }
    assert_eq!((last.status, last.code().as_str()), (429, "too-fast"), "{last:?}");
    face.clock.forward(Duration::from_secs(10));
    assert_eq!(guess().send().await.status, 401);
}

#[tokio::test]
async fn other_methods_are_refused() {
    for format in ["cloudevents", "grafana"] {
        let face = face(format, "");
        for method in ["GET", "HEAD", "DELETE", "PATCH", "OPTIONS"] {
            let events = format == "cloudevents";
            let asking = face.stranger(method, PATH);
            let answer = asking.header("authorization", "Bearer open sesame").send().await;
            let methods = if events { "POST, PUT, OPTIONS" } else { "POST, PUT" };
            assert_eq!(answer.header("allow"), methods, "{method}: {answer:?}");
            if !(events && method == "OPTIONS") {
                assert_eq!(answer.status, 405, "{method}: {answer:?}");
            }
        }
    }
}
