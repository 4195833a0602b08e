//! How a token of Keystone comes about: from an identity provider, a password, an application
//! credential, or another token.

use axum::response::Response;
use secrecy::ExposeSecret as _;
use serde_json::Value;

use super::super::http::{Ask, json, with_header};
use super::super::model::identity::{Account, Kind, Token};
use super::super::model::refusal::Refusal;
use super::super::model::{Millis, Turn};
use super::super::oidc::{keys_rotated, same};
use super::super::world::World;
use super::{keystone_token, view};
use crate::config::rehearsal::Fault;

/// Who signs in, before a scope is looked at.
struct Proven {
    account: Account,
    methods: Vec<String>,
    /// A token that was shown: what comes of it never lives longer (Keystone
    /// `auth/plugins/token.py`).
    at_most: Option<Millis>,
    /// An application credential is bound to its project already.
    bound: bool,
}

/// `…/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}/auth`: an id_token for an
/// unscoped token.
pub(super) fn federated(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let (provider, protocol) = (ask.part("provider"), ask.part("protocol"));
    if provider != world.config.identity_provider {
        return Err(Refusal::Missing(format!("Could not find Identity Provider: {provider}.")));
    }
    if protocol != world.config.protocol {
        let why = format!(
            "Could not find federated protocol {protocol} for Identity Provider: {provider}."
        );
        return Err(Refusal::Missing(why));
    }
    let account = id_token(world, ask).ok_or(Refusal::Unauthenticated)?;
    let methods = vec![protocol.to_owned()];
    Ok(issue(world, ask, Proven { account, methods, at_most: None, bound: false }, false))
}

/// `POST /v3/auth/tokens`.
pub(super) fn tokens(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let body = ask.json()?;
    let auth = required(&body, "auth")?;
    let proven = prove(world, required(auth, "identity")?)?;
    let scope = auth.get("scope").filter(|scope| !scope.is_null() && *scope != "unscoped");
    // Keystone refuses any scope beside an application credential (`auth/core.py`).
    if proven.bound && scope.is_some() {
        return Err(Refusal::Unauthenticated);
    }
    let scoped = match scope {
        Some(scope) if is_project(world, scope) => true,
        Some(_) => return Err(Refusal::Unauthenticated),
        None => proven.bound,
    };
    Ok(issue(world, ask, proven, scoped))
}

fn id_token(world: &World, ask: &Ask) -> Option<Account> {
    let (kind, text) = ask.header("authorization")?.split_once(' ')?;
    let now = world.now();
    let token = world.look(|model| model.token(text.trim(), now).cloned())?;
    (kind.eq_ignore_ascii_case("bearer") && token.kind == Kind::Id).then_some(token.account)
}

fn prove(world: &World, identity: &Value) -> Result<Proven, Refusal> {
    let methods: Vec<&str> = required(identity, "methods")?
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    match methods.as_slice() {
        ["token"] => by_token(world, required(identity, "token")?),
        ["password"] => by_password(world, required(identity, "password")?),
        ["application_credential"] => {
            by_application(world, required(identity, "application_credential")?)
        }
        _ => Err(Refusal::Unauthenticated),
    }
}

fn by_token(world: &World, given: &Value) -> Result<Proven, Refusal> {
    let token = keystone_token(world, text(given, "id")).ok_or(Refusal::Unauthenticated)?;
    let Kind::Keystone { methods: earlier, .. } = token.kind else {
        return Err(Refusal::Unauthenticated);
    };
    let mut methods = vec!["token".to_owned()];
    methods.extend(earlier.into_iter().filter(|method| method != "token"));
    Ok(Proven { account: token.account, methods, at_most: Some(token.expires), bound: false })
}

fn by_password(world: &World, given: &Value) -> Result<Proven, Refusal> {
    let user = required(given, "user")?;
    let known = is_operator(world, user);
    let right = same(text(user, "password"), world.config.credentials.password.expose_secret());
    prove_operator(world, "password", known & right, false)
}

fn by_application(world: &World, given: &Value) -> Result<Proven, Refusal> {
    let application =
        world.config.credentials.application_credential.as_ref().ok_or(Refusal::Unauthenticated)?;
    let by_name = || text(given, "name") == application.name && is_operator(world, &given["user"]);
    let known = same(text(given, "id"), &application.id) || by_name();
    let right = same(text(given, "secret"), application.secret.expose_secret());
    prove_operator(world, "application_credential", known & right, true)
}

fn prove_operator(
    world: &World,
    method: &str,
    right: bool,
    bound: bool,
) -> Result<Proven, Refusal> {
    let right = right & !keys_rotated(world);
    let proven = Proven {
        account: Account::Operator,
        methods: vec![method.to_owned()],
        at_most: None,
        bound,
    };
    if right { Ok(proven) } else { Err(Refusal::Unauthenticated) }
}

/// By id, or by name in the domain `Default`.
fn is_operator(world: &World, user: &Value) -> bool {
    let by_name = text(user, "name") == world.config.credentials.username
        && is_default_domain(&user["domain"]);
    text(user, "id") == Account::Operator.user_id() || by_name
}

/// The one project, by id or by name in the domain `Default`. Unknown, disabled and forbidden look
/// alike, as they do in Keystone.
fn is_project(world: &World, scope: &Value) -> bool {
    let project = &scope["project"];
    let by_name =
        text(project, "name") == world.config.project_name && is_default_domain(&project["domain"]);
    text(project, "id") == world.config.project_id || by_name
}

fn is_default_domain(domain: &Value) -> bool {
    text(domain, "id") == "default" || text(domain, "name") == "Default"
}

fn issue(world: &World, ask: &Ask, proven: Proven, scoped: bool) -> Response {
    let account = proven.account;
    let issued = world.sign_in(account, &ask.request_id, |model, turn| {
        let secret = turn.dice.secret();
        let token = token(proven, scoped, turn);
        model.store_token(&secret, token.clone());
        (secret, token)
    });
    let (secret, token) = issued;
    let answer = with_header(json(201, &view::token(world, &token)), "x-subject-token", &secret);
    with_header(answer, "vary", "X-Auth-Token")
}

fn token(proven: Proven, scoped: bool, turn: &mut Turn<'_>) -> Token {
    let life = turn.faults.lasts(Fault::TokensShort).unwrap_or(turn.rules.token_life_ms());
    let full = turn.now + life;
    Token {
        account: proven.account,
        kind: Kind::Keystone { methods: proven.methods, scoped },
        audit_id: turn.dice.word(22),
        issued: turn.now,
        expires: proven.at_most.map_or(full, |most| most.min(full)),
    }
}

fn required<'a>(value: &'a Value, name: &str) -> Result<&'a Value, Refusal> {
    value.get(name).ok_or_else(|| Refusal::Invalid(format!("'{name}' is a required property")))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}
