//! Foreign JSON, read by pointers.

use novascale::domain::id::{GroupName, SignalName};
use novascale::domain::signal::Sample;
use novascale::domain::time::Steady;
use novascale::store::Store as _;
use serde_json::{Value, json};

use super::super::face::Face;
use super::{alerts, face, post, told};

/// As a home-made monitor might write.
fn report(items: &[Value]) -> Value {
    json!({ "report": { "id": "r-1", "asg": "web" }, "items": items })
}

fn alarm(status: Value) -> Value {
    json!({ "rule": "QueueHigh", "key": 7, "state": status })
}

const ALARMS: &str = "[source.s.pointers]\nlist = \"/items\"\nalert = \"/rule\"\nfingerprint = \"/key\"\n\
                      status = \"/state\"\nfiring = [\"alarm\", \"1\", \"true\"]\nresolved = [\"ok\", \"0\", \"false\"]\n";

const LOADS: &str = "[source.s.pointers]\nlist = \"\"\nsignal = \"/metric\"\nvalue = \"/v\"\nat = \"/t\"\n\
                     server = \"/host~1id\"\n";

fn load(value: Value, at: Value) -> Value {
    json!({ "metric": "requests", "v": value, "t": at, "host/id": "vm-1" })
}

async fn samples(face: &Face, group: &str) -> Vec<Sample> {
    let (group, name) = (GroupName::new(group).unwrap(), SignalName::new("requests").unwrap());
    face.store.inner.history(&group, &name, Steady(0)).await.unwrap()
}

#[tokio::test]
async fn a_status_is_compared_as_its_text() {
    let face = face("generic", ALARMS);
    let named = |firing| ("QueueHigh".to_owned(), "7".to_owned(), firing);
    let words = [
        (json!("alarm"), true),
        (json!("ok"), false),
        (json!(1), true),
        (json!(0), false),
        (json!(true), true),
        (json!(false), false),
    ];
    for (word, firing) in words {
        let answer = post(&face, &report(&[alarm(word.clone())])).await;
        assert_eq!(answer.status, 202, "{word}: {answer:?}");
        assert_eq!(answer.json()["groups"][0]["alerts"], 1);
        assert_eq!(alerts(&face, "web").await, [named(firing)], "{word}");
    }
}

#[tokio::test]
async fn without_a_list_the_body_is_read_once_and_words_have_their_defaults() {
    let face = Face::new();
    let section =
        super::section("generic").replace("group = \"web\"", "group = \"web\"\nalert = \"Down\"");
    let pointers = "[source.s.pointers]\nstatus = \"/status\"\n";
    face.speaks(&format!("{section}{pointers}"), &[("TOKEN", "open sesame")]);
    let named = |firing| ("Down".to_owned(), String::new(), firing);
    post(&face, &json!({ "status": "firing" })).await;
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    post(&face, &json!({ "status": "resolved" })).await;
    assert_eq!(alerts(&face, "web").await, [named(false)]);
    assert_eq!(post(&face, &json!({ "status": "Firing" })).await.status, 422);
}

