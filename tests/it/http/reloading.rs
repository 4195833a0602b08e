//! A reload is asked for and answered; a group that is not configured is shown, and told apart
//! from one that never was.

use std::path::Path;

use novascale::config::{Config, Env};
use novascale::control::absent::{Absent, Kept};
use novascale::domain::id::GroupName;
use novascale::http::reload::{Refused, Report};
use novascale::http::tokens::Scope;
use serde_json::json;

use super::face::{Answer, Face};

async fn reload(face: &Face, body: &str) -> Answer {
    face.ask(Scope::Operate, "POST", "/v1/reload").from("127.0.0.1:9").json(body).send().await
}

#[tokio::test]
async fn whoever_asks_is_named_and_says_whether_cuts_are_meant() {
    let face = Face::new();
    let report = Report { added: vec!["new".into()], ..Report::default() };
    let mut asked = face.reloads(Ok(report));
    for (body, confirm) in [("{}", false), ("{\"confirm\": true}", true)] {
        let answer = reload(&face, body).await;
        assert_eq!((answer.status, &answer.json()["added"]), (200, &json!(["new"])));
        let by = "the operate token, from 127.0.0.1".to_owned();
        assert_eq!(asked.recv().await, Some((confirm, by)));
    }
    for bad in ["", "[]", "{\"confirm\": 1}", "{\"confrim\": true}"] {
        assert_eq!(reload(&face, bad).await.code(), "invalid", "{bad}");
    }
    assert!(asked.try_recv().is_err(), "what was refused asked for nothing");
}

#[tokio::test]
async fn all_faults_of_a_file_are_in_the_answer() {
    let face = Face::new();
    let env = Env::new::<&str, &str>([], None, "/".into());
    let text = "[cloud]\nuse = \"sandbox\"\n[group.web]\nmni = 1\nmax = \"many\"\n";
    let faults = Config::parse(text, Path::new("scaling.toml"), &env).unwrap_err();
    let _asked = face.reloads(Err(Refused::Faults(faults.clone())));
    let answer = reload(&face, "{}").await;
    assert_eq!((answer.status, answer.code().as_str()), (422, "configuration-invalid"));
    let json = answer.json();
    assert_eq!(json["report"], json!(faults.render(false)));
    assert_eq!(json["faults"].as_array().unwrap().len(), faults.all().len());
    assert!(json["detail"].as_str().unwrap().contains("the one before goes on to count"));
}

#[tokio::test]
async fn reloads_that_nobody_can_do_are_refused_at_once() {
    let face = Face::new();
    // One waits, and there is room for one.
    let waiting = {
        let asking = face.ask(Scope::Operate, "POST", "/v1/reload").json("{}");
        let mut asking = Box::pin(asking.send());
        let first = futures_util::poll!(asking.as_mut());
        assert!(first.is_pending());
        asking
    };
    let answer = reload(&face, "{}").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    // It stops: whoever waits is told.
    face.stops_reloading();
    let answer = waiting.await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-ready"));
}

/// Its word is for what was shown then; a file may be another one by the time of its turn.
#[tokio::test]
async fn a_word_whose_giver_went_away_is_void_and_a_plain_reload_is_not() {
    for (body, void) in [("{\"confirm\": true}", true), ("{}", false)] {
        let face = Face::new();
        let mut asked = face.asked();
        let asking = face.ask(Scope::Operate, "POST", "/v1/reload").json(body);
        let mut asking = Box::pin(asking.send());
        assert!(futures_util::poll!(asking.as_mut()).is_pending());
        let waiting = asked.recv().await.unwrap();
        assert!(!waiting.is_void());
        drop(asking);
        assert_eq!(waiting.is_void(), void, "{body}");
    }
}

fn frozen(face: &Face) {
    let name = GroupName::new("old").unwrap();
    let absent = Absent { name, kept: Some(Kept { servers: 3, open: 1 }), decided: None };
    face.loops.send_modify(|loops| *loops = loops.clone().beside(vec![absent]));
}

#[tokio::test]
async fn a_group_that_is_not_configured_is_listed_as_frozen() {
    let face = Face::new();
    frozen(&face);
    let groups = face.get("/v1/groups").await.json();
    let configured: Vec<_> = groups["groups"].as_array().unwrap().iter().collect();
    let flags: Vec<_> = configured.iter().map(|g| (&g["name"], &g["configured"])).collect();
    assert_eq!(
        flags,
        [
            (&json!("db"), &json!(true)),
            (&json!("web"), &json!(true)),
            (&json!("old"), &json!(false))
        ]
    );
    let old = face.get("/v1/groups/old").await.json();
    assert_eq!((&old["situation"], &old["known_servers"]), (&json!("frozen"), &json!(3)));
    let headline = old["headline"].as_str().unwrap();
    for part in ["3 servers", "[group.old]", "novascale adopt NEW --from old"] {
        assert!(headline.contains(part), "{headline}");
    }
    let metrics = face.get("/metrics").await.text;
    let line = "novascale_unconfigured_group_servers{group=\"old\"} 3.0";
    assert!(metrics.contains(line), "{metrics}");
}

#[tokio::test]
async fn what_is_sent_to_it_is_refused_with_the_way_out() {
    let face = Face::new();
    frozen(&face);
    let cases = [
        (Scope::Signal, "POST", "signals", "{\"name\": \"requests\", \"value\": 1}"),
        (Scope::Capacity, "POST", "capacity", "{\"set\": 1}"),
        (Scope::Operate, "PUT", "pin", "{\"capacity\": 1}"),
        (Scope::Read, "GET", "servers", ""),
        (Scope::Read, "GET", "plan", ""),
    ];
    for (scope, method, part, body) in cases {
        let path = format!("/v1/groups/old/{part}");
        let answer = face.ask(scope, method, &path).json(body).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (409, "group-not-configured"));
        assert!(answer.json()["detail"].as_str().unwrap().contains("[group.old]"), "{answer:?}");
    }
    let never = face.ask(Scope::Capacity, "POST", "/v1/groups/never/capacity").json("{}");
    assert_eq!(never.send().await.status, 404);
}

#[tokio::test]
async fn metrics_say_whether_the_last_file_was_taken() {
    let face = Face::new();
    let taken = |text: &str| {
        let line = text.lines().find(|l| l.starts_with("novascale_config_last_reload_successful"));
        line.unwrap().ends_with("1.0")
    };
    assert!(taken(&face.get("/metrics").await.text));
    face.standing.send_modify(|standing| standing.refused = Some("1 fault".into()));
    assert!(!taken(&face.get("/metrics").await.text));
    let groups = face.get("/v1/groups").await.json();
    assert_eq!(groups["configuration"]["refused"], "1 fault");
}
