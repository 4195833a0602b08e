//! Transcripts of keystoneauth and openstacksdk, replayed: the same answers are given to our
//! client, and its requests are held against theirs. Where ours are meant to differ (they ask
//! for a version first, list by `tags-any`, page by 1000), `transcript.rs` says so.
//!
//! Two that were recorded are not played, for we differ on purpose: 34 signs in without a
//! project, and 66 takes the first region of the catalog; `config` refuses both before a call.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use novascale::cloud::openstack::OpenStack;
use novascale::cloud::{Compute, Create, Deleted, Resolve, Wanted};
use novascale::config::cloud::{
    AccessTokenType, ApplicationCredential, Auth, CredentialName, Domain, Oidc, Password, Project,
    User,
};
use novascale::domain::group::Template;
use novascale::domain::id::{InstallId, Region};
use novascale::domain::outcome::{Failure, FailureKind};
use novascale::domain::server::Server;
use serde_json::Value;

use super::changing::delete;
use super::samples::{create, plain_create, template};
use super::script::{Script, client_of, given, group, oidc, region, settings, tags, versions};
use super::transcript::{Exchange, Transcript, reply};

fn replay(name: &str) -> (Arc<Script>, OpenStack) {
    replay_as(name, oidc())
}

fn replay_as(name: &str, oidc: Oidc) -> (Arc<Script>, OpenStack) {
    let script = Transcript::load(name).play();
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc)));
    (script, client)
}

async fn list(client: &OpenStack) -> Result<Vec<Server>, Failure> {
    client.list(&region(), &tags(&["asg=pool-a"])).await
}

fn tokens_issued(script: &Script) -> usize {
    script.seen().iter().filter(|seen| seen.url.path() == "/v3/auth/tokens").count()
}

