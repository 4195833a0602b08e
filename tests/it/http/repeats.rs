//! A repetition changes nothing, and senders that send too fast are slowed down.

use std::time::Duration;

use novascale::config::http::HttpLimits;
use novascale::http::tokens::Scope;
use novascale::telemetry::count;

use super::face::{Answer, Face};

const SIGNALS: &str = "/v1/groups/web/signals";
const CAPACITY: &str = "/v1/groups/web/capacity";

async fn keyed(face: &Face, path: &str, key: &str, body: &str) -> Answer {
    let scope = if path == CAPACITY { Scope::Capacity } else { Scope::Signal };
    face.ask(scope, "POST", path).header("idempotency-key", key).json(body).send().await
}

#[tokio::test]
async fn the_same_key_and_body_count_once() {
    let face = Face::new();
    let first = keyed(&face, CAPACITY, "k-1", "{\"adjust\": 2}").await;
    assert_eq!(first.status, 202);
    assert_eq!((&first.json()["base"], &first.json()["repeated"]), (&4.into(), &false.into()));
    face.clock.forward(Duration::from_secs(60));
    let again = keyed(&face, CAPACITY, "k-1", "{\"adjust\": 2}").await;
    assert_eq!(again.status, 202);
    assert_eq!((&again.json()["base"], &again.json()["repeated"]), (&4.into(), &true.into()));
    let other = keyed(&face, CAPACITY, "k-2", "{\"adjust\": 2}").await;
    assert_eq!(other.json()["base"], 6);
}

#[tokio::test]
async fn a_key_with_another_body_is_refused() {
    let face = Face::new();
    assert_eq!(keyed(&face, CAPACITY, "k", "{\"adjust\": 2}").await.status, 202);
    let answer = keyed(&face, CAPACITY, "k", "{\"adjust\": 3}").await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "idempotency-key-reused"));
    assert_eq!(face.stored("web").await.state.base, Some(4));
    assert_eq!(face.counters.total(count::STORE_ERRORS), 1);
}

#[tokio::test]
async fn a_repetition_is_told_however_old_its_samples_have_become() {
    let face = Face::new();
    let body = "[{\"name\": \"requests\", \"value\": 1, \"at\": \"2026-11-22T12:00:30Z\"}]";
    assert_eq!(keyed(&face, SIGNALS, "k", body).await.status, 202);
    face.clock.forward(Duration::from_secs(60));
    let again = keyed(&face, SIGNALS, "k", body).await;
    assert_eq!(again.status, 202, "{again:?}");
    assert_eq!(again.json(), serde_json::json!({"accepted": 1, "fresh": 0, "repeated": true}));
    let other = keyed(&face, SIGNALS, "k-2", body).await;
    assert_eq!((other.status, other.pointer().as_deref()), (422, Some("/0/at")));
    let reused = keyed(&face, SIGNALS, "k", &body.replace("1,", "2,")).await;
    assert_eq!((reused.status, reused.code().as_str()), (422, "idempotency-key-reused"));
}

#[tokio::test]
async fn a_signal_that_is_read_is_taken_however_many_others_came_first() {
    let face = Face::new();
    let strange: Vec<_> =
        (0..256).map(|i| format!("{{\"name\": \"n{i}\", \"value\": 1}}")).collect();
    assert_eq!(face.signals(&format!("[{}]", strange.join(","))).await.status, 202);
    assert_eq!(face.signals("{\"name\": \"requests\", \"value\": 1}").await.status, 202);
    assert_eq!(face.signals("{\"name\": \"n256\", \"value\": 1}").await.status, 422);
}

#[tokio::test]
async fn keys_have_a_form() {
    let face = Face::new();
    for key in ["", " ", &"k".repeat(256)] {
        let answer = keyed(&face, SIGNALS, key, "{\"name\": \"requests\", \"value\": 1}").await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid-idempotency-key"));
    }
    assert!(face.stored("web").await.samples.is_empty());
}

#[tokio::test]
async fn signals_tell_what_was_new() {
    let face = Face::new();
    let body = "[{\"name\": \"requests\", \"value\": 1, \"id\": \"a\"}, \
                 {\"name\": \"requests\", \"value\": 2, \"id\": \"b\", \"server\": \"s-1\"}]";
    let first = face.signals(body).await.json();
    assert_eq!(first, serde_json::json!({"accepted": 2, "fresh": 2, "repeated": false}));
    let again = face.signals(body).await.json();
    let note = "2 of 2 changed nothing: the `id`, or the time of measuring with no smaller value, \
                came before";
    let same = serde_json::json!({"accepted": 2, "fresh": 0, "repeated": false, "note": note});
    assert_eq!(again, same);
    let keyed_body = "{\"name\": \"requests\", \"value\": 3}";
    keyed(&face, SIGNALS, "k", keyed_body).await;
    let repeated = keyed(&face, SIGNALS, "k", keyed_body).await.json();
    assert_eq!(repeated, serde_json::json!({"accepted": 1, "fresh": 0, "repeated": true}));
    assert_eq!(face.counters.total(count::SIGNALS), 3);
}

#[tokio::test]
async fn a_signal_that_nobody_reads_is_taken_with_a_note() {
    let face = Face::new();
    let answer = face.signals("{\"name\": \"reqests\", \"value\": 1}").await;
    assert_eq!(answer.status, 202);
    let note = answer.json()["note"].as_str().unwrap().to_owned();
    assert_eq!(note, "no policy of web reads reqests; it reads requests");
}

#[tokio::test]
async fn an_accepted_signal_nudges_its_loop_and_a_refused_one_does_not() {
    use futures_util::FutureExt;
    let face = Face::new();
    face.signals("{\"name\": \"requests\", \"value\": -1}").await;
    assert!(face.ends["web"].nudge.notified().now_or_never().is_none());
    face.signals("{\"name\": \"requests\", \"value\": 1}").await;
    assert!(face.ends["web"].nudge.notified().now_or_never().is_some());
    assert!(face.ends["db"].nudge.notified().now_or_never().is_none());
}

#[tokio::test]
async fn senders_are_slowed_down_by_samples_and_commands_by_number() {
    let limits = HttpLimits {
        signals_per_second: 10,
        signals_burst: 20,
        commands_per_second: 2,
        ..HttpLimits::default()
    };
    let face = Face::with(limits);
    let ten = format!("[{}]", ["{\"name\": \"requests\", \"value\": 1}"; 10].join(","));
    for _ in 0..2 {
        assert_eq!(face.signals(&ten).await.status, 202);
    }
    let answer = face.signals(&ten).await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "too-fast"));
    assert_eq!(answer.header("retry-after"), "1");
    for _ in 0..2 {
        assert_eq!(face.capacity("{\"set\": 3}").await.status, 202);
    }
    assert_eq!(face.capacity("{\"set\": 5}").await.status, 429);
    assert_eq!(face.stored("web").await.state.base, Some(3));
    face.clock.forward(Duration::from_secs(1));
    assert_eq!(face.capacity("{\"set\": 5}").await.status, 202);
    assert_eq!(face.signals(&ten).await.status, 202);
}
