//! From a client secret to a scoped token, and every way in which that fails.

use axum::body::Body;
use axum::http::Request;
use rstest::rstest;
use serde_json::{Value, json};

use super::{BASE, Lab, PROJECT, SECRET};

#[tokio::test]
async fn discovery_names_the_token_endpoint_and_the_grant() {
    let lab = Lab::new().await;
    let answer = lab.get("/oidc/.well-known/openid-configuration").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["issuer"], format!("{BASE}/oidc"));
    assert_eq!(answer.body["token_endpoint"], format!("{BASE}/oidc/token"));
    assert_eq!(answer.body["grant_types_supported"], json!(["client_credentials"]));
}

#[tokio::test]
async fn the_id_token_comes_with_the_scope_openid_only() {
    let lab = Lab::new().await;
    let with = lab.oauth("client", SECRET, "openid profile email publicCloudProject/all").await;
    assert_eq!(with.status, 200);
    assert_eq!(with.header("cache-control"), "no-store");
    assert_eq!(with.body["token_type"], "bearer");
    assert_eq!(with.body["expires_in"], 3_600);
    assert!(with.body["access_token"].is_string() && with.body["id_token"].is_string());
    let without = lab.oauth("client", SECRET, "profile").await;
    assert!(without.body["access_token"].is_string() && without.body["id_token"].is_null());
}

#[rstest]
#[case::secret("client", "wrong", "openid", 401, "invalid_client")]
#[case::empty_secret("client", "", "openid", 401, "invalid_client")]
#[case::client("nobody", SECRET, "openid", 401, "invalid_client")]
#[case::scope("client", SECRET, "openid everything", 400, "invalid_scope")]
#[tokio::test]
async fn a_token_request_is_refused_by_name(
    #[case] id: &str,
    #[case] secret: &str,
    #[case] scope: &str,
    #[case] status: u16,
    #[case] error: &str,
) {
    let answer = Lab::new().await.oauth(id, secret, scope).await;
    assert_eq!((answer.status, answer.body["error"].as_str().unwrap()), (status, error));
    assert!(answer.body["error_description"].is_string());
}

#[tokio::test]
async fn another_grant_is_refused() {
    let lab = Lab::new().await;
    let form = format!("grant_type=password&client_id=client&client_secret={SECRET}");
    let answer = lab.call(Request::post("/oidc/token").body(Body::from(form)).unwrap()).await;
    assert_eq!((answer.status, &answer.body["error"]), (400, &json!("unsupported_grant_type")));
}

#[tokio::test]
async fn federation_gives_an_unscoped_token_without_a_catalog() {
    let lab = Lab::new().await;
    let tokens = lab.oauth("client", SECRET, "openid").await;
    let answer = lab.federate(tokens.body["id_token"].as_str().unwrap()).await;
    assert_eq!(answer.status, 201);
    let token = &answer.body["token"];
    assert_eq!(token["methods"], json!(["openid"]));
    assert_eq!(token["expires_at"], "2026-01-02T04:00:00.000000Z");
    assert_eq!(token["issued_at"], "2026-01-02T03:00:00.000000Z");
    assert_eq!(token["user"]["OS-FEDERATION"]["identity_provider"]["id"], "novascale-sandbox");
    assert!(token.get("catalog").is_none() && token.get("project").is_none());
}

#[tokio::test]
async fn federation_takes_the_id_token_and_nothing_else() {
    let lab = Lab::new().await;
    let tokens = lab.oauth("client", SECRET, "openid").await;
    for wrong in [tokens.body["access_token"].as_str().unwrap(), "", "a.b.c", &lab.token] {
        let answer = lab.federate(wrong).await;
        assert_eq!(answer.status, 401);
        assert_eq!(answer.body["error"]["title"], "Unauthorized");
        let message = "The request you have made requires authentication.";
        assert_eq!(answer.body["error"]["message"], message);
        assert!(answer.header("www-authenticate").starts_with("Keystone uri="));
    }
}

#[rstest]
#[case("typo", "openid", "Could not find Identity Provider: typo.")]
#[case(
    "novascale-sandbox",
    "saml2",
    "Could not find federated protocol saml2 for Identity Provider: novascale-sandbox."
)]
#[tokio::test]
async fn an_unknown_provider_is_a_404(
    #[case] provider: &str,
    #[case] protocol: &str,
    #[case] message: &str,
) {
    let answer = Lab::new().await.federate_with(provider, protocol, "any").await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.body["error"]["message"], message);
}

