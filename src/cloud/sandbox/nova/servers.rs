//! One server: show, rename, delete, and what hangs on it; the zones beside.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use super::super::http::{Ask, NOT_FOUND, empty, json, micros};
use super::super::model::actions::Edit;
use super::super::model::catalogue::SecurityGroup;
use super::super::model::refusal::Refusal;
use super::super::model::server::{DiskConfig, Event, Nic, Server, Volume};
use super::super::world::World;
use super::fault;
use super::schema::{self, Object};
use super::view::{Pen, stub};

pub(super) fn show(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let sight = world.sight();
    with_server(world, ask, |pen, server| match sight.unreachable(server) {
        true => unreachable(world, ask, server),
        false => json(200, &json!({ "server": pen.full(server) })),
    })
}

/// From 2.69 on Nova says that it is there, and no more (`_is_cell_down_supported`).
fn unreachable(world: &World, ask: &Ask, server: &Server) -> Response {
    if !ask.version.has(69) {
        return fault(503, "The cell of the instance cannot be reached.");
    }
    json(200, &json!({ "server": stub(world, server) }))
}

pub(super) fn update(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.json()?;
    let edit = edit(schema::body(&request, "server")?, ask)?;
    ask.change(world, |model, turn| model.edit(ask.part("id"), edit, turn))?;
    show(world, ask)
}

fn edit(server: &Object, ask: &Ask) -> Result<Edit, Refusal> {
    let mut allowed = vec!["name", "OS-DCF:diskConfig", "accessIPv4", "accessIPv6"];
    let since = [(19, "description"), (90, "hostname")];
    allowed.extend(
        since.into_iter().filter(|(minor, _)| ask.version.has(*minor)).map(|(_, name)| name),
    );
    schema::only(server, "server", &allowed)?;
    let disk_config =
        |value: &Value| if value == "AUTO" { DiskConfig::Auto } else { DiskConfig::Manual };
    Ok(Edit {
        name: server.get("name").map(|value| schema::name(value, "name")).transpose()?,
        description: server
            .get("description")
            .map(|value| schema::nullable(value, "description", 255))
            .transpose()?,
        hostname: server
            .get("hostname")
            .map(|value| schema::name(value, "hostname"))
            .transpose()?,
        disk_config: server.get("OS-DCF:diskConfig").map(disk_config),
    })
}

pub(super) fn delete(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    ask.change(world, |model, turn| model.delete_server(ask.part("id"), turn))?;
    Ok(empty(StatusCode::NO_CONTENT))
}

pub(super) fn addresses(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    with_server(world, ask, |pen, server| json(200, &json!({ "addresses": pen.addresses(server) })))
}

pub(super) fn interfaces(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    with_server(world, ask, |pen, server| {
        let interface = |nic: &Nic| write_interface(pen, server, nic);
        let interfaces: Vec<Value> = server.nics.iter().map(interface).collect();
        json(200, &json!({ "interfaceAttachments": interfaces }))
    })
}

fn write_interface(pen: Pen<'_>, server: &Server, nic: &Nic) -> Value {
    let network = pen.model.catalogue().network(&nic.network);
    let subnet = network.map(|network| network.subnet_id.as_str()).unwrap_or_default();
    json!({
        "net_id": nic.network,
        "port_id": nic.port,
        "mac_addr": nic.mac,
        "port_state": if server.launched.is_some() { "ACTIVE" } else { "DOWN" },
        "fixed_ips": [{ "subnet_id": subnet, "ip_address": nic.address }],
    })
}

/// Interfaces come with a server and go with it.
pub(super) fn no_interface(_: &World, _: &Ask) -> Result<Response, Refusal> {
    let why = "The embedded cloud neither attaches nor detaches networks and ports.";
    Err(Refusal::Denied(why.to_owned()))
}

/// All of the project's, as Nova shows them in Neutron's place below 2.36: the `openstack` command
/// still looks here.
pub(super) fn all_security_groups(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    if ask.version.has(36) {
        return Err(Refusal::Missing(NOT_FOUND.to_owned()));
    }
    let write = |group: &SecurityGroup| write_group(world, group);
    let groups: Vec<Value> =
        world.look(|model| model.catalogue().security_groups.iter().map(write).collect());
    Ok(json(200, &json!({ "security_groups": groups })))
}

fn write_group(world: &World, group: &SecurityGroup) -> Value {
    json!({
        "id": group.id,
        "name": group.name,
        "description": group.description,
        "tenant_id": world.config.project_id,
        "rules": [],
    })
}

pub(super) fn security_groups(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    with_server(world, ask, |pen, server| {
        let write = |group| write_group(world, group);
        let group = |name: &String| pen.model.catalogue().security_group(name).map(write);
        let groups: Vec<Value> = server.security_groups.iter().filter_map(group).collect();
        json(200, &json!({ "security_groups": groups }))
    })
}

pub(super) fn volumes(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    with_server(world, ask, |_, server| {
        let attachment = |volume: &Volume| {
            json!({
                "id": volume.id,
                "volumeId": volume.id,
                "serverId": server.id,
                "device": "/dev/vda",
            })
        };
        let attachments: Vec<Value> = server.volumes.iter().map(attachment).collect();
        json(200, &json!({ "volumeAttachments": attachments }))
    })
}

/// What was done to the server, newest first.
pub(super) fn events(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    with_server(world, ask, |_, server| {
        let events: Vec<Value> =
            server.events.iter().rev().map(|event| write_event(world, server, event)).collect();
        json(200, &json!({ "instanceActions": events }))
    })
}

pub(super) fn event(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let request = ask.part("request");
    let found = world.look(|model| {
        let server = model.server(ask.part("id"))?;
        let event = server.events.iter().find(|event| event.request_id == request);
        let missing = || Refusal::Missing(format!("Action {request} not found"));
        event.map(|event| write_event(world, server, event)).ok_or_else(missing)
    })?;
    let mut action = found;
    action["events"] = json!([]);
    Ok(json(200, &json!({ "instanceAction": action })))
}

fn write_event(world: &World, server: &Server, event: &Event) -> Value {
    json!({
        "action": event.action,
        "instance_uuid": server.id,
        "request_id": event.request_id,
        "user_id": event.account.user_id(),
        "project_id": world.config.project_id,
        "start_time": micros(event.at),
        "updated_at": micros(event.at),
        "message": null,
    })
}

pub(super) fn zones(world: &World, _: &Ask) -> Result<Response, Refusal> {
    let state = json!({ "available": true });
    let zone = |name: &String| json!({ "zoneName": name, "zoneState": state, "hosts": null });
    let zones: Vec<Value> = world.config.rules.zones.iter().map(zone).collect();
    Ok(json(200, &json!({ "availabilityZoneInfo": zones })))
}

/// The hosts of a zone are for administrators; clients then ask for the zones alone.
pub(super) fn zone_detail(_: &World, _: &Ask) -> Result<Response, Refusal> {
    let policy = "Policy doesn't allow os_compute_api:os-availability-zone:detail to be performed.";
    Err(Refusal::Denied(policy.to_owned()))
}

pub(super) fn extensions(_: &World, _: &Ask) -> Result<Response, Refusal> {
    Ok(json(200, &json!({ "extensions": [] })))
}

fn with_server(
    world: &World,
    ask: &Ask,
    write: impl FnOnce(Pen<'_>, &Server) -> Response,
) -> Result<Response, Refusal> {
    world.look(|model| {
        let server = model.server(ask.part("id"))?;
        Ok(write(Pen { world, model, version: ask.version }, server))
    })
}
