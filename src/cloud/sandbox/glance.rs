//! Glance v2: the images, to look up by name and to list.
//!
//! An unknown query parameter is a filter on a property of that name (Glance `api/v2/images.py`); a
//! 404 is a web page.

use std::cmp::Ordering;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use serde_json::{Value, json};

use super::http::{Ask, Face, Shared, authenticate, bad_method, html_not_found, json};
use super::model::refusal::Refusal;
use super::world::World;

const GLANCE: Face = Face { refuse };

const READ_ONLY: &str = "The images of the embedded cloud are fixed: it lists them and takes none.";

/// Images on a page when no limit is given, and at most (Glance `common/config.py`).
const DEFAULT_PAGE: usize = 25;
const MAX_PAGE: usize = 1_000;

/// Parameters that steer the listing or say what is true of every image here.
const NO_FILTER: [&str; 8] =
    ["limit", "marker", "sort", "sort_key", "sort_dir", "member_status", "changes-since", "owner"];

pub(super) fn routes(world: &Shared) -> Router<Shared> {
    let g = GLANCE;
    let images = Router::new()
        .route("/image/v2/images", g.get(list))
        .route("/image/v2/images/{image}", g.get(show))
        .route_layer(from_fn_with_state(world.clone(), authenticate));
    Router::new()
        .route("/image", g.get(versions))
        .route("/image/", g.get(versions))
        .route("/image/versions", g.get(versions_ok))
        .merge(images)
        .route_layer(from_fn_with_state((world.clone(), g, READ_ONLY), bad_method))
}

fn versions(world: &World, _: &Ask) -> Result<Response, Refusal> {
    // 300 is no redirect: the body is the answer.
    Ok(json(300, &version_list(world)))
}

fn versions_ok(world: &World, _: &Ask) -> Result<Response, Refusal> {
    Ok(json(200, &version_list(world)))
}

fn version_list(world: &World) -> Value {
    let link = json!([{ "rel": "self", "href": format!("{}/image/v2/", world.config.base_url) }]);
    json!({ "versions": [
        { "id": "v2.9", "status": "CURRENT", "links": link },
        { "id": "v2.0", "status": "SUPPORTED", "links": link },
    ] })
}

fn show(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let images = all(world);
    match images.iter().find(|image| image["id"] == ask.part("image")) {
        Some(image) => Ok(json(200, image)),
        None => Ok(html_not_found()),
    }
}

fn list(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let mut images = all(world);
    if ask.query.last("os_hidden").is_none() {
        images.retain(|image| image["os_hidden"] == false);
    }
    images.retain(|image| ask.query.0.iter().all(|(name, value)| matches(image, name, value)));
    let order = order(ask)?;
    images.sort_by(|a, b| compare(a, b, &order));
    let images = after_marker(images, ask.query.last("marker"))?;
    let limit = limit(ask)?;
    let page = &images[..limit.min(images.len())];
    let mut body = json!({ "images": page, "first": first(ask), "schema": "/v2/schemas/images" });
    // As in Glance, a full page always promises another (`ImagesController.index`).
    if let Some(last) = page.last().filter(|_| page.len() == limit) {
        let id = last["id"].as_str().unwrap_or_default();
        body["next"] = json!(format!("/v2/images?{}", ask.query.after(id)));
    }
    Ok(json(200, &body))
}

/// A value `in:a,b` means any of them.
fn matches(image: &Value, name: &str, value: &str) -> bool {
    match name {
        _ if NO_FILTER.contains(&name) => true,
        "visibility" if value == "all" => true,
        "tag" => false,
        _ => match value.strip_prefix("in:") {
            Some(several) => several.split(',').any(|one| is(image, name, one.trim_matches('"'))),
            None => is(image, name, value),
        },
    }
}

