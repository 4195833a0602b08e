//! Neutron v2.0: networks, subnets, ports and security groups to read, and the quota.
//!
//! Every list filters alike: a parameter that names a member keeps the items with one of the given
//! values.

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::http::{Ask, Face, Query, Shared, authenticate, bad_method, json};
use super::model::catalogue::{Catalogue, Network, SecurityGroup};
use super::model::refusal::Refusal;
use super::model::server::{Nic, Server};
use super::world::World;

const NEUTRON: Face = Face { refuse };

const READ_ONLY: &str = "The networks, subnets, ports and security groups of the embedded cloud are \
                         fixed: it lists them and changes none.";

/// Parameters that are no filters.
const STEERING: [&str; 6] = ["fields", "limit", "marker", "sort_key", "sort_dir", "page_reverse"];

pub(super) fn routes(world: &Shared) -> Router<Shared> {
    let n = NEUTRON;
    let resources = Router::new()
        .route(
            "/network/v2.0/networks",
            n.get(|world, ask| Ok(list(ask, "networks", networks(world)))),
        )
        .route(
            "/network/v2.0/networks/{id}",
            n.get(|world, ask| show(ask, "Network", "network", networks(world))),
        )
        .route(
            "/network/v2.0/subnets",
            n.get(|world, ask| Ok(list(ask, "subnets", subnets(world)))),
        )
        .route(
            "/network/v2.0/subnets/{id}",
            n.get(|world, ask| show(ask, "Subnet", "subnet", subnets(world))),
        )
        .route("/network/v2.0/ports", n.get(|world, ask| Ok(list(ask, "ports", ports(world)))))
        .route(
            "/network/v2.0/ports/{id}",
            n.get(|world, ask| show(ask, "Port", "port", ports(world))),
        )
        .route(
            "/network/v2.0/security-groups",
            n.get(|world, ask| Ok(list(ask, "security_groups", groups(world)))),
        )
        .route("/network/v2.0/security-groups/{id}", n.get(show_group))
        .route(
            "/network/v2.0/security-group-rules",
            n.get(|world, ask| Ok(list(ask, "security_group_rules", rules(world)))),
        )
        .route(
            "/network/v2.0/security-group-rules/{id}",
            n.get(|world, ask| show(ask, "SecurityGroupRule", "security_group_rule", rules(world))),
        )
        .route(
            "/network/v2.0/floatingips",
            n.get(|_, ask| Ok(list(ask, "floatingips", Vec::new()))),
        )
        .route(
            "/network/v2.0/availability_zones",
            n.get(|world, ask| Ok(list(ask, "availability_zones", zones(world)))),
        )
        .route(
            "/network/v2.0/extensions",
            n.get(|_, ask| Ok(list(ask, "extensions", extensions()))),
        )
        .route("/network/v2.0/extensions/{id}", n.get(show_extension))
        .route("/network/v2.0/quotas/{project}", n.get(quota))
        .route_layer(from_fn_with_state(world.clone(), authenticate));
    Router::new()
        .route("/network", n.get(versions))
        .route("/network/", n.get(versions))
        .route("/network/v2.0", n.get(version))
        .route("/network/v2.0/", n.get(version))
        .merge(resources)
        .route_layer(from_fn_with_state((world.clone(), n, READ_ONLY), bad_method))
}

fn versions(world: &World, _: &Ask) -> Result<Response, Refusal> {
    let links =
        json!([{ "rel": "self", "href": format!("{}/network/v2.0/", world.config.base_url) }]);
    Ok(json(200, &json!({ "versions": [{ "id": "v2.0", "status": "CURRENT", "links": links }] })))
}

fn version(world: &World, _: &Ask) -> Result<Response, Refusal> {
    let base = format!("{}/network/v2.0", world.config.base_url);
    let resource = |name: &str, collection: &str| {
        let href = format!("{base}/{collection}");
        let links = json!([{ "rel": "self", "href": href }]);
        json!({ "name": name, "collection": collection, "links": links })
    };
    let resources =
        [resource("network", "networks"), resource("subnet", "subnets"), resource("port", "ports")];
    Ok(json(200, &json!({ "resources": resources })))
}

fn list(ask: &Ask, collection: &str, items: Vec<Value>) -> Response {
    let kept = items
        .into_iter()
        .filter(|item| keeps(item, &ask.query))
        .map(|item| fields(item, &ask.query));
    let kept: Vec<Value> = kept.collect();
    let mut body = Map::new();
    body.insert(collection.to_owned(), Value::Array(kept));
    json(200, &Value::Object(body))
}

