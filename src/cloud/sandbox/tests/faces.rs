//! What clients look up: flavors, images, networks, ports; and the doors that lead nowhere.

use axum::body::Body;
use axum::http::Request;
use rstest::rstest;
use serde_json::{Value, json};

use super::{DEBIAN, Lab, PUBLIC, SMALL};

const NEWEST_ALMA: &str = "13a6e000-0000-4000-8000-000000000004";
const OLD_DEBIAN: &str = "13a6e000-0000-4000-8000-000000000001";

#[tokio::test]
async fn flavors_are_listed_in_pages() {
    let lab = Lab::new().await;
    let answer = lab.nova("GET", 61, "/flavors/detail", Value::Null).await;
    let flavors = answer.body["flavors"].as_array().unwrap();
    let sizes: Vec<(&str, u64, u64)> = flavors
        .iter()
        .map(|it| {
            (
                it["name"].as_str().unwrap(),
                it["vcpus"].as_u64().unwrap(),
                it["ram"].as_u64().unwrap(),
            )
        })
        .collect();
    let expected =
        [("d2-2", 1, 2_000), ("d2-4", 2, 4_000), ("b3-8", 2, 8_000), ("b3-16", 4, 16_000)];
    assert_eq!(sizes, expected);
    assert_eq!(flavors[0]["swap"], "");
    let page = lab.nova("GET", 75, "/flavors?limit=3", Value::Null).await;
    assert!(page.body["flavors_links"][0]["href"].as_str().unwrap().contains("limit=3&marker="));
    let shown = lab.nova("GET", 75, &format!("/flavors/{SMALL}"), Value::Null).await;
    assert_eq!(
        (&shown.body["flavor"]["name"], &shown.body["flavor"]["swap"]),
        (&json!("d2-2"), &json!(0))
    );
    let missing = lab.nova("GET", 75, "/flavors/d2-2", Value::Null).await;
    assert_eq!(missing.fault(), ("itemNotFound", "Flavor d2-2 could not be found."));
}

#[tokio::test]
async fn the_newest_image_of_a_name_comes_first() {
    let lab = Lab::new().await;
    let path = "/image/v2/images?name=AlmaLinux+9&status=active&sort=created_at:desc&limit=2";
    let answer = lab.get(path).await;
    let images = answer.body["images"].as_array().unwrap();
    assert_eq!((images.len(), &images[0]["id"]), (2, &json!(NEWEST_ALMA)));
    assert!(images[1]["created_at"].as_str() < images[0]["created_at"].as_str());
    let next = answer.body["next"].as_str().unwrap();
    assert!(next.starts_with("/v2/images?") && next.contains("marker="));
    let rest = lab.get(&format!("/image{next}")).await;
    assert_eq!((&rest.body["images"], rest.body.get("next")), (&json!([]), None));
}

#[rstest]
#[case("name=Nothing", 0)]
#[case("os_distro=ubuntu", 1)]
#[case("name=in:%22Debian+12%22,%22Ubuntu+24.04%22", 2)]
#[case("id=in:13a6e000-0000-4000-8000-000000000003", 1)]
#[case("visibility=private", 0)]
#[case("os_hidden=true", 1)]
#[case("name=Debian+12", 1)]
#[case("name=Debian+12&os_hidden=true", 1)]
#[case("no_such_property=1", 0)]
#[case("sort_key=name&sort_dir=asc", 4)]
#[tokio::test]
async fn images_are_filtered(#[case] query: &str, #[case] count: usize) {
    let answer = Lab::new().await.get(&format!("/image/v2/images?{query}")).await;
    assert_eq!(answer.body["images"].as_array().unwrap().len(), count);
}

#[tokio::test]
async fn a_superseded_image_still_boots_for_those_who_know_its_id() {
    let lab = Lab::new().await;
    let shown = lab.get(&format!("/image/v2/images/{OLD_DEBIAN}")).await;
    assert_eq!(
        (&shown.body["name"], &shown.body["os_hidden"]),
        (&json!("Debian 12"), &json!(true))
    );
    lab.created(json!({ "imageRef": OLD_DEBIAN })).await;
}