fn is(image: &Value, name: &str, value: &str) -> bool {
    match &image[name] {
        Value::String(text) => text == value,
        Value::Bool(yes) => yes.to_string() == value.to_lowercase(),
        Value::Number(number) => number.to_string() == value,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// `sort=key:dir,…` or pairs of `sort_key` and `sort_dir`; newest first by default.
fn order(ask: &Ask) -> Result<Vec<(String, bool)>, Refusal> {
    let sorts: Vec<(String, String)> = match ask.query.last("sort") {
        Some(sort) => sort
            .split(',')
            .map(|part| part.split_once(':').unwrap_or((part, "desc")))
            .map(owned)
            .collect(),
        None => {
            let directions = ask.query.all("sort_dir").chain(std::iter::repeat("desc"));
            ask.query.all("sort_key").zip(directions).map(owned).collect()
        }
    };
    let sorts = if sorts.is_empty() { vec![owned(("created_at", "desc"))] } else { sorts };
    sorts
        .into_iter()
        .map(|(key, direction)| direction_of(&direction).map(|up| (key.trim().to_owned(), up)))
        .collect()
}

fn owned((key, direction): (&str, &str)) -> (String, String) {
    (key.to_owned(), direction.to_owned())
}

fn direction_of(word: &str) -> Result<bool, Refusal> {
    match word.trim() {
        "asc" => Ok(true),
        "desc" => Ok(false),
        other => Err(Refusal::Invalid(format!("Invalid sort direction: {other}"))),
    }
}

fn compare(a: &Value, b: &Value, order: &[(String, bool)]) -> Ordering {
    let key = |image: &Value, name: &str| image[name].as_str().unwrap_or_default().to_owned();
    let one = |(name, up): &(String, bool)| {
        let ordering = key(a, name).cmp(&key(b, name));
        if *up { ordering } else { ordering.reverse() }
    };
    order
        .iter()
        .map(one)
        .find(|ordering| ordering.is_ne())
        .unwrap_or_else(|| key(b, "id").cmp(&key(a, "id")))
}

fn after_marker(images: Vec<Value>, marker: Option<&str>) -> Result<Vec<Value>, Refusal> {
    let Some(marker) = marker else { return Ok(images) };
    let position = images.iter().position(|image| image["id"] == marker);
    let position = position
        .ok_or_else(|| Refusal::Invalid("Invalid marker. Image could not be found.".to_owned()))?;
    Ok(images.into_iter().skip(position + 1).collect())
}

fn limit(ask: &Ask) -> Result<usize, Refusal> {
    let Some(text) = ask.query.last("limit") else { return Ok(DEFAULT_PAGE) };
    let limit = text.parse::<usize>();
    limit
        .map(|limit| limit.min(MAX_PAGE))
        .map_err(|_| Refusal::Invalid("limit param must be an integer".to_owned()))
}

fn first(ask: &Ask) -> String {
    let kept = ask.query.0.iter().filter(|(key, _)| key != "marker");
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
    if query.is_empty() { "/v2/images".to_owned() } else { format!("/v2/images?{query}") }
}

fn all(world: &World) -> Vec<Value> {
    world.look(|model| {
        let image = |image: &super::model::catalogue::Image| {
            json!({
                "id": image.id,
                "name": image.name,
                "status": "active",
                "visibility": "public",
                "protected": true,
                "os_hidden": image.hidden,
                "owner": "0b4a11c0de0040008000000000000000",
                "created_at": image.created_at,
                "updated_at": image.created_at,
                "size": image.size,
                "virtual_size": null,
                "min_disk": 0,
                "min_ram": 0,
                "disk_format": "raw",
                "container_format": "bare",
                "checksum": null,
                "tags": [],
                "os_distro": image.os_distro,
                "os_version": image.os_version,
                "self": format!("/v2/images/{}", image.id),
                "file": format!("/v2/images/{}/file", image.id),
                "schema": "/v2/schemas/image",
            })
        };
        model.catalogue().images.iter().map(image).collect()
    })
}

fn refuse(_: &World, why: &Refusal) -> Response {
    json(why.status(), &json!({ "message": why.to_string(), "code": why.status() }))
}
