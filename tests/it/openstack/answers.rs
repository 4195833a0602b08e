//! Refusals and nonsense: what each answer is taken for, and that nothing follows from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use novascale::cloud::{Compute, Resolve, Wanted};
use novascale::domain::group::{ImageRef, Template};
use novascale::domain::id::{InstallId, ServerId};
use novascale::domain::outcome::{Failure, FailureKind};
use serde_json::{Value, json};

use super::changing::delete;
use super::samples::{create, template};
use super::script::{
    Reply, Script, V275, answer, client, group, nova, page, region, server, sign_in, tags, token,
    versions,
};

fn samples() -> Vec<Value> {
    let path = format!("{}/tests/data/golden/81-error-bodies.json", env!("CARGO_MANIFEST_DIR"));
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    file["samples"].as_array().unwrap().clone()
}

fn reply(sample: &Value) -> Reply {
    let headers = sample["headers"].as_array().unwrap().iter();
    let mut headers: Vec<(&str, &str)> =
        headers.map(|h| (h[0].as_str().unwrap(), h[1].as_str().unwrap())).collect();
    headers.extend(V275);
    let mut body = sample["body"].clone();
    if let Some(shown) = body.get_mut("server").and_then(Value::as_object_mut) {
        // The sample holds what matters; Nova shows more.
        for (key, value) in server("", &["a"]).as_object().unwrap() {
            shown.entry(key).or_insert_with(|| value.clone());
        }
    }
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    answer(sample["status"].as_u64().unwrap() as u16, &headers, body)
}

/// Puts a sample where it belongs in a conversation, and returns what it was taken for.
async fn meet(sample: &Value) -> Result<String, Failure> {
    let text = |key: &str| sample[key].as_str().unwrap();
    let (service, request) = (text("service").to_owned(), text("request").to_owned());
    let path = match (service.as_str(), request.as_str()) {
        ("idp", _) => "/oauth2/token",
        (_, r) if r.contains("OS-FEDERATION") => "/OS-FEDERATION/",
        ("keystone", _) => "/v3/auth/tokens",
        ("neutron", _) => "/v2.0/networks",
        ("swift", _) => "/v2/images",
        _ => "/servers",
    };
    let sample = sample.clone();
    let script = Script::new(move |seen| {
        if seen.url.path().contains(path) {
            return reply(&sample);
        }
        sign_in(seen).unwrap_or_else(|| match seen.url.path() {
            p if p.ends_with("/flavors/detail") => {
                nova(200, json!({"flavors": [{"id": "f1", "name": "b2-7"}]}))
            }
            p if p.ends_with("/images") => answer(
                200,
                &[],
                json!({"images": [{"id": "i1", "name": "Debian 12", "status": "active"}]}),
            ),
            other => panic!("nobody expected {other}"),
        })
    });
    let client = client(&script);
    let id = ServerId::new("bbbbbbbb-0000-4000-8000-000000000001").unwrap();
    if service == "neutron" || service == "swift" {
        let (group, region, template) = (group(), region(), template());
        let wanted = Wanted {
            group: &group,
            install: &InstallId::from_bits(0),
            region: &region,
            template: &template,
            flavor: "b2-7",
        };
        return client.resolve(&wanted).await.map(|r| format!("{r:?}"));
    }
    match request.split(' ').next().unwrap() {
        "POST" if service == "nova" => client.create(&create()).await.map(|id| format!("{id:?}")),
        "DELETE" => delete(&client, "s1").await.map(|deleted| format!("{deleted:?}")),
        _ if request.contains("detail") => {
            client.list(&region(), &tags(&["a"])).await.map(|l| format!("{l:?}"))
        }
        _ => match client.get(&region(), &id).await? {
            None => Ok("absent".into()),
            Some(server) => Ok(server.fault.unwrap().kind().word().into()),
        },
    }
}

