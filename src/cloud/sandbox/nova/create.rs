//! `POST /servers`: the form of the request (Nova `schemas/servers.py`), and the little that the
//! answer says.

use axum::response::Response;
use serde_json::{Value, json};

use super::super::faults::Late;
use super::super::http::{Ask, Version, json, with_header};
use super::super::model::launch::{Launch, Launched, Networks};
use super::super::model::refusal::Refusal;
use super::super::model::{Millis, Turn};
use super::super::world::World;
use super::links;
use super::schema::{self, Object, only, only_root, required};
use super::volumes::{Boot, boot};

/// What one call may ask for: above what the hosts hold, and few enough to be made at once.
const MOST: u32 = 10_000;

const HINTS: [&str; 2] = ["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"];

pub(super) fn create(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let outer =
        request.as_object().ok_or_else(|| Refusal::Invalid("Malformed request body".to_owned()))?;
    only_root(outer, &["server", HINTS[0], HINTS[1]])?;
    let server = required_server(outer)?;
    let mut launch = launch(server, ask.version)?;
    launch.group = group(outer)?;
    let wants_reservation =
        optional(server, "return_reservation_id", schema::boolean)?.unwrap_or(false);
    let launched = ask.change(world, |model, turn| match ask.later {
        Some(after) => Ok((put_off(launch, after, turn), String::new())),
        None => Ok((model.launch(launch, turn)?, turn.dice.word(12))),
    });
    let (launched, password) = launched?;
    Ok(answer(world, server, &launched, &password, wants_reservation))
}

/// Nobody gets this answer.
fn put_off(launch: Launch, after: Millis, turn: &mut Turn<'_>) -> Launched {
    let (due, account) = (turn.now + after, turn.account);
    turn.faults.postpone(Late { due, launch, account, request_id: turn.request_id.to_owned() });
    Launched { first: String::new(), reservation_id: String::new() }
}

fn required_server(outer: &Object) -> Result<&Object, Refusal> {
    let server = outer
        .get("server")
        .ok_or_else(|| Refusal::Invalid("'server' is a required property".to_owned()))?;
    schema::object(server, "server")
}

/// The first server, its password, and no more: the rest is found by listing.
fn answer(
    world: &World,
    server: &Object,
    launched: &Launched,
    password: &str,
    reservation: bool,
) -> Response {
    if reservation {
        return json(202, &json!({ "reservation_id": launched.reservation_id }));
    }
    let links = links(world, "servers", &launched.first);
    let location = links[0]["href"].as_str().unwrap_or_default().to_owned();
    let given = server.get("adminPass").and_then(Value::as_str);
    let groups =
        server.get("security_groups").cloned().unwrap_or_else(|| json!([{ "name": "default" }]));
    let body = json!({ "server": {
        "id": launched.first,
        "links": links,
        "OS-DCF:diskConfig": if is_auto(server) { "AUTO" } else { "MANUAL" },
        "security_groups": groups,
        "adminPass": given.unwrap_or(password),
    } });
    with_header(json(202, &body), "location", &location)
}

/// What the body means, as far as its form tells.
fn launch(server: &Object, version: Version) -> Result<Launch, Refusal> {
    only(server, "server", &allowed(version))?;
    check_unkept(server)?;
    let min = optional(server, "min_count", schema::positive)?.unwrap_or(1);
    let max = optional(server, "max_count", schema::positive)?.unwrap_or(min);
    if max < min {
        return Err(Refusal::Invalid("min_count must be <= max_count".to_owned()));
    }
    if MOST < max {
        return Err(Refusal::Invalid(format!(
            "max_count {max} is more than the {MOST} servers that the embedded cloud makes in one \
             call"
        )));
    }
    let hostname = optional(server, "hostname", schema::name)?;
    if hostname.is_some() && 1 < max {
        let why = "Unable to allocate a single hostname to multiple instances";
        return Err(Refusal::Invalid(why.to_owned()));
    }
    let disks = server
        .get("block_device_mapping_v2")
        .map(|value| boot(value, version))
        .transpose()?
        .flatten();
    let (image, boot_volume) = boot_disk(image_ref(server)?, disks);
    Ok(Launch {
        name: schema::name(required(server, "server", "name")?, "name")?,
        description: server
            .get("description")
            .map(|v| schema::nullable(v, "description", 255))
            .transpose()?
            .flatten(),
        hostname,
        flavor: flavor_ref(required(server, "server", "flavorRef")?)?,
        image,
        boot_volume,
        networks: networks(server, version)?,
        zone: zone(server)?,
        key_name: optional(server, "key_name", schema::name)?,
        security_groups: security_groups(server)?,
        metadata: server.get("metadata").map(schema::metadata).transpose()?.unwrap_or_default(),
        tags: server.get("tags").map(schema::tags).transpose()?.unwrap_or_default(),
        config_drive: optional(server, "config_drive", schema::boolean)?.unwrap_or(false),
        auto_disk_config: is_auto(server),
        group: None,
        min,
        max,
    })
}

fn boot_disk(
    image: Option<String>,
    disk: Option<Boot>,
) -> (Option<String>, Option<super::super::model::launch::BootVolume>) {
    match disk {
        Some(Boot::Volume(volume)) => (None, Some(volume)),
        Some(Boot::Image(id)) => (Some(image.unwrap_or(id)), None),
        None => (image, None),
    }
}

