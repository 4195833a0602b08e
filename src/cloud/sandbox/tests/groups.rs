//! Server groups, key pairs, quota and limits.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Lab, server};

async fn group(lab: &Lab, policy: &str) -> String {
    let body = json!({ "server_group": { "name": "g", "policy": policy } });
    let answer = lab.nova("POST", 64, "/os-server-groups", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body["server_group"]["id"].as_str().unwrap().to_owned()
}

async fn launch(lab: &Lab, group: &str, count: u32) -> super::Answer {
    let mut body = server(json!({ "min_count": count, "max_count": count }));
    body["os:scheduler_hints"] = json!({ "group": group });
    lab.nova("POST", 75, "/servers", body).await
}

#[rstest]
#[case("anti-affinity", "ERROR")]
#[case("soft-anti-affinity", "ACTIVE")]
#[tokio::test]
async fn strict_policies_run_out_of_hosts(#[case] policy: &str, #[case] status: &str) {
    let lab = Lab::with(|config| config.rules.hosts_per_zone = 1).await;
    let group = group(&lab, policy).await;
    assert_eq!(launch(&lab, &group, 3).await.status, 202);
    lab.wait_ms(10_000);
    assert_eq!(lab.names(&format!("status={status}")).await.len(), 3);
}

#[tokio::test]
async fn affinity_keeps_servers_on_one_host() {
    let lab = Lab::new().await;
    let group = group(&lab, "affinity").await;
    launch(&lab, &group, 2).await;
    let answer = lab.nova("GET", 75, "/servers/detail", Value::Null).await;
    let servers = &answer.body["servers"];
    assert_eq!(servers[0]["hostId"], servers[1]["hostId"]);
    let shown = lab.nova("GET", 64, &format!("/os-server-groups/{group}"), Value::Null).await;
    assert_eq!(shown.body["server_group"]["members"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_group_has_room_for_ten() {
    let lab = Lab::new().await;
    let group = group(&lab, "soft-affinity").await;
    let answer = launch(&lab, &group, 11).await;
    assert_eq!(answer.fault(), ("forbidden", "Quota exceeded, too many servers in group"));
    let unknown = "44444444-4444-4444-8444-444444444444";
    let answer = launch(&lab, unknown, 1).await;
    let message = format!("Instance group {unknown} could not be found.");
    assert_eq!(answer.fault(), ("badRequest", message.as_str()));
}

#[tokio::test]
async fn groups_change_their_form_with_2_64() {
    let lab = Lab::new().await;
    let body = json!({ "server_group": { "name": "g", "policies": ["anti-affinity"] } });
    let low = lab.nova("POST", 15, "/os-server-groups", body.clone()).await;
    assert_eq!(low.body["server_group"]["policies"], json!(["anti-affinity"]));
    assert_eq!(lab.nova("POST", 64, "/os-server-groups", body).await.status, 400);
    let id = low.body["server_group"]["id"].as_str().unwrap().to_owned();
    let listed = lab.nova("GET", 64, "/os-server-groups", Value::Null).await;
    assert_eq!(listed.body["server_groups"][0]["policy"], "anti-affinity");
    let path = format!("/os-server-groups/{id}");
    assert_eq!(lab.nova("DELETE", 64, &path, Value::Null).await.status, 204);
    assert_eq!(lab.nova("GET", 64, &path, Value::Null).await.status, 404);
    let soft = json!({ "server_group": { "name": "g", "policies": ["soft-affinity"] } });
    assert_eq!(lab.nova("POST", 14, "/os-server-groups", soft).await.status, 400);
}

#[tokio::test]
async fn there_are_ten_groups_at_most() {
    let lab = Lab::new().await;
    for _ in 0..10 {
        group(&lab, "affinity").await;
    }
    let body = json!({ "server_group": { "name": "g", "policy": "affinity" } });
    let answer = lab.nova("POST", 64, "/os-server-groups", body).await;
    assert_eq!(answer.fault(), ("forbidden", "Quota exceeded, too many server groups."));
}

#[tokio::test]
async fn limits_count_every_server() {
    let lab = Lab::new().await;
    lab.created(json!({ "max_count": 2 })).await;
    let answer = lab.nova("GET", 75, "/limits", Value::Null).await;
    let absolute = &answer.body["limits"]["absolute"];
    assert_eq!(
        (&absolute["maxTotalInstances"], &absolute["totalInstancesUsed"]),
        (&json!(100), &json!(2))
    );
    assert_eq!(
        (&absolute["totalCoresUsed"], &absolute["totalRAMUsed"]),
        (&json!(2), &json!(4_000))
    );
    assert!(absolute.get("maxPersonality").is_none());
    let low = lab.nova("GET", 35, "/limits", Value::Null).await;
    assert!(low.body["limits"]["absolute"].get("maxSecurityGroups").is_some());
}

#[tokio::test]
async fn the_quota_can_be_set_and_holds_at_once() {
    let lab = Lab::new().await;
    lab.created(json!({ "max_count": 2 })).await;
    let path = format!("/os-quota-sets/{}", super::PROJECT);
    let low = lab.nova("PUT", 75, &path, json!({ "quota_set": { "instances": 1 } })).await;
    let message = "Quota limit 1 for instances must be greater than or equal to already used and \
                   reserved 2.";
    assert_eq!(low.fault(), ("badRequest", message));
    let set = lab.nova("PUT", 75, &path, json!({ "quota_set": { "instances": 2 } })).await;
    assert_eq!((set.status, &set.body["quota_set"]["instances"]), (200, &json!(2)));
    assert_eq!(lab.create(json!({})).await.status, 403);
    let none = lab.nova("PUT", 75, &path, json!({ "quota_set": { "instances": -1 } })).await;
    assert_eq!(none.status, 200);
    assert_eq!(lab.create(json!({})).await.status, 202);
    let unknown = lab.nova("PUT", 75, &path, json!({ "quota_set": { "wishes": 3 } })).await;
    assert_eq!(unknown.status, 400);
    let detail = lab.nova("GET", 75, &format!("{path}/detail"), Value::Null).await;
    assert_eq!(detail.body["quota_set"]["instances"]["in_use"], 3);
}

#[tokio::test]
async fn key_pairs_belong_to_their_user() {
    let lab = Lab::new().await;
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let body = json!({ "keypair": { "name": "mine", "public_key": key } });
    let made = lab.nova("POST", 75, "/os-keypairs", body.clone()).await;
    assert_eq!((made.status, &made.body["keypair"]["type"]), (201, &json!("ssh")));
    let again = lab.nova("POST", 75, "/os-keypairs", body).await;
    assert_eq!(again.fault(), ("conflictingRequest", "Key pair 'mine' already exists."));
    let listed = lab.nova("GET", 75, "/os-keypairs", Value::Null).await;
    let pairs = listed.body["keypairs"].as_array().unwrap();
    let listed: Vec<&Value> = pairs.iter().map(|pair| &pair["keypair"]["name"]).collect();
    assert_eq!(listed, ["mine", "ops"]);
    lab.created(json!({ "key_name": "mine" })).await;
    assert_eq!(lab.nova("DELETE", 75, "/os-keypairs/mine", Value::Null).await.status, 204);
    let gone = lab.nova("GET", 75, "/os-keypairs/mine", Value::Null).await;
    assert_eq!(gone.fault().0, "itemNotFound");
}
