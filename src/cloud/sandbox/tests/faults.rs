//! What goes wrong on request, seen from outside and from within.

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::super::config::Rehearsal;
use super::super::model::server::VmState;
use super::{DEBIAN, Lab, PUBLIC, SECRET, SMALL, server};
use crate::config::rehearsal::{Fault, Wishes};

const TOKEN: &str = "nvs_faults_for-tests";

async fn lab() -> Lab {
    Lab::with(|config| config.rehearsal.token = Some(TOKEN.into())).await
}

/// A lab that goes wrong once somebody is signed in.
async fn wrong(faults: &str) -> Lab {
    let lab = lab().await;
    lab.sandbox.wish(Wishes::parse(faults).unwrap());
    lab
}

impl Lab {
    /// The status of an answer and whether it came whole; nothing if there was none.
    async fn risky(&self, method: &str, path: &str, body: Value) -> Option<(u16, bool)> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/compute/v2.1/{}{path}", super::PROJECT))
            .header("x-auth-token", &self.token)
            .header("openstack-api-version", "compute 2.75");
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let answer = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let whole = body.collect().await.ok()?.to_bytes();
        let json = serde_json::from_slice::<Value>(&whole).is_ok();
        Some((head.status.as_u16(), json))
    }

    async fn creates(&self, n: u32) -> Option<(u16, bool)> {
        let many = server(json!({ "min_count": n, "max_count": n, "tags": ["novascale:web"] }));
        self.risky("POST", "/servers", many).await
    }

    fn count(&self) -> usize {
        self.sandbox.inspect(|model| model.servers().count())
    }

    fn vms(&self) -> Vec<VmState> {
        self.sandbox.inspect(|model| model.servers().map(|server| server.vm).collect())
    }

    async fn faults(&self, method: &str, path: &str, token: &str, body: Value) -> super::Answer {
        let request = Request::builder().method(method).uri(format!("/faults{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        self.call(request.body(Body::from(body.to_string())).unwrap()).await
    }
}

#[tokio::test]
async fn what_is_lost_on_its_way_is_not_carried_out_and_a_lost_answer_is() {
    for (fault, left) in [("create-lost", 0), ("create-reply-lost", 2)] {
        let lab = wrong(&format!("{fault}=100")).await;
        for _ in 0..20 {
            lab.sandbox.meddle(|model| {
                let all: Vec<String> = model.servers().map(|it| it.id.clone()).collect();
                all.iter().for_each(|id| model.remove(id));
            });
            let heard = lab.creates(2).await;
            assert!(heard.is_none_or(|(status, _)| status != 202), "{fault}: {heard:?}");
            assert_eq!(lab.count(), left, "{fault}");
        }
        let struck = lab.sandbox.faults(|faults| faults.struck(Fault::named(fault).unwrap()));
        assert_eq!(struck, 20, "{fault}");
    }
}

#[tokio::test]
async fn a_late_create_lands_after_its_client_gave_up() {
    let lab = wrong("create-late=30s").await;
    assert_eq!(lab.creates(3).await, None);
    lab.wait_ms(29_999);
    assert_eq!((lab.count(), lab.sandbox.faults(|faults| faults.late().len())), (0, 1));
    lab.wait_ms(1);
    assert_eq!((lab.count(), lab.sandbox.faults(|faults| faults.late().len())), (3, 0));
}

#[tokio::test]
async fn refusals_are_openstacks_own() {
    for (faults, status) in
        [("create-busy=100", 429), ("create-denied=100", 403), ("create-refused=100", 400)]
    {
        let lab = wrong(faults).await;
        assert_eq!(lab.creates(1).await, Some((status, true)), "{faults}");
        assert_eq!(lab.count(), 0, "{faults}");
    }
    let lab = wrong("small-quota=2").await;
    let over = lab.create(json!({ "min_count": 3, "max_count": 3 })).await;
    let (_, words) = over.fault();
    assert_eq!(over.status, 403);
    assert!(words.contains("already used 0 of 2 instances"), "{words}");
    assert_eq!(lab.creates(2).await, Some((202, true)));
}

#[tokio::test]
async fn listings_fail_lag_and_lose_a_cell() {
    let lab = lab().await;
    lab.creates(20).await.unwrap();
    lab.wait_ms(10_000);
    let list = async || lab.names("tags=novascale:web").await.len();
    assert_eq!(list().await, 20);
    lab.sandbox.wish(Wishes::parse("list-lags=100").unwrap());
    assert!(list().await < 15, "young ones are mostly missing");
    lab.sandbox.wish(Wishes::parse("cell-down=30").unwrap());
    assert!((5..20).contains(&list().await), "some are in the far cell");
    lab.sandbox.wish(Wishes::parse("cell-down=100").unwrap());
    assert_eq!(list().await, 0);
    let id = lab.sandbox.inspect(|model| model.servers().next().unwrap().id.clone());
    let stub = lab.server(&id).await;
    assert_eq!((stub["status"].as_str(), stub.get("tags")), (Some("UNKNOWN"), None));
    lab.sandbox.wish(Wishes::parse("list-fails=100").unwrap());
    for _ in 0..20 {
        let heard = lab.risky("GET", "/servers/detail", Value::Null).await;
        assert_ne!(heard, Some((200, true)));
    }
}

#[tokio::test]
async fn pages_lead_nowhere_and_filters_are_ignored() {
    let lab = wrong("tag-filter-ignored=100").await;
    lab.creates(5).await.unwrap();
    assert_eq!(lab.names("tags=nobody").await.len(), 5);
    lab.sandbox.wish(Wishes::parse("pages-wrong=1").unwrap());
    assert_eq!(lab.names("").await.len(), 2);
    lab.sandbox.wish(Wishes::parse("pages-wrong=100").unwrap());
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..40 {
        let first = lab.names("").await;
        let id = lab.sandbox.inspect(|model| model.servers().next().unwrap().id.clone());
        let next = lab.nova("GET", 75, &format!("/servers?marker={id}"), Value::Null).await;
        let again = next.status == 200 && super::names(&next.body) == first;
        seen.insert((next.status, again, next.body.get("servers_links").is_some()));
    }
    assert!(seen.iter().any(|(status, ..)| *status == 400), "a marker that is not there");
    assert!(seen.iter().any(|(_, again, _)| *again), "the same page again");
    assert!(seen.iter().any(|(status, _, links)| *status == 200 && !links), "an early end");
}

#[tokio::test]
async fn builds_and_deletes_go_wrong_and_go_on_when_the_fault_is_over() {
    for (faults, vm) in [
        ("build-error=100", VmState::Error),
        ("build-shutoff=100", VmState::Stopped),
        ("build-unknown=100", VmState::Unknown),
        ("build-never=100", VmState::Building),
        ("build-slow=1h", VmState::Building),
        ("no-host=100", VmState::Error),
    ] {
        let lab = wrong(faults).await;
        lab.creates(2).await.unwrap();
        lab.wait_ms(600_000);
        assert_eq!(lab.vms(), [vm, vm], "{faults}");
        if faults.starts_with("build-never") {
            lab.sandbox.wish(Wishes::default());
            assert_eq!(lab.vms(), [VmState::Active, VmState::Active]);
        }
    }
    for fault in ["delete-hangs=100", "delete-soft=100"] {
        let lab = lab().await;
        let id = lab.created(json!({})).await;
        lab.wait_ms(10_000);
        lab.sandbox.wish(Wishes::parse(fault).unwrap());
        let path = format!("/servers/{id}");
        assert_eq!(lab.nova("DELETE", 75, &path, Value::Null).await.status, 204);
        lab.wait_ms(500_000);
        assert_eq!(lab.count(), 1, "{fault}");
        assert_eq!(lab.names("").await.len(), usize::from(fault.starts_with("delete-hangs")));
        lab.sandbox.wish(Wishes::default());
        assert_eq!(lab.count(), 0, "{fault}");
    }
}

#[tokio::test]
async fn tokens_die_keys_rotate_and_a_catalog_moves() {
    let lab = wrong("token-dies=100").await;
    assert_eq!(lab.risky("GET", "/servers", Value::Null).await.unwrap().0, 401);
    lab.sandbox.wish(Wishes::default());
    assert_eq!(lab.risky("GET", "/servers", Value::Null).await.unwrap().0, 401);

    let mut lab = wrong("keys-rotated=100").await;
    assert_eq!(lab.oauth("client", SECRET, "openid").await.status, 401);
    lab.sandbox.wish(Wishes::parse("tokens-short=5s,catalog-moved=100").unwrap());
    let scope = json!({ "project": { "id": super::PROJECT } });
    let unscoped = lab.unscoped().await;
    let answer = lab.rescope(&unscoped, scope).await;
    assert!(answer.text.contains("https://cloud.moved.example/compute"), "{}", answer.text);
    lab.token = answer.header("x-subject-token").to_owned();
    assert_eq!(lab.risky("GET", "/servers", Value::Null).await, Some((200, true)));
    lab.wait_ms(5_000);
    assert_eq!(lab.risky("GET", "/servers", Value::Null).await.unwrap().0, 401);
}

#[tokio::test]
async fn an_answer_may_be_cut_or_in_another_version() {
    let lab = wrong("version-wrong=100").await;
    let answer = lab.nova("GET", 75, "/servers", Value::Null).await;
    assert_eq!(answer.header("openstack-api-version"), "compute 2.1");
    lab.sandbox.wish(Wishes::parse("broken-json=100").unwrap());
    for _ in 0..10 {
        let heard = lab.risky("GET", "/servers", Value::Null).await;
        assert!(matches!(heard, None | Some((200, false))), "{heard:?}");
    }
}

#[tokio::test]
async fn people_meddle_at_every_listing() {
    let lab = lab().await;
    lab.creates(6).await.unwrap();
    lab.wait_ms(10_000);
    let seen = |faults: &'static str| {
        lab.sandbox.wish(Wishes::parse(faults).unwrap());
        lab.names("")
    };
    let stopped = || lab.vms().iter().filter(|vm| **vm == VmState::Stopped).count();
    assert_eq!((seen("vanish=100").await.len(), lab.count()), (5, 5));
    seen("stopped=100").await;
    assert_eq!(stopped(), 1);
    assert!(seen("renamed=100").await.iter().any(|name| name.ends_with("-renamed")));
    for _ in 0..4 {
        seen("tagged-by-hand=100").await;
    }
    assert_eq!(lab.count(), 7, "at most two by hand");
    seen("untagged=100").await;
    let bare = |lab: &Lab| {
        lab.sandbox.inspect(|model| model.servers().filter(|it| it.tags.is_empty()).count())
    };
    assert_eq!(bare(&lab), 1);
    seen("kept=100").await;
    let kept = lab.sandbox.inspect(|model| {
        model.servers().any(|it| it.lock.is_some() || it.metadata.contains_key("novascale:protect"))
    });
    assert!(kept);
}