#[tokio::test]
async fn glance_has_its_own_manners() {
    let lab = Lab::new().await;
    assert_eq!(lab.get("/image/").await.status, 300);
    let missing = lab.get("/image/v2/images/Debian%2012").await;
    assert_eq!(missing.status, 404);
    assert!(missing.header("content-type").starts_with("text/html"));
    assert_eq!(lab.get("/image/v2/images?limit=many").await.status, 400);
    assert_eq!(lab.get("/image/v2/images?marker=none").await.status, 400);
    assert_eq!(lab.get(&format!("/image/v2/images/{DEBIAN}")).await.body["name"], "Debian 12");
}

#[tokio::test]
async fn networks_are_found_by_name() {
    let lab = Lab::new().await;
    let answer = lab.get("/network/v2.0/networks?name=Ext-Net&fields=id&fields=name").await;
    assert_eq!(answer.body, json!({ "networks": [{ "id": PUBLIC, "name": "Ext-Net" }] }));
    let both = lab.get("/network/v2.0/networks?name=Ext-Net&name=private").await;
    assert_eq!(both.body["networks"].as_array().unwrap().len(), 2);
    let external = lab.get("/network/v2.0/networks?router:external=True").await;
    assert_eq!(external.body["networks"].as_array().unwrap().len(), 1);
    let missing = lab.get("/network/v2.0/networks/Ext-Net").await;
    assert_eq!(missing.status, 404);
    assert_eq!(missing.body["NeutronError"]["type"], "NetworkNotFound");
    let groups = lab.get("/network/v2.0/security-groups?name=default").await;
    assert_eq!(groups.body["security_groups"][0]["name"], "default");
}

#[tokio::test]
async fn the_rules_of_a_security_group_are_listed() {
    let lab = Lab::new().await;
    let groups = lab.get("/network/v2.0/security-groups?name=default").await;
    let (id, of_group) = (&groups.body["security_groups"][0]["id"], "security_group_rules");
    let path =
        format!("/network/v2.0/security-group-rules?security_group_id={}", id.as_str().unwrap());
    let rules = lab.get(&path).await;
    assert_eq!(rules.body[of_group], groups.body["security_groups"][0][of_group]);
    assert_eq!(rules.body[of_group].as_array().unwrap().len(), 2);
    let old = lab.nova("GET", 1, "/os-security-groups", Value::Null).await;
    assert_eq!(old.body["security_groups"][0]["id"], *id);
    assert_eq!(lab.nova("GET", 36, "/os-security-groups", Value::Null).await.status, 404);
}

/// What the embedded cloud does not do, it says, in the words of the service.
#[rstest]
#[case("/network/v2.0/networks", "/NeutronError/message")]
#[case("/network/v2.0/security-groups", "/NeutronError/message")]
#[case("/image/v2/images", "/message")]
#[tokio::test]
async fn what_cannot_be_made_is_refused_with_a_reason(#[case] path: &str, #[case] at: &str) {
    let lab = Lab::new().await;
    let request = Request::post(path).header("x-auth-token", &lab.token);
    let answer = lab.call(request.body(Body::from("{}")).unwrap()).await;
    assert_eq!(answer.status, 405);
    let why = answer.body.pointer(at).unwrap().as_str().unwrap();
    assert!(why.contains("of the embedded cloud are fixed"), "{why}");
}

#[tokio::test]
async fn interfaces_stay_what_they_are_and_it_is_said() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let path = format!("/servers/{id}/os-interface");
    let ports = lab.nova("GET", 75, &path, Value::Null).await;
    let port = ports.body["interfaceAttachments"][0]["port_id"].as_str().unwrap();
    let body = json!({ "interfaceAttachment": { "net_id": PUBLIC } });
    for answer in [
        lab.nova("DELETE", 75, &format!("{path}/{port}"), Value::Null).await,
        lab.nova("POST", 75, &path, body).await,
    ] {
        assert_eq!(answer.fault().0, "forbidden");
        assert!(answer.fault().1.contains("embedded cloud"), "{}", answer.text);
    }
}