fn allowed(version: Version) -> Vec<&'static str> {
    let mut allowed = vec![
        "name",
        "imageRef",
        "flavorRef",
        "adminPass",
        "metadata",
        "networks",
        "OS-DCF:diskConfig",
        "accessIPv4",
        "accessIPv6",
        "availability_zone",
        "block_device_mapping",
        "block_device_mapping_v2",
        "config_drive",
        "key_name",
        "min_count",
        "max_count",
        "return_reservation_id",
        "security_groups",
        "user_data",
    ];
    let since = [
        (19, "description"),
        (52, "tags"),
        (63, "trusted_image_certificates"),
        (74, "host"),
        (74, "hypervisor_hostname"),
        (90, "hostname"),
    ];
    allowed
        .extend(since.into_iter().filter(|(minor, _)| version.has(*minor)).map(|(_, name)| name));
    if !version.has(57) {
        allowed.push("personality");
    }
    allowed
}

/// What is checked and then dropped: secrets, and what only an administrator may ask for.
fn check_unkept(server: &Object) -> Result<(), Refusal> {
    if let Some(user_data) = server.get("user_data") {
        schema::user_data(user_data)?;
    }
    if server.contains_key("host") || server.contains_key("hypervisor_hostname") {
        let policy =
            "Policy doesn't allow compute:servers:create:requested_destination to be performed.";
        return Err(Refusal::Denied(policy.to_owned()));
    }
    Ok(())
}

fn is_auto(server: &Object) -> bool {
    server.get("OS-DCF:diskConfig").is_some_and(|word| word == "AUTO")
}

fn image_ref(server: &Object) -> Result<Option<String>, Refusal> {
    let Some(value) = server.get("imageRef") else { return Ok(None) };
    let text = schema::text(value, "imageRef", 0, 255)?;
    if !text.is_empty() && !schema::is_uuid(&text) {
        return Err(schema::invalid("imageRef", &text, &format!("'{text}' is not a 'uuid'")));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// An id, a number, or a link that ends in one.
fn flavor_ref(value: &Value) -> Result<String, Refusal> {
    match value {
        Value::String(text) if !text.is_empty() => {
            Ok(text.rsplit('/').next().unwrap_or(text).to_owned())
        }
        Value::Number(number) => Ok(number.to_string()),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Err(schema::wrong_type("flavorRef", value, "string"))
        }
    }
}

fn networks(server: &Object, version: Version) -> Result<Networks, Refusal> {
    let Some(value) = server.get("networks") else {
        let missing = || schema::invalid("server", "{…}", "'networks' is a required property");
        return if version.has(37) { Err(missing()) } else { Ok(Networks::Unsaid) };
    };
    match value {
        Value::String(word) if word == "auto" && version.has(37) => Ok(Networks::Auto),
        Value::String(word) if word == "none" && version.has(37) => Ok(Networks::None),
        Value::Array(items) if items.is_empty() => Ok(Networks::Unsaid),
        Value::Array(items) => {
            items.iter().map(network).collect::<Result<_, _>>().map(Networks::These)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Err(schema::wrong_type("networks", value, "array"))
        }
    }
}

/// There are no ports to bring along and no addresses to choose: both are unknown here.
fn network(item: &Value) -> Result<String, Refusal> {
    let item = schema::object(item, "networks")?;
    only(item, "networks", &["fixed_ip", "port", "uuid", "tag"])?;
    if let Some(port) = item.get("port").filter(|port| !port.is_null()) {
        let port = schema::uuid(port, "port")?;
        return Err(Refusal::Invalid(format!("Port id {port} could not be found.")));
    }
    if let Some(address) = item.get("fixed_ip") {
        let address = schema::text(address, "fixed_ip", 1, 45)?;
        return Err(Refusal::Invalid(format!(
            "Fixed IP address {address} cannot be chosen in the embedded cloud."
        )));
    }
    match item.get("uuid") {
        Some(uuid) => schema::uuid(uuid, "uuid"),
        None => Err(Refusal::Invalid("Bad network format: missing 'uuid'".to_owned())),
    }
}

fn zone(server: &Object) -> Result<Option<String>, Refusal> {
    let zone = optional(server, "availability_zone", schema::name)?;
    if zone.as_ref().is_some_and(|zone| zone.contains(':')) {
        let policy =
            "Policy doesn't allow os_compute_api:servers:create:forced_host to be performed.";
        return Err(Refusal::Denied(policy.to_owned()));
    }
    Ok(zone)
}

fn security_groups(server: &Object) -> Result<Vec<String>, Refusal> {
    let Some(value) = server.get("security_groups") else { return Ok(vec!["default".to_owned()]) };
    let items =
        value.as_array().ok_or_else(|| schema::wrong_type("security_groups", value, "array"))?;
    let name = |item: &Value| {
        let item = schema::object(item, "security_groups")?;
        only(item, "security_groups", &["name"])?;
        schema::name(required(item, "security_groups", "name")?, "name")
    };
    items.iter().map(name).collect()
}

/// The hint that the scheduler here understands; others are let through, as Nova does.
fn group(outer: &Object) -> Result<Option<String>, Refusal> {
    let hints = HINTS.iter().find_map(|name| outer.get(*name));
    let Some(hints) = hints else { return Ok(None) };
    match schema::object(hints, HINTS[0])?.get("group") {
        Some(Value::Array(several)) => {
            several.first().map(|one| schema::uuid(one, "group")).transpose()
        }
        Some(one) => schema::uuid(one, "group").map(Some),
        None => Ok(None),
    }
}

fn optional<T>(
    server: &Object,
    name: &str,
    check: impl Fn(&Value, &str) -> Result<T, Refusal>,
) -> Result<Option<T>, Refusal> {
    server.get(name).map(|value| check(value, name)).transpose()
}
