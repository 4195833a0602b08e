//! Pausing by HTTP: what is stored, shown and answered, and what is refused.

use std::time::Duration;

use novascale::domain::pause::Process;
use novascale::http::tokens::Scope;
use serde_json::json;

use super::face::{Answer, Face, Mood};

const WEB: &str = "/v1/groups/web/pause";
const ALL: &str = "/v1/pause";

async fn put(face: &Face, path: &str, body: &str) -> Answer {
    face.ask(Scope::Operate, "PUT", path).json(body).send().await
}

async fn delete(face: &Face, path: &str) -> Answer {
    face.ask(Scope::Operate, "DELETE", path).send().await
}

fn sentence(answer: &Answer) -> String {
    answer.json()["sentence"].as_str().unwrap_or_default().to_owned()
}

async fn paused(face: &Face, group: &str) -> Vec<Process> {
    face.stored(group).await.state.pauses.into_keys().collect()
}

#[tokio::test]
async fn a_pause_is_stored_shown_and_taken_back() {
    let face = Face::new();
    let body = "{\"processes\": [\"launch\", \"heal\"], \"for\": \"2h\", \"reason\": \"move\"}";
    let told = put(&face, WEB, body).await;
    assert_eq!(told.status, 202, "{told:?}");
    assert!(sentence(&told).starts_with("launch and heal are paused for 2 h; desired"), "{told:?}");
    assert_eq!(paused(&face, "web").await, [Process::Launch, Process::Heal]);
    let state = face.stored("web").await.state;
    assert_eq!((state.ordered, state.steered), (None, None), "it says nothing of sizes");
    let shown = face.get("/v1/groups/web").await.json()["pauses"].clone();
    assert_eq!(
        (shown[0]["process"].clone(), shown[0]["reason"].clone()),
        (json!("launch"), json!("move"))
    );
    assert!(shown[0]["until"].is_string() && shown[1]["process"] == "heal", "{shown}");

    let told = delete(&face, &format!("{WEB}?processes=launch")).await;
    assert!(sentence(&told).starts_with("launch goes on; desired"), "{told:?}");
    assert_eq!(paused(&face, "web").await, [Process::Heal]);
    let told = delete(&face, &format!("{WEB}?processes=launch,alarm")).await;
    assert_eq!(sentence(&told), "launch and alarm were not paused; paused: heal");
    assert_eq!(delete(&face, WEB).await.status, 202);
    assert_eq!(paused(&face, "web").await, []);
    let told = delete(&face, WEB).await;
    assert!(sentence(&told).ends_with("were not paused; nothing is paused"), "{told:?}");
}

#[tokio::test]
async fn left_out_is_everything_and_for_ever() {
    let face = Face::new();
    assert_eq!(put(&face, WEB, "{}").await.status, 202);
    assert_eq!(paused(&face, "web").await, Process::ALL);
    let pauses = face.stored("web").await.state.pauses;
    assert!(pauses.values().all(|pause| pause.until.is_none()));
    let shown = face.get("/v1/groups/web").await.json()["pauses"].clone();
    assert_eq!(shown[4]["until"], json!(null), "{shown}");
}

#[tokio::test]
async fn a_pause_that_is_over_is_not_shown() {
    let face = Face::new();
    put(&face, WEB, "{\"for\": \"60s\"}").await;
    face.clock.forward(Duration::from_secs(60));
    assert_eq!(face.get("/v1/groups/web").await.json()["pauses"], json!([]));
}

#[tokio::test]
async fn what_does_not_read_changes_nothing() {
    let face = Face::new();
    let bodies = [
        ("", 400, "malformed"),
        ("[]", 422, "invalid"),
        ("{\"process\": [\"launch\"]}", 422, "invalid"),
        ("{\"processes\": \"launch\"}", 422, "invalid"),
        ("{\"processes\": []}", 422, "invalid"),
        ("{\"processes\": [\"launch\", \"fly\"]}", 422, "invalid"),
        ("{\"processes\": [1]}", 422, "invalid"),
        ("{\"for\": \"31d\"}", 422, "invalid"),
        ("{\"for\": \"0s\"}", 422, "invalid"),
        ("{\"for\": 60}", 422, "invalid"),
        ("{\"reason\": \"\"}", 422, "invalid"),
        ("{\"for\": \"1h\", \"for\": \"2h\"}", 422, "invalid"),
    ];
    for path in [WEB, ALL] {
        for (body, status, code) in bodies {
            // Not so fast that the limit of requests answers instead.
            face.clock.forward(Duration::from_secs(1));
            let answer = put(&face, path, body).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {body}");
        }
    }
    for group in ["web", "db"] {
        assert_eq!(paused(&face, group).await, []);
    }
    put(&face, WEB, "{}").await;
    face.clock.forward(Duration::from_secs(10));
    for query in ["?processes=fly", "?processes=", "?process=launch", "?processes=launch,,heal"] {
        let answer = delete(&face, &format!("{WEB}{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid-query"), "{query}");
    }
    // A body that is not read must not let all go on.
    let body = "{\"processes\": [\"launch\"]}";
    let ask = face.ask(Scope::Operate, "DELETE", WEB).json(body);
    let answer = ask.header("content-length", &body.len().to_string()).send().await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "invalid"));
    assert_eq!(paused(&face, "web").await, Process::ALL);
}

#[tokio::test]
async fn every_configured_group_is_told_at_once() {
    let face = Face::new();
    let told = put(&face, ALL, "{\"processes\": [\"launch\"], \"for\": \"1h\"}").await;
    assert_eq!(told.status, 202, "{told:?}");
    let groups = told.json()["groups"].as_array().unwrap().len();
    assert_eq!(sentence(&told), format!("launch is paused for 1 h, in {groups} groups"));
    for group in ["web", "db"] {
        assert_eq!(paused(&face, group).await, [Process::Launch]);
    }
    let told = delete(&face, &format!("{ALL}?processes=launch")).await;
    assert_eq!(sentence(&told), format!("launch goes on, in {groups} groups"));
    for group in ["web", "db"] {
        assert_eq!(paused(&face, group).await, []);
    }
    face.store.is(Mood::Fails);
    let told = put(&face, ALL, "{}").await;
    assert_eq!((told.status, told.code().as_str()), (503, "store-unavailable"));
    assert!(told.json()["detail"].as_str().unwrap().ends_with("taken by: none"), "{told:?}");
}

#[tokio::test]
async fn a_repeated_pause_counts_once() {
    let face = Face::new();
    let ask = || face.ask(Scope::Operate, "PUT", WEB).header("idempotency-key", "k").json("{}");
    assert_eq!(ask().send().await.json()["repeated"], false);
    assert_eq!(delete(&face, WEB).await.status, 202);
    assert_eq!(ask().send().await.json()["repeated"], true);
    assert_eq!(paused(&face, "web").await, []);
}
