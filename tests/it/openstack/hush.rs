//! Whatever the other side says back, no secret is told on: each kind of secret, at each step
//! that it is sent at, against answers that repeat all that was asked.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use novascale::cloud::openstack::OpenStack;
use novascale::cloud::{Compute, Resolve, Wanted};
use novascale::config::cloud::{
    ApplicationCredential, Auth, CredentialName, Domain, Oidc, Password, Project, Token, User,
};
use novascale::domain::group::{Template, UserData};
use novascale::domain::id::{InstallId, ServerId};
use novascale::domain::outcome::Failure;
use serde_json::json;

use super::changing::delete;
use super::samples::{Log, create, template};
use super::script::{
    PROJECT, Reply, Script, Seen, V275, answer, client_of, given, group, oidc, page, region,
    settings, sign_in, tags, token,
};

const SECRET: &str = "canary-configured-4b1f";
const ID_TOKEN: &str = "canary-id-token-77aa";
const UNSCOPED: &str = "canary-unscoped-90c3";
const SCOPED: &str = "canary-scoped-e512";
const USER_DATA: &str = "canary-user-data-0d3b";

/// Every form in which one of them could be read.
fn planted() -> Vec<String> {
    let plain = [SECRET, ID_TOKEN, UNSCOPED, SCOPED, USER_DATA].map(str::to_owned);
    let user_data = STANDARD.encode(format!("#!/bin/sh\nexport KEY={USER_DATA}\n"));
    let basic = STANDARD.encode(format!("{}:{SECRET}", oidc().client_id));
    plain.into_iter().chain([user_data, basic]).collect()
}