#[tokio::test]
async fn samples_have_their_value_time_and_server() {
    let face = face("generic", LOADS);
    let body = json!([
        load(json!(540), json!("2026-11-23T11:59:00Z")),
        load(json!("0.5"), json!(1_795_435_150)),
        load(json!(7), json!("1795435160000")),
    ]);
    let answer = post(&face, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"][0]["samples"], 3);
    let kept = samples(&face, "web").await;
    let shown: Vec<_> = kept.iter().map(|s| (s.value.get(), s.at.to_string())).collect();
    let at = |time: &str, value: f64| (value, format!("2026-11-23T{time}Z"));
    assert_eq!(shown, [at("11:59:00", 540.0), at("11:59:10", 0.5), at("11:59:20", 7.0)]);
    assert!(kept.iter().all(|s| s.server.as_ref().is_some_and(|id| id.as_str() == "vm-1")));
}

#[tokio::test]
async fn one_source_may_tell_both_and_the_group_stands_where_it_points() {
    let face = Face::new();
    let both = "[source.s]\nformat = \"generic\"\ngroup_label = \"g\"\n[[source.s.auth]]\nbearer = { env = \"TOKEN\" }\n\
                [source.s.pointers]\nlist = \"/items\"\nid = \"/report/id\"\ngroup = \"/report/asg\"\nalert = \"/rule\"\nstatus = \"/state\"\n\
                signal = \"/metric\"\nvalue = \"/v\"\n";
    face.speaks(both, &[("TOKEN", "open sesame")]);
    let elsewhere = json!({ "rule": "Hot", "state": "firing", "report": { "asg": "db" } });
    let items = [alarm(json!("firing")), json!({ "metric": "requests", "v": 1 }), elsewhere];
    let answer = post(&face, &report(&items)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let web = json!({ "group": "web", "alerts": 1, "samples": 1, "orders": 0, "fresh": true });
    assert_eq!(answer.json()["groups"], json!([told("db", 1, true), web]));
    // The message's id: again it changes nothing, whatever has come in between.
    let again = post(&face, &report(&items)).await;
    assert!(again.json()["groups"].as_array().unwrap().iter().all(|g| g["fresh"] == false));
}

#[tokio::test]
async fn what_a_pointer_does_not_find_is_said_and_changes_nothing() {
    let face = face("generic", ALARMS);
    let mut keyless = alarm(json!("alarm"));
    keyless["key"] = Value::Null;
    let cases = [
        (json!({ "items": {} }), "/items"),
        (json!([]), "/items"),
        (report(&[alarm(json!("alarm")), alarm(json!("gone"))]), "/items/1/state"),
        (report(&[alarm(Value::Null)]), "/items/0/state"),
        (report(&[alarm(json!(["alarm"]))]), "/items/0/state"),
        (report(&[keyless]), "/items/0/key"),
        (report(&[json!(1)]), "/items/0/state"),
    ];
    for (body, pointer) in cases {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert_eq!(answer.pointer().as_deref(), Some(pointer), "{body}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
    let face = super::face("generic", LOADS);
    let good = || load(json!(1), json!(1_795_435_150));
    let mut homeless = good();
    homeless["host/id"] = Value::Null;
    for (wrong, pointer) in [
        (load(json!("many"), json!(1_795_435_150)), Some("/1/v")),
        (load(Value::Null, json!(1_795_435_150)), Some("/1/v")),
        (load(json!(1), json!("yesterday")), Some("/1/t")),
        (load(json!(1), Value::Null), Some("/1/t")),
        (homeless, Some("/1/host~1id")),
        (load(json!(-1), json!(1_795_435_150)), None),
        (load(json!("inf"), json!(1_795_435_150)), None),
        (load(json!(1), json!(1_795_500_000)), None),
    ] {
        let answer = post(&face, &json!([good(), wrong.clone()])).await;
        assert_eq!(answer.status, 422, "{wrong}: {answer:?}");
        assert_eq!(answer.pointer().as_deref(), pointer, "{wrong}");
        assert!(samples(&face, "web").await.is_empty(), "{wrong}");
    }
}

#[tokio::test]
async fn without_pointers_the_words_are_our_own() {
    let face = face("generic", "");
    let body = json!([
        { "alert": "QueueHigh", "fingerprint": "q1" },
        { "signal": "requests", "value": 540, "at": "2026-11-23T11:59:00Z" },
    ]);
    let answer = post(&face, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(alerts(&face, "web").await, [("QueueHigh".to_owned(), "q1".to_owned(), true)]);
    assert_eq!(samples(&face, "web").await[0].value.get(), 540.0);
    let end = json!({ "alert": "QueueHigh", "fingerprint": "q1", "status": "resolved" });
    post(&face, &end).await;
    assert!(!alerts(&face, "web").await[0].2);
    for wrong in [json!({}), json!([{ "alert": 1 }]), json!("QueueHigh")] {
        assert_eq!(post(&face, &wrong).await.status, 422, "{wrong}");
    }
}
