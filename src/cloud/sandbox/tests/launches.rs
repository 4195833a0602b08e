//! Creating servers: what is made, what is refused and in which words.

use rstest::rstest;
use serde_json::{Value, json};

use super::{BASE, DEBIAN, Lab, PROJECT, PUBLIC, SMALL, server};

const LARGER: &str = "f1a0b000-0000-4000-8000-000000000002";

#[tokio::test]
async fn the_answer_names_the_first_server_and_little_else() {
    let lab = Lab::new().await;
    let answer = lab.create(json!({ "min_count": 2, "max_count": 2 })).await;
    assert_eq!(answer.status, 202);
    let made = answer.body["server"].as_object().unwrap();
    let members: Vec<&str> = made.keys().map(String::as_str).collect();
    assert_eq!(members, ["OS-DCF:diskConfig", "adminPass", "id", "links", "security_groups"]);
    let id = made["id"].as_str().unwrap();
    let url = format!("{BASE}/compute/v2.1/{PROJECT}/servers/{id}");
    assert_eq!(answer.header("location"), url);
    assert_eq!(made["links"][0], json!({ "rel": "self", "href": url }));
    assert_eq!(lab.server(id).await["name"], "web-1");
}

#[tokio::test]
async fn a_batch_shares_tags_metadata_and_reservation() {
    let lab = Lab::new().await;
    let answer = lab
        .create(json!({
            "max_count": "3",
            "return_reservation_id": true,
            "tags": ["launch:1"],
            "metadata": { "group": "web" },
        }))
        .await;
    let reservation = answer.body["reservation_id"].as_str().unwrap().to_owned();
    assert!(reservation.starts_with("r-") && answer.body.get("server").is_none());
    let names = lab.names(&format!("reservation_id={reservation}&tags=launch:1")).await;
    assert_eq!(names, ["web-3", "web-2", "web-1"]);
}

#[tokio::test]
async fn a_single_server_keeps_its_plain_name() {
    let lab = Lab::new().await;
    lab.created(json!({ "min_count": 1, "max_count": 1 })).await;
    assert_eq!(lab.names("").await, ["web"]);
}

#[tokio::test]
async fn over_quota_nothing_is_made() {
    let lab = Lab::with(|config| config.rules.quota.instances = 3).await;
    lab.created(json!({})).await;
    let answer = lab.create(json!({ "min_count": 3, "max_count": 3 })).await;
    let message = "Quota exceeded for instances: Requested 3, but already used 1 of 3 instances";
    assert_eq!(answer.fault(), ("forbidden", message));
    assert_eq!(lab.names("").await.len(), 1);
}

/// Without a quota, too: what is asked for must not decide how much memory is taken.
#[tokio::test]
async fn more_than_can_be_made_at_once_is_refused() {
    let lab = Lab::with(|config| {
        let quota = &mut config.rules.quota;
        (quota.instances, quota.cores, quota.ram_mb) = (-1, -1, -1);
    })
    .await;
    for count in [json!({ "min_count": u32::MAX }), json!({ "max_count": 10_001 })] {
        let answer = lab.create(count).await;
        assert_eq!(answer.fault().0, "badRequest");
        assert!(answer.fault().1.contains("than the 10000 servers"), "{}", answer.text);
    }
}

#[tokio::test]
async fn servers_without_a_host_take_no_addresses() {
    let lab = Lab::with(|config| config.rules.host_vcpus = 1).await;
    lab.created(json!({ "min_count": 3, "flavorRef": LARGER })).await;
    lab.created(json!({ "name": "fits" })).await;
    lab.wait_ms(6_000);
    assert_eq!(lab.names("ip=198.18.0.10").await, ["fits"]);
}

#[tokio::test]
async fn several_exceeded_limits_are_named_by_the_alphabet() {
    let lab = Lab::with(|config| {
        config.rules.quota.instances = 2;
        config.rules.quota.cores = 2;
    })
    .await;
    lab.created(json!({})).await;
    let answer = lab.create(json!({ "min_count": 2, "max_count": 4 })).await;
    let message = "Quota exceeded for cores, instances: Requested 4, 2-4, but already used 1, 1 \
                   of 2, 2 cores, instances";
    assert_eq!(answer.fault(), ("forbidden", message));
}

