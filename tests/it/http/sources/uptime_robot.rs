//! UptimeRobot's webhook.

use serde_json::json;

use super::super::face::{Answer, Face};
use super::{alerts, face, post, told};

fn named(firing: bool) -> (String, String, bool) {
    ("shop".to_owned(), "777749809".to_owned(), firing)
}

async fn send(face: &Face, query: &str, kind: &str, body: &str) -> Answer {
    let asking = face.stranger("POST", &format!("/v1/webhooks/s{query}"));
    let asking = asking.header("authorization", "Bearer open sesame");
    asking.header("content-type", kind).body(body.to_owned()).send().await
}

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn json_a_form_and_a_query_say_the_same() {
    let face = face("uptime_robot", "");
    let down = json!({ "monitorID": "777749809", "monitorFriendlyName": "shop", "alertType": "1" });
    let answer = post(&face, &down).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.json()["groups"], json!([told("web", 1, true)]));
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    post(&face, &down).await;
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    let up = "monitorID=777749809&monitorFriendlyName=shop&alertType=2";
    assert_eq!(send(&face, "", FORM, up).await.status, 202);
    assert_eq!(alerts(&face, "web").await, [named(false)]);
    let query = "?monitorID=777749809&monitorFriendlyName=shop&alertType=1";
    assert_eq!(send(&face, query, FORM, "").await.status, 202);
    assert_eq!(alerts(&face, "web").await, [named(true)]);
    // What the body says counts more than the query.
    let both = send(&face, query, FORM, "alertType=2").await;
    assert_eq!(both.status, 202);
    assert_eq!(alerts(&face, "web").await, [named(false)]);
}

#[tokio::test]
async fn a_further_field_names_the_group() {
    let face = face("uptime_robot", "");
    face.speaks(
        "[source.s]\nformat = \"uptime_robot\"\ngroup_label = \"asg\"\nalert = \"down\"\n[[source.s.auth]]\nbearer = { env = \"TOKEN\" }\n",
        &[("TOKEN", "open sesame")],
    );
    let form = "monitorID=1&monitorFriendlyName=x&alertType=1";
    let answer = send(&face, "?asg=db", FORM, form).await;
    assert_eq!(answer.json()["groups"], json!([told("db", 1, true)]), "{answer:?}");
    assert_eq!(alerts(&face, "db").await, [("down".to_owned(), "1".to_owned(), true)]);
}

#[tokio::test]
async fn another_type_of_alert_says_nothing() {
    let face = face("uptime_robot", "");
    let body = json!({ "monitorID": 1, "monitorFriendlyName": "shop", "alertType": 3 });
    let answer = post(&face, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.json()["notes"].to_string().contains("alertType"), "{answer:?}");
    assert!(alerts(&face, "web").await.is_empty());
}

#[tokio::test]
async fn what_is_no_alert_changes_nothing() {
    let face = face("uptime_robot", "");
    for body in [
        json!({}),
        json!([]),
        json!({ "monitorID": "1", "alertType": "1" }),
        json!({ "monitorFriendlyName": "shop", "alertType": "1" }),
        json!({ "monitorID": "1", "monitorFriendlyName": "shop" }),
        json!({ "monitorID": "1", "monitorFriendlyName": " ", "alertType": "1" }),
        json!({ "monitorID": ["1"], "monitorFriendlyName": "shop", "alertType": "1" }),
    ] {
        let answer = post(&face, &body).await;
        assert_eq!(answer.status, 422, "{body}: {answer:?}");
        assert!(alerts(&face, "web").await.is_empty(), "{body}");
    }
    assert_eq!(send(&face, "", "application/json", "{").await.status, 400);
}
