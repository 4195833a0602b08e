//! The token's life: shared, renewed, given up on, and never shown.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use novascale::cloud::openstack::OpenStack;
use novascale::cloud::openstack::transport::{InProcess, TransportError};
use novascale::cloud::{Compute, Fence, Inside};
use novascale::config::cloud::{Auth, CloudSettings, Limits, Oidc, Project, Token};
use novascale::config::secret::Secret;
use novascale::domain::outcome::{Failure, FailureKind};
use serde_json::json;

use super::samples::{Log, create};
use super::script::{
    PROJECT, Paused, Script, V275, answer, client, client_of, given, nova, oidc, page, region,
    settings, sign_in, tags, token,
};

async fn list(client: &OpenStack) -> Result<usize, novascale::domain::outcome::Failure> {
    client.list(&region(), &tags(&["a"])).await.map(|listed| listed.len())
}

fn sign_ins(script: &Script) -> usize {
    script.seen().iter().filter(|seen| seen.url.path() == "/v3/auth/tokens").count()
}

#[tokio::test(start_paused = true)]
async fn all_who_wait_share_one_sign_in() {
    let slow = Duration::from_millis(50);
    let script = Script::slow(slow, |seen| sign_in(seen).unwrap_or_else(|| page(&[], false)));
    let client = client(&script);
    let all = futures_util::future::join_all((0..8).map(|_| list(&client))).await;
    assert!(all.into_iter().all(|listed| listed.is_ok()));
    assert_eq!(sign_ins(&script), 1);
}

/// Issues tokens of an hour; can be made to fail.
fn failing_keystone(down: Arc<AtomicBool>) -> Arc<Script> {
    Script::new(move |seen| match seen.url.path() {
        "/oauth2/token" if down.load(Ordering::Relaxed) => {
            Err(TransportError::Unreached("refused".into()))
        }
        "/v3/auth/tokens" => {
            answer(201, &[("x-subject-token", "scoped")], token("2026-01-02T04:00:00Z"))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    })
}

#[tokio::test(start_paused = true)]
async fn a_living_token_outlasts_an_outage_of_the_provider() {
    let down = Arc::new(AtomicBool::new(false));
    let client = client(&failing_keystone(Arc::clone(&down)));
    list(&client).await.unwrap();
    down.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(3600 - 60)).await;
    list(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(61)).await;
    let failure = list(&client).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreached);
    assert!(failure.message.contains("step 2 of 4"), "{failure}");
}

/// A busy Keystone asks for pauses longer than a listing may be old.
#[tokio::test(start_paused = true)]
async fn a_busy_keystone_leaves_nova_readable_while_the_token_lives() {
    let busy = Arc::new(AtomicBool::new(false));
    let is_busy = Arc::clone(&busy);
    let script = Script::new(move |seen| match seen.url.path() {
        "/v3/auth/tokens" if is_busy.load(Ordering::Relaxed) => {
            answer(429, &[("retry-after", "300")], "")
        }
        "/v3/auth/tokens" => {
            answer(201, &[("x-subject-token", "scoped")], token("2026-01-02T04:00:00Z"))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    });
    let client = client(&script);
    list(&client).await.unwrap();
    busy.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(3600 - 100)).await;
    for _ in 0..3 {
        list(&client).await.expect("the token still lives");
    }
    assert_eq!(sign_ins(&script), 2, "tried once, and not again before the time");
}

#[tokio::test(start_paused = true)]
async fn a_busy_nova_does_not_hold_up_a_sign_in() {
    let script = Script::new(|seen| match seen.url.path() {
        "/v3/auth/tokens" => {
            answer(201, &[("x-subject-token", "scoped")], token("2026-01-02T03:01:00Z"))
        }
        path if path.ends_with("/servers/detail") => answer(429, &[("retry-after", "300")], ""),
        _ => sign_in(seen).unwrap(),
    });
    let client = client(&script);
    list(&client).await.unwrap_err();
    tokio::time::advance(Duration::from_secs(61)).await;
    client.sign_in().await.expect("the token has ended, and Nova alone is busy");
}

