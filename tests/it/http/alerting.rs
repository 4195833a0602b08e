//! Alerts by HTTP: what is kept of them, what is journaled, and what is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use novascale::http::tokens::Scope;
use serde_json::json;

use super::face::{Answer, Face};

const WEB: &str = "/v1/groups/web/alerts";

async fn tell(face: &Face, body: &str) -> Answer {
    face.ask(Scope::Signal, "POST", WEB).json(body).send().await
}

#[tokio::test]
async fn an_alert_is_kept_and_its_end_too() {
    let face = Face::new();
    let told = tell(&face, "{\"name\": \"QueueHigh\", \"for\": \"10m\"}").await;
    assert_eq!(told.status, 202, "{told:?}");
    let said = told.json()["sentence"].as_str().unwrap().to_owned();
    assert!(said.starts_with("firing: QueueHigh; desired"), "{said}");
    let note = told.json()["note"].as_str().unwrap().to_owned();
    assert!(note.contains("no policy of web follows the alert QueueHigh"), "{note}");
    let state = face.stored("web").await.state;
    assert_eq!((state.ordered, state.steered), (None, None), "it says nothing of sizes");
    let alert = &state.alerts[0];
    assert_eq!(alert.until, Some(alert.since.plus(Duration::from_secs(600))));
    let shown = face.get("/v1/groups/web").await.json()["alerts"].clone();
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["name"]), (1, &json!("QueueHigh")));
    assert_eq!(
        tell(&face, "{\"name\": \"QueueHigh\", \"status\": \"resolved\"}").await.status,
        202
    );
    assert!(face.stored("web").await.state.alerts[0].resolved);
    assert_eq!(face.get("/v1/groups/web").await.json()["alerts"], json!([]));
}

#[tokio::test]
async fn to_tell_it_again_renews_it_and_alerts_are_no_orders() {
    let face = Face::new();
    for _ in 0..5 {
        face.clock.forward(Duration::from_secs(60));
        assert_eq!(tell(&face, "{\"name\": \"QueueHigh\"}").await.status, 202);
    }
    let alert = face.stored("web").await.state.alerts[0].clone();
    assert_eq!(alert.renewed.steady.since(alert.since.steady), Duration::from_secs(240));
    let journal = face.get("/v1/groups/web/commands").await.json();
    assert_eq!(journal["commands"].as_array().unwrap().len(), 0, "{journal}");
}

#[tokio::test]
async fn all_of_a_request_is_taken_or_nothing() {
    let face = Face::new();
    let body = "[{\"name\": \"A\"}, {\"name\": \"B\", \"status\": \"maybe\"}]";
    let refused = tell(&face, body).await;
    assert_eq!((refused.status, refused.pointer()), (422, Some("/1/status".to_owned())));
    assert!(face.stored("web").await.state.alerts.is_empty());
    let firing = |from: usize, n: usize| {
        let alerts: Vec<_> = (from..from + n).map(|n| json!({ "name": format!("A{n}") })).collect();
        json!({ "alerts": alerts }).to_string()
    };
    assert_eq!(tell(&face, &firing(0, 200)).await.status, 202);
    let crowded = tell(&face, &firing(200, 100)).await;
    assert_eq!(crowded.status, 202, "{crowded:?}");
    let note = crowded.json()["note"].as_str().unwrap().to_owned();
    assert!(note.contains("44 firing alerts of web find no place"), "{note}");
    let shown = face.get("/v1/groups/web").await.json()["alerts"].clone();
    let names: BTreeSet<_> = shown.as_array().unwrap().iter().map(|a| a["name"].as_str()).collect();
    assert_eq!(names.len(), 300, "each counts");
    assert_eq!(shown[256]["others"], 1, "{shown}");
}
