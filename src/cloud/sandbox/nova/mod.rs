//! Nova's compute API 2.1 to 2.90: every route on one page, the version of each request, and how it
//! refuses.
//!
//! It answers: what does Nova say? It decides nothing about servers: form is checked here, meaning
//! in the model.
//!
//! The story: a request passes the token check, then [`negotiate`], which finds the microversion
//! and compares the project in the path with the token's. The verb checks the form of the body
//! (`schema.rs`, with Nova's own words) and asks the model; `view.rs` writes a server as that
//! version shows it.
//!
//! Read on in `create.rs` and `listing.rs`.

mod action;
mod create;
mod filter;
mod flavors;
mod groups;
mod keypairs;
mod labels;
mod listing;
mod pattern;
mod quotas;
mod schema;
mod servers;
mod view;
mod volumes;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::http::{
    Ask, Caller, Face, Shared, Version, authenticate, bad_method, json, with_header,
};
use super::model::refusal::Refusal;
use super::world::World;

const NOVA: Face = Face { refuse };

const BAD_METHOD: &str = "The method specified is not allowed for this resource.";

/// The highest microversion 2.x: Nova's of the releases Xena and Yoga.
pub(super) const MAX_VERSION: u32 = 90;

pub(super) fn routes(world: &Shared) -> Router<Shared> {
    let n = NOVA;
    let resources = servers_routes()
        .route("/flavors", n.get(flavors::index))
        .route("/flavors/detail", n.get(flavors::detail))
        .route("/flavors/{flavor}", n.get(flavors::show))
        .route("/flavors/{flavor}/os-extra_specs", n.get(flavors::extra_specs))
        .route("/limits", n.get(quotas::limits))
        .route("/os-quota-sets/{project}", n.get(quotas::show).merge(n.put(quotas::update)))
        .route("/os-quota-sets/{project}/detail", n.get(quotas::detail))
        .route("/os-quota-sets/{project}/defaults", n.get(quotas::defaults))
        .route("/os-server-groups", n.get(groups::index).merge(n.post(groups::create)))
        .route("/os-server-groups/{group}", n.get(groups::show).merge(n.delete(groups::delete)))
        .route("/os-keypairs", n.get(keypairs::index).merge(n.post(keypairs::create)))
        .route("/os-keypairs/{name}", n.get(keypairs::show).merge(n.delete(keypairs::delete)))
        .route("/os-security-groups", n.get(servers::all_security_groups))
        .route("/os-availability-zone", n.get(servers::zones))
        .route("/os-availability-zone/detail", n.get(servers::zone_detail))
        .route("/extensions", n.get(servers::extensions));
    let resources = Router::new()
        .nest("/compute/v2.1/{project_id}", resources)
        .route_layer(from_fn_with_state(world.clone(), negotiate))
        .route_layer(from_fn_with_state(world.clone(), authenticate));
    let versions = Router::new()
        .route("/compute", n.get(versions))
        .route("/compute/", n.get(versions))
        .route("/compute/v2.1", n.get(version))
        .route("/compute/v2.1/", n.get(version));
    let bad_method = from_fn_with_state((world.clone(), n, BAD_METHOD), bad_method);
    resources.merge(versions).route_layer(bad_method)
}

fn servers_routes() -> Router<Shared> {
    let n = NOVA;
    Router::new()
        .route("/servers", n.get(listing::index).merge(n.post(create::create)))
        .route("/servers/detail", n.get(listing::detail))
        .route(
            "/servers/{id}",
            n.get(servers::show).merge(n.put(servers::update)).merge(n.delete(servers::delete)),
        )
        .route("/servers/{id}/action", n.post(action::act))
        .route("/servers/{id}/ips", n.get(servers::addresses))
        .route(
            "/servers/{id}/os-interface",
            n.get(servers::interfaces).merge(n.post(servers::no_interface)),
        )
        .route("/servers/{id}/os-interface/{port}", n.delete(servers::no_interface))
        .route("/servers/{id}/os-security-groups", n.get(servers::security_groups))
        .route("/servers/{id}/os-volume_attachments", n.get(servers::volumes))
        .route("/servers/{id}/os-instance-actions", n.get(servers::events))
        .route("/servers/{id}/os-instance-actions/{request}", n.get(servers::event))
        .route(
            "/servers/{id}/tags",
            n.get(labels::tags).merge(n.put(labels::set_tags)).merge(n.delete(labels::clear_tags)),
        )
        .route(
            "/servers/{id}/tags/{tag}",
            n.get(labels::has_tag)
                .merge(n.put(labels::add_tag))
                .merge(n.delete(labels::remove_tag)),
        )
        .route(
            "/servers/{id}/metadata",
            n.get(labels::metadata)
                .merge(n.post(labels::add_metadata))
                .merge(n.put(labels::set_metadata)),
        )
        .route(
            "/servers/{id}/metadata/{key}",
            n.get(labels::metadata_item)
                .merge(n.put(labels::put_item))
                .merge(n.delete(labels::remove_item)),
        )
}

fn versions(world: &World, _: &Ask) -> Result<Response, Refusal> {
    let mut document = version_document(world);
    document["links"] = json!([document["links"][0]]);
    Ok(json(200, &json!({ "versions": [document] })))
}

