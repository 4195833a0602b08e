//! Refusals and nonsense: what each answer is taken for, and that nothing follows from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use novascale::cloud::may_delete::{Claimant, MayDelete};
use novascale::cloud::openstack::transport::TransportError;
use novascale::cloud::{Compute, Deleted, Resolve, Wanted};
use novascale::domain::group::{BootVolume, ImageRef, Template, UserData};
use novascale::domain::id::{InstallId, LaunchId, ServerId, Tag, Zone, mark};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::time::Steady;
use serde_json::{Value, json};

use super::golden::{create, template};
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
        "DELETE" => delete(&client).await.map(|deleted| format!("{deleted:?}")),
        _ if request.contains("detail") => {
            client.list(&region(), &tags(&["a"])).await.map(|l| format!("{l:?}"))
        }
        _ => match client.get(&region(), &id).await? {
            None => Ok("absent".into()),
            Some(server) => Ok(server.fault.unwrap().kind().word().into()),
        },
    }
}

async fn delete(client: &impl Compute) -> Result<Deleted, Failure> {
    client.delete(&region(), permit(Steady(u64::MAX))).await
}

/// The right to delete a server of ours until then.
pub(super) fn permit(not_after: Steady) -> MayDelete {
    let install = InstallId::from_bits(0);
    let tag = Tag::new("a").unwrap();
    let launch = LaunchId::from_bits(1);
    let mut fresh = novascale::domain::server::Server {
        id: ServerId::new("s1").unwrap(),
        name: String::new(),
        status: novascale::domain::server::Status::Active,
        deleting: false,
        launched: true,
        created: Default::default(),
        tags: vec!["a".into()],
        metadata: Default::default(),
        locked: false,
        region: region(),
        zone: None,
        flavor: String::new(),
        addresses: Vec::new(),
        fault: None,
    };
    for (key, value) in [
        (mark::INSTALL, install.to_string()),
        (mark::GROUP, group().to_string()),
        (mark::LAUNCH, launch.to_string()),
    ] {
        fresh.metadata.insert(key.into(), value);
    }
    let who = Claimant { install: &install, group: &group(), tag: &tag, not_after };
    MayDelete::judge(&fresh, who).unwrap()
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

async fn listed(replies: Vec<Reply>) -> (Arc<Script>, Result<Vec<String>, Failure>) {
    let script = Script::services(replies);
    let listed = client(&script).list(&region(), &tags(&["a", "b"])).await;
    (script, listed.map(|all| all.iter().map(|s| s.id.to_string()).collect()))
}

/// What voids a listing, however much of it was good. A GET is read twice before it is
/// given up, except for what a service clearly refused or said.
#[tokio::test(start_paused = true)]
async fn a_listing_is_complete_or_void() {
    let html = || answer(200, &V275, "<html>login</html>");
    let cut = || nova(200, r#"{"servers": [{"id": "s1", "na"#);
    let first = || page(&[server("s1", &["a"])], true);
    let error = || answer(500, &[], "boom");
    let torn = || Err(TransportError::Unclear("reset".into()));
    let older = || answer(200, &[("openstack-api-version", "compute 2.1")], r#"{"servers": []}"#);
    let silent = || answer(200, &[], r#"{"servers": []}"#);
    let lacking = |key: &str| {
        let mut server = server("s1", &["a"]);
        server.as_object_mut().unwrap().remove(key);
        page(&[server], false)
    };
    let tables: Vec<(&str, Vec<Reply>, &str)> = vec![
        ("a page of HTML", vec![html(), html()], "cannot be used"),
        ("truncated JSON", vec![cut(), cut()], "cannot be used"),
        ("another shape", vec![nova(200, "{}"), nova(200, "{}")], "servers"),
        ("no list", vec![nova(200, "[]"), nova(200, "[]")], "cannot be used"),
        ("page 2 fails", vec![first(), error(), error()], "500"),
        ("page 2 is torn", vec![first(), torn(), torn()], "reset"),
        ("page 2 is refused", vec![first(), nova(403, "{}")], "403"),
        ("an older version", vec![older(), older()], "2.75"),
        ("no version", vec![silent(), silent()], "says none"),
        (
            "a stranger",
            vec![page(&[server("s1", &["a"]), server("s2", &["c"])], false)],
            "none of the tags",
        ),
        ("no tags", vec![lacking("tags")], "without tags"),
        ("no metadata", vec![lacking("metadata")], "without metadata"),
        ("no lock", vec![lacking("locked")], "locked"),
        ("circles", vec![first(), first()], "do not come to an end"),
        ("a bad id", vec![page(&[server("../../x", &["a"])], false)], "server id"),
    ];
    for (name, replies, says) in tables {
        let (_, listed) = listed(replies).await;
        let failure = listed.expect_err(name);
        assert!(failure.message.contains(says), "{name}: {failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_may_be_empty_and_its_last_page_too() {
    assert!(listed(vec![page(&[], false)]).await.1.unwrap().is_empty());
    let full = page(&[server("s1", &["a"])], true);
    assert_eq!(listed(vec![full, page(&[], false)]).await.1.unwrap(), ["s1"]);
    let script = Script::services([]);
    assert!(client(&script).list(&region(), &[]).await.unwrap().is_empty(), "nothing asked");
}

#[tokio::test(start_paused = true)]
async fn what_counts_of_a_listing() {
    let mut gone = server("s4", &["a"]);
    gone["status"] = json!("SOFT_DELETED");
    let stub = json!({"id": "s5", "status": "UNKNOWN", "created": "2026-01-02T03:04:05Z"});
    let pages = vec![
        page(&[server("s1", &["A"]), server("s2", &["x", "b"])], true),
        page(&[server("s2", &["b"]), server("s3", &["a"]), gone, stub], false),
    ];
    let (_, listed) = listed(pages).await;
    assert_eq!(listed.unwrap(), ["s1", "s2", "s3"], "tags without case, each server once");
}

#[tokio::test(start_paused = true)]
async fn a_lost_marker_starts_the_listing_over_once() {
    let lost =
        || nova(400, json!({"badRequest": {"code": 400, "message": "marker [s1] not found"}}));
    let first = || page(&[server("s1", &["a"])], true);
    let (script, good) = listed(vec![first(), lost(), page(&[server("s2", &["a"])], false)]).await;
    assert_eq!(good.unwrap(), ["s2"]);
    assert_eq!(script.asked()[2].query("marker"), None);
    let (_, twice) = listed(vec![first(), lost(), first(), lost()]).await;
    assert_eq!(twice.unwrap_err().kind, FailureKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn a_get_is_read_once_more_when_the_answer_says_nothing() {
    let good = || page(&[server("s1", &["a"])], false);
    for nothing in [
        answer(502, &[], "<html>"),
        Err(TransportError::Unreached("refused".into())),
        Err(TransportError::Unclear("timeout".into())),
        answer(200, &V275, "<html>"),
    ] {
        let (script, listed) = listed(vec![nothing, good()]).await;
        assert_eq!(listed.unwrap(), ["s1"]);
        assert_eq!(script.asked().len(), 2);
    }
    for clear in [nova(403, "{}"), nova(429, "{}"), nova(404, "nginx")] {
        let (script, listed) = listed(vec![clear, good()]).await;
        assert!(listed.is_err());
        assert_eq!(script.asked().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn many_tags_are_asked_for_in_parts() {
    let names: Vec<String> = (0..120).map(|n| format!("tag-{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let script = Script::services((0..3).map(|_| page(&[], false)));
    client(&script).list(&region(), &tags(&names)).await.unwrap();
    let counts =
        script.asked().into_iter().map(|s| s.query("tags-any").unwrap().split(',').count());
    assert_eq!(counts.collect::<Vec<_>>(), [50, 50, 20]);
}

#[tokio::test(start_paused = true)]
async fn absence_is_proved_by_nova_alone() {
    let id = ServerId::new("s1").unwrap();
    let get =
        async |replies: Vec<Reply>| client(&Script::services(replies)).get(&region(), &id).await;
    let gone = |words: &str| json!({"itemNotFound": {"code": 404, "message": words}});
    assert_eq!(get(vec![nova(404, gone("Instance s1 could not be found."))]).await, Ok(None));
    let stub =
        json!({"server": {"id": "s1", "status": "UNKNOWN", "created": "2026-01-02T03:04:05Z"}});
    for (name, reply) in [
        ("a proxy's 404", nova(404, "<html>404</html>")),
        ("a gateway's 404", nova(404, r#"{"message": "no route"}"#)),
        ("a stub of a lost cell", nova(200, stub)),
        ("another server", nova(200, json!({"server": server("s2", &["a"])}))),
        ("what the server needs is gone", nova(404, gone("Flavor f1 could not be found."))),
        ("something is gone", nova(404, gone("The resource could not be found."))),
        ("another server is gone", nova(404, gone("Instance other could not be found."))),
    ] {
        let failure = get(vec![reply]).await.expect_err(name);
        assert_eq!(failure.kind, FailureKind::Unclear, "{name}");
    }
    let bare = || answer(200, &[], json!({"server": server("s1", &["a"])}));
    assert!(get(vec![bare(), bare()]).await.is_err(), "no version: its tags may be missing");
}

async fn created(reply: Reply) -> (usize, Result<Option<ServerId>, Failure>) {
    let script = Script::services([reply]);
    let result = client(&script).create(&create()).await;
    (script.asked().len(), result)
}

#[tokio::test(start_paused = true)]
async fn a_create_is_sent_once_and_only_a_202_says_that_servers_exist() {
    use FailureKind::{Busy, Capacity, Gone, Refused, Unclear, Unreached};
    let json = |key: &str, text: &str| json!({key: {"code": 0, "message": text}}).to_string();
    for (name, reply, kind) in [
        ("timeout", Err(TransportError::Unclear("t".into())), Unclear),
        ("no connection", Err(TransportError::Unreached("t".into())), Unreached),
        ("500", nova(500, json("computeFault", "MessagingTimeout")), Unclear),
        ("no host, but 500", nova(500, json("computeFault", "No valid host was found.")), Unclear),
        ("502", answer(502, &[], ""), Unclear),
        ("504", answer(504, &[], ""), Unclear),
        ("408", answer(408, &[], ""), Unclear),
        ("a proxy's 503", answer(503, &[], "upstream reset"), Unclear),
        ("Nova's 503", nova(503, json("serviceUnavailable", "later")), Busy),
        (
            "the token check's 503",
            answer(503, &[], "The Keystone service is temporarily unavailable."),
            Busy,
        ),
        ("503 with Retry-After", answer(503, &[("retry-after", "5")], ""), Unclear),
        ("413", nova(413, json("overLimit", "slow down")), Busy),
        ("200 of a login page", nova(200, "<html>"), Unclear),
        ("204", nova(204, ""), Unclear),
        ("redirect", answer(307, &[("location", "https://evil.test/")], ""), Unclear),
        (
            "no addresses",
            nova(400, json("badRequest", "No more IP addresses available on network n.")),
            Capacity,
        ),
        ("a proxy's 400", answer(400, &[], "<html>"), Unclear),
        ("a proxy's 403", answer(403, &[], "<html>"), Unclear),
        ("a proxy's 404", answer(404, &[], "<html>"), Unclear),
        ("a gateway's 404", answer(404, &[], r#"{"message": "no route"}"#), Unclear),
        ("a proxy's 409", answer(409, &[], ""), Unclear),
        ("a proxy's 411", answer(411, &[], ""), Refused),
        ("a proxy's 413", answer(413, &[], "<html>"), Busy),
        ("a gateway's 429", answer(429, &[], ""), Busy),
        ("Nova's 404", nova(404, json("itemNotFound", "The resource could not be found.")), Gone),
        ("Nova's own 401", nova(401, json("unauthorized", "Unauthorized")), Unclear),
        ("a proxy's 401", answer(401, &[("www-authenticate", "Basic")], "<html>"), Unclear),
    ] {
        let (asked, result) = created(reply).await;
        assert_eq!((asked, result.expect_err(name).kind), (1, kind), "{name}");
    }
    assert_eq!(created(nova(202, "<html>")).await, (1, Ok(None)), "accepted, the id untold");
}

/// A POST refused by the token check is made again; one that Nova itself refused with 401,
/// for a service behind it did so, may have begun, and is not.
#[tokio::test(start_paused = true)]
async fn a_create_is_made_again_only_if_the_token_check_refused_it() {
    let check = || answer(401, &[("www-authenticate", "Keystone uri=\"https://x.test\"")], "");
    let nova_says = || nova(401, json!({"unauthorized": {"code": 401, "message": "Not now."}}));
    let made = || nova(202, json!({"server": {"id": "s1"}}));
    let script = Script::services([check(), made()]);
    assert!(client(&script).create(&create()).await.unwrap().is_some());

    let script = Script::services([nova_says(), made()]);
    let client = client(&script);
    let failure = client.create(&create()).await.unwrap_err();
    assert_eq!((failure.kind, script.asked().len()), (FailureKind::Unclear, 1));
    let tokens = || script.seen().iter().filter(|s| s.url.path() == "/v3/auth/tokens").count();
    assert_eq!(tokens(), 1);
    client.create(&create()).await.unwrap();
    assert_eq!(tokens(), 2, "the token is doubted all the same");
}

/// Nova's schema check repeats the request that it refuses, and user data may hold secrets.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_repeats_user_data_or_a_token_is_told_without_them() {
    let script = Script::new(|seen| {
        sign_in(seen).unwrap_or_else(|| {
            let sent = seen.json()["server"]["user_data"].as_str().unwrap().to_owned();
            let token = seen.header("x-auth-token");
            let words = format!(
                "Invalid input for field/attribute server. Value: {{'user_data': '{sent}'}} \
                 {token}. Additional properties are not allowed ('tags' was unexpected)"
            );
            nova(400, json!({"badRequest": {"code": 400, "message": words}}))
        })
    });
    let failure = client(&script).create(&create()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("'tags' was unexpected"), "{failure}");
    for secret in ["IyEvYmlu", "scoped"] {
        assert!(!failure.message.contains(secret), "{failure}");
    }
    let page = Script::new(|seen| {
        sign_in(seen).unwrap_or_else(|| answer(400, &[], String::from_utf8_lossy(&seen.body)))
    });
    let failure = client(&page).create(&create()).await.unwrap_err();
    assert!(!failure.message.contains("IyEvYmlu"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_not_followed_and_names_its_target() {
    let (_, result) = created(answer(301, &[("location", "https://evil.test/x")], "")).await;
    let failure = result.unwrap_err();
    assert!(failure.message.contains("https://evil.test/x"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn what_failed_before_the_create_is_certain() {
    let boom = |place: &'static str| {
        Script::new(move |seen| {
            if seen.url.path().contains(place) {
                Err(TransportError::Unclear("timeout".into()))
            } else {
                sign_in(seen).unwrap()
            }
        })
    };
    for place in
        ["openid-configuration", "/oauth2/token", "OS-FEDERATION", "/auth/tokens", "/v2.1/"]
    {
        let script = boom(place);
        let failure = client(&script).create(&create()).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreached, "{place}: {failure}");
        assert!(script.asked().is_empty(), "{place}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_asks_for_exactly_n_with_all_that_the_template_says() {
    let script = Script::services([nova(202, json!({"server": {"id": "s1"}}))]);
    let mut request = create();
    request.n = 7;
    request.zone = Some(Zone::new("eu-west-par-a").unwrap());
    request.resolved.security_groups = vec!["web".into()];
    let volume =
        BootVolume { size_gib: 20, volume_type: Some("ssd".into()), delete_on_termination: true };
    request.template = Arc::new(Template { boot_volume: Some(volume), ..template() });
    client(&script).create(&request).await.unwrap();
    let sent = script.asked()[0].json();
    let server = &sent["server"];
    assert_eq!((&server["min_count"], &server["max_count"]), (&json!(7), &json!(7)));
    assert_eq!(server["availability_zone"], "eu-west-par-a");
    assert_eq!(server["security_groups"], json!([{"name": "web"}]));
    assert_eq!(server["imageRef"], Value::Null);
    assert_eq!(
        server["block_device_mapping_v2"],
        json!([{"boot_index": 0, "uuid": request.resolved.image, "source_type": "image",
            "destination_type": "volume", "volume_size": 20, "volume_type": "ssd",
            "delete_on_termination": true}])
    );
    assert_eq!(sent["os:scheduler_hints"]["group"], "44444444-4444-4444-8444-444444444444");
}

#[tokio::test(start_paused = true)]
async fn user_data_beyond_novas_limit_is_refused_before_it_is_sent() {
    let script = Script::services([]);
    let mut request = create();
    let large = UserData(Arc::from(vec![b'x'; 50_000].as_slice()));
    request.template = Arc::new(Template { user_data: Some(large), ..template() });
    let failure = client(&script).create(&request).await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("group.web.user_data"));
}

#[tokio::test(start_paused = true)]
async fn a_quota_refusal_says_how_many_would_fit() {
    let words = "Quota exceeded for cores, instances: Requested 20, 10, but already used 4, 2 of \
                 20, 5 cores, instances";
    let reply = nova(403, json!({"forbidden": {"code": 403, "message": words}}));
    let script = Script::services([reply]);
    let mut request = create();
    request.n = 10;
    let failure = client(&script).create(&request).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Quota { fits: Some(3) });
}

#[tokio::test(start_paused = true)]
async fn a_delete_is_done_when_nova_says_so() {
    let gone = json!({"itemNotFound": {"code": 404, "message": "Instance could not be found."}});
    let stray = json!({"itemNotFound": {"code": 404, "message": "Host h1 could not be found."}});
    let locked = json!({"conflictingRequest": {"code": 409, "message": "Instance s1 is locked"}});
    for (reply, expected) in [
        (nova(204, ""), Ok(Deleted::Accepted)),
        (nova(404, gone), Ok(Deleted::Gone)),
        (nova(404, "<html>"), Err(FailureKind::Unclear)),
        (nova(404, stray), Err(FailureKind::Unclear)),
        (nova(200, "<html>"), Err(FailureKind::Unclear)),
        (nova(409, locked), Err(FailureKind::Conflict)),
        (nova(500, ""), Err(FailureKind::Unclear)),
    ] {
        let script = Script::services([reply]);
        let deleted = delete(&client(&script)).await;
        assert_eq!(deleted.map_err(|failure| failure.kind), expected);
        assert_eq!(script.asked().len(), 1, "never repeated");
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
    assert!(client.breakers().iter().any(|b| b.open && b.service == "compute in GRA11"));
    assert!(client.breakers().iter().any(|b| !b.open && b.service == "identity"));
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
    assert_eq!(client.latencies().iter().map(|l| l.count).sum::<u64>(), 7);
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