#[tokio::test(start_paused = true)]
async fn a_failed_sign_in_is_tried_again_after_a_while() {
    let down = Arc::new(AtomicBool::new(true));
    let script = failing_keystone(Arc::clone(&down));
    let client = client(&script);
    list(&client).await.unwrap_err();
    down.store(false, Ordering::Relaxed);
    let asked = script.seen().len();
    list(&client).await.unwrap_err();
    assert_eq!(script.seen().len(), asked, "not at once");
    tokio::time::advance(Duration::from_secs(6)).await;
    list(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_here_does_not_matter() {
    // Keystone's clock is two hours ahead of ours: its token of one hour ends "in three".
    let script = Script::new(|seen| match seen.url.path() {
        "/v3/auth/tokens" => {
            let headers =
                [("x-subject-token", "scoped"), ("date", "Fri, 02 Jan 2026 05:00:00 GMT")];
            answer(201, &headers, token("2026-01-02T06:00:00Z"))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    });
    let client = client(&script);
    list(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(3600 - 130)).await;
    list(&client).await.unwrap();
    assert_eq!(sign_ins(&script), 1);
    tokio::time::advance(Duration::from_secs(30)).await;
    list(&client).await.unwrap();
    assert_eq!(sign_ins(&script), 2, "an hour by their clock, not three by ours");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_seems_expired_when_issued_is_used() {
    let script = Script::new(|seen| match seen.url.path() {
        "/v3/auth/tokens" => {
            answer(201, &[("x-subject-token", "scoped")], token("2020-01-01T00:00:00Z"))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    });
    let client = client(&script);
    for _ in 0..3 {
        list(&client).await.unwrap();
    }
    assert_eq!(sign_ins(&script), 1);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_counts_from_the_next_sign_in() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("secret");
    let revoked = Arc::new(AtomicBool::new(false));
    let is_revoked = Arc::clone(&revoked);
    let script = Script::new(move |seen| {
        if seen.url.path().ends_with("/servers/detail") && is_revoked.swap(false, Ordering::Relaxed)
        {
            return answer(401, &V275, "{}");
        }
        sign_in(seen).unwrap_or_else(|| page(&[], false))
    });
    let oidc = Oidc { client_secret: Secret::File(path.clone()), ..oidc() };
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc)));
    std::fs::write(&path, "old\n").unwrap();
    list(&client).await.unwrap();
    std::fs::write(&path, "new\n").unwrap();
    revoked.store(true, Ordering::Relaxed);
    list(&client).await.unwrap();
    let seen = script.seen().into_iter().filter(|s| s.url.path() == "/oauth2/token");
    let sent: Vec<String> = seen.map(|s| s.header("authorization").to_owned()).collect();
    assert_eq!(sent.len(), 2);
    assert_ne!(sent[0], sent[1]);
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_moved_is_discovered_anew_once() {
    let moved = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&moved);
    let script = Script::new(move |seen| {
        let path = seen.url.path();
        if path.ends_with("/openid-configuration") {
            let n = count.fetch_add(1, Ordering::Relaxed);
            let endpoint = format!("https://iam.example.test/token-{n}");
            return answer(200, &[], json!({"token_endpoint": endpoint}));
        }
        match path {
            "/token-1" => answer(200, &[], json!({"id_token": "x"})),
            "/token-0" => answer(410, &[], ""),
            _ => sign_in(seen).unwrap(),
        }
    });
    let client = client(&script);
    // Fresh from discovery, a 410 is an answer; known from before, it is a reason to look again.
    client.sign_in().await.unwrap_err();
    tokio::time::advance(Duration::from_secs(20)).await;
    client.sign_in().await.unwrap();
    assert_eq!(moved.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_discovery_leads_neither_to_plain_http_nor_to_metadata() {
    for (name, location, endpoint) in [
        ("redirect to http", "http://iam.example.test/", ""),
        ("redirect to metadata", "https://169.254.169.254/", ""),
        ("http token endpoint", "", "http://iam.example.test/token"),
        ("metadata token endpoint", "", "https://169.254.169.254/token"),
    ] {
        let script = Script::new(move |_| match (location, endpoint) {
            ("", endpoint) => answer(200, &[], json!({"token_endpoint": endpoint})),
            (location, _) => answer(302, &[("location", location)], ""),
        });
        let failure = client(&script).sign_in().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused, "{name}: {failure}");
        assert_eq!(script.seen().len(), 1, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_token_is_scoped_and_known_to_end() {
    let script = Script::new(|seen| {
        if seen.url.path().contains("/servers") {
            return page(&[], false);
        }
        sign_in(seen).unwrap()
    });
    let auth = Auth::Token(Token {
        auth_url: "https://auth.example.test/v3".into(),
        token: given("given-token"),
        project: Project::Id(PROJECT.into()),
    });
    let client = client_of(&script, settings(auth));
    let record = client.sign_in().await.unwrap();
    assert!(!record.renewable);
    let sent = &script.seen()[0];
    assert_eq!(sent.json()["auth"]["identity"]["token"]["id"], "given-token");
    assert_eq!(sent.json()["auth"]["scope"]["project"]["id"], PROJECT);
    list(&client).await.unwrap();
    assert_eq!(sign_ins(&script), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_without_a_project_is_refused() {
    let script = Script::new(|seen| match seen.url.path() {
        "/v3/auth/tokens" => {
            let unscoped = json!({"token": {"expires_at": "2026-01-03T03:00:00Z"}});
            answer(201, &[("x-subject-token", "t")], unscoped)
        }
        _ => sign_in(seen).unwrap(),
    });
    let failure = client(&script).sign_in().await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("cloud.project_id"));
}

#[tokio::test(start_paused = true)]
async fn one_slot_is_enough_for_a_call_and_its_renewal() {
    let refuse = Arc::new(AtomicBool::new(true));
    let script = Script::new(move |seen| {
        if seen.url.path().ends_with("/servers/detail") && refuse.swap(false, Ordering::Relaxed) {
            return answer(401, &V275, "{}");
        }
        sign_in(seen).unwrap_or_else(|| page(&[], false))
    });
    let narrow = CloudSettings {
        limits: Limits { concurrency: 1, ..Limits::default() },
        ..settings(Auth::OidcClientCredentials(oidc()))
    };
    list(&client_of(&script, narrow)).await.unwrap();
    assert_eq!(sign_ins(&script), 2);
}

#[tokio::test(start_paused = true)]
async fn the_same_conversation_works_in_process() {
    use axum::Router;
    use axum::http::{HeaderMap, StatusCode, Uri};
    let router = Router::new().fallback(async |uri: Uri, headers: HeaderMap| {
        let host = headers["host"].to_str().unwrap().to_owned();
        let url = url::Url::parse(&format!("https://{host}{}", uri.path())).unwrap();
        let seen = super::script::Seen {
            method: reqwest::Method::GET,
            url,
            headers: Default::default(),
            body: Vec::new(),
        };
        let reply = sign_in(&seen).unwrap_or_else(|| page(&[], false)).unwrap();
        let status = StatusCode::from_u16(reply.status.as_u16()).unwrap();
        (status, reply.headers, reply.body)
    });
    let settings = settings(Auth::OidcClientCredentials(oidc()));
    let client = OpenStack::new(settings, Arc::new(InProcess::new(router)), Paused::new());
    assert_eq!(list(&client).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_logged_or_told() {
    const HUSH: [&str; 6] = [
        "synthetic-client-secret",
        "RVUuMDEyMzQ1Njc4OWFiY2RlZjpzeW50aGV0aWMtY2xpZW50LXNlY3JldA==",
        "hush-id-token",
        "hush-unscoped",
        "hush-scoped",
        "hush-admin-pass",
    ];
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let script = Script::new(|seen| {
        let path = seen.url.path();
        if path == "/oauth2/token" {
            return answer(200, &[], json!({"id_token": "hush-id-token"}));
        }
        if path.contains("/OS-FEDERATION/") {
            return answer(201, &[("x-subject-token", "hush-unscoped")], "{}");
        }
        if path == "/v3/auth/tokens" {
            return answer(
                201,
                &[("x-subject-token", "hush-scoped")],
                token("2026-01-03T03:00:00Z"),
            );
        }
        if path.ends_with("/servers") {
            return nova(202, json!({"server": {"adminPass": "hush-admin-pass"}}));
        }
        sign_in(seen).unwrap_or_else(|| answer(500, &V275, "hu"))
    });
    let converse = async || {
        let client = client(&script);
        let mut told = format!("{:?}", client.sign_in().await);
        told += &format!("{:?}", client.create(&create()).await);
        told + &format!("{:?}", list(&client).await)
    };
    // tracing remembers per place whether anybody listens; a test beside this one may have
    // passed there first, with nobody listening.
    converse().await;
    tracing::callsite::rebuild_interest_cache();
    let told = converse().await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("called the cloud"), "{logged}");
    for secret in HUSH {
        assert!(!logged.contains(secret) && !told.contains(secret), "{secret}");
    }
    let user_data = "IyEvYmluL3NoCnRydWUK";
    assert!(!logged.contains(user_data));
}

/// Knows one project, after a while.
struct SlowFence {
    takes: Duration,
    ours: AtomicBool,
}

#[async_trait]
impl Fence for SlowFence {
    async fn admit(&self, _: &str, _: &dyn Inside) -> Result<(), Failure> {
        tokio::time::sleep(self.takes).await;
        match self.ours.load(Ordering::Relaxed) {
            true => Ok(()),
            false => Err(Failure::new(FailureKind::Denied, "another project")),
        }
    }
}

/// Tokens that are numbered, the first of an hour, behind a fence.
fn fenced(takes: Duration) -> (Arc<Script>, Arc<SlowFence>, OpenStack) {
    let n = AtomicUsize::new(0);
    let script = Script::new(move |seen| match seen.url.path() {
        "/v3/auth/tokens" => {
            let n = n.fetch_add(1, Ordering::Relaxed);
            let end = if n == 0 { "2026-01-02T04:00:00Z" } else { "2026-01-02T05:00:00Z" };
            answer(201, &[("x-subject-token", &format!("token-{n}"))], token(end))
        }
        _ => sign_in(seen).unwrap_or_else(|| page(&[], false)),
    });
    let fence = Arc::new(SlowFence { takes, ours: AtomicBool::new(true) });
    let transport = Arc::clone(&script) as _;
    let settings = settings(Auth::OidcClientCredentials(oidc()));
    let client = OpenStack::fenced(Arc::clone(&fence) as _, settings, transport, Paused::new());
    (script, fence, client)
}

/// The tokens that services were shown.
fn shown(script: &Script) -> BTreeSet<String> {
    script.asked().iter().map(|seen| seen.header("x-auth-token").to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_nobody_waited_to_be_compared_is_not_thrown_away() {
    let (script, _, client) = fenced(Duration::from_secs(5));
    list(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(3600 - 100)).await;
    list(&client).await.unwrap();
    assert_eq!(shown(&script), ["token-0".to_owned()].into(), "the old one lives");
    tokio::time::advance(Duration::from_secs(101)).await;
    list(&client).await.unwrap();
    assert_eq!(sign_ins(&script), 2, "the sign-in that began goes on");
    assert!(shown(&script).contains("token-1"));
}

#[tokio::test(start_paused = true)]
async fn a_token_for_another_project_takes_no_good_one_away_and_is_never_shown() {
    let (script, fence, client) = fenced(Duration::ZERO);
    list(&client).await.unwrap();
    fence.ours.store(false, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(3600 - 100)).await;
    for _ in 0..3 {
        list(&client).await.expect("the token still lives");
        tokio::time::advance(Duration::from_secs(20)).await;
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(list(&client).await.unwrap_err().kind, FailureKind::Denied);
    assert!(sign_ins(&script) > 3);
    assert_eq!(shown(&script), ["token-0".to_owned()].into());
}
