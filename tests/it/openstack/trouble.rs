//! The trouble of one service is its own: others are asked as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use novascale::cloud::openstack::OpenStack;
use novascale::cloud::openstack::transport::TransportError;
use novascale::cloud::{Compute, Resolve, Resolved, Wanted};
use novascale::config::cloud::{Auth, CloudSettings};
use novascale::domain::group::{ImageRef, Networks, Template};
use novascale::domain::id::{InstallId, Region};
use novascale::domain::outcome::{Failure, FailureKind};
use serde_json::json;
use tokio::time::Instant;

use super::samples;
use super::script::{
    Reply, Script, Seen, answer, client, client_of, group, nova, oidc, page, region, settings,
    sign_in, tags, token, versions,
};

/// A Nova that works, and a Glance that answers so.
fn glance(seen: &Seen, says: impl Fn() -> Reply) -> Reply {
    match seen.url.path() {
        "/v2/images" => says(),
        path if path.ends_with("/flavors/detail") => {
            nova(200, json!({"flavors": [{"id": "f1", "name": "b2-7"}]}))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    }
}

async fn list(client: &OpenStack) -> Result<usize, Failure> {
    client.list(&region(), &tags(&["a"])).await.map(|listed| listed.len())
}

async fn resolve(client: &OpenStack) -> Result<Resolved, Failure> {
    let template = Template {
        image: ImageRef::Name("Debian 12".into()),
        networks: Networks::Auto,
        key_name: None,
        ..samples::template()
    };
    let (group, region, install) = (group(), region(), InstallId::from_bits(0));
    let wanted = Wanted {
        group: &group,
        install: &install,
        region: &region,
        template: &template,
        flavor: "b2-7",
    };
    client.resolve(&wanted).await
}

fn sign_ins(script: &Script) -> usize {
    script.seen().iter().filter(|seen| seen.url.path() == "/v3/auth/tokens").count()
}

#[tokio::test(start_paused = true)]
async fn a_service_that_refuses_every_token_blinds_no_other() {
    let refuses = || answer(401, &[("www-authenticate", "Keystone uri=\"https://x.test\"")], "");
    let script = Script::new(move |seen| glance(seen, refuses));
    let client = client(&script);
    let images = || script.seen().iter().filter(|s| s.url.path() == "/v2/images").count();
    assert_eq!(resolve(&client).await.unwrap_err().kind, FailureKind::Denied);
    assert_eq!((images(), sign_ins(&script)), (2, 2), "once more with a fresh token");
    for _ in 0..3 {
        list(&client).await.expect("Nova takes the token");
        let failure = resolve(&client).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Denied);
        assert!(failure.retry_after.is_some() && failure.message.contains("image"), "{failure}");
    }
    assert_eq!((images(), sign_ins(&script)), (2, 2), "it is not asked again so soon");
    tokio::time::advance(Duration::from_secs(16)).await;
    resolve(&client).await.unwrap_err();
    assert_eq!((images(), sign_ins(&script)), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_busy_glance_leaves_nova_readable() {
    let script = Script::new(|seen| glance(seen, || answer(429, &[("retry-after", "300")], "")));
    let client = client(&script);
    assert_eq!(resolve(&client).await.unwrap_err().kind, FailureKind::Busy);
    let began = Instant::now();
    list(&client).await.expect("Nova did not complain");
    assert!(began.elapsed() < Duration::from_secs(2));
    let failure = resolve(&client).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Busy);
    assert!(failure.message.contains("image in GRA11"), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn a_broken_glance_leaves_nova_readable() {
    let script = Script::new(|seen| glance(seen, || answer(500, &[], "boom")));
    let client = client(&script);
    for _ in 0..5 {
        resolve(&client).await.unwrap_err();
    }
    list(&client).await.expect("Nova works");
}

#[tokio::test(start_paused = true)]
async fn versions_behind_the_token_check_are_asked_with_a_token() {
    let script = Script::new(|seen| {
        if seen.url.path() == "/v2.1/" {
            let known = seen.header("x-auth-token") == "scoped";
            return if known { versions("2.60") } else { answer(401, &[], "") };
        }
        sign_in(seen).unwrap()
    });
    let client = client(&script);
    assert_eq!(client.microversion(&region()).await.unwrap(), "2.60");
    assert_eq!(sign_ins(&script), 1);
}

/// Whoever reads it must know which address was meant, and which setting said so.
#[tokio::test(start_paused = true)]
async fn what_was_not_reached_is_named_with_its_address_and_its_setting() {
    for (down, place, setting) in [
        ("iam.example.test/role", "https://iam.example.test:443", "cloud.discovery_endpoint"),
        ("iam.example.test/oauth2", "https://iam.example.test:443", "cloud.access_token_endpoint"),
        ("auth.example.test", "https://auth.example.test:443", "cloud.auth_url"),
        ("compute.gra11", "https://compute.gra11.example.test:443", "the cloud's catalog"),
    ] {
        let script = Script::new(move |seen| match seen.url.as_str().contains(down) {
            true => Err(TransportError::Unreached("Connection refused".into())),
            false => sign_in(seen).unwrap(),
        });
        let failure = list(&client(&script)).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unreached);
        assert!(failure.message.contains(place), "{failure}");
        assert!(failure.hint.as_ref().unwrap().contains(setting), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_region_names_the_setting_that_the_file_has() {
    let script = Script::new(|seen| sign_in(seen).unwrap());
    let asked = Region::new("SBG9").unwrap();
    let settings = CloudSettings {
        region_keys: [(asked.clone(), vec!["group.web.region".to_owned()])].into(),
        ..settings(Auth::OidcClientCredentials(oidc()))
    };
    let failure = client_of(&script, settings).list(&asked, &tags(&["a"])).await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("group.web.region"));
    assert!(failure.message.contains("its regions are GRA11"), "{failure}");
}

/// A refresh that takes long is nobody's business while the token lives: one caller lends it
/// some seconds, and a later one finds it done.
#[tokio::test(start_paused = true)]
async fn a_slow_keystone_does_not_hold_up_calls_whose_token_still_lives() {
    let slow = Arc::new(AtomicBool::new(false));
    let is_slow = Arc::clone(&slow);
    let delay = move |seen: &Seen| {
        let signs_in = seen.url.path() == "/v3/auth/tokens";
        Duration::from_secs(if signs_in && is_slow.load(Ordering::Relaxed) { 40 } else { 0 })
    };
    let script = Script::delayed(delay, |seen| match seen.url.path() {
        "/v3/auth/tokens" => {
            answer(201, &[("x-subject-token", "scoped")], token("2026-01-02T04:00:00Z"))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    });
    let client = client(&script);
    list(&client).await.unwrap();
    slow.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(3600 - 100)).await;
    let began = Instant::now();
    for _ in 0..3 {
        list(&client).await.expect("the token still lives");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(sign_ins(&script), 2, "one refresh for all of them");
    tokio::time::advance(Duration::from_secs(40)).await;
    let began = Instant::now();
    list(&client).await.unwrap();
    assert!(began.elapsed().is_zero(), "it has ended");
    assert_eq!(sign_ins(&script), 2);
}
