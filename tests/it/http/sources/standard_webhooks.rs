//! Standard Webhooks, and in them our own words. Signatures are in doors.rs.

use novascale::domain::time::Wall;
use serde_json::{Value, json};

use super::{Face, alerts, face, post, told};

fn message(data: &Value) -> Value {
    json!({ "type": "load.high", "timestamp": "2026-11-23T11:59:00.344522Z", "data": data })
}

/// With the id that the sender gave the message.
async fn send(face: &Face, id: &str, body: &Value) -> super::Answer {
    let asking = face.stranger("POST", "/v1/webhooks/s").header("webhook-id", id);
    asking.header("authorization", "Bearer open sesame").json(&body.to_string()).send().await
}

#[tokio::test]
async fn our_own_words_stand_in_the_data() {
    let face = face("standard_webhooks", "");
    let firing = json!({ "alert": "QueueHigh", "fingerprint": "q", "queue": "ci" });
    let answer = post(&face, &message(&firing)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]));
    let queue = |firing| ("QueueHigh".to_owned(), "q".to_owned(), firing);
    assert_eq!(alerts(&face, "web").await, [queue(true)]);
    // No data is no end, and beside the envelope's members the data is read too.
    let held = json!({ "alert": "QueueHigh", "fingerprint": "q", "status": "no_data" });
    assert_eq!(post(&face, &message(&held)).await.status, 202);
    assert_eq!(alerts(&face, "web").await, [queue(true)]);
    let mut over = json!({ "alert": "QueueHigh", "fingerprint": "q", "status": "resolved" });
    over["type"] = json!("load.low");
    over["timestamp"] = json!("2026-11-23T11:59:30Z");
    assert_eq!(post(&face, &over).await.status, 202);
    assert_eq!(alerts(&face, "web").await, [queue(false)]);
    // What happened before that and arrives after it opens nothing.
    assert_eq!(post(&face, &message(&firing)).await.status, 202);
    assert_eq!(alerts(&face, "web").await, [queue(false)]);
}

#[tokio::test]
async fn samples_are_of_the_time_of_their_message() {
    let face = face("standard_webhooks", "");
    let list = json!([
        { "signal": "requests", "value": 540 },
        { "signal": "requests", "value": 60.5, "at": "2026-11-23T11:58:00Z", "server": "5c1f-1" },
        { "alert": "QueueHigh" },
    ]);
    let answer = post(&face, &message(&list)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let groups = answer.json()["groups"].clone();
    assert_eq!((&groups[0]["samples"], &groups[0]["alerts"]), (&json!(2), &json!(1)));
    let mut kept = face.stored("web").await.samples;
    kept.sort_by_key(|sample| sample.at);
    let at = |text| Wall::parse(text).unwrap();
    assert_eq!((kept[0].value.get(), kept[0].at), (60.5, at("2026-11-23T11:58:00Z")));
    assert_eq!(kept[0].server.as_ref().unwrap().as_str(), "5c1f-1");
    assert_eq!((kept[1].value.get(), kept[1].at), (540.0, at("2026-11-23T11:59:00.344Z")));
}

#[tokio::test]
async fn a_message_that_comes_again_changes_nothing() {
    let face = face("standard_webhooks", "");
    let firing = json!({ "type": "load.high", "data": { "alert": "QueueHigh" } });
    let over = json!({ "type": "load", "data": { "alert": "QueueHigh", "status": "resolved" } });
    assert_eq!(send(&face, "msg_1", &firing).await.json()["groups"], json!([told("web", 1, true)]));
    assert_eq!(send(&face, "msg_2", &over).await.status, 202);
    let before = alerts(&face, "web").await;
    let again = send(&face, "msg_1", &firing).await;
    assert_eq!(again.json()["groups"], json!([told("web", 1, false)]), "{again:?}");
    assert_eq!(alerts(&face, "web").await, before);
    // Another message under the same id is no repetition, and is refused.
    assert_eq!(send(&face, "msg_1", &over).await.code(), "idempotency-key-reused");
}

#[tokio::test]
async fn a_member_names_the_group() {
    let face = face("standard_webhooks", "");
    face.speaks(
        &super::section("standard_webhooks").replace("group = \"web\"", "group_label = \"team\""),
        &[("TOKEN", "open sesame")],
    );
    let data = json!([{ "alert": "A", "group": "db" }, { "alert": "B", "group": "nobody" }]);
    let answer = post(&face, &message(&data)).await;
    assert_eq!(answer.json()["groups"], json!([told("db", 1, true)]), "{answer:?}");
    assert!(alerts(&face, "web").await.is_empty());
}

#[tokio::test]
async fn what_is_no_message_changes_nothing() {
    let face = face("standard_webhooks", "");
    let data = |data: Value| message(&data);
    let bad = [
        (json!([]), ""),
        (json!({ "data": { "alert": "A" } }), ""),
        (json!({ "type": "x", "timestamp": "now", "data": { "alert": "A" } }), "/timestamp"),
        (json!({ "type": "x" }), ""),
        (data(json!("A")), "/data"),
        (data(json!({ "status": "firing" })), "/data"),
        (data(json!({ "alert": "A", "signal": "requests", "value": 1 })), "/data"),
        (data(json!({ "alert": 7 })), "/data/alert"),
        (data(json!({ "alert": "A", "status": "alarm" })), "/data/status"),
        (data(json!({ "alert": "A", "starts_at": "yesterday" })), "/data/starts_at"),
        (data(json!({ "alert": "A", "fingerprint": "f".repeat(129) })), "/data/fingerprint"),
        (data(json!([{ "alert": "A" }, { "signal": "requests" }])), "/data/1/value"),
        (data(json!({ "signal": "requests", "value": "7" })), "/data/value"),
        (data(json!({ "signal": "requests", "value": 7, "at": "noon" })), "/data/at"),
        (data(json!({ "signal": "requests", "value": -1 })), ""),
        (data(json!({ "signal": "requests", "value": 1, "server": "../x" })), ""),
    ];
    for (body, pointer) in bad {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert_eq!(answer.pointer().unwrap_or_default(), pointer, "{body}: {answer:?}");
        let stored = face.stored("web").await;
        assert!(stored.state.alerts.is_empty() && stored.samples.is_empty(), "{body}");
    }
}
