//! Calls of an address, as Heat's and Senlin's.

use novascale::http::tokens::Scope;
use serde_json::json;

use super::super::face::{Answer, Face};
use super::face;

fn button(order: &str) -> Face {
    face("trigger", &format!("[source.s.order]\n{order}\n"))
}

async fn call(face: &Face, query: &str, body: &str, key: Option<&str>) -> Answer {
    let asking = face.stranger("POST", &format!("/v1/webhooks/s{query}"));
    let mut asking = asking.header("authorization", "Bearer open sesame");
    if let Some(key) = key {
        asking = asking.header("idempotency-key", key);
    }
    asking.body(body.to_owned()).send().await
}

async fn base(face: &Face) -> Option<u32> {
    face.stored("web").await.state.base
}

#[tokio::test]
async fn each_call_gives_the_order_once_more() {
    let face = button("adjust = 1");
    let answer = call(&face, "", "", None).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let told = json!([{ "group": "web", "alerts": 0, "samples": 0, "orders": 1, "fresh": true }]);
    assert_eq!(answer.json()["groups"], told);
    assert_eq!(base(&face).await, Some(3));
    for (query, body) in [("?V=2", ""), ("?V=2", "{}"), ("", "{\"anything\": 1}")] {
        assert_eq!(call(&face, query, body, None).await.status, 202, "{query} {body}");
    }
    assert_eq!(base(&face).await, Some(6));
    // Never past the group's bounds.
    for _ in 0..9 {
        call(&face, "", "", None).await;
    }
    assert_eq!(base(&face).await, Some(8));
}

#[tokio::test]
async fn a_repetition_with_its_key_changes_nothing() {
    let face = button("adjust = 1");
    for fresh in [true, false, false] {
        let answer = call(&face, "", "", Some("first")).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(answer.json()["groups"][0]["fresh"], fresh);
        assert_eq!(base(&face).await, Some(3));
    }
    call(&face, "", "", Some("second")).await;
    assert_eq!(base(&face).await, Some(4));
    // The same key with other words is a mistake, and so is a key that is none.
    assert_eq!(call(&face, "", "{\"count\": 2}", Some("second")).await.status, 422);
    for wrong in [" ".to_owned(), "k".repeat(256)] {
        assert_eq!(call(&face, "", "", Some(&wrong)).await.code(), "invalid-idempotency-key");
    }
    assert_eq!(base(&face).await, Some(4));
}

#[tokio::test]
async fn a_count_takes_the_place_of_the_step_and_the_sign_stays() {
    let face = button("adjust = 1");
    call(&face, "?V=2", "{\"count\": 4}", None).await;
    assert_eq!(base(&face).await, Some(6));
    let down = "[source.s]\nformat = \"trigger\"\ngroup = \"web\"\norder = { adjust = -1 }\n[[source.s.auth]]\nbearer = { env = \"TOKEN\" }\n";
    face.speaks(down, &[("TOKEN", "open sesame")]);
    call(&face, "?V=2", "{\"count\": \"3\"}", None).await;
    assert_eq!(base(&face).await, Some(3));
    for count in ["0", "-1", "1.5", "\"x\"", "[]", "1e9"] {
        let body = format!("{{\"count\": {count}}}");
        assert_eq!(call(&face, "?V=2", &body, None).await.status, 422, "{body}");
        assert_eq!(base(&face).await, Some(3), "{body}");
    }
    face.speaks(&down.replace("adjust = -1", "set = 5"), &[("TOKEN", "open sesame")]);
    assert_eq!(call(&face, "", "{\"count\": 4}", None).await.status, 422);
    assert_eq!(call(&face, "", "", None).await.status, 202);
    assert_eq!(base(&face).await, Some(5));
}

#[tokio::test]
async fn of_an_alarm_only_alarm_acts() {
    let face = button("adjust = 1");
    for quiet in ["ok", "insufficient data", "OK"] {
        for key in ["current", "state"] {
            let answer = call(&face, "", &json!({ key: quiet }).to_string(), None).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            assert!(answer.json()["notes"].to_string().contains("alarm"), "{answer:?}");
        }
    }
    assert_eq!(base(&face).await, None);
    let body =
        json!({ "alarm_name": "cpu_hi", "previous": "ok", "current": "alarm", "reason": "81.4\n" });
    call(&face, "", &body.to_string(), None).await;
    assert_eq!(base(&face).await, Some(3));
    assert_eq!(face.stored("web").await.state.base_reason.as_deref(), Some("81.4"));
    call(&face, "", "{\"state\": \"Alarm\"}", None).await;
    assert_eq!(base(&face).await, Some(4));
}

#[tokio::test]
async fn a_body_that_does_not_read_orders_nothing() {
    let face = button("adjust = 1");
    for (body, status) in [("{", 400), ("[]", 422), ("1", 422), ("count=2", 400)] {
        assert_eq!(call(&face, "", body, None).await.status, status, "{body}");
    }
    assert_eq!(base(&face).await, None);
}

#[tokio::test]
async fn an_order_takes_the_token_that_may_order() {
    let face = Face::new();
    face.speaks("[source.s]\nformat = \"trigger\"\ngroup = \"web\"\norder = { adjust = 1 }\n", &[]);
    for (scope, status) in [(Scope::Signal, 403), (Scope::Capacity, 202)] {
        let bearer = format!("Bearer {}", face.token(scope));
        let asking = face.stranger("POST", "/v1/webhooks/s").header("authorization", &bearer);
        assert_eq!(asking.body(String::new()).send().await.status, status, "{scope:?}");
    }
    assert_eq!(base(&face).await, Some(3), "one of them");
}

#[tokio::test]
async fn orders_are_as_many_as_commands_may_be() {
    let face = button("adjust = 1");
    for n in 0..10 {
        assert_eq!(call(&face, "", "", None).await.status, 202, "{n}");
    }
    assert_eq!(call(&face, "", "", None).await.code(), "too-fast");
}