fn ways_in() -> [(&'static str, Auth); 4] {
    let auth_url = "https://auth.example.test/v3".to_owned();
    let project = Project::Id(PROJECT.into());
    let domain = Domain::Name("Default".into());
    let password = Password {
        auth_url: auth_url.clone(),
        user: User::Name { name: "ops".into(), domain },
        password: given(SECRET),
        project: project.clone(),
    };
    let credential = ApplicationCredential {
        auth_url: auth_url.clone(),
        who: CredentialName::Id("credential-1".into()),
        secret: given(SECRET),
    };
    let token = Token { auth_url, token: given(SECRET), project };
    [
        ("oidc", Auth::OidcClientCredentials(Oidc { client_secret: given(SECRET), ..oidc() })),
        ("password", Auth::Password(password)),
        ("application credential", Auth::ApplicationCredential(credential)),
        ("token", Auth::Token(token)),
    ]
}

/// A step of the conversation: which request it is.
type Step = (&'static str, fn(&Seen) -> bool);

const STEPS: [Step; 9] = [
    ("discovery", |seen| seen.url.path().ends_with("/openid-configuration")),
    ("token endpoint", |seen| seen.url.path() == "/oauth2/token"),
    ("federation", |seen| seen.url.path().contains("/OS-FEDERATION/")),
    ("tokens", |seen| seen.url.path() == "/v3/auth/tokens"),
    ("versions", |seen| seen.url.path() == "/v2.1/"),
    ("listing", |seen| seen.url.path().ends_with("/servers/detail")),
    ("create", |seen| seen.method == "POST" && seen.url.path().ends_with("/servers")),
    ("delete", |seen| seen.method == "DELETE"),
    ("look-ups", |seen| {
        let host = seen.url.host_str().unwrap();
        host.starts_with("image") || host.starts_with("network")
    }),
];

/// The steps at which this way in differs: but for the first, all have but one request, and go
/// on as the first does.
fn steps(way: &str) -> impl Iterator<Item = Step> {
    STEPS.into_iter().filter(move |(step, _)| way == "oidc" || *step == "tokens")
}

/// All that a request says, as somebody might repeat it.
fn repeated(seen: &Seen) -> String {
    let headers = seen.headers.values().cloned().collect::<Vec<_>>().join(" ");
    format!("{} {headers} {}", seen.url, String::from_utf8_lossy(&seen.body))
}

/// How it is said back.
type Echo = (&'static str, fn(&str) -> Reply);

const ECHOES: [Echo; 11] = [
    ("Keystone's 401", |said| {
        answer(401, &[], json!({"error": {"code": 401, "title": "Unauthorized", "message": said}}))
    }),
    ("Nova's 403", |said| answer(403, &V275, json!({"forbidden": {"code": 403, "message": said}}))),
    ("an OAuth error", |said| {
        answer(400, &[], json!({"error": "invalid_client", "error_description": said}))
    }),
    ("a 404", |said| answer(404, &V275, json!({"itemNotFound": {"code": 404, "message": said}}))),
    ("a 409", |said| {
        answer(409, &V275, json!({"conflictingRequest": {"code": 409, "message": said}}))
    }),
    ("a 429", |said| answer(429, &[("retry-after", "1")], said)),
    ("a 500", |said| answer(500, &V275, json!({"computeFault": {"code": 500, "message": said}}))),
    ("a page", |said| {
        let page = format!("<html><head><title>{said}</title></head><body>{said}</body></html>");
        answer(502, &[("content-type", "text/html")], page)
    }),
    ("a redirect", |said| {
        let said: String = said.chars().filter(|c| c.is_ascii_graphic()).collect();
        answer(302, &[("location", &format!("https://login.test/{said}?from={said}"))], "")
    }),
    ("a 200 that is none", |said| answer(200, &V275, json!({"servers": said, "token": said}))),
    ("a reset", |_| {
        let why = "connection reset by peer".to_owned();
        Err(novascale::cloud::openstack::transport::TransportError::Unclear(why))
    }),
];

/// The other side: it says back what it is asked at this step, and is well otherwise.
fn script((_, at): Step, (_, echo): Echo) -> Arc<Script> {
    Script::new(move |seen| {
        let path = seen.url.path();
        if at(seen) {
            echo(&repeated(seen))
        } else if path == "/oauth2/token" {
            answer(200, &[], json!({"id_token": ID_TOKEN, "access_token": ID_TOKEN}))
        } else if path.contains("/OS-FEDERATION/") {
            answer(201, &[("x-subject-token", UNSCOPED)], "{}")
        } else if path == "/v3/auth/tokens" {
            answer(201, &[("x-subject-token", SCOPED)], token("2026-01-03T03:00:00Z"))
        } else if path.ends_with("/servers/detail") {
            page(&[], false)
        } else if path.ends_with("/servers") {
            answer(202, &V275, json!({"server": {"id": "s1", "adminPass": SECRET}}))
        } else if seen.method == "DELETE" {
            answer(204, &V275, "")
        } else {
            sign_in(seen).unwrap_or_else(|| answer(200, &V275, lists()))
        }
    })
}

/// One of each that is looked up.
fn lists() -> serde_json::Value {
    let flavor = json!({"id": "22222222-2222-4222-8222-222222222222", "name": "b2-7"});
    json!({"flavors": [flavor], "images": [], "networks": []})
}

/// Says everything that novascale asks, and all that came of it, in every way that it is shown.
async fn told(client: &OpenStack) -> String {
    let user_data = format!("#!/bin/sh\nexport KEY={USER_DATA}\n");
    let user_data = Some(UserData(Arc::from(user_data.into_bytes())));
    let template = Arc::new(Template { user_data, ..template() });
    let wanted = Wanted {
        group: &group(),
        install: &InstallId::from_bits(1),
        region: &region(),
        template: &template,
        flavor: "b2-7",
    };
    let request = novascale::cloud::Create { template: Arc::clone(&template), ..create() };
    let mut told = format!("{request:?} {:?}", client.sign_in().await);
    let mut failed = |failure: Option<Failure>| {
        let Some(failure) = failure else { return };
        told += &format!("\n{failure} {failure:?} {} ", failure.in_words());
        told += &serde_json::to_string(&failure).unwrap();
    };
    failed(client.list(&region(), &tags(&["a"])).await.err());
    failed(client.audit(&region()).await.err());
    failed(client.get(&region(), &ServerId::new("s1").unwrap()).await.err());
    failed(client.resolve(&wanted).await.err());
    failed(client.create(&request).await.err());
    failed(delete(client, "s1").await.err());
    told
}

#[tokio::test(start_paused = true)]
async fn no_secret_is_told_on_whatever_is_said_back() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let (planted, mut lines) = (planted(), 0);
    for (way, auth) in ways_in() {
        for (step, echo) in steps(way).flat_map(|step| ECHOES.map(|echo| (step, echo))) {
            let case = format!("{way}, {} at {}", echo.0, step.0);
            let script = script(step, echo);
            // Tests beside this one have passed many places with nobody listening there.
            tracing::callsite::rebuild_interest_cache();
            let told = told(&client_of(&script, settings(auth.clone()))).await;
            assert!(script.seen().iter().any(step.1), "{case}: it was not asked");
            let logged = std::mem::take(&mut *log.0.lock().unwrap());
            let all = format!("{told}\n{}", String::from_utf8(logged).unwrap());
            lines += all.matches("called the cloud").count();
            for secret in &planted {
                assert!(!all.contains(secret), "{case}: {secret} is told:\n{all}");
            }
        }
    }
    assert!(lines > 100, "{lines} lines were logged");
}
