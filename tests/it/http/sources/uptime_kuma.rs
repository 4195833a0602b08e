//! Uptime Kuma's webhook.

use serde_json::{Value, json};

use super::super::face::{Answer, Face};
use super::{alerts, face, post, told};

/// As louislam/uptime-kuma `server/notification-providers/webhook.js` sends it.
fn message(status: u8) -> Value {
    json!({
        "heartbeat": {
            "monitorID": 29, "status": status, "time": "2026-11-23 11:59:35.527",
            "msg": "getaddrinfo ENOTFOUND web.example.net", "important": true, "duration": 0,
            "timezone": "Europe/Paris", "timezoneOffset": "+01:00",
            "localDateTime": "2026-11-23 12:59:35",
        },
        "monitor": {
            "id": 29, "name": "shop", "type": "http", "url": "https://web.example.net",
            "tags": [{ "tag_id": 1, "monitor_id": 29, "name": "asg", "value": "db", "color": "#DC2626" }],
        },
        "msg": "[shop] [🔴 Down] getaddrinfo ENOTFOUND web.example.net",
    })
}

fn named(firing: bool) -> (String, String, bool) {
    ("shop".to_owned(), "29".to_owned(), firing)
}

async fn form(face: &Face, kind: &str, body: String) -> Answer {
    let asking = face.stranger("POST", "/v1/webhooks/s");
    let asking = asking.header("authorization", "Bearer open sesame");
    asking.header("content-type", kind).body(body).send().await
}

#[tokio::test]
async fn down_fires_and_up_resolves() {
    let face = face("uptime_kuma", "");
    let answer = post(&face, &message(0)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]));
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    post(&face, &message(0)).await;
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    post(&face, &message(1)).await;
    assert_eq!(alerts(&face, "web").await, [named(false)]);
}

#[tokio::test]
async fn pending_and_maintenance_begin_and_end_nothing() {
    let face = face("uptime_kuma", "");
    for status in [2, 3] {
        assert_eq!(post(&face, &message(status)).await.status, 202);
        assert!(alerts(&face, "web").await.is_empty());
    }
    post(&face, &message(0)).await;
    for status in [2, 3] {
        post(&face, &message(status)).await;
        assert_eq!(alerts(&face, "web").await, [named(true)]);
    }
}

#[tokio::test]
async fn a_form_says_the_same_in_its_field_data() {
    let face = face("uptime_kuma", "");
    let multipart = |data: &str| {
        format!(
            "--------x1\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{data}\r\n--------x1--\r\n"
        )
    };
    let kind = "multipart/form-data; boundary=------x1";
    let answer = form(&face, kind, multipart(&message(0).to_string())).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    let data = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("data", &message(1).to_string())
        .finish();
    let answer = form(&face, "application/x-www-form-urlencoded", data).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(alerts(&face, "web").await, [named(false)]);
    // Cut short, or without the field, it says nothing.
    let cut = multipart(&message(0).to_string());
    let refused = [
        (kind, cut[..cut.len() - 8].to_owned(), 400),
        ("multipart/form-data", cut.clone(), 400),
        (kind, cut.replace("\"data\"", "\"date\""), 422),
        ("application/x-www-form-urlencoded", "date=1".to_owned(), 422),
        (kind, multipart("{"), 400),
    ];
    for (kind, body, status) in refused {
        let answer = form(&face, kind, body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(alerts(&face, "web").await, [named(false)]);
    }
}

#[tokio::test]
async fn a_monitors_tag_names_the_group() {
    let face = face("uptime_kuma", "");
    face.speaks(
        "[source.s]\nformat = \"uptime_kuma\"\ngroup_label = \"asg\"\n[[source.s.auth]]\nbearer = { env = \"TOKEN\" }\n",
        &[("TOKEN", "open sesame")],
    );
    post(&face, &message(0)).await;
    assert_eq!(alerts(&face, "db").await, [named(true)]);
    assert!(alerts(&face, "web").await.is_empty());
}

#[tokio::test]
async fn a_test_says_nothing_and_is_answered_well() {
    let face = face("uptime_kuma", "");
    let test = json!({ "heartbeat": null, "monitor": null, "msg": "My Webhook Testing" });
    let answer = post(&face, &test).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.json()["notes"].to_string().contains("no heartbeat"), "{answer:?}");
    assert!(alerts(&face, "web").await.is_empty());
}

#[tokio::test]
async fn what_is_no_message_changes_nothing() {
    let face = face("uptime_kuma", "");
    let mut nameless = message(0);
    nameless["monitor"]["name"] = Value::Null;
    let mut unknown = message(0);
    unknown["monitor"]["id"] = json!({});
    for body in [message(4), nameless, unknown, json!({}), json!([]), json!({ "heartbeat": 0 })] {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
}
