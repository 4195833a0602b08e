//! Zabbix, as our media type sends it.

use novascale::http::tokens::Scope;
use serde_json::{Value, json};

use super::{Face, alerts, face, post, told};

/// What the script of deploy/zabbix/media_novascale.yaml posts.
fn event(value: &str, trigger: &str) -> Value {
    json!({
        "event_id": "4711",
        "event_value": value,
        "event_update_status": "0",
        "event_name": "High CPU on web-1",
        "event_nseverity": "4",
        "event_timestamp": "1795435080",
        "host": "web-1",
        "trigger_id": trigger,
        "tags": [{ "tag": "asg", "value": "web" }, { "tag": "scope", "value": "performance" }],
    })
}

fn named(trigger: &str, firing: bool) -> (String, String, bool) {
    ("High CPU on web-1".to_owned(), trigger.to_owned(), firing)
}

#[tokio::test]
async fn a_problem_fires_and_its_recovery_resolves() {
    let face = face("zabbix", "");
    let answer = post(&face, &event("1", "100")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]));
    assert_eq!(alerts(&face, "web").await, [named("100", true)]);
    // An update tells the same state again.
    let mut update = event("1", "100");
    update["event_update_status"] = json!("1");
    assert_eq!(post(&face, &update).await.status, 202);
    assert_eq!(alerts(&face, "web").await, [named("100", true)]);
    post(&face, &event("0", "100")).await;
    assert_eq!(alerts(&face, "web").await, [named("100", false)]);
    // A problem whose delivery was tried again and came too late opens nothing.
    post(&face, &event("1", "100")).await;
    assert_eq!(alerts(&face, "web").await, [named("100", false)]);
    // A later one does.
    let mut next = event("1", "100");
    next["event_timestamp"] = json!("1795435140");
    post(&face, &next).await;
    assert_eq!(alerts(&face, "web").await, [named("100", true)]);
}

/// Each Zabbix numbers its triggers from 1.
#[tokio::test]
async fn one_zabbix_does_not_end_the_problems_of_another() {
    let face = Face::new();
    let of = |name: &str| {
        format!(
            "[source.{name}]\nformat = \"zabbix\"\ngroup = \"web\"\nalert = \"Hot\"\n\
             [[source.{name}.auth]]\nbearer = {{ env = \"TOKEN\" }}\n"
        )
    };
    face.speaks(&(of("north") + &of("south")), &[("TOKEN", "open sesame")]);
    let tell = async |name: &str, value: &str| {
        let asking = face.stranger("POST", &format!("/v1/webhooks/{name}"));
        let asking = asking.header("authorization", "Bearer open sesame");
        assert_eq!(asking.json(&event(value, "1").to_string()).send().await.status, 202);
    };
    tell("north", "1").await;
    tell("south", "1").await;
    tell("south", "0").await;
    let shown = face.get("/v1/groups/web").await.json()["alerts"].clone();
    assert_eq!((shown.as_array().unwrap().len(), &shown[0]["source"]), (1, &json!("north")));
    // A person may speak of it, too.
    let body = json!({ "name": "Hot", "fingerprint": "1", "status": "resolved" });
    let say = async |body: &Value| {
        let asking = face.ask(Scope::Signal, "POST", "/v1/groups/web/alerts");
        assert_eq!(asking.json(&body.to_string()).send().await.status, 202);
        face.get("/v1/groups/web").await.json()["alerts"].as_array().unwrap().len()
    };
    assert_eq!(say(&body).await, 1, "that is an alert of nobody");
    let mut body = body;
    body["source"] = json!("north");
    assert_eq!(say(&body).await, 0);
}

#[tokio::test]
async fn a_zabbix_that_knows_no_timestamps_is_heard_all_the_same() {
    let face = face("zabbix", "");
    let mut problem = event("1", "100");
    problem["event_timestamp"] = json!("{EVENT.TIMESTAMP}");
    problem["tags"] = json!([]);
    assert_eq!(post(&face, &problem).await.status, 202);
    problem["event_value"] = json!(0);
    assert_eq!(post(&face, &problem).await.status, 202);
    assert_eq!(alerts(&face, "web").await, [named("100", false)]);
    problem["event_value"] = json!(1);
    post(&face, &problem).await;
    assert_eq!(alerts(&face, "web").await, [named("100", true)]);
}

#[tokio::test]
async fn a_tag_names_the_group() {
    let face = face("alertmanager", "");
    face.speaks(
        "[source.s]\nformat = \"zabbix\"\ngroup_label = \"asg\"\n[[source.s.auth]]\nbearer = { env = \"TOKEN\" }\n",
        &[("TOKEN", "open sesame")],
    );
    let answer = post(&face, &event("1", "100")).await;
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]), "{answer:?}");
    let mut twice = event("1", "101");
    twice["tags"] = json!([{ "tag": "asg", "value": "db" }, { "tag": "asg", "value": "web" }]);
    let answer = post(&face, &twice).await;
    assert_eq!(answer.json()["groups"], json!([told("db", 1, true)]), "the first counts");
}

#[tokio::test]
async fn what_is_no_event_changes_nothing() {
    let face = face("zabbix", "");
    for (key, wrong) in [
        ("event_value", json!("2")),
        ("event_value", json!("{EVENT.VALUE}")),
        ("event_value", Value::Null),
        ("event_name", Value::Null),
        ("event_name", json!("")),
        ("trigger_id", Value::Null),
        ("trigger_id", json!("1".repeat(129))),
        ("tags", json!("{EVENT.TAGSJSON}")),
        ("tags", json!([{ "value": "x" }])),
    ] {
        let mut body = event("1", "100");
        body[key] = wrong;
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
    assert_eq!(post(&face, &json!([event("1", "100")])).await.status, 422);
}