fn show(ask: &Ask, kind: &str, member: &str, items: Vec<Value>) -> Result<Response, Refusal> {
    let id = ask.part("id");
    let found = items.into_iter().find(|item| item["id"] == id);
    let item = found.ok_or_else(|| Refusal::Missing(format!("{kind} {id} could not be found.")))?;
    let mut body = Map::new();
    body.insert(member.to_owned(), fields(item, &ask.query));
    Ok(json(200, &Value::Object(body)))
}

fn show_group(world: &World, ask: &Ask) -> Result<Response, Refusal> {
    let missing = |_| Refusal::Missing(format!("Security group {} does not exist", ask.part("id")));
    show(ask, "SecurityGroup", "security_group", groups(world)).map_err(missing)
}

fn show_extension(_: &World, ask: &Ask) -> Result<Response, Refusal> {
    let alias = ask.part("id");
    let found = extensions().into_iter().find(|extension| extension["alias"] == alias);
    let missing = || Refusal::Missing(format!("Extension with alias {alias} does not exist"));
    Ok(json(200, &json!({ "extension": found.ok_or_else(missing)? })))
}

/// Several values of one name mean any of them; names that the item does not have are no filter.
fn keeps(item: &Value, query: &Query) -> bool {
    query.0.iter().all(|(name, _)| {
        let Some(member) = item.get(name).filter(|_| !STEERING.contains(&name.as_str())) else {
            return true;
        };
        query.all(name).any(|value| equal(member, value))
    })
}

fn equal(member: &Value, value: &str) -> bool {
    match member {
        Value::String(text) => text == value,
        Value::Bool(yes) => matches!(value.to_lowercase().as_str(), "true" | "1") == *yes,
        Value::Number(number) => number.to_string() == value,
        Value::Array(several) => several.iter().any(|one| one == value),
        Value::Null | Value::Object(_) => false,
    }
}

fn fields(mut item: Value, query: &Query) -> Value {
    let wanted: Vec<&str> = query.all("fields").collect();
    if let Some(members) = item.as_object_mut().filter(|_| !wanted.is_empty()) {
        members.retain(|name, _| wanted.contains(&name.as_str()));
    }
    item
}

fn networks(world: &World) -> Vec<Value> {
    let project = &world.config.project_id;
    let network = |network: &Network| {
        json!({
            "id": network.id,
            "name": network.name,
            "description": "",
            "status": "ACTIVE",
            "admin_state_up": true,
            "shared": network.external,
            "router:external": network.external,
            "subnets": [network.subnet_id],
            "mtu": 1_500,
            "availability_zones": world.config.rules.zones,
            "availability_zone_hints": [],
            "port_security_enabled": true,
            "is_default": false,
            "project_id": project,
            "tenant_id": project,
            "tags": [],
        })
    };
    world.look(|model| model.catalogue().networks.iter().map(network).collect())
}

fn subnets(world: &World) -> Vec<Value> {
    let project = &world.config.project_id;
    let subnet = |network: &Network| {
        let [a, b] = network.prefix;
        json!({
            "id": network.subnet_id,
            "name": format!("{}-subnet", network.name.to_lowercase()),
            "network_id": network.id,
            "ip_version": 4,
            "cidr": format!("{a}.{b}.0.0/16"),
            "gateway_ip": format!("{a}.{b}.0.1"),
            "enable_dhcp": true,
            "allocation_pools": [{
                "start": format!("{a}.{b}.0.10"),
                "end": format!("{a}.{b}.255.254"),
            }],
            "dns_nameservers": [],
            "host_routes": [],
            "project_id": project,
            "tenant_id": project,
            "tags": [],
        })
    };
    world.look(|model| model.catalogue().networks.iter().map(subnet).collect())
}

fn ports(world: &World) -> Vec<Value> {
    let project = &world.config.project_id;
    world.look(|model| {
        let of_server = |server: &Server| {
            server
                .nics
                .iter()
                .map(|nic| port(model.catalogue(), server, nic, project))
                .collect::<Vec<_>>()
        };
        model.servers().flat_map(of_server).collect()
    })
}

