//! What happens to servers: time, actions, marks, the end.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Answer, DEBIAN, Lab};

async fn act(lab: &Lab, id: &str, action: Value) -> Answer {
    lab.nova("POST", 75, &format!("/servers/{id}/action"), action).await
}

fn state(server: &Value) -> (&str, &str, Option<&str>, u64) {
    (
        server["status"].as_str().unwrap(),
        server["OS-EXT-STS:vm_state"].as_str().unwrap(),
        server["OS-EXT-STS:task_state"].as_str(),
        server["OS-EXT-STS:power_state"].as_u64().unwrap(),
    )
}

#[tokio::test]
async fn a_server_is_built_in_its_time() {
    let lab = Lab::with(|config| config.rules.build_ms = 4_000..=4_000).await;
    let id = lab.created(json!({})).await;
    let server = lab.server(&id).await;
    assert_eq!(state(&server), ("BUILD", "building", Some("scheduling"), 0));
    assert_eq!((&server["addresses"], &server["progress"]), (&json!({}), &json!(0)));
    lab.wait_ms(400);
    assert_eq!(state(&lab.server(&id).await), ("BUILD", "building", Some("spawning"), 0));
    lab.wait_ms(3_599);
    assert_eq!(lab.server(&id).await["status"], "BUILD");
    lab.wait_ms(1);
    let server = lab.server(&id).await;
    assert_eq!(state(&server), ("ACTIVE", "active", None, 1));
    assert_eq!(server["created"], "2026-01-02T03:00:00Z");
    assert_eq!(server["OS-SRV-USG:launched_at"], "2026-01-02T03:00:04.000000");
    assert!(server["addresses"]["Ext-Net"].is_array());
}

#[tokio::test]
async fn a_delete_takes_its_time_and_ends_in_404() {
    let lab = Lab::with(|config| config.rules.delete_ms = 1_000..=1_000).await;
    let id = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    let path = format!("/servers/{id}");
    let answer = lab.nova("DELETE", 75, &path, Value::Null).await;
    assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    assert_eq!(state(&lab.server(&id).await), ("ACTIVE", "active", Some("deleting"), 1));
    lab.wait_ms(900);
    // Asked again while it is going on: 204 again, and no longer for it.
    assert_eq!(lab.nova("DELETE", 75, &path, Value::Null).await.status, 204);
    lab.wait_ms(100);
    let message = format!("Instance {id} could not be found.");
    for method in ["GET", "DELETE"] {
        let gone = lab.nova(method, 75, &path, Value::Null).await;
        assert_eq!(gone.fault(), ("itemNotFound", message.as_str()));
    }
}

#[tokio::test]
async fn a_server_can_be_deleted_while_it_is_built() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    assert_eq!(lab.nova("DELETE", 75, &format!("/servers/{id}"), Value::Null).await.status, 204);
    assert_eq!(state(&lab.server(&id).await), ("BUILD", "building", Some("deleting"), 0));
    lab.wait_ms(2_000);
    assert!(lab.names("").await.is_empty());
}

#[tokio::test]
async fn a_lock_keeps_a_server() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    let locked = act(&lab, &id, json!({ "lock": { "locked_reason": "mine" } })).await;
    assert_eq!(locked.status, 202);
    let server = lab.server(&id).await;
    assert_eq!((&server["locked"], &server["locked_reason"]), (&json!(true), &json!("mine")));
    let message = format!("Instance {id} is locked");
    let refused = lab.nova("DELETE", 75, &format!("/servers/{id}"), Value::Null).await;
    assert_eq!(refused.fault(), ("conflictingRequest", message.as_str()));
    assert_eq!(act(&lab, &id, json!({ "os-stop": null })).await.status, 409);
    assert_eq!(act(&lab, &id, json!({ "unlock": null })).await.status, 202);
    assert_eq!(lab.nova("DELETE", 75, &format!("/servers/{id}"), Value::Null).await.status, 204);
}

