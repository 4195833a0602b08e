//! Flavors (Nova `views/flavors.py`). There is no filter by name: list and compare.

use axum::response::Response;
use serde_json::{Value, json};

use super::super::http::{Ask, Version, json};
use super::super::model::catalogue::Flavor;
use super::super::model::refusal::Refusal;
use super::super::world::World;
use super::listing::limit;
use super::{links, next_link};

pub(super) fn index(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    list(world, ask, "flavors", brief)
}

pub(super) fn detail(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    list(world, ask, "flavors/detail", full)
}

pub(super) fn show(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let flavor = world.look(|model| model.catalogue().flavor(ask.part("flavor")).cloned())?;
    Ok(json(200, &json!({ "flavor": full(world, &flavor, ask.version) })))
}

pub(super) fn extra_specs(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    world.look(|model| model.catalogue().flavor(ask.part("flavor")).map(|_| ()))?;
    Ok(json(200, &json!({ "extra_specs": {} })))
}

fn list(
    world: &World,
    ask: &Ask,
    collection: &str,
    write: fn(&World, &Flavor, Version) -> Value,
) -> Result<Response, Refusal> {
    let limit = limit(ask, world.config.rules.max_page)?;
    let mut flavors = world.look(|model| model.catalogue().flavors.clone());
    flavors.sort_by(|a, b| a.id.cmp(&b.id));
    let flavors = after(flavors, ask.query.last("marker"))?;
    let kept = flavors.into_iter().filter(|flavor| is_large_enough(flavor, ask)).take(limit);
    let page: Vec<Flavor> = kept.collect();
    let written: Vec<Value> = page.iter().map(|it| write(world, it, ask.version)).collect();
    let mut body = json!({ "flavors": written });
    if let Some(last) = page.last().filter(|_| page.len() == limit) {
        body["flavors_links"] = next_link(world, ask, collection, &last.id);
    }
    Ok(json(200, &body))
}

fn after(flavors: Vec<Flavor>, marker: Option<&str>) -> Result<Vec<Flavor>, Refusal> {
    let Some(marker) = marker else { return Ok(flavors) };
    let position = flavors.iter().position(|flavor| flavor.id == marker);
    let position =
        position.ok_or_else(|| Refusal::Invalid(format!("marker [{marker}] not found")))?;
    Ok(flavors.into_iter().skip(position + 1).collect())
}

fn is_large_enough(flavor: &Flavor, ask: &Ask) -> bool {
    let least =
        |name: &str| ask.query.last(name).and_then(|text| text.parse::<u32>().ok()).unwrap_or(0);
    least("minRam") <= flavor.ram_mb && least("minDisk") <= flavor.disk_gb
}

fn brief(world: &World, flavor: &Flavor, version: Version) -> Value {
    let links = links(world, "flavors", &flavor.id);
    let mut out = json!({ "id": flavor.id, "name": flavor.name, "links": links });
    if version.has(55) {
        out["description"] = Value::Null;
    }
    out
}

fn full(world: &World, flavor: &Flavor, version: Version) -> Value {
    let mut out = brief(world, flavor, version);
    out["vcpus"] = json!(flavor.vcpus);
    out["ram"] = json!(flavor.ram_mb);
    out["disk"] = json!(flavor.disk_gb);
    out["swap"] = if version.has(75) { json!(0) } else { json!("") };
    out["OS-FLV-EXT-DATA:ephemeral"] = json!(0);
    out["OS-FLV-DISABLED:disabled"] = json!(false);
    out["os-flavor-access:is_public"] = json!(true);
    out["rxtx_factor"] = json!(1.0);
    if version.has(61) {
        out["extra_specs"] = json!({});
    }
    out
}
