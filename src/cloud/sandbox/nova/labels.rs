//! Tags and metadata of one server.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::super::http::{Ask, empty, json, with_header};
use super::super::model::labels::Tagged;
use super::super::model::refusal::Refusal;
use super::super::world::World;
use super::schema;
use super::{project_url, since};

pub(super) fn tags(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    since(ask, 26)?;
    world.look(|model| Ok(json(200, &json!({ "tags": model.server(ask.part("id"))?.tags }))))
}

pub(super) fn has_tag(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    since(ask, 26)?;
    let (id, tag) = (ask.part("id"), ask.part("tag"));
    if world.look(|model| Ok(model.server(id)?.tags.contains(tag)))? {
        return Ok(empty(StatusCode::NO_CONTENT));
    }
    Err(Refusal::Missing(format!("Server {id} has no tag '{tag}'")))
}

pub(super) fn add_tag(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    since(ask, 26)?;
    let (id, tag) = (ask.part("id"), ask.part("tag"));
    schema::tag(&json!(tag)).map_err(|why| {
        Refusal::Invalid(format!(
            "Tag '{tag}' is invalid. It must be a non empty string without characters '/' and ','. \
             Validation error message: {why}"
        ))
    })?;
    match ask.change(world, |model, turn| model.add_tag(id, tag, turn))? {
        Tagged::Already => Ok(empty(StatusCode::NO_CONTENT)),
        Tagged::Added => {
            let location = format!("{}/servers/{id}/tags/{tag}", project_url(world));
            Ok(with_header(empty(StatusCode::CREATED), "location", &location))
        }
    }
}

pub(super) fn remove_tag(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    since(ask, 26)?;
    ask.change(world, |model, turn| model.remove_tag(ask.part("id"), ask.part("tag"), turn))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) fn set_tags(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    since(ask, 26)?;
    let request = ask.json()?;
    let outer =
        request.as_object().ok_or_else(|| Refusal::Invalid("Malformed request body".to_owned()))?;
    schema::only_root(outer, &["tags"])?;
    let tags = outer
        .get("tags")
        .ok_or_else(|| Refusal::Invalid("'tags' is a required property".to_owned()))?;
    let tags = schema::tags(tags)?;
    ask.change(world, |model, turn| model.set_tags(ask.part("id"), tags.clone(), turn))?;
    Ok(json(200, &json!({ "tags": tags })))
}

pub(super) fn clear_tags(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    since(ask, 26)?;
    ask.change(world, |model, turn| {
        model.set_tags(ask.part("id"), std::collections::BTreeSet::new(), turn)
    })?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) fn metadata(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    world
        .look(|model| Ok(json(200, &json!({ "metadata": model.server(ask.part("id"))?.metadata }))))
}

pub(super) fn add_metadata(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    write_metadata(world, ask, false)
}

pub(super) fn set_metadata(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    write_metadata(world, ask, true)
}

fn write_metadata(world: &World, ask: &Ask, replace: bool) -> Result<Response, Refusal> {
    let request = ask.json()?;
    schema::body(&request, "metadata")?;
    let items = schema::metadata(&request["metadata"])?;
    let written = ask
        .change(world, |model, turn| model.write_metadata(ask.part("id"), items, replace, turn))?;
    Ok(json(200, &json!({ "metadata": written })))
}

pub(super) fn metadata_item(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let key = ask.part("key");
    let value = world.look(|model| Ok(model.server(ask.part("id"))?.metadata.get(key).cloned()))?;
    let value = value.ok_or_else(|| Refusal::Missing("Metadata item was not found".to_owned()))?;
    let mut meta = Map::new();
    meta.insert(key.to_owned(), Value::String(value));
    Ok(json(200, &json!({ "meta": meta })))
}

pub(super) fn put_item(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let meta = schema::body(&request, "meta")?;
    if !meta.contains_key(ask.part("key")) {
        return Err(Refusal::Invalid("Request body and URI mismatch".to_owned()));
    }
    let items = schema::metadata(&request["meta"])?;
    ask.change(world, |model, turn| model.write_metadata(ask.part("id"), items, false, turn))?;
    Ok(json(200, &json!({ "meta": meta })))
}

pub(super) fn remove_item(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    ask.change(world, |model, turn| model.remove_metadata(ask.part("id"), ask.part("key"), turn))?;
    Ok(empty(StatusCode::NO_CONTENT))
}
