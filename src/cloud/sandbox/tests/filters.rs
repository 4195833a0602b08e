//! Listings: filters by version, order, pages.

use rstest::rstest;
use serde_json::{Value, json};

use super::{Lab, names};

/// `a` with tags 1 and 2, `b` with tag 2, `c` without; in this order, a second apart.
async fn three() -> Lab {
    let lab = Lab::new().await;
    for (name, tags) in [("a", json!(["1", "2", "Web"])), ("b", json!(["2"])), ("c", json!([]))] {
        lab.created(json!({ "name": name, "tags": tags, "metadata": { "of": name } })).await;
        lab.wait_ms(1_000);
    }
    lab
}

#[rstest]
#[case("", &["c", "b", "a"])]
#[case("tags=2", &["b", "a"])]
#[case("tags=1,2", &["a"])]
#[case("tags=3", &[])]
#[case("tags=web", &["a"])]
#[case("tags-any=1,3", &["a"])]
#[case("not-tags=1,2", &["c", "b"])]
#[case("not-tags-any=1,2", &["c"])]
#[case("tags=2&not-tags=1", &["b"])]
#[case("name=b", &["b"])]
#[case("name=%5E%5Bx%5D", &[])]
#[case("name=%5E.%24", &["c", "b", "a"])]
#[case("name=%5E%5Bab%5D%24", &["b", "a"])]
#[case("name=A%7CC", &["c", "a"])]
#[case("ip=198%5C.18%5C.0%5C.1%5B01%5D", &["b", "a"])]
#[case("status=BUILD", &["c", "b", "a"])]
#[case("status=build", &["c", "b", "a"])]
#[case("status=ACTIVE", &[])]
#[case("status=ACTIVE&status=BUILD", &["c", "b", "a"])]
#[case("status=PAUSED", &[])]
#[case("locked=false", &["c", "b", "a"])]
#[case("locked=true", &[])]
#[case("changes-since=2026-01-02T03:00:02Z", &["c"])]
#[case("changes-before=2026-01-02T03:00:01Z", &["a"])]
#[case("sort_key=created_at&sort_dir=asc", &["a", "b", "c"])]
#[case("sort_key=display_name&sort_dir=asc", &["a", "b", "c"])]
#[case("sort_key=display_name", &["c", "b", "a"])]
#[case("all_tenants=0", &["c", "b", "a"])]
#[case("display_name=b", &["c", "b", "a"])]
#[case("limit=2", &["c", "b"])]
#[case("limit=0", &[])]
#[tokio::test]
async fn filters_keep_what_they_should(#[case] query: &str, #[case] expected: &[&str]) {
    assert_eq!(three().await.names(query).await, expected);
}

#[rstest]
#[case("nope=1", 75, "Additional properties are not allowed ('nope' was unexpected)")]
#[case("tags=(", 75, "'(' is not a 'regex'")]
#[case("name=%5Ba", 75, "'[a' is not a 'regex'")]
#[case("ip=*", 75, "'*' is not a 'regex'")]
#[case("hostname=(", 90, "'(' is not a 'regex'")]
#[case("name=(a%7B1000%7D)%7B1000%7D", 75, "is too large a 'regex' for the embedded cloud")]
#[case("status=DANCING", 75, "Invalid status value")]
#[case("limit=many", 75, "'many' does not match '^[0-9]*$'")]
#[case("limit=-1", 75, "'-1' does not match '^[0-9]*$'")]
#[case("marker=none", 75, "marker [none] not found")]
#[case("changes-since=yesterday", 75, "Invalid filter field: changes-since.")]
#[case("_x=1", 60, "Invalid filter field: _x.")]
#[tokio::test]
async fn bad_filters_are_refused(#[case] query: &str, #[case] minor: u32, #[case] message: &str) {
    let lab = three().await;
    let answer = lab.nova("GET", minor, &format!("/servers/detail?{query}"), Value::Null).await;
    assert_eq!(answer.fault().0, "badRequest");
    assert!(answer.fault().1.ends_with(message), "{}", answer.text);
}

/// Each of these keeps a matcher that goes back busy for longer than anybody waits, and the cloud
/// with it: filters are held against names under the world's lock.
#[rstest]
#[case("name", 75, "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b")]
#[case("name", 75, "(a*)*b")]
#[case("hostname", 90, ".*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*b")]
#[case("ip", 75, ".*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*b")]
#[tokio::test]
async fn no_filter_keeps_the_cloud_busy(
    #[case] filter: &str,
    #[case] minor: u32,
    #[case] pattern: &str,
) {
    let lab = Lab::new().await;
    lab.created(json!({ "name": "a".repeat(255) })).await;
    let began = std::time::Instant::now();
    let answer = lab.nova("GET", minor, &format!("/servers?{filter}={pattern}"), Value::Null).await;
    assert_eq!(answer.body["servers"], json!([]));
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

/// The trap that every client has to know: with too low a version the filter does nothing.
#[rstest]
#[case("tags=1", 25, 3)]
#[case("tags=1", 26, 1)]
#[case("nope=1", 74, 3)]
#[case("locked=true", 72, 3)]
#[case("status=DANCING", 37, 0)]
#[tokio::test]
async fn low_versions_drop_filters(#[case] query: &str, #[case] minor: u32, #[case] found: usize) {
    let lab = three().await;
    let answer = lab.nova("GET", minor, &format!("/servers?{query}"), Value::Null).await;
    assert_eq!(names(&answer.body).len(), found);
}

#[rstest]
#[case("/servers?status=DELETED", "Only administrators may list deleted instances")]
#[case(
    "/servers?all_tenants=1",
    "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed."
)]
#[case(
    "/servers/detail?all_tenants",
    "Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed."
)]
#[tokio::test]
async fn some_listings_are_for_administrators(#[case] path: &str, #[case] message: &str) {
    let answer = three().await.nova("GET", 75, path, Value::Null).await;
    assert_eq!(answer.fault(), ("forbidden", message));
}

#[tokio::test]
async fn pages_follow_one_another_to_an_empty_end() {
    let lab = Lab::new().await;
    lab.created(json!({ "max_count": 4, "tags": ["t"] })).await;
    let mut path = "/servers/detail?limit=2&tags=t".to_owned();
    let mut seen = Vec::new();
    for full in [true, true, false] {
        let answer = lab.nova("GET", 75, &path, Value::Null).await;
        seen.extend(names(&answer.body));
        let next = answer.body["servers_links"][0]["href"].as_str();
        assert_eq!(next.is_some(), full);
        path = next
            .unwrap_or_default()
            .replace(&format!("{}/compute/v2.1/{}", super::BASE, super::PROJECT), "");
    }
    assert_eq!(seen, ["web-4", "web-3", "web-2", "web-1"]);
}

#[tokio::test]
async fn a_page_is_no_longer_than_the_cloud_allows() {
    let lab = Lab::with(|config| config.rules.max_page = 3).await;
    lab.created(json!({ "max_count": 5 })).await;
    assert_eq!(lab.names("limit=100").await.len(), 3);
    assert_eq!(lab.names("").await.len(), 3);
}

#[tokio::test]
async fn the_marker_need_not_pass_the_filter() {
    let lab = three().await;
    let all = lab.nova("GET", 75, "/servers", Value::Null).await;
    let newest = all.body["servers"][0]["id"].as_str().unwrap();
    assert_eq!(lab.names(&format!("tags=2&marker={newest}")).await, ["b", "a"]);
}
