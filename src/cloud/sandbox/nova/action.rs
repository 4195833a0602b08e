//! `POST /servers/{id}/action`: one member names the action.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::http::{Ask, Version, empty, json};
use super::super::model::actions::{Action, Rebuild};
use super::super::model::refusal::Refusal;
use super::super::world::World;
use super::schema::{self, Object};
use super::view::Pen;

pub(super) fn act(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let action = read(&request, ask.version)?;
    let rebuilds = matches!(action, Action::Rebuild(_));
    let id = ask.part("id");
    ask.change(world, |model, turn| model.act(id, action, turn))?;
    if !rebuilds {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    world.look(|model| {
        let pen = Pen { world, model, version: ask.version };
        Ok(json(202, &json!({ "server": pen.full(model.server(id)?) })))
    })
}

fn read(request: &Value, version: Version) -> Result<Action, Refusal> {
    let body =
        request.as_object().ok_or_else(|| Refusal::Invalid("Malformed request body".to_owned()))?;
    let (name, value) = match body.iter().collect::<Vec<_>>().as_slice() {
        [(name, value)] => (name.as_str(), *value),
        _ => return Err(Refusal::Invalid("Malformed request body".to_owned())),
    };
    match name {
        "lock" => Ok(Action::Lock { reason: lock_reason(value, version)? }),
        "unlock" => Ok(Action::Unlock),
        "reboot" => reboot(value),
        "os-start" => Ok(Action::Start),
        "os-stop" => Ok(Action::Stop),
        "rebuild" => rebuild(schema::object(value, "rebuild")?, version).map(Action::Rebuild),
        other => {
            Err(Refusal::Invalid(format!("There is no such action in the embedded cloud: {other}")))
        }
    }
}

fn lock_reason(value: &Value, version: Version) -> Result<Option<String>, Refusal> {
    let Some(lock) = value.as_object().filter(|_| version.has(73)) else { return Ok(None) };
    schema::only(lock, "lock", &["locked_reason"])?;
    let reason = lock.get("locked_reason");
    reason.map(|reason| schema::text(reason, "locked_reason", 1, 255)).transpose()
}

fn reboot(value: &Value) -> Result<Action, Refusal> {
    let reboot = schema::object(value, "reboot")?;
    let kind = schema::text(schema::required(reboot, "reboot", "type")?, "type", 0, 4)?;
    match kind.to_uppercase().as_str() {
        "SOFT" => Ok(Action::RebootSoft),
        "HARD" => Ok(Action::RebootHard),
        _ => {
            Err(schema::invalid("type", &kind, &format!("'{kind}' is not one of ['HARD', 'SOFT']")))
        }
    }
}

fn rebuild(body: &Object, version: Version) -> Result<Rebuild, Refusal> {
    schema::only(body, "rebuild", &rebuild_fields(version))?;
    if let Some(user_data) = body.get("user_data").filter(|value| !value.is_null()) {
        schema::user_data(user_data)?;
    }
    Ok(Rebuild {
        image: schema::uuid(schema::required(body, "rebuild", "imageRef")?, "imageRef")?,
        name: body.get("name").map(|value| schema::name(value, "name")).transpose()?,
        metadata: body.get("metadata").map(schema::metadata).transpose()?,
        description: body
            .get("description")
            .map(|value| schema::nullable(value, "description", 255))
            .transpose()?,
        key_name: body
            .get("key_name")
            .map(|value| schema::nullable(value, "key_name", 255))
            .transpose()?,
    })
}

fn rebuild_fields(version: Version) -> Vec<&'static str> {
    let mut allowed = vec![
        "imageRef",
        "name",
        "adminPass",
        "metadata",
        "preserve_ephemeral",
        "OS-DCF:diskConfig",
        "accessIPv4",
        "accessIPv6",
    ];
    let since = [
        (19, "description"),
        (54, "key_name"),
        (57, "user_data"),
        (63, "trusted_image_certificates"),
        (90, "hostname"),
    ];
    allowed
        .extend(since.into_iter().filter(|(minor, _)| version.has(*minor)).map(|(_, name)| name));
    if !version.has(57) {
        allowed.push("personality");
    }
    allowed
}