/// Without a token: how a client finds out what it may ask for.
fn version(world: &World, _: &Ask) -> Result<Response, Refusal> {
    Ok(json(200, &json!({ "version": version_document(world) })))
}

fn version_document(world: &World) -> Value {
    json!({
        "id": "v2.1",
        "status": "CURRENT",
        "version": format!("2.{MAX_VERSION}"),
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": [
            { "rel": "self", "href": format!("{}/compute/v2.1/", world.config.base_url) },
            { "rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/" },
        ],
    })
}

/// Finds the microversion, checks the project, and says on the answer which version was used.
async fn negotiate(State(world): State<Shared>, mut request: Request, next: Next) -> Response {
    let version = match asked_version(request.headers()) {
        Ok(version) => version,
        Err(why) => return refuse(&world, &why),
    };
    if let Err(why) = check_project(&world, &request) {
        return versioned(refuse(&world, &why), version);
    }
    request.extensions_mut().insert(version);
    versioned(next.run(request).await, version)
}

fn versioned(answer: Response, version: Version) -> Response {
    let answer = with_header(answer, "openstack-api-version", &format!("compute 2.{}", version.0));
    let answer = with_header(answer, "x-openstack-nova-api-version", &format!("2.{}", version.0));
    with_header(answer, "vary", "OpenStack-API-Version, X-OpenStack-Nova-API-Version")
}

/// `OpenStack-API-Version: compute 2.52`, else the older `X-OpenStack-Nova-API-Version: 2.52`, else
/// 2.1.
fn asked_version(headers: &HeaderMap) -> Result<Version, Refusal> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let standard = text("openstack-api-version").and_then(|value| {
        value
            .split(',')
            .filter_map(|part| part.trim().split_once(' '))
            .find(|(service, _)| *service == "compute")
    });
    let asked = standard
        .map(|(_, version)| version.trim())
        .or_else(|| text("x-openstack-nova-api-version"));
    match asked.unwrap_or("2.1") {
        "latest" => Ok(Version(MAX_VERSION)),
        version => parse_version(version),
    }
}

fn parse_version(text: &str) -> Result<Version, Refusal> {
    let parts = text
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match parts {
        Some((2_u32, minor @ 1..=MAX_VERSION)) => Ok(Version(minor)),
        Some(_) => Err(Refusal::Unacceptable(format!(
            "Version {text} is not supported by the API. Minimum is 2.1 and maximum is \
             2.{MAX_VERSION}."
        ))),
        None => Err(Refusal::Invalid(format!(
            "API Version String {text} is of invalid format. Must be of format MajorNum.MinorNum."
        ))),
    }
}

/// The project in the URL has to be the token's (Nova `api/openstack/wsgi.py`).
fn check_project(world: &World, request: &Request) -> Result<(), Refusal> {
    let scoped = request.extensions().get::<Caller>().is_some_and(|caller| caller.scoped);
    let token = if scoped { world.config.project_id.as_str() } else { "None" };
    let given = request
        .uri()
        .path()
        .trim_start_matches("/compute/v2.1/")
        .split('/')
        .next()
        .unwrap_or_default();
    if given == token {
        return Ok(());
    }
    Err(Refusal::Invalid(format!(
        "Malformed request URL: URL's project_id '{given}' doesn't match Context's \
         project_id '{token}'"
    )))
}

fn refuse(_: &World, why: &Refusal) -> Response {
    fault(why.status(), &why.to_string())
}

/// One member named after the status, around code and message (Nova `api/openstack/wsgi.py`,
/// `Fault`).
pub(super) fn fault(status: u16, message: &str) -> Response {
    let name = match status {
        400 => "badRequest",
        401 => "unauthorized",
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 => "overLimit",
        _ => "computeFault",
    };
    let mut body = Map::new();
    body.insert(name.to_owned(), json!({ "code": status, "message": message }));
    json(status, &Value::Object(body))
}

/// The two links of every resource.
fn links(world: &World, collection: &str, id: &str) -> Value {
    json!([
        { "rel": "self", "href": format!("{}/{collection}/{id}", project_url(world)) },
        { "rel": "bookmark", "href": bookmark(world, collection, id) },
    ])
}

fn bookmark(world: &World, collection: &str, id: &str) -> String {
    format!("{}/compute/{}/{collection}/{id}", world.config.base_url, world.config.project_id)
}

fn project_url(world: &World) -> String {
    format!("{}/compute/v2.1/{}", world.config.base_url, world.config.project_id)
}

/// The page's link to the next one.
fn next_link(world: &World, ask: &Ask, collection: &str, last: &str) -> Value {
    let href = format!("{}/{collection}?{}", project_url(world), ask.query.after(last));
    json!([{ "rel": "next", "href": href }])
}

/// # Errors
/// [`Refusal::Missing`]: below the version in which a resource came, it is not there.
fn since(ask: &Ask, minor: u32) -> Result<(), Refusal> {
    if ask.version.has(minor) {
        Ok(())
    } else {
        Err(Refusal::Missing(super::http::NOT_FOUND.to_owned()))
    }
}