#[tokio::test]
async fn a_scoped_token_carries_project_roles_and_catalog() {
    let lab = Lab::new().await;
    let unscoped = lab.unscoped().await;
    let scope = json!({ "project": { "name": "sandbox", "domain": { "name": "Default" } } });
    let answer = lab.rescope(&unscoped, scope).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let token = &answer.body["token"];
    assert_eq!(token["methods"], json!(["token", "openid"]));
    assert_eq!(token["project"]["id"], PROJECT);
    assert_eq!(token["roles"][0]["name"], "compute_operator");
    let urls: Vec<(&str, &str)> = token["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| (service["type"].as_str().unwrap(), &service["endpoints"][0]))
        .inspect(|(_, endpoint)| assert_eq!(endpoint["region_id"], "SANDBOX-1"))
        .map(|(kind, endpoint)| (kind, endpoint["url"].as_str().unwrap()))
        .collect();
    let compute = format!("{BASE}/compute/v2.1/{PROJECT}");
    assert_eq!(
        urls,
        [
            ("compute", compute.as_str()),
            ("network", "http://cloud.test/network/"),
            ("image", "http://cloud.test/image/"),
            ("identity", "http://cloud.test/identity/v3/"),
        ]
    );
}

#[rstest]
#[case::project(json!({ "project": { "id": "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f99" } }))]
#[case::domain(json!({ "project": { "name": "sandbox", "domain": { "name": "Other" } } }))]
#[case::nothing(json!({}))]
#[tokio::test]
async fn a_project_out_of_reach_is_a_401(#[case] scope: Value) {
    let lab = Lab::new().await;
    let unscoped = lab.unscoped().await;
    assert_eq!(lab.rescope(&unscoped, scope).await.status, 401);
}

#[tokio::test]
async fn rescoping_never_lengthens_a_life() {
    let lab = Lab::new().await;
    let unscoped = lab.unscoped().await;
    lab.wait_ms(1_800_000);
    let answer = lab.rescope(&unscoped, json!({ "project": { "id": PROJECT } })).await;
    assert_eq!(answer.body["token"]["expires_at"], "2026-01-02T04:00:00.000000Z");
    assert_eq!(answer.body["token"]["issued_at"], "2026-01-02T03:30:00.000000Z");
}

#[tokio::test]
async fn every_token_expires() {
    let lab = Lab::with(|config| config.rules.token_life_secs = 60).await;
    let tokens = lab.oauth("client", SECRET, "openid").await;
    lab.wait_ms(59_999);
    assert_eq!(lab.nova("GET", 75, "/servers", Value::Null).await.status, 200);
    lab.wait_ms(1);
    let answer = lab.nova("GET", 75, "/servers", Value::Null).await;
    assert_eq!((answer.status, &answer.body["error"]["code"]), (401, &json!(401)));
    let federated = lab.federate(tokens.body["id_token"].as_str().unwrap()).await;
    assert_eq!(federated.status, 401);
}

#[rstest]
#[case("password-77c2", 201)]
#[case("wrong", 401)]
#[tokio::test]
async fn a_password_signs_in(#[case] password: &str, #[case] status: u16) {
    let user = json!({ "name": "operator", "domain": { "name": "Default" }, "password": password });
    let identity = json!({ "methods": ["password"], "password": { "user": user } });
    let scope = json!({ "project": { "id": PROJECT } });
    let body = json!({ "auth": { "identity": identity, "scope": scope } });
    let answer = Lab::new().await.authenticate(body).await;
    assert_eq!(answer.status, status);
    assert_eq!(answer.body["token"]["catalog"].is_array(), status == 201);
}

#[rstest]
#[case(json!({ "id": "app-id", "secret": "app-secret-19d0" }), Value::Null, 201)]
#[case(
    json!({
        "name": "app",
        "user": { "name": "operator", "domain": { "id": "default" } },
        "secret": "app-secret-19d0",
    }),
    Value::Null,
    201
)]
#[case(json!({ "id": "app-id", "secret": "wrong" }), Value::Null, 401)]
#[case(
    json!({ "id": "app-id", "secret": "app-secret-19d0" }),
    json!({ "project": { "id": PROJECT } }),
    401
)]
#[tokio::test]
async fn an_application_credential_signs_in_without_a_scope(
    #[case] credential: Value,
    #[case] scope: Value,
    #[case] status: u16,
) {
    let identity =
        json!({ "methods": ["application_credential"], "application_credential": credential });
    let body = json!({ "auth": { "identity": identity, "scope": scope } });
    let answer = Lab::new().await.authenticate(body).await;
    assert_eq!(answer.status, status);
    assert_eq!(answer.body["token"]["project"].is_object(), status == 201);
}

#[tokio::test]
async fn a_request_without_its_parts_is_a_400_that_names_them() {
    let lab = Lab::new().await;
    let answer = lab.authenticate(json!({ "auth": {} })).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body["error"]["message"], "'identity' is a required property");
    let answer = lab.authenticate(json!([])).await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_token_can_be_looked_at_and_taken_back() {
    let lab = Lab::new().await;
    let request = |method: &str| {
        Request::builder()
            .method(method)
            .uri("/identity/v3/auth/tokens")
            .header("x-auth-token", &lab.token)
            .header("x-subject-token", &lab.token)
            .body(Body::empty())
            .unwrap()
    };
    let shown = lab.call(request("GET")).await;
    assert_eq!((shown.status, &shown.body["token"]["project"]["id"]), (200, &json!(PROJECT)));
    assert_eq!(lab.call(request("DELETE")).await.status, 204);
    assert_eq!(lab.call(request("GET")).await.status, 401);
}

#[tokio::test]
async fn keystone_tells_its_version_without_a_token() {
    let lab = Lab::new().await;
    let choices = lab.get("/identity/").await;
    assert_eq!(choices.status, 300);
    assert_eq!(choices.body["versions"]["values"][0]["id"], "v3.14");
    let version = lab.get("/identity/v3").await;
    assert_eq!(version.body["version"]["links"][0]["href"], format!("{BASE}/identity/v3/"));
}

#[tokio::test]
async fn no_secret_prints() {
    let lab = Lab::new().await;
    let printed = format!("{:?}", lab.sandbox);
    for secret in [SECRET, "password-77c2", "app-secret-19d0", lab.token.as_str()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
