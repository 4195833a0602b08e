//! JSON as the services write it, read leniently: unknown fields are ignored, known ones
//! may be missing where releases differ. Nothing here leaves `openstack`; the conversions
//! into nouns stand beside each shape. Source: nova/api/openstack/compute/views/servers.py,
//! keystone/api/auth.py, glance/api/v2/images.py, neutron-lib api/definitions.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::id::{Region, ServerId, Zone};
use crate::domain::server::{Fault, Server, Status};
use crate::domain::time::Wall;

/// `POST /v3/auth/tokens` and the federation's answer.
#[derive(Deserialize)]
pub(super) struct Issued {
    pub token: IssuedToken,
}

#[derive(Deserialize)]
pub(super) struct IssuedToken {
    /// UTC, `2026-01-02T03:04:05.000000Z`; any fraction or none.
    pub expires_at: String,
    pub project: Option<Named>,
    pub user: Option<Named>,
    #[serde(default)]
    pub roles: Vec<Named>,
    #[serde(default)]
    pub catalog: Value,
}

#[derive(Deserialize, Clone)]
pub(super) struct Named {
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
}

/// The OpenID Connect discovery document, as far as we need it.
#[derive(Deserialize)]
pub(super) struct Discovery {
    pub token_endpoint: Option<String>,
    pub grant_types_supported: Option<Vec<String>>,
}

/// `GET {compute root}`.
#[derive(Deserialize)]
pub(super) struct VersionDocument {
    pub version: VersionRange,
}

#[derive(Deserialize)]
pub(super) struct VersionRange {
    /// The newest microversion, empty on Nova's legacy face.
    pub version: String,
    pub min_version: String,
}

#[derive(Deserialize)]
pub(super) struct ServersPage {
    pub servers: Vec<ServerBody>,
    #[serde(default)]
    pub servers_links: Vec<PageLink>,
}

/// Only whether there is a next page: its address is the API node's own idea.
#[derive(Deserialize)]
pub(super) struct PageLink {
    #[serde(default)]
    pub rel: String,
}

pub(super) fn has_next(links: &[PageLink]) -> bool {
    links.iter().any(|link| link.rel == "next")
}

#[derive(Deserialize)]
pub(super) struct OneServer {
    pub server: ServerBody,
}

#[derive(Deserialize)]
pub(super) struct ServerBody {
    pub id: String,
    pub name: Option<String>,
    pub status: Option<String>,
    pub created: Option<String>,
    #[serde(rename = "OS-EXT-STS:task_state")]
    task_state: Option<String>,
    #[serde(rename = "OS-SRV-USG:launched_at")]
    launched_at: Option<String>,
    #[serde(rename = "OS-EXT-AZ:availability_zone")]
    zone: Option<String>,
    pub tags: Option<Vec<String>>,
    metadata: Option<BTreeMap<String, String>>,
    locked: Option<bool>,
    #[serde(default)]
    flavor: Value,
    #[serde(default)]
    addresses: Value,
    fault: Option<FaultBody>,
}

#[derive(Deserialize)]
struct FaultBody {
    code: Option<u16>,
    message: Option<String>,
}

impl ServerBody {
    /// A server of an unreachable cell is shown with few keys and without its tags
    /// (microversion 2.69): it says that the server exists, and nothing about it.
    pub(super) fn is_stub(&self) -> bool {
        self.tags.is_none() && self.status.as_deref() == Some("UNKNOWN")
    }

    /// The server; an error says which of its facts is missing.
    pub(super) fn read(self, region: &Region) -> Result<Server, String> {
        let id = ServerId::new(self.id).map_err(|e| e.to_string())?;
        let lacks = |what: &str| format!("server {id} is shown without {what}");
        let created = self.created.as_deref().and_then(|text| Wall::parse(text).ok());
        let fault = self.fault.map(|fault| Fault {
            code: fault.code.unwrap_or_default(),
            message: fault.message.unwrap_or_default(),
        });
        Ok(Server {
            name: self.name.unwrap_or_default(),
            status: self.status.map_or(Status::Unknown, Status::from),
            deleting: self.task_state.is_some_and(|s| s == "deleting" || s == "soft-deleting"),
            launched: self.launched_at.is_some(),
            created: created.ok_or_else(|| lacks("the time of its creation"))?,
            tags: self.tags.ok_or_else(|| lacks("tags"))?,
            metadata: self.metadata.ok_or_else(|| lacks("metadata"))?,
            locked: self.locked.ok_or_else(|| lacks("whether it is locked"))?,
            region: region.clone(),
            zone: self.zone.and_then(|zone| Zone::new(zone).ok()),
            flavor: flavor(&self.flavor),
            addresses: addresses(&self.addresses),
            fault,
            id,
        })
    }
}