#[tokio::test(start_paused = true)]
async fn a_service_account_signs_in_and_lists() {
    for name in [
        "01-env-success",
        "02-clouds-yaml-success",
        "16-grant-types-absent",
        "20-discovery-redirect",
    ] {
        let (script, client) = replay(name);
        let listed = list(&client).await.unwrap();
        let names: Vec<&str> = listed.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["pool-a-1", "pool-a-2", "pool-a-3"], "{name}");
        let asked = script.seen().pop().unwrap();
        assert_eq!(asked.query("tags-any").as_deref(), Some("asg=pool-a"));
        assert_eq!(asked.query("limit").as_deref(), Some("1000"));
        assert_eq!(asked.query("sort_dir").as_deref(), Some("asc"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_used_for_every_call() {
    let (_, client) = replay("03-keystoneauth-minimal");
    for _ in 0..2 {
        assert_eq!(list(&client).await.unwrap().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_is_recorded_without_its_token() {
    let script = Transcript::load("01-env-success").first(4).play();
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc())));
    let record = client.sign_in().await.unwrap();
    assert_eq!(record.project.1.as_deref(), Some("1234567890123456"));
    assert_eq!(record.roles, ["compute_operator"]);
    assert_eq!(record.expires_at.to_string(), "2026-01-03T03:00:00Z");
    assert!(record.renewable);
}

#[tokio::test(start_paused = true)]
async fn the_access_token_goes_out_only_if_it_is_asked_for() {
    let oidc = Oidc { access_token_type: AccessTokenType::AccessToken, ..oidc() };
    let (_, client) = replay_as("18-access-token-type-default", oidc);
    assert_eq!(list(&client).await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn reserved_characters_of_a_secret_go_out_as_they_are() {
    let oidc = Oidc { client_secret: given("p+a/s s:w%rd&="), ..oidc() };
    let (_, client) = replay_as("21-secret-special-chars", oidc);
    assert_eq!(list(&client).await.unwrap().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_empty_secret_is_refused_before_it_is_sent() {
    let script = Transcript::load("19-no-client-secret").first(1).play();
    let oidc = Oidc { client_secret: given(""), ..oidc() };
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc)));
    let failure = client.sign_in().await.unwrap_err();
    assert_eq!(failure.key.as_deref(), Some("cloud.client_secret"));
    assert!(script.seen().iter().all(|seen| seen.method != "POST"));
}

/// What each refused sign-in is taken for: step, kind, the key to mend.
const REFUSED: [(&str, &str, FailureKind, Option<&str>); 12] = {
    use FailureKind::{Busy, Denied, Refused};
    let discovery = Some("cloud.discovery_endpoint");
    [
        ("10-wrong-secret-401", "token request", Denied, Some("cloud.client_secret")),
        ("11-token-endpoint-400", "token request", Refused, Some("cloud.openid_scope")),
        ("12-discovery-404", "discovery", Refused, discovery),
        ("13-discovery-not-json", "discovery", Refused, discovery),
        ("14-discovery-no-token-endpoint", "discovery", Refused, discovery),
        ("15-grant-not-supported", "discovery", Refused, discovery),
        ("17-id-token-missing", "token request", Refused, Some("cloud.openid_scope")),
        ("30-federation-401", "federation", Denied, Some("cloud.identity_provider")),
        ("31-federation-403", "federation", Denied, Some("cloud.client_id")),
        ("32-federation-404-unknown-idp", "federation", Refused, Some("cloud.identity_provider")),
        ("33-project-not-accessible", "scoping", Denied, Some("cloud.project_id")),
        ("35-keystone-429", "federation", Busy, None),
    ]
};

#[tokio::test(start_paused = true)]
async fn a_refused_sign_in_names_its_step_and_the_key_to_mend() {
    for (name, step, kind, key) in REFUSED {
        let mut oidc = oidc();
        match name {
            "10-wrong-secret-401" => oidc.client_secret = given("wrong-secret"),
            "32-federation-404-unknown-idp" => oidc.identity_provider = "ovhcloud-typo".into(),
            "33-project-not-accessible" => {
                oidc.project = Project::Id("0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f99".into());
            }
            _ => {}
        }
        let (script, client) = replay_as(name, oidc);
        let failure = client.sign_in().await.unwrap_err();
        assert!(failure.message.contains(step), "{name}: {failure}");
        assert_eq!((failure.kind, failure.key.as_deref()), (kind, key), "{name}");
        assert!(failure.hint.is_some() || kind == FailureKind::Busy, "{name}");

        // A call that follows at once does not ask again, and has surely done nothing.
        let asked = script.seen().len();
        let failure = list(&client).await.unwrap_err();
        assert!(failure.kind.certain() && failure.retry_after.is_some(), "{name}");
        assert_eq!(script.seen().len(), asked, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_token_is_renewed_once_and_the_call_repeated() {
    let (script, client) = replay("40-nova-401-reauth");
    for _ in 0..2 {
        assert_eq!(list(&client).await.unwrap().len(), 3);
    }
    assert_eq!(tokens_issued(&script), 2);
}

#[tokio::test(start_paused = true)]
async fn a_second_refusal_is_final_and_does_not_start_a_storm() {
    let (script, client) = replay("41-nova-401-twice");
    list(&client).await.unwrap();
    let failure = list(&client).await.unwrap_err();
    assert_eq!((failure.kind, failure.status), (FailureKind::Denied, Some(401)));
    let asked = script.seen().len();
    assert_eq!(list(&client).await.unwrap_err().kind, FailureKind::Denied);
    assert_eq!(script.seen().len(), asked, "nobody was asked again so soon");
}

#[tokio::test(start_paused = true)]
async fn a_refused_create_is_repeated_too_for_nothing_was_done() {
    let (script, client) = replay("44-post-401-replayed");
    list(&client).await.unwrap();
    let first = client.create(&plain_create()).await.unwrap().unwrap();
    assert_eq!(first.as_str(), "bbbbbbbb-0000-4000-8000-000000000001");
    assert_eq!(tokens_issued(&script), 2);
}

#[tokio::test(start_paused = true)]
async fn a_short_lived_token_is_used_and_not_renewed_at_every_call() {
    let transcript = Transcript::load("42-short-lived-token-storm");
    let list_reply =
        transcript.0.iter().find(|e| e.request["url"].as_str().unwrap().contains("/servers"));
    let list_reply = list_reply.unwrap().response.clone();
    let sign_in: Vec<Value> = transcript.0[..4].iter().map(|e| e.response.clone()).collect();
    let script = Script::new(move |seen| match seen.url.path() {
        "/v2.1/" => versions("2.52"),
        path if path.ends_with("/openid-configuration") => reply(&sign_in[0]),
        "/oauth2/token" => reply(&sign_in[1]),
        path if path.contains("/OS-FEDERATION/") => reply(&sign_in[2]),
        "/v3/auth/tokens" => reply(&sign_in[3]),
        _ => reply(&list_reply),
    });
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc())));
    for _ in 0..2 {
        list(&client).await.unwrap();
    }
    assert_eq!(tokens_issued(&script), 1);
    tokio::time::advance(Duration::from_secs(75)).await;
    list(&client).await.unwrap();
    assert_eq!(tokens_issued(&script), 2, "90 s of life: renewed after four fifths");
}

/// Lists twice with so much time in between; how many tokens were issued.
async fn list_after(name: &str, pause_secs: u64) -> usize {
    let (script, client) = replay(name);
    list(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(pause_secs)).await;
    list(&client).await.unwrap();
    tokens_issued(&script)
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_two_minutes_ahead_of_its_end() {
    assert_eq!(list_after("43-expires-outside-margin", 0).await, 1, "150 s of life left");
    let day = 24 * 3600;
    assert_eq!(list_after("45-expires-within-margin", day - 90).await, 2, "90 s left");
}

#[tokio::test(start_paused = true)]
async fn a_dying_scoped_token_renews_the_whole_chain() {
    // The recorded client kept the unscoped token; a real Keystone lets both die together.
    let transcript = Transcript::load("46-scoped-expires-unscoped-alive");
    let exchanges: Vec<(String, Value)> = transcript
        .0
        .iter()
        .map(|e| (e.request["url"].as_str().unwrap().to_owned(), e.response.clone()))
        .collect();
    let issued = Mutex::new(0);
    let script = Script::new(move |seen| {
        if seen.url.path() == "/v2.1/" {
            return versions("2.52");
        }
        let mut matching = exchanges.iter().filter(|(url, _)| url.starts_with(&seen.place()));
        let nth = if seen.url.path() == "/v3/auth/tokens" {
            *issued.lock().unwrap() += 1;
            *issued.lock().unwrap() - 1
        } else {
            0
        };
        reply(&matching.nth(nth).unwrap().1)
    });
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc())));
    list(&client).await.unwrap();
    tokio::time::advance(Duration::from_secs(24 * 3600 - 60)).await;
    assert_eq!(list(&client).await.unwrap().len(), 3);
    let last = script.seen().pop().unwrap();
    assert_eq!(last.header("x-auth-token"), "synthetic-scoped-2");
    let discoveries = script.seen().iter().filter(|s| s.url.path().contains("well-known")).count();
    assert_eq!(discoveries, 1, "what was discovered is kept");
}

#[tokio::test(start_paused = true)]
async fn parallel_refusals_join_one_renewal_and_all_succeed() {
    let transcript = Transcript::load("47-parallel-401");
    let find = |text: &str, status: u64, nth: usize| {
        let fits = |e: &&Exchange| {
            e.request["url"].as_str().unwrap().contains(text) && e.response["status"] == status
        };
        transcript.0.iter().filter(fits).nth(nth).unwrap().response.clone()
    };
    let (discovery, refused) = (find("well-known", 200, 0), find("/servers", 401, 0));
    let listed = find("/servers", 200, 0);
    let of_sign_in = ["/oauth2/token", "/OS-FEDERATION/", "/v3/auth/tokens"].map(|text| {
        let status = if text == "/oauth2/token" { 200 } else { 201 };
        (text, [find(text, status, 0), find(text, status, 1)])
    });
    let counts = Mutex::new([0_usize; 3]);
    let script = Script::slow(Duration::from_millis(20), move |seen| {
        let path = seen.url.path();
        if path == "/v2.1/" {
            return versions("2.52");
        }
        if path.contains("well-known") {
            return reply(&discovery);
        }
        for (i, (text, answers)) in of_sign_in.iter().enumerate() {
            if path.contains(text) {
                let mut counts = counts.lock().unwrap();
                counts[i] += 1;
                return reply(&answers[counts[i] - 1]);
            }
        }
        // The second token is good, the first is not any more once two listings were made.
        let fresh = seen.header("x-auth-token") == "synthetic-scoped-2";
        reply(if fresh || seen.query("tags-any").as_deref() == Some("warm") {
            &listed
        } else {
            &refused
        })
    });
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc())));
    client.sign_in().await.unwrap();
    let results = futures_util::future::join_all((0..4).map(|_| list(&client))).await;
    for result in results {
        assert_eq!(result.unwrap().len(), 3);
    }
    assert_eq!(tokens_issued(&script), 2, "one sign-in after the first");
}

