//! `GET /servers` and `/servers/detail`: filters, order and pages (Nova
//! `api/openstack/compute/servers.py`).
//!
//! What a filter does depends on the version: tags are no filter below 2.26, and unknown ones are
//! dropped below 2.75 and refused from there. So a listing asked with too low a version shows all
//! servers: as in Nova, on purpose.

use std::cmp::Ordering;

use axum::response::Response;
use serde_json::{Value, json};

use super::super::http::{Ask, json};
use super::super::model::refusal::Refusal;
use super::super::model::server::{Server, VmState};
use super::super::world::World;
use super::filter::Filters;
use super::view::{Pen, stub};
use super::{next_link, schema};

/// Keys that may be named; those without an order of their own here leave the order as it is.
const SORT_KEYS: [&str; 29] = [
    "access_ip_v4",
    "access_ip_v6",
    "auto_disk_config",
    "availability_zone",
    "config_drive",
    "created_at",
    "display_description",
    "display_name",
    "host",
    "hostname",
    "image_ref",
    "instance_type_id",
    "kernel_id",
    "key_name",
    "launch_index",
    "launched_at",
    "locked_by",
    "node",
    "power_state",
    "progress",
    "project_id",
    "ramdisk_id",
    "root_device_name",
    "task_state",
    "terminated_at",
    "updated_at",
    "user_id",
    "uuid",
    "vm_state",
];

pub(super) fn index(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    list(world, ask, ("index", "servers"), |pen, server| pen.brief(server))
}

pub(super) fn detail(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    list(world, ask, ("detail", "servers/detail"), |pen, server| pen.detail(server))
}

fn list(
    world: &World,
    ask: &Ask,
    (listing, collection): (&str, &str),
    write: fn(Pen<'_>, &Server) -> Value,
) -> Result<Response, Refusal> {
    let filters = Filters::read(ask, listing)?;
    let order = Order::read(ask)?;
    // Any filter, order or limit hides what cannot be reached (`_is_cell_down_supported`).
    let stubs = ask.query.0.is_empty() && ask.version.has(69);
    let (sight, now) = (world.sight(), world.now());
    let limit = sight.page(limit(ask, world.config.rules.max_page)?);
    let marker = sight.marker(ask.query.last("marker")).map_err(no_marker)?;
    world.look(|model| {
        let pen = Pen { world, model, version: ask.version };
        let mut servers: Vec<&Server> = model.servers().collect();
        servers.sort_by(|a, b| order.compare(a, b));
        let servers = after(servers, marker)?;
        // What was put aside shows only to those who ask for it (Nova `db/main/api.py`,
        // `soft_deleted`).
        let shown = |server: &&Server| {
            let hidden = server.vm == VmState::SoftDeleted || sight.lacks(server, now);
            let reached = stubs || !sight.unreachable(server);
            (filters.keep(server) || sight.unfiltered) && !hidden && reached
        };
        let page: Vec<&Server> = servers.into_iter().filter(shown).take(limit).collect();
        let write = |server: &&Server| match sight.unreachable(server) {
            true => stub(world, server),
            false => write(pen, server),
        };
        let mut body = json!({});
        body["servers"] = page.iter().map(write).collect();
        // A full page promises another, even if that turns out empty (Nova
        // `api/openstack/common.py`).
        if let Some(last) = page.last().filter(|_| page.len() == limit && sight.tells_of_next()) {
            body["servers_links"] = next_link(world, ask, collection, &last.id);
        }
        Ok(json(200, &body))
    })
}

/// What comes behind the marker, which need not pass the filters itself.
fn after<'a>(servers: Vec<&'a Server>, marker: Option<&str>) -> Result<Vec<&'a Server>, Refusal> {
    let Some(marker) = marker else { return Ok(servers) };
    let position = servers.iter().position(|server| server.id == marker);
    let position = position.ok_or_else(|| no_marker(marker))?;
    Ok(servers.into_iter().skip(position + 1).collect())
}

fn no_marker(marker: &str) -> Refusal {
    Refusal::Invalid(format!("marker [{marker}] not found"))
}

/// The length of a page: what is asked, at most what the rules allow.
pub(super) fn limit(ask: &Ask, most: usize) -> Result<usize, Refusal> {
    let Some(text) = ask.query.last("limit") else { return Ok(most) };
    let limit = text.parse::<usize>().map_err(|_| {
        schema::invalid_query("limit", text, &format!("'{text}' does not match '^[0-9]*$'"))
    })?;
    Ok(limit.min(most))
}

/// The keys of the order with their direction, upwards or not.
struct Order(Vec<(String, bool)>);

impl Order {
    /// Newest first unless asked otherwise.
    fn read(ask: &Ask) -> Result<Order, Refusal> {
        let directions = ask.query.all("sort_dir").chain(std::iter::repeat("desc"));
        let mut keys = Vec::new();
        for (key, direction) in ask.query.all("sort_key").zip(directions) {
            if !SORT_KEYS.contains(&key) && ask.version.has(75) {
                let why = format!("'{key}' is not one of the sort keys");
                return Err(schema::invalid_query("sort_key", key, &why));
            }
            keys.push((key.to_owned(), direction == "asc"));
        }
        if keys.is_empty() {
            keys.push(("created_at".to_owned(), ask.query.last("sort_dir") == Some("asc")));
        }
        Ok(Order(keys))
    }

    /// Servers that are equal by every key keep the order in which they were made, in the first
    /// key's direction.
    fn compare(&self, a: &Server, b: &Server) -> Ordering {
        let keys = self.0.iter().map(|(key, up)| directed(by(key, a, b), *up));
        let tie = directed(a.order.cmp(&b.order), self.0.first().is_some_and(|(_, up)| *up));
        keys.fold(Ordering::Equal, Ordering::then).then(tie)
    }
}

fn directed(ordering: Ordering, up: bool) -> Ordering {
    if up { ordering } else { ordering.reverse() }
}

fn by(key: &str, a: &Server, b: &Server) -> Ordering {
    match key {
        // The database keeps whole seconds.
        "created_at" => (a.created / 1_000).cmp(&(b.created / 1_000)),
        "updated_at" => (a.updated / 1_000).cmp(&(b.updated / 1_000)),
        "launched_at" => a.launched.cmp(&b.launched),
        "display_name" => a.name.cmp(&b.name),
        "hostname" => a.hostname.cmp(&b.hostname),
        "uuid" => a.id.cmp(&b.id),
        "vm_state" => a.vm.word().cmp(b.vm.word()),
        "availability_zone" => a.zone.cmp(&b.zone),
        _ => Ordering::Equal,
    }
}
