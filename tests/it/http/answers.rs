//! What is answered: commands in a sentence, groups, servers, decisions, plans; and what
//! happens to answers while the store or the loops are in trouble.

use std::time::Duration;

use novascale::domain::claim::{Claim, Source, Wants};
use novascale::domain::fleet::Tally;
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::plan::{Decision, Waiting};
use novascale::http::tokens::Scope;
use novascale::store::Store;
use serde_json::json;

use super::face::{Answer, Face, Mood};

#[tokio::test]
async fn a_command_is_answered_in_a_sentence() {
    let face = Face::new();
    let answer = face.capacity("{\"set\": 5, \"reason\": \"sale\"}").await;
    assert_eq!(answer.status, 202);
    let json = answer.json();
    assert_eq!((&json["group"], &json["base"]), (&json!("web"), &json!(5)));
    assert_eq!((&json["desired"], &json["repeated"]), (&json!(5), &json!(false)));
    assert!(json["sentence"].as_str().unwrap().contains("base 5"), "{json}");
    let state = face.stored("web").await.state;
    assert_eq!((state.base, state.base_reason.as_deref()), (Some(5), Some("sale")));
}

#[tokio::test]
async fn the_base_stays_within_the_bounds() {
    let face = Face::new();
    assert_eq!(face.capacity("{\"set\": 100}").await.json()["base"], 8);
    assert_eq!(face.capacity("{\"adjust\": -100}").await.json()["base"], 2);
    assert_eq!(face.capacity("{\"percent\": 50}").await.json()["base"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_command_is_answered_even_if_nobody_can_say_what_comes_of_it() {
    let face = Face::new();
    for mood in [Mood::Fails, Mood::Hangs] {
        *face.foresight.lock().unwrap() = mood;
        let answer = face.capacity("{\"set\": 5}").await;
        assert_eq!((answer.status, &answer.json()["desired"]), (202, &json!(null)), "{mood:?}");
        assert!(answer.json()["sentence"].as_str().unwrap().contains("stored"));
    }
    assert_eq!(face.stored("web").await.state.base, Some(5));
    let answer = face.get("/v1/groups/web/plan").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "too-late"));
}

#[tokio::test]
async fn reservations_and_pins_come_and_go() {
    let face = Face::new();
    let reserve = "{\"reserve\": {\"owner\": \"batch\", \"capacity\": 6, \"for\": \"2h\"}, \
                    \"reason\": \"night run\"}";
    assert_eq!(face.capacity(reserve).await.status, 202);
    let pin = face.ask(Scope::Operate, "PUT", "/v1/groups/web/pin");
    let pin = pin.json("{\"capacity\": 4, \"for\": \"30m\", \"reason\": \"tests\"}").send().await;
    assert_eq!(pin.status, 202);
    let group = face.get("/v1/groups/web").await.json();
    let reserved = json!([{"owner": "batch", "capacity": 6, "until": "2026-11-23T14:00:00Z",
                           "reason": "night run"}]);
    assert_eq!(group["reservations"], reserved);
    let pinned = json!({"capacity": 4, "until": "2026-11-23T12:30:00Z", "reason": "tests"});
    assert_eq!(group["pin"], pinned);
    face.clock.forward(Duration::from_secs(1800));
    assert_eq!(face.get("/v1/groups/web").await.json()["pin"], json!(null), "it ended");
    assert_eq!(face.capacity("{\"release\": {\"owner\": \"batch\"}}").await.status, 202);
    assert_eq!(face.get("/v1/groups/web").await.json()["reservations"], json!([]));
    let pin = face.ask(Scope::Operate, "PUT", "/v1/groups/web/pin").json("{\"capacity\": 3}");
    assert_eq!(pin.send().await.status, 202);
    let unpin = face.ask(Scope::Operate, "DELETE", "/v1/groups/web/pin").send().await;
    assert_eq!(unpin.status, 202);
    assert_eq!(face.stored("web").await.state.pin, None);
}

#[tokio::test]
async fn what_was_not_there_is_not_said_to_have_ended() {
    let face = Face::new();
    let said = |answer: Answer| answer.json()["sentence"].as_str().unwrap().to_owned();
    let release = "{\"release\": {\"owner\": \"nobody\"}}";
    let none = said(face.capacity(release).await);
    assert_eq!(none, "there was no reservation of `nobody`; there is none at all");
    let reserve = "{\"reserve\": {\"owner\": \"batch\", \"capacity\": 6, \"for\": \"2h\"}}";
    face.capacity(reserve).await;
    let others = said(face.capacity(release).await);
    assert_eq!(others, "there was no reservation of `nobody`; there are those of batch");
    let own = said(face.capacity("{\"release\": {\"owner\": \"batch\"}}").await);
    assert!(own.starts_with("batch has no reservation now"), "{own}");
    let unpin = || face.ask(Scope::Operate, "DELETE", "/v1/groups/web/pin").send();
    assert_eq!(said(unpin().await), "there was no pin; nothing was changed");
    let pin = face.ask(Scope::Operate, "PUT", "/v1/groups/web/pin").json("{\"capacity\": 3}");
    pin.send().await;
    assert!(said(unpin().await).starts_with("no pin now"));
}

#[tokio::test]
async fn an_unknown_group_is_named_if_it_is_a_name() {
    let face = Face::new();
    let detail = async |path: &str| face.get(path).await.json()["detail"].clone();
    assert_eq!(detail("/v1/groups/wbe").await, "there is no group wbe");
    assert_eq!(detail("/v1/groups/W%1B").await, "there is no group of this name");
}

#[tokio::test]
async fn a_group_without_a_decision_is_not_a_group_of_zero() {
    let face = Face::new();
    let group = face.get("/v1/groups/web").await.json();
    for unknown in ["desired", "wanted", "tally", "situation", "decided_at", "next_look_at"] {
        assert_eq!(group[unknown], json!(null), "{unknown}");
    }
    assert_eq!(group["headline"], "starting: no look yet");
    assert_eq!((&group["min"], &group["max"], &group["base"]), (&json!(2), &json!(8), &json!(2)));
    assert_eq!(group["sentences"], json!([]));
    assert_eq!(group["observer"], json!({"seen_at": null, "failure": null}));
    let servers = face.get("/v1/groups/web/servers").await.json();
    let observer = json!({"seen_at": null, "failure": null});
    assert_eq!(servers, json!({"servers": [], "decided_at": null, "observer": observer}));
}

#[tokio::test]
async fn a_group_of_a_region_that_was_never_listed_is_not_a_group_of_zero() {
    let face = Face::new();
    let mut decision = face.decide("web", 2);
    decision.tally = Tally::default();
    decision.waiting = vec![Waiting::Unseen { why: "no answer".into(), for_secs: 0 }];
    let publish = |decision: &Decision| {
        face.ends["web"].latest.send_replace(Some(std::sync::Arc::new(decision.clone())));
    };
    publish(&decision);
    let group = face.get("/v1/groups/web").await.json();
    assert_eq!((&group["tally"], &group["desired"]), (&json!(null), &json!(2)));
    let said = group["sentences"].to_string();
    assert!(said.contains("Desired is 2; no servers are known."), "{said}");
    assert!(said.contains("Servers could not be listed, nothing is changed: no answer."), "{said}");
    assert!(!face.get("/metrics").await.text.contains("standing=\"serving\""));
    // What is remembered of an earlier run is known.
    decision.tally = Tally { unsure: 1, ..Tally::default() };
    publish(&decision);
    assert_eq!(face.get("/v1/groups/web").await.json()["tally"]["unsure"], 1);
    assert!(face.get("/metrics").await.text.contains("standing=\"serving\""));
}

#[tokio::test]
async fn a_group_shows_its_last_decision() {
    let face = Face::new();
    let decision = face.decide("web", 5);
    face.listed();
    let group = face.get("/v1/groups/web").await.json();
    assert_eq!((&group["desired"], &group["wanted"]), (&json!(5), &json!(5)));
    assert_eq!(group["tally"]["serving"], 1);
    assert_eq!(group["headline"], decision.headline());
    assert_eq!(group["situation"], decision.situation().word());
    assert_eq!(group["sentences"], json!(decision.sentences()));
    assert_eq!(group["decided_at"], "2026-11-23T12:00:00Z");
    assert_eq!(group["next_look_at"], "2026-11-23T12:00:30Z");
    assert_eq!(group["observer"]["seen_at"], "2026-11-23T12:00:00Z");
    assert_eq!(group["told_since"], json!(null));
    face.clock.forward(Duration::from_secs(1));
    assert_eq!(face.capacity(r#"{"set": 3}"#).await.status, 202);
    let group = face.get("/v1/groups/web").await.json();
    assert_eq!(group["told_since"], "2026-11-23T12:00:01Z", "the decision does not count it yet");
    let all = face.get("/v1/groups").await.json();
    let names: Vec<&str> =
        all["groups"].as_array().unwrap().iter().map(|g| g["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["db", "web"]);
    assert!(all["groups"][1].get("sentences").is_none(), "only one group has sentences");
}

#[tokio::test]
async fn servers_show_what_is_known_of_them() {
    let face = Face::new();
    face.decide("web", 2);
    let json = face.get("/v1/groups/web/servers").await.json();
    assert_eq!(json["servers"].as_array().unwrap().len(), 2);
    let unlisted = &json["servers"][1];
    assert_eq!((&unlisted["id"], &unlisted["standing"]), (&json!("s-2"), &json!("unsure")));
    assert_eq!((&unlisted["name"], &unlisted["created"]), (&json!(null), &json!(null)));
    assert_eq!(unlisted["ownership"], "ours");
}

#[tokio::test]
async fn decisions_are_paged_newest_first() {
    let face = Face::new();
    for desired in 2..=6 {
        face.clock.forward(Duration::from_secs(120));
        let decision = face.decide("web", desired);
        face.store.inner.record(&face.lease, &decision).await.unwrap();
    }
    let (mut seen, mut path) = (Vec::new(), "/v1/groups/web/decisions?limit=2".to_owned());
    loop {
        let page = face.get(&path).await.json();
        for decision in page["decisions"].as_array().unwrap() {
            assert!(decision["sentences"].as_array().is_some_and(|s| !s.is_empty()));
            seen.push(decision["desired"].as_u64().unwrap());
        }
        let Some(marker) = page["next_marker"].as_str() else { break };
        path = format!("/v1/groups/web/decisions?limit=2&marker={marker}");
    }
    assert_eq!(seen, [6, 5, 4, 3, 2]);
    for query in ["limit=x", "limit=-1", "marker=yesterday", "page=2", "limit=1&limit=2"] {
        let answer = face.get(&format!("/v1/groups/web/decisions?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid-query"), "{query}");
    }
}

#[tokio::test]
async fn the_decision_that_was_in_force_at_a_time_is_found() {
    let face = Face::new();
    for desired in 2..=4 {
        face.clock.forward(Duration::from_secs(120));
        let mut decision = face.decide("web", desired);
        decision.claims = vec![
            Claim {
                source: Source::Base { declared: false, reason: None },
                wants: Wants::Servers(2),
            },
            Claim {
                source: Source::Base { declared: true, reason: None },
                wants: Wants::Servers(desired),
            },
        ];
        face.store.inner.record(&face.lease, &decision).await.unwrap();
    }
    let desired = async |query: &str| -> Vec<u64> {
        let page = face.get(&format!("/v1/groups/web/decisions?{query}")).await.json();
        let decisions = page["decisions"].as_array().unwrap().clone();
        decisions.iter().map(|decision| decision["desired"].as_u64().unwrap()).collect()
    };
    // Made at 12:02, 12:04 and 12:06.
    assert_eq!(desired("at=2026-11-23T12:05:59Z").await, [3]);
    assert_eq!(desired("at=2026-11-23T12:04:00Z").await, [3]);
    assert_eq!(desired("at=2026-11-23T12:03:59.999Z").await, [2]);
    assert!(desired("at=2026-11-23T12:01:59Z").await.is_empty());
    assert_eq!(desired("at=2026-11-23T12:05:00Z&limit=5").await, [3, 2]);
    assert_eq!(desired("since=2026-11-23T12:04:00Z").await, [4, 3]);
    let one = face.get("/v1/groups/web/decisions?limit=1").await.json()["decisions"][0].clone();
    assert_eq!((&one["winner"], &one["claims"][1]["wants"]["servers"]), (&json!(1), &json!(4)));
    assert!(one["headline"].is_string());
    let last = one["sentences"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last, "Next look at 12:06:30 UTC.");
    for query in ["at=yesterday", "at=12:04", "since=1h"] {
        let answer = face.get(&format!("/v1/groups/web/decisions?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid-query"), "{query}");
    }
}

#[tokio::test]
async fn commands_are_shown_with_who_gave_them() {
    let face = Face::new();
    face.capacity("{\"set\": 5, \"reason\": \"sale\"}").await;
    face.clock.forward(Duration::from_secs(60));
    let pause = face.ask(Scope::Operate, "PUT", "/v1/groups/web/pause");
    pause.json("{\"processes\": [\"launch\"], \"for\": \"2h\"}").send().await;
    let page = face.get("/v1/groups/web/commands").await.json();
    let [pause, set] = page["commands"].as_array().unwrap().as_slice() else { panic!("{page}") };
    assert_eq!(set["order"], json!({ "command": "set", "capacity": 5 }));
    assert_eq!(
        (&set["by"], &set["at"]),
        (&json!("the capacity token"), &json!("2026-11-23T12:00:00Z"))
    );
    assert_eq!(set["sentence"], "set the base to 5 (sale)");
    assert_eq!(pause["sentence"], "pause launch for 2 h");
    face.capacity("{\"adjust\": 2}").await;
    let page = face.get("/v1/groups/web/commands?limit=1").await.json();
    let adjusted = &page["commands"][0];
    assert_eq!(adjusted["order"], json!({ "command": "adjust", "by": 2 }));
    assert_eq!(adjusted["by"], "the capacity token", "who gave it, and not by how much");
    let since = face.get("/v1/groups/web/commands?since=2026-11-23T12:00:30Z").await.json();
    assert_eq!(since["commands"], json!([adjusted, pause]));
    for query in ["limit=x", "marker=1", "since=1h"] {
        let answer = face.get(&format!("/v1/groups/web/commands?{query}")).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid-query"), "{query}");
    }
}

#[tokio::test]
async fn a_plan_says_whether_it_would_change_anything() {
    let face = Face::new();
    let plan = face.get("/v1/groups/web/plan").await.json();
    assert_eq!(plan["changes"], false);
    assert_eq!(plan["decision"]["desired"], 2);
    assert!(!plan["sentences"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn trouble_of_the_store_is_told_without_its_secrets() {
    let face = Face::new();
    face.store.is(Mood::Fails);
    let answers = [
        face.signals("{\"name\": \"requests\", \"value\": 1}").await,
        face.capacity("{\"set\": 3}").await,
        face.get("/v1/groups").await,
        face.get("/v1/groups/web/decisions").await,
    ];
    for answer in answers {
        assert_eq!((answer.status, answer.code().as_str()), (503, "store-unavailable"));
        assert_eq!(answer.header("retry-after"), "5");
        assert!(!answer.text.contains("canary"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_lost_lease_refuses_what_is_sent() {
    let face = Face::new();
    face.store.inner.acquire("another one");
    let answer = face.signals("{\"name\": \"requests\", \"value\": 1}").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "not-the-writer"));
    assert!(face.stored("web").await.samples.is_empty());
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_next_request_is_served() {
    let face = Face::new();
    face.store.is(Mood::Panics);
    let answer = face.capacity("{\"set\": 3}").await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert!(!answer.text.contains("canary"), "{answer:?}");
    face.store.is(Mood::Well);
    assert_eq!(face.capacity("{\"set\": 3}").await.status, 202);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_not_waited_for() {
    let face = Face::new();
    face.store.is(Mood::Hangs);
    let answer = face.signals("{\"name\": \"requests\", \"value\": 1}").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "too-late"));
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn what_is_in_flight_is_bounded_and_health_is_answered_all_the_same() {
    use futures_util::FutureExt;
    let limits = novascale::config::http::HttpLimits { in_flight: 1, ..Default::default() };
    let face = Face::with(limits);
    face.store.is(Mood::Hangs);
    let mut first = Box::pin(face.capacity("{\"set\": 3}"));
    assert!(first.as_mut().now_or_never().is_none(), "it waits for the store");
    let answer = face.capacity("{\"set\": 4}").await;
    assert_eq!((answer.status, answer.code().as_str()), (503, "overloaded"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(face.stranger("GET", "/healthz").send().await.status, 200);
    face.store.is(Mood::Well);
    assert_eq!(first.await.status, 202);
    assert_eq!(face.capacity("{\"set\": 4}").await.status, 202);
}

#[tokio::test]
async fn foreign_words_stay_inside_the_json() {
    let face = Face::new();
    let mut decision = face.decide("web", 3);
    let failure = Failure::new(FailureKind::Quota { fits: Some(1) }, "<b>\"\u{1b}[2J\n</b>");
    decision.waiting =
        vec![Waiting::Backoff { until: decision.next_look, wait_secs: 9, attempts: 1, failure }];
    face.ends["web"].latest.send_replace(Some(std::sync::Arc::new(decision)));
    let answer = face.get("/v1/groups/web").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert!(!answer.text.contains('\u{1b}'));
    assert!(answer.json()["sentences"].is_array());
}