#[tokio::test(start_paused = true)]
async fn busy_is_an_outcome_and_the_next_call_waits() {
    let (script, client) = replay("50-nova-429");
    let failure = list(&client).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Busy);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
    assert_eq!(script.seen().iter().filter(|s| s.place().contains("/servers")).count(), 1);

    let (_, client) = replay("51-nova-429-retries");
    list(&client).await.unwrap_err();
    let began = tokio::time::Instant::now();
    assert_eq!(list(&client).await.unwrap().len(), 3);
    assert!(began.elapsed() >= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn refusals_of_nova_have_their_kinds() {
    let (_, client) = replay("52-microversion-too-high");
    let failure = list(&client).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.message.contains("maximum is 2.38"), "{failure}");

    let (_, client) = replay("53-quota-403");
    let failure = client.create(&plain_create()).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Quota { fits: Some(0) });
    assert!(failure.message.contains("34 of 34 cores"), "{failure}");

    let (_, client) = replay("54-policy-403");
    let untagged = Create { tags: Vec::new(), ..plain_create() };
    let failure = client.create(&untagged).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    let hint = failure.hint.unwrap();
    assert!(hint.contains("publicCloudProject:openstack:computeOperator"), "{hint}");
}

#[tokio::test(start_paused = true)]
async fn a_server_lives_and_dies() {
    // The last exchange asks for the project's limits, which we never do.
    let script = Transcript::load("60-server-life").first(8).play();
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc())));
    let id = client.create(&create()).await.unwrap().unwrap();
    let shown = client.get(&region(), &id).await.unwrap().unwrap();
    assert_eq!((shown.name.as_str(), shown.flavor.as_str()), ("pool-a-4", "b2-7"));
    assert_eq!(shown.addresses, ["192.0.2.10"]);
    assert_eq!(delete(&client, id.as_str()).await.unwrap(), Deleted::Accepted);
    assert_eq!(client.get(&region(), &id).await.unwrap(), None);
}

