//! Creates and deletes: sent once, and believed only as far as the answer is Nova's own.

use std::sync::Arc;

use novascale::cloud::may_delete::{Claimant, MayDelete};
use novascale::cloud::openstack::transport::TransportError;
use novascale::cloud::{Compute, Create, Deleted, Leave};
use novascale::domain::freeze::NoBrake;
use novascale::domain::group::{AntiAffinity, BootVolume, Placement, Template, UserData};
use novascale::domain::id::{InstallId, LaunchId, ServerId, Tag, Zone, mark};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::time::Steady;
use serde_json::{Value, json};

use super::samples::{create, template};
use super::script::{Reply, Script, answer, client, group, nova, region, sign_in};

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
async fn a_full_server_group_names_the_setting_that_the_file_has() {
    for (placement, key) in [
        (Placement::AntiAffinity(AntiAffinity::Soft), "group.web.anti_affinity"),
        (Placement::ServerGroup("spread".into()), "group.web.server_group"),
    ] {
        let words = "Quota exceeded, too many servers in group";
        let reply = nova(403, json!({"forbidden": {"code": 403, "message": words}}));
        let template = Arc::new(Template { placement, ..template() });
        let request = Create { template, ..create() };
        let failure = client(&Script::services([reply])).create(&request).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Quota { fits: None });
        assert_eq!(failure.key.as_deref(), Some(key));
    }
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
        let deleted = delete(&client(&script), "s1").await;
        assert_eq!(deleted.map_err(|failure| failure.kind), expected);
        assert_eq!(script.asked().len(), 1, "never repeated");
    }
}

/// Deletes the server as one of ours.
pub(super) async fn delete(client: &impl Compute, id: &str) -> Result<Deleted, Failure> {
    client.delete(&region(), permit(id, Steady(u64::MAX), &(Arc::new(NoBrake) as _))).await
}

/// The right to delete a server of ours until then, with this leave.
pub(super) fn permit(id: &str, not_after: Steady, leave: &Arc<dyn Leave>) -> MayDelete {
    let install = InstallId::from_bits(0);
    let tag = Tag::new("a").unwrap();
    let launch = LaunchId::from_bits(1);
    let mut fresh = novascale::domain::server::Server {
        id: ServerId::new(id).unwrap(),
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
    let who = Claimant { install: &install, group: &group(), tag: &tag, not_after, leave };
    MayDelete::judge(&fresh, who).unwrap()
}
