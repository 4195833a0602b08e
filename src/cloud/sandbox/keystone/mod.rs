//! Keystone v3, as far as signing in and looking around need it.
//!
//! Refusals say as little as the real ones do: outside debug mode every 401 has the same words
//! (Keystone `exception.py`).

mod sign_in;
mod view;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::http::{self, Ask, Caller, Face, Shared, empty, json, with_header};
use super::model::identity::{Account, Kind, Token};
use super::model::refusal::Refusal;
use super::world::World;

const KEYSTONE: Face = Face { refuse };

pub(super) fn routes() -> Router<Shared> {
    let k = KEYSTONE;
    let federation =
        "/identity/v3/OS-FEDERATION/identity_providers/{provider}/protocols/{protocol}/auth";
    Router::new()
        .route("/identity", k.get(versions))
        .route("/identity/", k.get(versions))
        .route("/identity/v3", k.get(version))
        .route("/identity/v3/", k.get(version))
        .route(federation, k.get(sign_in::federated).merge(k.post(sign_in::federated)))
        .route(
            "/identity/v3/auth/tokens",
            k.post(sign_in::tokens).merge(k.get(show_token)).merge(k.delete(revoke)),
        )
        .route("/identity/v3/auth/catalog", k.get(catalog))
        .route("/identity/v3/auth/projects", k.get(projects))
        .route("/identity/v3/OS-FEDERATION/projects", k.get(projects))
        .route("/identity/v3/projects", k.get(projects))
        .route("/identity/v3/projects/{project}", k.get(project))
        .route("/identity/v3/users/{user}", k.get(user))
        .route("/identity/v3/users/{user}/projects", k.get(projects))
        .route("/identity/v3/domains", k.get(domains))
        .route("/identity/v3/domains/{domain}", k.get(domain))
        .route("/identity/v3/regions", k.get(regions))
}

fn versions(world: &World, _: &Ask) -> Result<Response, Refusal> {
    Ok(json(300, &json!({ "versions": { "values": [version_document(world)] } })))
}

fn version(world: &World, _: &Ask) -> Result<Response, Refusal> {
    Ok(json(200, &json!({ "version": version_document(world) })))
}

fn version_document(world: &World) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{ "rel": "self", "href": format!("{}/", world.config.auth_url()) }],
        "media-types": [{
            "base": "application/json",
            "type": "application/vnd.openstack.identity-v3+json",
        }],
    })
}

/// `GET /v3/auth/tokens`: who the token in `X-Subject-Token` is.
fn show_token(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    let subject = ask.header("x-subject-token").unwrap_or_default();
    let token = keystone_token(world, subject).ok_or_else(no_token)?;
    Ok(with_header(json(200, &view::token(world, &token)), "x-subject-token", subject))
}

fn revoke(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    let subject = ask.header("x-subject-token").unwrap_or_default();
    keystone_token(world, subject).ok_or_else(no_token)?;
    ask.change(world, |model, _| model.revoke(subject));
    Ok(empty(StatusCode::NO_CONTENT))
}

fn catalog(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    if !caller(world, ask)?.scoped {
        return Err(Refusal::Denied(
            "You are not authorized to perform the requested action.".to_owned(),
        ));
    }
    let links = json!({ "self": format!("{}/auth/catalog", world.config.auth_url()) });
    Ok(json(200, &json!({ "catalog": view::catalog(world), "links": links })))
}

fn projects(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    let wanted = |name: &str| ask.query.last(name);
    let config = &world.config;
    let matches = wanted("name").is_none_or(|name| name == config.project_name)
        && wanted("domain_id").is_none_or(|domain| domain == "default");
    let projects: Vec<Value> = matches.then(|| view::project(world)).into_iter().collect();
    Ok(json(200, &json!({ "projects": projects, "links": list_links(world, "projects") })))
}

fn project(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    let id = ask.part("project");
    if id != world.config.project_id {
        return Err(Refusal::Missing(format!("Could not find project: {id}.")));
    }
    Ok(json(200, &json!({ "project": view::project(world) })))
}

fn user(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    let id = ask.part("user");
    let found =
        [Account::Service, Account::Operator].into_iter().find(|account| account.user_id() == id);
    let account = found.ok_or_else(|| Refusal::Missing(format!("Could not find user: {id}.")))?;
    Ok(json(200, &json!({ "user": view::user_resource(world, account) })))
}

fn domains(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    Ok(json(
        200,
        &json!({ "domains": [view::domain(world)], "links": list_links(world, "domains") }),
    ))
}

fn domain(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    match ask.part("domain") {
        "default" => Ok(json(200, &json!({ "domain": view::domain(world) }))),
        id => Err(Refusal::Missing(format!("Could not find domain: {id}."))),
    }
}

fn regions(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    caller(world, ask)?;
    let region = json!({ "id": world.config.region, "description": "", "parent_region_id": null });
    Ok(json(200, &json!({ "regions": [region], "links": list_links(world, "regions") })))
}

/// The 401 and its like, in Keystone's form (Keystone `exception.py`).
pub(super) fn refuse(world: &World, why: &Refusal) -> Response {
    let answer = error(why.status(), &why.to_string());
    match why {
        Refusal::Unauthenticated => {
            let challenge = format!("Keystone uri=\"{}\"", world.config.auth_url());
            with_header(answer, "www-authenticate", &challenge)
        }
        Refusal::Invalid(_)
        | Refusal::Denied(_)
        | Refusal::Missing(_)
        | Refusal::NotOffered(_)
        | Refusal::Unacceptable(_)
        | Refusal::Conflict(_)
        | Refusal::TooLarge => answer,
    }
}

pub(super) fn missing_path() -> Response {
    error(404, "The resource could not be found.")
}

fn error(status: u16, message: &str) -> Response {
    let title = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default();
    let body = json!({ "error": { "code": status, "title": title, "message": message } });
    with_header(json(status, &body), "vary", "X-Auth-Token")
}

fn no_token() -> Refusal {
    Refusal::Missing("Could not find token.".to_owned())
}

fn caller(world: &World, ask: &Ask) -> Result<Caller, Refusal> {
    http::caller(world, &ask.headers)
}

fn keystone_token(world: &World, text: &str) -> Option<Token> {
    let now = world.now();
    let token = world.look(|model| model.token(text, now).cloned())?;
    matches!(token.kind, Kind::Keystone { .. }).then_some(token)
}

fn list_links(world: &World, what: &str) -> Value {
    json!({ "self": format!("{}/{what}", world.config.auth_url()), "next": null, "previous": null })
}