/// `{"original_name": …}` from 2.47 on, before that `{"id": …}`.
fn flavor(flavor: &Value) -> String {
    let name = flavor["original_name"].as_str().or(flavor["id"].as_str());
    name.unwrap_or_default().to_owned()
}

/// `{"NETWORK": [{"addr": …}, …], …}`.
fn addresses(addresses: &Value) -> Vec<String> {
    let networks = addresses.as_object().into_iter().flat_map(|map| map.values());
    let ports = networks.flat_map(|ports| ports.as_array().into_iter().flatten());
    ports.filter_map(|port| port["addr"].as_str()).map(str::to_owned).collect()
}

/// 202 of a create: the first server, by id alone.
#[derive(Deserialize)]
pub(super) struct Created {
    pub server: Named,
}

#[derive(Deserialize)]
pub(super) struct FlavorsPage {
    pub flavors: Vec<Named>,
    #[serde(default)]
    pub flavors_links: Vec<PageLink>,
}

#[derive(Deserialize)]
pub(super) struct ServerGroups {
    pub server_groups: Vec<ServerGroup>,
}

#[derive(Deserialize)]
pub(super) struct OneServerGroup {
    pub server_group: ServerGroup,
}

#[derive(Deserialize)]
pub(super) struct ServerGroup {
    pub id: String,
    #[serde(default)]
    pub name: String,
    /// From 2.64.
    pub policy: Option<String>,
    /// Below 2.64.
    #[serde(default)]
    pub policies: Vec<String>,
}

impl ServerGroup {
    pub(super) fn has_policy(&self, policy: &str) -> bool {
        self.policy.as_deref() == Some(policy) || self.policies.iter().any(|p| p == policy)
    }
}

#[derive(Deserialize)]
pub(super) struct ImagesPage {
    pub images: Vec<ImageBody>,
    /// Relative; only whether it is there matters.
    pub next: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct ImageBody {
    pub id: String,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub status: String,
}

#[derive(Deserialize)]
pub(super) struct Networks {
    pub networks: Vec<Named>,
}

#[derive(Deserialize)]
pub(super) struct SecurityGroups {
    pub security_groups: Vec<Named>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> Result<Server, String> {
        serde_json::from_value::<ServerBody>(body).unwrap().read(&Region::new("R").unwrap())
    }

    fn full() -> Value {
        json!({
            "id": "s1", "name": "web-1", "status": "ACTIVE", "created": "2026-01-02T03:04:05Z",
            "OS-EXT-STS:task_state": "deleting", "OS-SRV-USG:launched_at": "2026-01-02T03:05:00.000000",
            "OS-EXT-AZ:availability_zone": "nova", "tags": ["a"], "metadata": {"k": "v"},
            "locked": true, "flavor": {"original_name": "b3-8"}, "image": "", "new_in_2030": {},
            "addresses": {"Ext-Net": [{"addr": "192.0.2.1"}, {"addr": "2001:db8::1"}]},
            "fault": {"code": 500, "created": "x", "message": "No valid host was found."}
        })
    }

    #[test]
    fn a_server_is_read_with_all_that_matters() {
        let server = read(full()).unwrap();
        assert!(server.deleting && server.launched && server.locked);
        assert_eq!((server.flavor.as_str(), server.addresses.len()), ("b3-8", 2));
        assert_eq!(server.fault.unwrap().code, 500);
    }

    #[test]
    fn older_shapes_and_unknown_words_are_read() {
        let mut body = full();
        body["status"] = json!("FROZEN");
        body["flavor"] = json!({"id": "2", "links": []});
        body["OS-EXT-AZ:availability_zone"] = json!("");
        body["OS-SRV-USG:launched_at"] = json!(null);
        body["fault"] = json!(null);
        body["addresses"] = json!({});
        let server = read(body).unwrap();
        assert_eq!(server.status, Status::Other("FROZEN".into()));
        assert_eq!((server.flavor.as_str(), server.zone, server.launched), ("2", None, false));
    }

    #[test]
    fn what_decides_over_deletion_is_never_guessed() {
        for key in ["tags", "metadata", "locked", "created"] {
            let mut body = full();
            body.as_object_mut().unwrap().remove(key);
            assert!(read(body).is_err(), "{key}");
        }
        let stub = json!({"id": "s2", "status": "UNKNOWN", "created": "2026-01-02T03:04:05Z"});
        assert!(serde_json::from_value::<ServerBody>(stub).unwrap().is_stub());
    }
}