/// The SDK asks first whether each name is an id, and Glance for its versions; we do not.
#[tokio::test(start_paused = true)]
async fn names_are_looked_up_below_endpoints_without_a_version() {
    let script = Transcript::load("62-sdk-name-lookups").look_up();
    let client = client_of(&script, settings(Auth::OidcClientCredentials(oidc())));
    let template = Template { key_name: None, ..template() };
    let (group, region, install) = (group(), region(), InstallId::from_bits(0));
    let wanted = Wanted {
        group: &group,
        install: &install,
        region: &region,
        template: &template,
        flavor: "b2-7",
    };
    assert_eq!(client.resolve(&wanted).await.unwrap(), plain_create().resolved);
    assert_eq!(client.microversion(&region).await.unwrap(), "2.72");
}

#[tokio::test(start_paused = true)]
async fn an_audit_lists_as_the_sdk_does_without_a_filter() {
    let (_, client) = replay("65-sdk-servers");
    let audit = client.audit(&region()).await.unwrap();
    assert_eq!((audit.servers.len(), audit.unreachable.len()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn pages_are_followed_by_marker() {
    let (script, client) = replay("61-pagination");
    assert_eq!(list(&client).await.unwrap().len(), 3);
    let second = script.seen().pop().unwrap();
    assert_eq!(second.query("marker").as_deref(), Some("aaaaaaaa-0000-4000-8000-000000000002"));
    assert_eq!(second.query("tags-any").as_deref(), Some("asg=pool-a"));
}

#[tokio::test(start_paused = true)]
async fn a_region_is_never_guessed() {
    for (name, asked, hint) in [
        ("63-region-not-in-catalog", "GRA99", "one of them"),
        ("64-region-wrong-case", "gra11", "write GRA11"),
    ] {
        let (_, client) = replay(name);
        let asked = Region::new(asked).unwrap();
        let failure = client.list(&asked, &tags(&["asg=pool-a"])).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(failure.message.contains("GRA11, SBG5"), "{failure}");
        assert!(failure.hint.unwrap().contains(hint), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn passwords_and_application_credentials_sign_in_too() {
    let auth_url = "https://auth.example.test/v3".to_owned();
    let password = Password {
        auth_url: auth_url.clone(),
        user: User::Name { name: "user-synthetic".into(), domain: Domain::Name("Default".into()) },
        password: given("synthetic-password"),
        project: Project::Id(super::script::PROJECT.into()),
    };
    let credential = ApplicationCredential {
        auth_url,
        who: CredentialName::Id("55555555555545558555555555555555".into()),
        secret: given("synthetic-appcred-secret"),
    };
    for (name, auth) in [
        ("70-password", Auth::Password(password)),
        ("71-application-credential", Auth::ApplicationCredential(credential)),
    ] {
        let script = Transcript::load(name).play();
        let client = client_of(&script, settings(auth));
        assert_eq!(list(&client).await.unwrap().len(), 3, "{name}");
    }
}
