//! Microversions: negotiation, and what changes with them.

use axum::body::Body;
use axum::http::Request;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Lab, PROJECT, server};

#[tokio::test]
async fn the_version_document_needs_no_token() {
    let lab = Lab::new().await;
    for path in ["/compute/v2.1", "/compute/v2.1/"] {
        let answer = lab.call(Request::get(path).body(Body::empty()).unwrap()).await;
        let version = &answer.body["version"];
        assert_eq!((answer.status, &version["id"]), (200, &json!("v2.1")));
        assert_eq!((&version["min_version"], &version["version"]), (&json!("2.1"), &json!("2.90")));
    }
    assert_eq!(lab.get("/compute/").await.body["versions"][0]["version"], "2.90");
}

#[rstest]
#[case("openstack-api-version", "compute 2.52", "2.52")]
#[case("openstack-api-version", "image 1.0, compute 2.90", "2.90")]
#[case("openstack-api-version", "compute latest", "2.90")]
#[case("openstack-api-version", "volume 3.60", "2.1")]
#[case("x-openstack-nova-api-version", "2.60", "2.60")]
#[case("accept", "application/json", "2.1")]
#[tokio::test]
async fn the_answer_says_which_version_was_used(
    #[case] header: &str,
    #[case] value: &str,
    #[case] used: &str,
) {
    let lab = Lab::new().await;
    let answer = ask(&lab, header, value).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("openstack-api-version"), format!("compute {used}"));
    assert_eq!(answer.header("x-openstack-nova-api-version"), used);
    assert_eq!(answer.header("vary"), "OpenStack-API-Version, X-OpenStack-Nova-API-Version");
    let id = answer.header("x-openstack-request-id");
    assert!(id.starts_with("req-") && id == answer.header("x-compute-request-id"));
}

#[rstest]
#[case("2.91", 406, "computeFault")]
#[case("2.0", 406, "computeFault")]
#[case("3.1", 406, "computeFault")]
#[case("two", 400, "badRequest")]
#[tokio::test]
async fn other_versions_are_refused(#[case] asked: &str, #[case] status: u16, #[case] name: &str) {
    let lab = Lab::new().await;
    let answer = ask(&lab, "openstack-api-version", &format!("compute {asked}")).await;
    assert_eq!((answer.status, answer.fault().0), (status, name));
    if status == 406 {
        let message = format!(
            "Version {asked} is not supported by the API. Minimum is 2.1 and maximum is 2.90."
        );
        assert_eq!(answer.fault().1, message);
        assert_eq!(answer.header("openstack-api-version"), "");
    }
}

async fn ask(lab: &Lab, header: &str, value: &str) -> super::Answer {
    let request = Request::get(format!("/compute/v2.1/{PROJECT}/servers"))
        .header("x-auth-token", &lab.token)
        .header(header, value);
    lab.call(request.body(Body::empty()).unwrap()).await
}

/// A member of the request that a version does not know is refused by name.
#[rstest]
#[case("tags", json!(["a"]), 51, 52)]
#[case("description", json!("text"), 18, 19)]
#[case("hostname", json!("web"), 89, 90)]
#[case("nonsense", json!(1), 90, 91)]
#[tokio::test]
async fn members_of_a_create_come_with_versions(
    #[case] member: &str,
    #[case] value: Value,
    #[case] too_low: u32,
    #[case] enough: u32,
) {
    let lab = Lab::new().await;
    let body = server(json!({ member: value }));
    let answer = lab.nova("POST", too_low, "/servers", body.clone()).await;
    let expected = format!("Additional properties are not allowed ('{member}' was unexpected)");
    assert_eq!(answer.fault().0, "badRequest");
    assert!(answer.fault().1.ends_with(&expected), "{}", answer.text);
    if enough <= 90 {
        assert_eq!(lab.nova("POST", enough, "/servers", body).await.status, 202);
    }
}

#[tokio::test]
async fn networks_are_mandatory_from_2_37() {
    let lab = Lab::new().await;
    let mut body = server(json!({}));
    body["server"].as_object_mut().unwrap().remove("networks");
    let answer = lab.nova("POST", 37, "/servers", body.clone()).await;
    assert_eq!(answer.fault().0, "badRequest");
    assert!(answer.fault().1.ends_with("'networks' is a required property"));
    let answer = lab.nova("POST", 36, "/servers", body.clone()).await;
    let message = "Multiple possible networks found, use a Network ID to be more specific.";
    assert_eq!(answer.fault(), ("conflictingRequest", message));
    body["server"]["networks"] = json!("auto");
    assert_eq!(lab.nova("POST", 37, "/servers", body.clone()).await.status, 202);
    assert_eq!(lab.nova("POST", 36, "/servers", body).await.status, 400);
}