#[tokio::test]
async fn the_endpoint_wants_its_own_token_and_knows_every_name() {
    let lab = lab().await;
    for token in ["", "wrong", SECRET, &lab.token] {
        let refused = lab.faults("PUT", "", token, json!({ "list-fails": 50 })).await;
        assert_eq!((refused.status, refused.header("www-authenticate")), (401, "Bearer"));
    }
    let set = lab.faults("PUT", "", TOKEN, json!({ "list-fails": 100, "build-slow": "60s" })).await;
    assert_eq!(set.status, 200, "{}", set.text);
    assert_eq!(set.body["on"], json!({ "list-fails": 100, "build-slow": "60s" }));
    lab.risky("GET", "/servers", Value::Null).await;
    let all = lab.faults("GET", "", TOKEN, Value::Null).await;
    let about = &all.body["faults"]["list-fails"];
    assert_eq!((&about["is"], &about["struck"]), (&json!(100), &json!(1)));
    assert_eq!(all.body["faults"].as_object().unwrap().len(), Fault::ALL.len());

    let near = lab.faults("PATCH", "", TOKEN, json!({ "list-fail": 1 })).await;
    assert_eq!(near.status, 400);
    assert!(near.text.contains("did you mean list-fails?"), "{}", near.text);
    for body in [json!([]), json!({ "list-fails": 101 }), json!({ "list-fails": "often" })] {
        assert_eq!(lab.faults("PUT", "", TOKEN, body).await.status, 400);
    }
    let changed = lab.faults("PATCH", "", TOKEN, json!({ "list-fails": 0, "vanish": 5 })).await;
    assert_eq!(changed.body["on"], json!({ "build-slow": "60s", "vanish": 5 }));
    let one = lab.faults("DELETE", "/vanish", TOKEN, Value::Null).await;
    assert_eq!(one.body["on"], json!({ "build-slow": "60s" }));
    assert_eq!(lab.faults("DELETE", "/none-such", TOKEN, Value::Null).await.status, 400);
    assert_eq!(lab.faults("DELETE", "", TOKEN, Value::Null).await.body["on"], json!({}));
}