#[tokio::test]
async fn as_many_are_made_as_fit_between_min_and_max() {
    let lab = Lab::with(|config| config.rules.quota.instances = 3).await;
    let answer = lab.create(json!({ "min_count": 1, "max_count": 10 })).await;
    assert_eq!(answer.status, 202);
    assert_eq!(lab.names("").await.len(), 3);
}

#[tokio::test]
async fn too_few_hosts_fail_every_server_of_the_call() {
    let lab = Lab::with(|config| {
        config.rules.hosts_per_zone = 1;
        config.rules.host_vcpus = 2;
    })
    .await;
    let first = lab.created(json!({ "min_count": 5, "max_count": 5, "tags": ["t"] })).await;
    assert_eq!(lab.server(&first).await["status"], "BUILD");
    lab.wait_ms(1_000);
    assert_eq!(lab.names("status=ERROR&tags=t").await.len(), 5);
    let failed = lab.server(&first).await;
    assert_eq!(failed["fault"]["code"], 500);
    let message = "No valid host was found. There are not enough hosts available.";
    assert_eq!(failed["fault"]["message"], message);
    assert_eq!((&failed["hostId"], &failed["addresses"]), (&json!(""), &json!({})));
    // They take no room on hosts: four still fit.
    lab.created(json!({ "min_count": 4, "max_count": 4 })).await;
    lab.wait_ms(10_000);
    assert_eq!(lab.names("status=ACTIVE").await.len(), 4);
}

#[tokio::test]
async fn a_batch_spreads_over_the_zones_unless_one_is_named() {
    let lab = Lab::new().await;
    lab.created(json!({ "max_count": 4 })).await;
    lab.created(json!({ "name": "b", "max_count": 2, "availability_zone": "sandbox-1-b" })).await;
    let path = |zone: &str| format!("/servers?availability_zone={zone}");
    let a = lab.nova("GET", 83, &path("sandbox-1-a"), Value::Null).await;
    let b = lab.nova("GET", 83, &path("sandbox-1-b"), Value::Null).await;
    assert_eq!((super::names(&a.body).len(), super::names(&b.body).len()), (2, 4));
}

#[tokio::test]
async fn a_server_booted_from_a_volume_has_no_image() {
    let lab = Lab::new().await;
    let disk = json!({
        "boot_index": 0,
        "uuid": DEBIAN,
        "source_type": "image",
        "destination_type": "volume",
        "volume_size": 20,
        "delete_on_termination": true,
    });
    let members = json!({ "imageRef": "", "block_device_mapping_v2": [disk] });
    let id = lab.created(members).await;
    let server = lab.server(&id).await;
    assert_eq!(server["image"], "");
    let volume = &server["os-extended-volumes:volumes_attached"][0];
    assert_eq!(volume["delete_on_termination"], true);
}

/// Each request that Nova refuses with 400, and the end of its message.
#[rstest]
#[case(json!({ "flavorRef": "b9-1" }), "Flavor b9-1 could not be found.")]
#[case(
    json!({ "imageRef": "13a6e000-0000-4000-8000-000000000099" }),
    "Can not find requested image"
)]
#[case(json!({ "imageRef": "Debian 12" }), "'Debian 12' is not a 'uuid'")]
#[case(json!({ "imageRef": "" }), "combination is not valid.")]
#[case(
    json!({ "networks": [{ "uuid": "0e700000-0000-4000-8000-000000000099" }] }),
    "Network 0e700000-0000-4000-8000-000000000099 could not be found."
)]
#[case(json!({ "networks": [{ "uuid": "Ext-Net" }] }), "'Ext-Net' is not a 'uuid'")]
#[case(json!({ "networks": [{}] }), "Bad network format: missing 'uuid'")]
#[case(json!({ "key_name": "lost" }), "Invalid key_name provided.")]
#[case(json!({ "security_groups": [{ "name": "walls" }] }), "Security group walls not found.")]
#[case(
    json!({ "availability_zone": "moon" }),
    "The requested availability zone is not available"
)]
#[case(json!({ "name": "" }), "'' is too short")]
#[case(json!({ "name": " web" }), "Can not start or end with whitespace.")]
#[case(json!({ "name": 5 }), "5 is not of type 'string'")]
#[case(json!({ "min_count": 0 }), "0 is less than the minimum of 1")]
#[case(json!({ "min_count": 3, "max_count": 2 }), "min_count must be <= max_count")]
#[case(json!({ "user_data": "not base64!" }), "… is not a 'base64'")]
#[case(json!({ "user_data": "A".repeat(65_536) }), "… is too long")]
#[case(json!({ "user_data": null }), "… is not of type 'string'")]
#[case(json!({ "tags": ["a,b"] }), "'a,b' does not match '^[^,/]*$'")]
#[case(json!({ "tags": ["a/b"] }), "'a/b' does not match '^[^,/]*$'")]
#[case(json!({ "tags": [""] }), "'' is too short")]
#[case(json!({ "tags": ["t".repeat(61)] }), "is too long")]
#[case(json!({ "tags": (0..51).map(|n| n.to_string()).collect::<Vec<_>>() }), "[…] is too long")]
#[case(
    json!({ "metadata": { "a/b": "c" } }),
    "'a/b' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{1,255}$'"
)]
#[case(json!({ "metadata": { "a": 1 } }), "1 is not of type 'string'")]
#[case(json!({ "config_drive": "perhaps" }), "'perhaps' is not one of [True, False, …]")]
#[case(json!({ "hostname": "x" }), "('hostname' was unexpected)")]
#[tokio::test]
async fn bad_requests_are_refused_in_novas_words(#[case] members: Value, #[case] message: &str) {
    let lab = Lab::new().await;
    let answer = lab.create(members).await;
    assert_eq!(answer.fault().0, "badRequest", "{}", answer.text);
    assert!(answer.fault().1.ends_with(message), "{}", answer.text);
    assert!(lab.names("").await.is_empty());
}