fn port(catalogue: &Catalogue, server: &Server, nic: &Nic, project: &str) -> Value {
    let subnet = catalogue.network(&nic.network).map(|network| network.subnet_id.as_str());
    let groups = server.security_groups.iter().filter_map(|name| catalogue.security_group(name));
    json!({
        "id": nic.port,
        "name": "",
        "network_id": nic.network,
        "device_id": server.id,
        "device_owner": format!("compute:{}", server.zone.as_deref().unwrap_or_default()),
        "mac_address": nic.mac,
        "fixed_ips": [{ "subnet_id": subnet.unwrap_or_default(), "ip_address": nic.address }],
        "status": if server.launched.is_some() { "ACTIVE" } else { "DOWN" },
        "admin_state_up": true,
        "security_groups": groups.map(|group| group.id.as_str()).collect::<Vec<_>>(),
        "project_id": project,
        "tenant_id": project,
        "tags": [],
    })
}

fn groups(world: &World) -> Vec<Value> {
    let project = &world.config.project_id;
    let group = |group: &SecurityGroup| {
        json!({
            "id": group.id,
            "name": group.name,
            "description": group.description,
            "stateful": true,
            "shared": false,
            "project_id": project,
            "tenant_id": project,
            "security_group_rules": rules_of(group, project),
            "tags": [],
        })
    };
    world.look(|model| model.catalogue().security_groups.iter().map(group).collect())
}

fn rules(world: &World) -> Vec<Value> {
    let project = &world.config.project_id;
    let of_group = |group: &SecurityGroup| rules_of(group, project);
    world.look(|model| model.catalogue().security_groups.iter().flat_map(of_group).collect())
}

/// Everything may pass, as with OVHcloud's `default`.
fn rules_of(group: &SecurityGroup, project: &str) -> [Value; 2] {
    [rule(group, "ingress", 1, project), rule(group, "egress", 2, project)]
}

fn rule(group: &SecurityGroup, direction: &str, number: u32, project: &str) -> Value {
    json!({
        "id": format!("41e00000-0000-4000-8000-{number:012}"),
        "security_group_id": group.id,
        "direction": direction,
        "ethertype": "IPv4",
        "protocol": null,
        "port_range_min": null,
        "port_range_max": null,
        "remote_ip_prefix": null,
        "remote_group_id": null,
        "project_id": project,
        "tenant_id": project,
    })
}

fn zones(world: &World) -> Vec<Value> {
    let zone = |name: &String| json!({ "name": name, "resource": "network", "state": "available" });
    world.config.rules.zones.iter().map(zone).collect()
}

fn extensions() -> Vec<Value> {
    let extension = |alias: &str, name: &str| {
        json!({
            "alias": alias,
            "name": name,
            "description": name,
            "updated": "2020-01-01T00:00:00-00:00",
            "links": [],
        })
    };
    vec![
        extension("security-group", "security-group"),
        extension("external-net", "Neutron external network"),
        extension("quotas", "Quota management support"),
    ]
}

fn quota(_: &World, _: &Ask) -> Result<Response, Refusal> {
    let quota = json!({
        "network": 100, "subnet": 100, "port": 1_000, "router": 10, "floatingip": 50,
        "security_group": 10, "security_group_rule": 100, "subnetpool": -1, "rbac_policy": 10,
    });
    Ok(json(200, &json!({ "quota": quota })))
}

fn refuse(_: &World, why: &Refusal) -> Response {
    let kind = match why {
        Refusal::Invalid(_) => "InvalidInput",
        Refusal::Unauthenticated => "NotAuthorized",
        Refusal::Denied(_) => "PolicyNotAuthorized",
        Refusal::Missing(text) if text.starts_with("Network") => "NetworkNotFound",
        Refusal::Missing(text) if text.starts_with("Port") => "PortNotFound",
        Refusal::Missing(text) if text.starts_with("Subnet") => "SubnetNotFound",
        Refusal::Missing(text) if text.starts_with("Security") => "SecurityGroupNotFound",
        Refusal::Missing(_) => "HTTPNotFound",
        Refusal::NotOffered(_) => "HTTPMethodNotAllowed",
        Refusal::Unacceptable(_) => "NotAcceptable",
        Refusal::Conflict(_) => "Conflict",
        Refusal::TooLarge => "RequestTooLarge",
    };
    let body =
        json!({ "NeutronError": { "type": kind, "message": why.to_string(), "detail": "" } });
    json(why.status(), &body)
}
