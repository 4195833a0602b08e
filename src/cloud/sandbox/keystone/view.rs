//! Keystone's shapes: the token with its catalog, the project, the users.

use serde_json::{Value, json};

use super::super::http::micros;
use super::super::model::Millis;
use super::super::model::identity::{Account, Kind, Token};
use super::super::world::World;
use crate::config::rehearsal::Fault;

/// Where a catalog leads that has moved: a name that is never anybody's (RFC 2606).
const ELSEWHERE: &str = "https://cloud.moved.example";

/// The body beside `X-Subject-Token`. Only a scoped token has a project, roles and a catalog.
pub(super) fn token(world: &World, token: &Token) -> Value {
    let (methods, scoped) = match &token.kind {
        Kind::Keystone { methods, scoped } => (methods.clone(), *scoped),
        Kind::Id => (Vec::new(), false),
    };
    let mut body = json!({
        "methods": methods,
        "user": user(world, token.account),
        "audit_ids": [token.audit_id],
        "expires_at": instant(token.expires),
        "issued_at": instant(token.issued),
    });
    if scoped {
        body["project"] = json!({
            "id": world.config.project_id,
            "name": world.config.project_name,
            "domain": { "id": "default", "name": "Default" },
        });
        body["is_domain"] = json!(false);
        body["roles"] =
            json!([{ "id": "401e0000000040008000000000000001", "name": "compute_operator" }]);
        body["catalog"] = catalog(world);
    }
    json!({ "token": body })
}

/// The services of the one region. Network and image URLs carry no version, as at OVHcloud.
pub(super) fn catalog(world: &World) -> Value {
    let moved = world.faults(|faults, _| faults.strikes(Fault::CatalogMoved));
    let base = if moved { ELSEWHERE } else { world.config.base_url.as_str() };
    let project = &world.config.project_id;
    json!([
        service(world, "compute", "nova", 1, &format!("{base}/compute/v2.1/{project}")),
        service(world, "network", "neutron", 2, &format!("{base}/network/")),
        service(world, "image", "glance", 3, &format!("{base}/image/")),
        service(world, "identity", "keystone", 4, &format!("{base}/identity/v3/")),
    ])
}

pub(super) fn project(world: &World) -> Value {
    let id = &world.config.project_id;
    json!({
        "id": id,
        "name": world.config.project_name,
        "domain_id": "default",
        "parent_id": "default",
        "description": "The embedded cloud's one project",
        "enabled": true,
        "is_domain": false,
        "options": {},
        "tags": [],
        "links": { "self": format!("{}/projects/{id}", world.config.auth_url()) },
    })
}

pub(super) fn domain(world: &World) -> Value {
    json!({
        "id": "default",
        "name": "Default",
        "description": "The default domain",
        "enabled": true,
        "options": {},
        "tags": [],
        "links": { "self": format!("{}/domains/default", world.config.auth_url()) },
    })
}

pub(super) fn user_resource(world: &World, account: Account) -> Value {
    let mut user = user(world, account);
    user["enabled"] = json!(true);
    user["domain_id"] = user["domain"]["id"].clone();
    user["default_project_id"] = json!(world.config.project_id);
    user["links"] =
        json!({ "self": format!("{}/users/{}", world.config.auth_url(), account.user_id()) });
    user
}

fn user(world: &World, account: Account) -> Value {
    let id = account.user_id();
    match account {
        Account::Operator => json!({
            "id": id,
            "name": world.config.credentials.username,
            "domain": { "id": "default", "name": "Default" },
            "password_expires_at": null,
        }),
        Account::Service => json!({
            "id": id,
            "name": "service-account",
            "domain": { "id": "federated", "name": "Federated" },
            "OS-FEDERATION": {
                "groups": [],
                "identity_provider": { "id": world.config.identity_provider },
                "protocol": { "id": world.config.protocol },
            },
        }),
    }
}

fn service(world: &World, kind: &str, name: &str, number: u32, url: &str) -> Value {
    let region = &world.config.region;
    let endpoint = json!({
        "id": format!("e0d0{number:028}"),
        "interface": "public",
        "region": region,
        "region_id": region,
        "url": url,
    });
    let id = format!("5e41{number:028}");
    json!({ "type": kind, "id": id, "name": name, "endpoints": [endpoint] })
}

/// UTC with microseconds, as Keystone's `expires_at` (`common/utils.py`).
fn instant(at: Millis) -> String {
    format!("{}Z", micros(at))
}