#[rstest]
#[case(json!({}), "'server' is a required property")]
#[case(json!([]), "Malformed request body")]
#[case(
    json!({ "server": server(json!({}))["server"], "extra": 1 }),
    "Additional properties are not allowed ('extra' was unexpected)"
)]
#[case(json!({ "server": { "name": "x" } }), "'flavorRef' is a required property")]
#[tokio::test]
async fn bad_bodies_are_refused(#[case] body: Value, #[case] message: &str) {
    let lab = Lab::new().await;
    let answer = lab.nova("POST", 30, "/servers", body).await;
    assert_eq!(answer.fault().0, "badRequest");
    assert!(answer.fault().1.ends_with(message), "{}", answer.text);
}

#[tokio::test]
async fn too_many_metadata_items_are_over_quota() {
    let lab = Lab::new().await;
    let items: serde_json::Map<String, Value> =
        (0..129).map(|n| (n.to_string(), json!("x"))).collect();
    let answer = lab.create(json!({ "metadata": items })).await;
    let message = "Maximum number of metadata items exceeds 128";
    assert_eq!(answer.fault(), ("forbidden", message));
}

#[tokio::test]
async fn what_is_for_administrators_is_refused_by_policy() {
    let lab = Lab::new().await;
    for members in [json!({ "host": "h" }), json!({ "availability_zone": "sandbox-1-a:h" })] {
        let answer = lab.create(members).await;
        assert_eq!(answer.fault().0, "forbidden");
        assert!(answer.fault().1.starts_with("Policy doesn't allow"));
    }
}

#[tokio::test]
async fn user_data_and_passwords_are_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let now = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(super::BEGIN));
    let path = directory.path().to_path_buf();
    let lab = Lab::open(super::config(), Some(path.clone()), now).await;
    let answer = lab.create(json!({ "user_data": "c2VjcmV0LXVzZXItZGF0YQ==" })).await;
    let password = answer.body["server"]["adminPass"].as_str().unwrap().to_owned();
    lab.sandbox.save().await.unwrap();
    let saved = std::fs::read_to_string(path.join("sandbox.json")).unwrap();
    for secret in [password.as_str(), "c2VjcmV0LXVzZXItZGF0YQ", &lab.token, super::SECRET] {
        assert!(!saved.contains(secret));
    }
}

#[tokio::test]
async fn addresses_are_distinct_and_not_reused_at_once() {
    let lab = Lab::new().await;
    let first = lab.created(json!({ "networks": [{ "uuid": PUBLIC }], "flavorRef": SMALL })).await;
    lab.wait_ms(10_000);
    lab.nova("DELETE", 75, &format!("/servers/{first}"), Value::Null).await;
    lab.wait_ms(10_000);
    let second = lab.created(json!({})).await;
    lab.wait_ms(10_000);
    let server = lab.server(&second).await;
    assert_eq!(server["addresses"]["Ext-Net"][0]["addr"], "198.18.0.11");
}