#[tokio::test]
async fn too_long_a_body_is_refused_in_the_words_of_the_service() {
    let lab = Lab::new().await;
    let answer = lab.create(json!({ "user_data": "A".repeat(3_000_000) })).await;
    assert_eq!((answer.status, answer.fault()), (413, ("overLimit", "Request is too large.")));
    let answer = lab.authenticate(json!({ "auth": "A".repeat(3_000_000) })).await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (413, &json!(413)));
}

#[tokio::test]
async fn ports_live_and_die_with_their_server() {
    let lab = Lab::new().await;
    let id = lab.created(json!({})).await;
    let path = format!("/network/v2.0/ports?device_id={id}");
    let ports = lab.get(&path).await.body["ports"].clone();
    assert_eq!(ports.as_array().unwrap().len(), 1);
    assert_eq!(ports[0]["fixed_ips"][0]["ip_address"], "198.18.0.10");
    lab.nova("DELETE", 75, &format!("/servers/{id}"), Value::Null).await;
    lab.wait_ms(2_000);
    assert_eq!(lab.get(&path).await.body["ports"], json!([]));
}

#[tokio::test]
async fn keystone_lists_what_the_caller_may_use() {
    let lab = Lab::new().await;
    let catalog = lab.get("/identity/v3/auth/catalog").await;
    assert_eq!(catalog.body["catalog"].as_array().unwrap().len(), 4);
    for path in ["/identity/v3/auth/projects", "/identity/v3/projects?name=sandbox"] {
        assert_eq!(lab.get(path).await.body["projects"][0]["name"], "sandbox");
    }
    let missing = lab.get("/identity/v3/projects/unknown").await;
    assert_eq!(missing.body["error"]["message"], "Could not find project: unknown.");
}

#[rstest]
#[case("/compute/v2.1/5a4db0c5000000004000800000000001/servers")]
#[case("/image/v2/images")]
#[case("/network/v2.0/networks")]
#[case("/identity/v3/auth/catalog")]
#[tokio::test]
async fn without_a_token_every_service_refuses_as_keystone_does(#[case] path: &str) {
    let mut lab = Lab::new().await;
    for token in ["", "made-up"] {
        lab.token = token.to_owned();
        let answer = lab.get(path).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body["error"]["code"], 401);
        assert_eq!(
            answer.header("www-authenticate"),
            "Keystone uri=\"http://cloud.test/identity/v3\""
        );
    }
}

#[rstest]
#[case("/nowhere", "title")]
#[case("/identity/v3/nowhere", "error")]
#[case("/compute/v2.1/5a4db0c5000000004000800000000001/nowhere", "title")]
#[tokio::test]
async fn unknown_paths_are_404(#[case] path: &str, #[case] member: &str) {
    let answer = Lab::new().await.get(path).await;
    assert_eq!(answer.status, 404);
    assert!(answer.body.get(member).is_some(), "{}", answer.text);
}

#[tokio::test]
async fn calls_are_counted_by_route() {
    let lab = Lab::new().await;
    lab.created(json!({})).await;
    lab.names("").await;
    lab.names("limit=1").await;
    let calls = lab.sandbox.calls();
    assert_eq!(calls["POST /compute/v2.1/{project_id}/servers"], 1);
    assert_eq!(calls["GET /compute/v2.1/{project_id}/servers"], 2);
    assert_eq!(calls["POST /identity/v3/auth/tokens"], 1);
    // Words that strangers make up share one line.
    for method in ["BREW", "WHEN"] {
        lab.call(Request::builder().method(method).uri("/").body(Body::empty()).unwrap()).await;
    }
    assert_eq!(lab.sandbox.calls()["other unknown path"], 2);
}