#[tokio::test]
async fn without_a_token_the_endpoint_is_closed() {
    let lab = Lab::new().await;
    assert_eq!(lab.faults("GET", "", "", Value::Null).await.status, 401);
}

#[tokio::test]
async fn one_seed_strikes_the_same_calls_again() {
    let run = async |seed| {
        let wishes = Wishes::parse("get-fails=50").unwrap();
        let lab = Lab::with(|config| {
            config.rehearsal = Rehearsal { wishes, seed: Some(seed), token: None };
        });
        let lab = lab.await;
        let mut heard = Vec::new();
        for _ in 0..30 {
            heard.push(lab.risky("GET", "/servers/none", Value::Null).await);
        }
        heard
    };
    assert_eq!(run(3).await, run(3).await);
    assert_ne!(run(3).await, run(4).await);
}

#[tokio::test]
async fn a_zone_is_full_and_what_a_create_names_is_gone() {
    let zoned = json!({
        "server": { "name": "web", "flavorRef": SMALL, "imageRef": DEBIAN,
            "networks": [{ "uuid": PUBLIC }], "availability_zone": "sandbox-1-a" }
    });
    let lab = wrong("zone-full=100").await;
    assert_eq!(lab.risky("POST", "/servers", zoned).await, Some((202, true)));
    assert_eq!(lab.creates(1).await, Some((202, true)));
    lab.wait_ms(60_000);
    let mut vms = lab.vms();
    vms.sort_by_key(|vm| vm.word());
    assert_eq!(vms, [VmState::Active, VmState::Error]);
    for fault in ["flavor-gone=100", "image-gone=100"] {
        assert_eq!(wrong(fault).await.creates(1).await, Some((400, true)), "{fault}");
    }
}
