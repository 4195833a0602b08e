//! Key pairs of the caller (Nova `keypairs.py`). They are imported: this cloud makes no private
//! keys.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::http::{Ask, Version, empty, json, micros};
use super::super::model::keypairs::Keypair;
use super::super::model::refusal::Refusal;
use super::super::world::World;
use super::schema;

pub(super) fn index(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    world.look(|model| {
        let pairs = model.keypairs(ask.account());
        let brief = |pair: &&Keypair| json!({ "keypair": brief(pair, ask.version) });
        Ok(json(200, &json!({ "keypairs": pairs.iter().map(brief).collect::<Vec<_>>() })))
    })
}

pub(super) fn show(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    world.look(|model| {
        let pair = model.keypair(ask.account(), ask.part("name"))?;
        let mut out = with_owner(pair, ask.version);
        out["id"] = json!(1);
        out["created_at"] = json!(micros(pair.created));
        out["updated_at"] = Value::Null;
        out["deleted"] = json!(false);
        out["deleted_at"] = Value::Null;
        Ok(json(200, &json!({ "keypair": out })))
    })
}

pub(super) fn create(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let body = schema::body(&request, "keypair")?;
    let mut allowed = vec!["name", "public_key"];
    allowed.extend(
        [(2, "type"), (10, "user_id")]
            .into_iter()
            .filter(|(minor, _)| ask.version.has(*minor))
            .map(|it| it.1),
    );
    schema::only(body, "keypair", &allowed)?;
    let name = schema::name(schema::required(body, "keypair", "name")?, "name")?;
    // From 2.92 on Nova wants the public key, too.
    let key =
        schema::text(schema::required(body, "keypair", "public_key")?, "public_key", 1, 65_535)?;
    let made = ask.change(world, |model, turn| {
        model.import_keypair(&name, &key, turn).map(|pair| with_owner(pair, ask.version))
    })?;
    Ok(json(if ask.version.has(2) { 201 } else { 200 }, &json!({ "keypair": made })))
}

pub(super) fn delete(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    ask.change(world, |model, turn| model.delete_keypair(ask.part("name"), turn))?;
    Ok(empty(if ask.version.has(2) { StatusCode::NO_CONTENT } else { StatusCode::ACCEPTED }))
}

fn brief(pair: &Keypair, version: Version) -> Value {
    let fingerprint = pair.fingerprint();
    let mut out =
        json!({ "name": pair.name, "public_key": pair.public_key, "fingerprint": fingerprint });
    if version.has(2) {
        out["type"] = json!("ssh");
    }
    out
}

fn with_owner(pair: &Keypair, version: Version) -> Value {
    let mut out = brief(pair, version);
    out["user_id"] = json!(pair.owner.user_id());
    out
}
