//! Who may do what: every route against every token.

use novascale::http::reload::Report;
use novascale::http::tokens::Scope;
use novascale::telemetry::count;

use super::face::{Face, Listener};

const SAMPLE: &str = "{\"name\": \"requests\", \"value\": 1}";

const ADOPT: &str = "{\"servers\": [\"00000000-0000-4000-8000-000000000001\"]}";

/// Every route behind a token: method, path, body, the scope that it wants, its success.
const ROUTES: [(&str, &str, &str, Scope, u16); 18] = [
    ("POST", "/v1/groups/web/signals", SAMPLE, Scope::Signal, 202),
    ("POST", "/v1/groups/web/alerts", "{\"name\": \"A\"}", Scope::Signal, 202),
    ("POST", "/v1/groups/web/capacity", "{\"adjust\": 1}", Scope::Capacity, 202),
    ("GET", "/v1/groups", "", Scope::Read, 200),
    ("GET", "/v1/groups/web", "", Scope::Read, 200),
    ("GET", "/v1/groups/web/servers", "", Scope::Read, 200),
    ("GET", "/v1/groups/web/decisions", "", Scope::Read, 200),
    ("GET", "/v1/groups/web/commands", "", Scope::Read, 200),
    ("GET", "/v1/groups/web/plan", "", Scope::Read, 200),
    ("GET", "/metrics", "", Scope::Read, 200),
    ("PUT", "/v1/groups/web/pin", "{\"capacity\": 3}", Scope::Operate, 202),
    ("DELETE", "/v1/groups/web/pin", "", Scope::Operate, 202),
    ("PUT", "/v1/groups/web/pause", "{}", Scope::Operate, 202),
    ("DELETE", "/v1/groups/web/pause", "", Scope::Operate, 202),
    ("PUT", "/v1/pause", "{}", Scope::Operate, 202),
    ("DELETE", "/v1/pause", "", Scope::Operate, 202),
    ("POST", "/v1/reload", "{}", Scope::Operate, 200),
    ("POST", "/v1/groups/web/adopt", ADOPT, Scope::Operate, 202),
];

#[tokio::test]
async fn every_route_opens_to_its_scope_and_to_operate_alone() {
    let face = Face::new();
    let _asked = face.reloads(Ok(Report::default()));
    for (method, path, body, needs, success) in ROUTES {
        for has in Scope::ALL {
            let answer = face.ask(has, method, path).json(body).send().await;
            if has.includes(needs) {
                assert_eq!(answer.status, success, "{method} {path} with {has:?}: {answer:?}");
                continue;
            }
            assert_eq!((answer.status, answer.code().as_str()), (403, "wrong-scope"), "{path}");
            let hint = answer.json()["hint"].as_str().unwrap().to_owned();
            let file = face.tokens.file(needs);
            assert!(hint.contains(file.to_str().unwrap()), "{hint}");
            assert!(answer.header("www-authenticate").contains("insufficient_scope"));
            assert!(!answer.text.contains(&face.token(needs)), "the path, never the token");
        }
    }
}

#[tokio::test]
async fn strangers_are_told_to_sign_in_and_nothing_else() {
    let face = Face::new();
    let token = face.token(Scope::Operate);
    let wrong = [
        None,
        Some("Bearer".to_owned()),
        Some(format!("Basic {token}")),
        Some(token.clone()),
        Some(format!("Bearer {}x", token)),
        Some(format!("Bearer nvs_operate_{}", "0".repeat(64))),
    ];
    for (n, (method, path, body, needs, _)) in ROUTES.into_iter().enumerate() {
        for (m, value) in wrong.iter().enumerate() {
            // Each from its own address, so that the bound on failures stays out of it.
            let peer = format!("10.0.{n}.{m}:9");
            let mut asking = face.stranger(method, path).json(body).from(&peer);
            if let Some(value) = value {
                asking = asking.header("authorization", value);
            }
            let answer = asking.send().await;
            assert_eq!(answer.status, 401, "{method} {path} with {value:?}");
            assert!(["token-missing", "token-unknown"].contains(&answer.code().as_str()));
            let challenge = answer.header("www-authenticate");
            assert!(challenge.starts_with("Bearer realm=\"novascale\""), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{}\"", needs.word())), "{challenge}");
        }
    }
    assert_eq!(face.counters.total(count::SIGN_IN_FAILURES), 108);
}

#[tokio::test]
async fn failed_sign_ins_are_bounded_by_address_and_never_hold_up_a_valid_token() {
    let face = Face::new();
    let knock = |peer| face.stranger("GET", "/v1/groups").from(peer).send();
    for _ in 0..face.limits.failed_sign_ins_burst {
        assert_eq!(knock("192.0.2.1:1").await.status, 401);
    }
    let answer = knock("192.0.2.1:2").await;
    assert_eq!((answer.status, answer.code().as_str()), (429, "too-fast"));
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(knock("192.0.2.2:1").await.status, 401, "another address");
    let valid = face.ask(Scope::Read, "GET", "/v1/groups").from("192.0.2.1:3").send().await;
    assert_eq!(valid.status, 200);
    face.clock.forward(std::time::Duration::from_secs(1));
    assert_eq!(knock("192.0.2.1:4").await.status, 401);
}

#[tokio::test]
async fn the_webhook_listener_knows_senders_routes_only() {
    let face = Face::new();
    for (method, path, body, needs, success) in ROUTES {
        let asking = face.ask(needs, method, path).on(Listener::Webhook).json(body);
        let answer = asking.send().await;
        if ["signals", "alerts", "capacity"].iter().any(|end| path.ends_with(end)) {
            assert_eq!(answer.status, success, "{path}");
        } else {
            assert_eq!((answer.status, answer.code().as_str()), (404, "no-such-route"), "{path}");
        }
    }
}

#[tokio::test]
async fn wrong_paths_and_methods_have_their_answers() {
    let face = Face::new();
    for path in
        ["/", "/v1", "/v1/groups/", "/v1/groups/web/", "/v2/groups", "/%ff", "/v1/groups/web/x"]
    {
        let answer = face.stranger("GET", path).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "no-such-route"), "{path}");
    }
    for (method, path, allow) in [
        ("DELETE", "/v1/groups/web/signals", "POST"),
        ("GET", "/v1/groups/web/pin", "DELETE,PUT"),
        ("POST", "/v1/groups", "GET,HEAD"),
        ("BREW", "/healthz", "GET,HEAD"),
    ] {
        let answer = face.stranger(method, path).send().await;
        assert_eq!((answer.status, answer.code().as_str()), (405, "wrong-method"), "{path}");
        let mut allowed: Vec<&str> = answer.header("allow").split(',').collect();
        allowed.sort_unstable();
        assert_eq!(allowed.join(","), allow, "{path}");
    }
    for name in ["nope", "WEB", "%77%65%62x", "..", "%2e%2e%2fweb", "%ff"] {
        let answer = face.get(&format!("/v1/groups/{name}/servers")).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "unknown-group"), "{name}");
    }
}