/// Of which kind each class of sample is. `Ok` stands for what is no failure.
fn expected(class: &str, id: &str) -> Result<&'static str, &'static str> {
    match (class, id) {
        ("gone", "nova-gone") => Ok("absent"),
        ("capacity", _) => Ok("capacity"),
        ("build-failed", _) => Ok("unclear"),
        (_, "fault-quota-recheck") => Ok("quota"),
        ("gone", _) => Err("gone"),
        ("credentials-wrong" | "sign-in-refused" | "token-refused" | "rights-missing", _) => {
            Err("denied")
        }
        ("configuration-wrong" | "bug" | "name-stale" | "list-restart" | "microversion", _) => {
            Err("refused")
        }
        // Of a sign-in that failed, the call that wanted it was surely not made.
        (_, "keystone-500") => Err("unreached"),
        ("transient" | "rate-limited", _) => Err("busy"),
        ("quota" | "quota-of-server-group", _) => Err("quota"),
        ("server-state", _) => Err("conflict"),
        ("unclear", _) => Err("unclear"),
        (class, id) => panic!("{id}: no kind for {class}"),
    }
}

#[tokio::test(start_paused = true)]
async fn every_known_refusal_has_its_kind() {
    let samples = samples();
    assert_eq!(samples.len(), 37);
    for sample in samples {
        let (id, class) = (sample["id"].as_str().unwrap(), sample["class"].as_str().unwrap());
        let met = meet(&sample).await;
        let word = met.as_ref().map(String::as_str).map_err(|failure| failure.kind.word());
        assert_eq!(word, expected(class, id), "{id}: {met:?}");
        let Err(failure) = met else { continue };
        match class {
            "rights-missing" => {
                let hint = failure.hint.unwrap();
                assert!(hint.contains("publicCloudProject:openstack:"), "{id}: {hint}");
            }
            "name-stale" => {
                let key = failure.key.unwrap();
                assert!(key.starts_with("group.web."), "{id}: {key}");
            }
            "credentials-wrong" => {
                assert_eq!(failure.key.as_deref(), Some("cloud.client_secret"), "{id}");
            }
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_region_that_is_too_old_is_refused_by_name() {
    let script = Script::new(|seen| match seen.url.path() {
        "/v2.1/" => versions("2.38"),
        _ => sign_in(seen).unwrap(),
    });
    let failure = client(&script).list(&region(), &tags(&["a"])).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("GRA11") && failure.message.contains("2.38"), "{failure}");
    assert_eq!(failure.key.as_deref(), Some("cloud.region"));
}

#[tokio::test(start_paused = true)]
async fn versions_are_asked_once_and_again_after_a_406() {
    let probes = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&probes);
    let script = Script::new(move |seen| match seen.url.path() {
        "/v2.1/" => {
            let first = count.fetch_add(1, Ordering::Relaxed) == 0;
            versions(if first { "2.100" } else { "2.60" })
        }
        path if path.ends_with("/servers/detail") => {
            let asked = seen.header("openstack-api-version").to_owned();
            if asked == "compute 2.60" {
                answer(200, &[("openstack-api-version", &asked)], json!({"servers": []}))
            } else {
                answer(
                    406,
                    &[],
                    json!({"computeFault": {"code": 406, "message": "Version 2.75 is not supported by the API. Minimum is 2.1 and maximum is 2.60."}}),
                )
            }
        }
        _ => sign_in(seen).unwrap(),
    });
    let client = client(&script);
    let list = async || client.list(&region(), &tags(&["a"])).await;
    assert_eq!(list().await.unwrap_err().kind, FailureKind::Refused);
    for _ in 0..2 {
        list().await.unwrap();
    }
    assert_eq!(probes.load(Ordering::Relaxed), 2);
    assert_eq!(client.microversion(&region()).await.unwrap(), "2.60");
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_moved_to_strangers_is_not_followed() {
    let script = Script::new(|seen| {
        if seen.url.path() == "/v3/auth/tokens" {
            let moved = token("2026-01-03T03:00:00Z").to_string();
            let moved = moved.replace("compute.gra11.example.test", "compute.evil.test");
            return answer(201, &[("x-subject-token", "scoped")], moved);
        }
        sign_in(seen).unwrap_or_else(|| panic!("the token went to {}", seen.url))
    });
    let failure = client(&script).create(&create()).await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("cloud.allowed_hosts"));
    assert!(failure.message.contains("compute.evil.test"), "{failure}");
}

/// Seed 355000 of the simulation: a fault of the catalog outlasted itself by the life of the token.
#[tokio::test(start_paused = true)]
async fn a_catalog_that_leads_nowhere_is_had_anew_within_a_minute() {
    const HOME: &str = "compute.gra11.example.test";
    let issued = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&issued);
    let script = Script::new(move |seen| {
        if seen.url.path() != "/v3/auth/tokens" {
            return sign_in(seen).unwrap_or_else(|| page(&[], false));
        }
        let right = count.fetch_add(1, Ordering::SeqCst) >= 2;
        let catalog = token("2026-01-03T03:00:00Z").to_string();
        let catalog = if right { catalog } else { catalog.replace(HOME, "compute.evil.test") };
        answer(201, &[("x-subject-token", "scoped")], catalog)
    });
    let client = client(&script);
    let mut tokens = Vec::new();
    for _ in 0..10 {
        let listed = client.list(&region(), &tags(&["a"])).await;
        tokens.push((listed.is_ok(), issued.load(Ordering::SeqCst)));
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    // Wrong for a minute, then another one that is wrong as well, and then the right one for good.
    let wrong = [1, 1, 1, 1, 1, 2, 2, 2, 2].map(|n| (false, n));
    assert_eq!(tokens[..9], wrong);
    for _ in 0..10 {
        client.list(&region(), &tags(&["a"])).await.unwrap();
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
    assert_eq!(issued.load(Ordering::SeqCst), 3, "a catalog that leads is kept");
}

/// While Keystone cannot be asked, the token serves what its catalog does lead to.
#[tokio::test(start_paused = true)]
async fn a_catalog_without_images_takes_no_token_from_nova() {
    let down = Arc::new(AtomicBool::new(false));
    let outage = Arc::clone(&down);
    let script = Script::new(move |seen| {
        if seen.url.path().ends_with("/flavors/detail") {
            return nova(200, json!({"flavors": [{"id": "f1", "name": "b2-7"}]}));
        }
        if seen.url.path() != "/v3/auth/tokens" {
            return sign_in(seen).unwrap_or_else(|| page(&[], false));
        }
        if outage.load(Ordering::SeqCst) {
            return answer(503, &[], "");
        }
        let catalog = token("2026-01-03T03:00:00Z").to_string();
        answer(201, &[("x-subject-token", "scoped")], catalog.replace("\"image\"", "\"other\""))
    });
    let client = client(&script);
    client.list(&region(), &tags(&["a"])).await.unwrap();
    down.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(120)).await;
    let (group, region, template) = (group(), region(), template());
    let wanted = Wanted {
        group: &group,
        install: &InstallId::from_bits(0),
        region: &region,
        template: &template,
        flavor: "b2-7",
    };
    for _ in 0..3 {
        let failure = client.resolve(&wanted).await.unwrap_err();
        assert!(failure.message.contains("no image service"), "{failure}");
        client.list(&region, &tags(&["a"])).await.unwrap();
        tokio::time::sleep(Duration::from_secs(15)).await;
    }
}

/// Nova moves to another host of the same provider: asked where it was until the token is
/// renewed, and where it is from then on.
#[tokio::test(start_paused = true)]
async fn a_catalog_that_moved_to_a_neighbour_is_followed_from_the_next_token_on() {
    const OLD: &str = "compute.gra11.example.test";
    const NEW: &str = "compute-2.gra11.example.test";
    let issued = AtomicU32::new(0);
    let script = Script::new(move |seen| {
        if seen.url.path() != "/v3/auth/tokens" {
            return sign_in(seen).unwrap_or_else(|| page(&[], false));
        }
        let first = issued.fetch_add(1, Ordering::SeqCst) == 0;
        let catalog = token("2026-01-02T04:00:00Z").to_string();
        let catalog = if first { catalog } else { catalog.replace(OLD, NEW) };
        answer(201, &[("x-subject-token", "scoped")], catalog)
    });
    let client = client(&script);
    client.list(&region(), &tags(&["a"])).await.unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    client.list(&region(), &tags(&["a"])).await.unwrap();
    let hosts: Vec<_> =
        script.asked().iter().map(|s| s.url.host_str().unwrap().to_owned()).collect();
    assert_eq!(hosts, [OLD, NEW]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_service_is_left_alone_for_a_while() {
    let script = Script::new(|seen| sign_in(seen).unwrap_or_else(|| answer(500, &[], "boom")));
    let client = client(&script);
    for _ in 0..3 {
        client.list(&region(), &tags(&["a"])).await.unwrap_err();
    }
    let asked = script.asked().len();
    assert_eq!(asked, 5, "two readings of each listing, until the breaker opened");
    let failure = client.list(&region(), &tags(&["a"])).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreached);
    assert!(failure.message.contains("left alone"), "{failure}");
    assert_eq!(script.asked().len(), asked);
    assert!(failure.message.contains("compute in GRA11"), "{failure}");
    client.create(&create()).await.unwrap_err();
    assert_eq!(script.asked().len(), asked + 1, "a write is still tried");
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted() {
    let denied = json!({"forbidden": {"code": 403, "message": "No."}});
    let script = Script::services([page(&[], false), nova(403, denied)]);
    let client = client(&script);
    client.list(&region(), &tags(&["a"])).await.unwrap();
    client.create(&create()).await.unwrap_err();
    let counts: Vec<String> = client
        .calls()
        .iter()
        .map(|c| format!("{} {} {} {}", c.service, c.method, c.outcome, c.count))
        .collect();
    assert_eq!(
        counts,
        [
            "compute GET ok 2",
            "compute POST denied 1",
            "identity POST ok 2",
            "identity-provider GET ok 1",
            "identity-provider POST ok 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_stale_image_is_looked_up_anew() {
    let images = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&images);
    let script = Script::new(move |seen| match seen.url.path() {
        path if path.ends_with("/flavors/detail") => {
            nova(200, json!({"flavors": [{"id": "f1", "name": "b2-7"}]}))
        }
        path if path.ends_with("/v2/images") => {
            let n = count.fetch_add(1, Ordering::Relaxed);
            let id = format!("image-{n}");
            answer(
                200,
                &[],
                json!({"images": [{"id": id, "name": "Debian 12", "status": "active"}]}),
            )
        }
        path if path.ends_with("/servers") => nova(
            400,
            json!({"badRequest": {"code": 400, "message": "Can not find requested image"}}),
        ),
        _ => sign_in(seen).unwrap(),
    });
    let client = client(&script);
    let template = Template {
        image: ImageRef::Name("Debian 12".into()),
        networks: novascale::domain::group::Networks::Auto,
        key_name: None,
        ..template()
    };
    let (group, region) = (group(), region());
    let wanted = Wanted {
        group: &group,
        install: &InstallId::from_bits(0),
        region: &region,
        template: &template,
        flavor: "b2-7",
    };
    for _ in 0..2 {
        assert_eq!(client.resolve(&wanted).await.unwrap().image, "image-0");
    }
    let failure = client.create(&create()).await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("group.web.image"));
    assert_eq!(client.resolve(&wanted).await.unwrap().image, "image-1");
}