#[rstest]
#[case::soft(json!({ "reboot": { "type": "SOFT" } }), "REBOOT", "ACTIVE")]
#[case::hard(json!({ "reboot": { "type": "HARD" } }), "HARD_REBOOT", "ACTIVE")]
#[case::stop(json!({ "os-stop": null }), "ACTIVE", "SHUTOFF")]
#[case::rebuild(json!({ "rebuild": { "imageRef": DEBIAN } }), "REBUILD", "ACTIVE")]
#[tokio::test]
async fn actions_take_time(#[case] action: Value, #[case] during: &str, #[case] after: &str) {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    assert_eq!(act(&lab, &id, action).await.status, 202);
    let server = lab.server(&id).await;
    assert_eq!(server["status"], during);
    assert!(server["OS-EXT-STS:task_state"].is_string());
    lab.wait_ms(3_000);
    let server = lab.server(&id).await;
    assert_eq!(
        (&server["status"], &server["OS-EXT-STS:task_state"]),
        (&json!(after), &Value::Null)
    );
}

#[tokio::test]
async fn a_stopped_server_starts_again() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    act(&lab, &id, json!({ "os-stop": null })).await;
    lab.wait_ms(3_000);
    assert_eq!(state(&lab.server(&id).await), ("SHUTOFF", "stopped", None, 4));
    assert_eq!(act(&lab, &id, json!({ "os-start": null })).await.status, 202);
    lab.wait_ms(3_000);
    assert_eq!(state(&lab.server(&id).await), ("ACTIVE", "active", None, 1));
}

#[rstest]
#[case(json!({ "os-stop": null }), "Cannot 'stop' instance ID while it is in vm_state building")]
#[case(json!({ "os-start": null }), "Cannot 'start' instance ID while it is in vm_state building")]
#[case(
    json!({ "reboot": { "type": "HARD" } }),
    "Cannot 'reboot' instance ID while it is in vm_state building"
)]
#[tokio::test]
async fn a_wrong_state_is_a_conflict(#[case] action: Value, #[case] message: &str) {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let message = message.replace("ID", &id);
    assert_eq!(act(&lab, &id, action).await.fault(), ("conflictingRequest", message.as_str()));
}

#[rstest]
#[case(json!({ "dance": null }), "There is no such action in the embedded cloud: dance")]
#[case(json!({ "reboot": { "type": "WARM" } }), "'WARM' is not one of ['HARD', 'SOFT']")]
#[case(json!({}), "Malformed request body")]
#[case(
    json!({ "rebuild": { "imageRef": "13a6e000-0000-4000-8000-000000000099" } }),
    "Cannot find image for rebuild"
)]
#[tokio::test]
async fn an_unknown_action_is_a_bad_request(#[case] action: Value, #[case] message: &str) {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    let answer = act(&lab, &id, action).await;
    assert_eq!(answer.fault().0, "badRequest");
    assert!(answer.fault().1.ends_with(message), "{}", answer.text);
}

#[tokio::test]
async fn a_server_without_a_host_cannot_be_stopped() {
    let lab = Lab::with(|config| config.rules.hosts_per_zone = 0).await;
    let id = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    let answer = act(&lab, &id, json!({ "os-stop": null })).await;
    assert_eq!(answer.fault().1, format!("Instance {id} is not ready"));
}

