//! Server groups: `policies` and `metadata` below 2.64, `policy` and `rules` from there.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::http::{Ask, Version, empty, json};
use super::super::model::Model;
use super::super::model::groups::{Policy, ServerGroup};
use super::super::model::refusal::Refusal;
use super::super::world::World;
use super::schema::{self, Object};

pub(super) fn index(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    world.look(|model| {
        let write = |group| write(world, model, group, ask.version);
        Ok(json(
            200,
            &json!({ "server_groups": model.groups().values().map(write).collect::<Vec<_>>() }),
        ))
    })
}

pub(super) fn show(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    answer(world, ask, ask.part("group"))
}

pub(super) fn create(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let body = schema::body(&request, "server_group")?;
    let name = schema::name(schema::required(body, "server_group", "name")?, "name")?;
    let (policy, most) =
        if ask.version.has(64) { policy(body)? } else { (policies(body, ask.version)?, None) };
    let id = ask.change(world, |model, turn| model.create_group(name, policy, most, turn))?;
    answer(world, ask, &id)
}

pub(super) fn delete(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    ask.change(world, |model, _| model.delete_group(ask.part("group")))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn answer(world: &World, ask: &Ask, id: &str) -> Result<Response, Refusal> {
    world.look(|model| {
        let group = write(world, model, model.group(id)?, ask.version);
        Ok(json(200, &json!({ "server_group": group })))
    })
}

fn policy(body: &Object) -> Result<(Policy, Option<u32>), Refusal> {
    schema::only(body, "server_group", &["name", "policy", "rules"])?;
    let policy = word(schema::required(body, "server_group", "policy")?, "policy", Version(64))?;
    let rules = body.get("rules").map(|rules| schema::object(rules, "rules")).transpose()?;
    let Some(rules) = rules.filter(|rules| !rules.is_empty()) else { return Ok((policy, None)) };
    schema::only(rules, "rules", &["max_server_per_host"])?;
    if policy != Policy::AntiAffinity {
        return Err(Refusal::Invalid("Only anti-affinity policy supports rules.".to_owned()));
    }
    let most = rules
        .get("max_server_per_host")
        .map(|value| schema::positive(value, "max_server_per_host"));
    Ok((policy, most.transpose()?))
}

fn policies(body: &Object, version: Version) -> Result<Policy, Refusal> {
    schema::only(body, "server_group", &["name", "policies"])?;
    let value = schema::required(body, "server_group", "policies")?;
    match value.as_array().map(Vec::as_slice) {
        Some([one]) => word(one, "policies", version),
        Some(_) => Err(schema::invalid("policies", "[…]", "[…] is too long")),
        None => Err(schema::wrong_type("policies", value, "array")),
    }
}

/// The soft policies came with 2.15.
fn word(value: &Value, at: &str, version: Version) -> Result<Policy, Refusal> {
    let text = schema::text(value, at, 1, 255)?;
    let found = Policy::ALL.into_iter().find(|policy| policy.word() == text);
    let found = found.filter(|policy| version.has(15) || !policy.word().starts_with("soft"));
    found.ok_or_else(|| schema::invalid(at, &text, &format!("'{text}' is not one of the policies")))
}

fn write(world: &World, model: &Model, group: &ServerGroup, version: Version) -> Value {
    let mut out =
        json!({ "id": group.id, "name": group.name, "members": model.members(&group.id) });
    if version.has(64) {
        out["policy"] = json!(group.policy.word());
        out["rules"] = match group.max_server_per_host {
            Some(most) => json!({ "max_server_per_host": most }),
            None => json!({}),
        };
    } else {
        out["policies"] = json!([group.policy.word()]);
        out["metadata"] = json!({});
    }
    if version.has(13) {
        out["project_id"] = json!(world.config.project_id);
        out["user_id"] = json!(group.owner.user_id());
    }
    out
}
