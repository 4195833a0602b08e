//! The identity provider: discovery, and tokens for client credentials (RFC 6749 §4.4, OpenID
//! Connect Discovery §4).
//!
//! Both tokens are opaque to everybody but Keystone here, which takes the `id_token` only. It has
//! the three parts of a JWT, unsigned: nothing in it is to be believed without asking.

use axum::Router;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::config::Credentials;
use super::http::{Ask, Face, Query, Shared, json, with_header};
use super::model::identity::{Account, Kind, Token};
use super::model::refusal::Refusal;
use super::model::{Model, Turn};
use super::world::World;
use crate::config::rehearsal::Fault;

const OIDC: Face = Face { refuse };

/// The scopes of OVHcloud's guide for service accounts, and what clients add by habit.
const SCOPES: [&str; 5] =
    ["openid", "profile", "email", "publicCloudProject/all", "offline_access"];

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/oidc/.well-known/openid-configuration", OIDC.get(discovery))
        .route("/oidc/jwks.json", OIDC.get(keys))
        .route("/oidc/token", OIDC.post(token))
}

fn discovery(world: &World, _: &Ask) -> Result<Response, Refusal> {
    let issuer = issuer(world);
    let document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/jwks.json"),
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "scopes_supported": SCOPES,
        "id_token_signing_alg_values_supported": ["none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    });
    Ok(json(200, &document))
}

fn keys(_: &World, _: &Ask) -> Result<Response, Refusal> {
    Ok(json(200, &json!({ "keys": [] })))
}

fn token(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let form = Query::parse(&String::from_utf8_lossy(ask.body()?));
    let known = is_client(&world.config.credentials, ask, &form);
    if !known || keys_rotated(world) {
        let denied = oauth_error(
            401,
            "invalid_client",
            "Client authentication failed: unknown client or wrong secret.",
        );
        return Ok(with_header(denied, "www-authenticate", "Basic realm=\"oauth2\""));
    }
    if form.last("grant_type") != Some("client_credentials") {
        return Ok(oauth_error(
            400,
            "unsupported_grant_type",
            "This provider grants client_credentials only.",
        ));
    }
    let scope = form.last("scope").unwrap_or_default();
    if !scope.split_whitespace().all(|word| SCOPES.contains(&word)) {
        return Ok(oauth_error(
            400,
            "invalid_scope",
            "The requested scope is invalid, unknown, or malformed.",
        ));
    }
    let granted = world
        .sign_in(Account::Service, &ask.request_id, |model, turn| grant(world, model, scope, turn));
    Ok(with_header(json(200, &granted), "cache-control", "no-store"))
}

fn grant(world: &World, model: &mut Model, scope: &str, turn: &mut Turn<'_>) -> Value {
    let life = (turn.now, turn.now + turn.rules.token_life_ms());
    let mut answer = json!({
        // Nothing here takes it, so it is not kept: Keystone wants the other one.
        "access_token": turn.dice.secret(),
        "token_type": "bearer",
        "expires_in": turn.rules.token_life_secs,
        "scope": scope,
    });
    if scope.split_whitespace().any(|word| word == "openid") {
        answer["id_token"] = Value::String(id_token(world, model, life, turn));
    }
    answer
}

fn id_token(
    world: &World,
    model: &mut Model,
    (issued, expires): (i64, i64),
    turn: &mut Turn<'_>,
) -> String {
    let claims = json!({
        "iss": issuer(world),
        "sub": world.config.credentials.client_id,
        "aud": world.config.credentials.client_id,
        "iat": issued / 1_000,
        "exp": expires / 1_000,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!(
        "{}.{}.{}",
        part(&json!({ "alg": "none", "typ": "JWT" })),
        part(&claims),
        turn.dice.secret()
    );
    let audit_id = turn.dice.word(22);
    model.store_token(
        &text,
        Token { account: Account::Service, kind: Kind::Id, audit_id, issued, expires },
    );
    text
}

/// HTTP Basic of the raw `id:secret`, as keystoneauth and reqwest send it, or both in the form.
fn is_client(credentials: &Credentials, ask: &Ask, form: &Query) -> bool {
    let given = basic(ask).or_else(|| {
        let (id, secret) = (form.last("client_id")?, form.last("client_secret")?);
        Some((id.to_owned(), secret.to_owned()))
    });
    given.is_some_and(|(id, secret)| {
        let right_id = same(&id, &credentials.client_id);
        let right_secret = same(&secret, credentials.client_secret.expose_secret());
        right_id & right_secret
    })
}

fn basic(ask: &Ask) -> Option<(String, String)> {
    let (kind, encoded) = ask.header("authorization")?.split_once(' ')?;
    if !kind.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    text.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

/// Whether a secret is taken for one that was rotated away.
pub(super) fn keys_rotated(world: &World) -> bool {
    world.faults(|faults, _| faults.strikes(Fault::KeysRotated))
}

/// Compares without telling by the time taken where the difference lies.
pub(super) fn same(given: &str, right: &str) -> bool {
    bool::from(given.as_bytes().ct_eq(right.as_bytes()))
}

fn issuer(world: &World) -> String {
    format!("{}/oidc", world.config.base_url)
}

fn refuse(_: &World, why: &Refusal) -> Response {
    oauth_error(why.status(), "invalid_request", &why.to_string())
}

fn oauth_error(status: u16, error: &str, description: &str) -> Response {
    json(status, &json!({ "error": error, "error_description": description }))
}