#[tokio::test]
async fn tags_come_and_go_once_a_server_is_built() {
    let lab = Lab::new().await;
    let id = lab.created(json!({ "tags": ["a"] })).await;
    let tag = |name: &str| format!("/servers/{id}/tags/{name}");
    let early = lab.nova("PUT", 75, &tag("b"), Value::Null).await;
    let message = format!("Cannot 'update tag' instance {id} while it is in vm_state building");
    assert_eq!(early.fault(), ("conflictingRequest", message.as_str()));
    lab.wait_ms(10_000);
    let added = lab.nova("PUT", 75, &tag("b"), Value::Null).await;
    assert!(added.status == 201 && added.header("location").ends_with("/tags/b"));
    assert_eq!(lab.nova("PUT", 75, &tag("b"), Value::Null).await.status, 204);
    assert_eq!(lab.nova("GET", 75, &tag("b"), Value::Null).await.status, 204);
    assert_eq!(lab.nova("DELETE", 75, &tag("a"), Value::Null).await.status, 204);
    let missing = lab.nova("DELETE", 75, &tag("a"), Value::Null).await;
    assert_eq!(missing.fault(), ("itemNotFound", format!("Instance {id} has no tag 'a'").as_str()));
    assert_eq!(lab.server(&id).await["tags"], json!(["b"]));
    let all = format!("/servers/{id}/tags");
    let set = lab.nova("PUT", 75, &all, json!({ "tags": ["x", "y"] })).await;
    assert_eq!((set.status, &set.body["tags"]), (200, &json!(["x", "y"])));
    assert_eq!(lab.nova("DELETE", 75, &all, Value::Null).await.status, 204);
    assert_eq!(lab.server(&id).await["tags"], json!([]));
}

#[tokio::test]
async fn a_server_carries_fifty_tags_at_most() {
    let lab = Lab::new().await;
    let tags: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let id = lab.created(json!({ "tags": tags })).await;
    lab.wait_ms(10_000);
    let answer = lab.nova("PUT", 75, &format!("/servers/{id}/tags/one-more"), Value::Null).await;
    let message = "The number of tags exceeded the per-server limit 50";
    assert_eq!(answer.fault(), ("badRequest", message));
}

#[tokio::test]
async fn metadata_is_added_replaced_and_taken_away() {
    let lab = Lab::new().await;
    let id = lab.created(json!({ "metadata": { "a": "1" } })).await;
    lab.wait_ms(10_000);
    let all = format!("/servers/{id}/metadata");
    let added = lab.nova("POST", 75, &all, json!({ "metadata": { "b": "2" } })).await;
    assert_eq!(added.body["metadata"], json!({ "a": "1", "b": "2" }));
    let item = format!("{all}/b");
    assert_eq!(lab.nova("GET", 75, &item, Value::Null).await.body, json!({ "meta": { "b": "2" } }));
    let put = lab.nova("PUT", 75, &item, json!({ "meta": { "b": "3" } })).await;
    assert_eq!(put.body, json!({ "meta": { "b": "3" } }));
    let mismatch = lab.nova("PUT", 75, &item, json!({ "meta": { "c": "3" } })).await;
    assert_eq!(mismatch.fault().1, "Request body and URI mismatch");
    assert_eq!(lab.nova("DELETE", 75, &item, Value::Null).await.status, 204);
    let missing = lab.nova("DELETE", 75, &item, Value::Null).await;
    assert_eq!(missing.fault(), ("itemNotFound", "Metadata item was not found"));
    let replaced = lab.nova("PUT", 75, &all, json!({ "metadata": { "z": "9" } })).await;
    assert_eq!(replaced.body["metadata"], json!({ "z": "9" }));
}

#[tokio::test]
async fn a_server_takes_another_name() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let path = format!("/servers/{id}");
    let answer = lab.nova("PUT", 75, &path, json!({ "server": { "name": "other" } })).await;
    assert_eq!((answer.status, &answer.body["server"]["name"]), (200, &json!("other")));
    let answer = lab.nova("PUT", 75, &path, json!({ "server": { "status": "ACTIVE" } })).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn what_was_done_is_listed_with_its_request() {
    let lab = Lab::new().await;
    let created = lab.create(json!({})).await;
    let id = created.body["server"]["id"].as_str().unwrap().to_owned();
    lab.wait_ms(10_000);
    act(&lab, &id, json!({ "os-stop": null })).await;
    let answer =
        lab.nova("GET", 75, &format!("/servers/{id}/os-instance-actions"), Value::Null).await;
    let actions = answer.body["instanceActions"].as_array().unwrap();
    assert_eq!((&actions[0]["action"], &actions[1]["action"]), (&json!("stop"), &json!("create")));
    assert_eq!(actions[1]["request_id"], created.header("x-openstack-request-id"));
}