/// The members of a server that came later than 2.1, each with the version before and the version.
#[rstest]
#[case("locked", 9)]
#[case("description", 19)]
#[case("tags", 26)]
#[case("trusted_image_certificates", 63)]
#[case("server_groups", 71)]
#[case("locked_reason", 73)]
#[case("OS-EXT-SRV-ATTR:hostname", 90)]
#[tokio::test]
async fn members_of_a_server_come_with_versions(#[case] member: &str, #[case] since: u32) {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let path = format!("/servers/{id}");
    let before = lab.nova("GET", since - 1, &path, Value::Null).await;
    let after = lab.nova("GET", since, &path, Value::Null).await;
    assert!(before.body["server"].get(member).is_none());
    assert!(after.body["server"].get(member).is_some());
}

/// What Nova shows everybody at 2.52, in a listing of servers that are ACTIVE.
#[tokio::test]
async fn a_server_at_2_52_has_exactly_novas_members() {
    let lab = Lab::new().await;
    lab.created(json!({ "tags": ["asg=pool-a"], "metadata": { "asg": "pool-a" } })).await;
    lab.wait_ms(10_000);
    let answer = lab.nova("GET", 52, "/servers/detail?tags=asg%3Dpool-a", Value::Null).await;
    let listed = &answer.body["servers"][0];
    let members: Vec<&str> = listed.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "id",
        "name",
        "status",
        "tenant_id",
        "user_id",
        "created",
        "updated",
        "OS-EXT-STS:vm_state",
        "OS-EXT-STS:task_state",
        "OS-EXT-STS:power_state",
        "OS-EXT-AZ:availability_zone",
        "OS-SRV-USG:launched_at",
        "OS-SRV-USG:terminated_at",
        "OS-DCF:diskConfig",
        "accessIPv4",
        "accessIPv6",
        "addresses",
        "config_drive",
        "flavor",
        "hostId",
        "image",
        "key_name",
        "metadata",
        "links",
        "locked",
        "description",
        "tags",
        "security_groups",
        "os-extended-volumes:volumes_attached",
        "progress",
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(listed["flavor"]["original_name"], "d2-2");
    let nic = &listed["addresses"]["Ext-Net"][0];
    assert_eq!((&nic["addr"], &nic["version"]), (&json!("198.18.0.10"), &json!(4)));
    assert_eq!(nic["OS-EXT-IPS:type"], "fixed");
}

#[tokio::test]
async fn the_flavor_is_a_link_below_2_47() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let path = format!("/servers/{id}");
    let low = lab.nova("GET", 46, &path, Value::Null).await.body["server"]["flavor"].clone();
    assert_eq!(low["id"], super::SMALL);
    let high = lab.nova("GET", 47, &path, Value::Null).await.body["server"]["flavor"].clone();
    assert!(high.get("id").is_none() && high["vcpus"] == 1 && high["ram"] == 2_000);
}

#[tokio::test]
async fn the_tags_resource_came_with_2_26() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let path = format!("/servers/{id}/tags");
    assert_eq!(lab.nova("GET", 25, &path, Value::Null).await.status, 404);
    assert_eq!(lab.nova("GET", 26, &path, Value::Null).await.body, json!({ "tags": [] }));
}

#[tokio::test]
async fn another_project_in_the_url_is_refused() {
    let lab = Lab::new().await;
    let answer = lab.get("/compute/v2.1/aaaa/servers").await;
    let message = format!(
        "Malformed request URL: URL's project_id 'aaaa' doesn't match Context's project_id \
         '{PROJECT}'"
    );
    assert_eq!(answer.fault(), ("badRequest", message.as_str()));
}

#[tokio::test]
async fn a_token_without_a_project_opens_nothing() {
    let mut lab = Lab::new().await;
    lab.token = lab.unscoped().await;
    assert_eq!(lab.nova("GET", 52, "/servers", Value::Null).await.status, 400);
}

#[rstest]
#[case("PATCH", "/servers", 405, "badMethod")]
#[case("GET", "/servers/none", 404, "itemNotFound")]
#[tokio::test]
async fn novas_faults_have_novas_form(
    #[case] method: &str,
    #[case] path: &str,
    #[case] status: u16,
    #[case] name: &str,
) {
    let lab = Lab::new().await;
    let answer = lab.nova(method, 52, path, Value::Null).await;
    assert_eq!((answer.status, answer.fault().0), (status, name));
}
