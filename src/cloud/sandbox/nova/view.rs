//! A server as each microversion shows it (Nova `api/openstack/compute/views/servers.py`).

use serde_json::{Map, Value, json};

use super::super::http::{Version, micros, seconds};
use super::super::model::Model;
use super::super::model::dice::hex;
use super::super::model::server::{Fault, Server, Task, VmState};
use super::super::world::World;
use super::{bookmark, links};

/// How to write it: in which world, with which catalogue, for which version.
#[derive(Clone, Copy)]
pub(super) struct Pen<'a> {
    pub(super) world: &'a World,
    pub(super) model: &'a Model,
    pub(super) version: Version,
}

impl Pen<'_> {
    /// Id, name and links.
    pub(super) fn brief(self, server: &Server) -> Value {
        let links = links(self.world, "servers", &server.id);
        json!({ "id": server.id, "name": server.name, "links": links })
    }

    /// All of it, as `/servers/detail` shows it.
    pub(super) fn detail(self, server: &Server) -> Value {
        let mut out = self.always(server);
        self.since_versions(server, &mut out);
        if let Some(fault) = &server.fault {
            out["fault"] = write_fault(fault);
        }
        if matches!(server.status(), "ACTIVE" | "BUILD" | "REBUILD") {
            out["progress"] = json!(if server.vm == VmState::Building { 0 } else { 100 });
        }
        out
    }

    /// All of it, and the server groups, which only the single GET tells.
    pub(super) fn full(self, server: &Server) -> Value {
        let mut out = self.detail(server);
        if self.version.has(71) {
            out["server_groups"] = json!(server.group.iter().collect::<Vec<_>>());
        }
        out
    }

    fn always(self, server: &Server) -> Value {
        let mut out = json!({
            "id": server.id,
            "name": server.name,
            "status": server.status(),
            "tenant_id": self.world.config.project_id,
            "user_id": server.owner.user_id(),
            "metadata": server.metadata,
            "hostId": self.host_id(server),
            "created": seconds(server.created),
            "updated": seconds(server.updated),
            "accessIPv4": "",
            "accessIPv6": "",
            "OS-DCF:diskConfig": server.disk_config.word(),
            "OS-EXT-AZ:availability_zone": server.zone.as_deref().unwrap_or_default(),
            "config_drive": if server.config_drive { "True" } else { "" },
            "key_name": server.key_name,
            "OS-SRV-USG:launched_at": server.launched.map(micros),
            "OS-SRV-USG:terminated_at": null,
            "OS-EXT-STS:task_state": server.task.map(Task::word),
            "OS-EXT-STS:vm_state": server.vm.word(),
            "OS-EXT-STS:power_state": server.vm.power(),
        });
        // Written by `json!` they would be made twice: every listing has them for every server.
        out["image"] = self.image(server);
        out["flavor"] = self.flavor(server);
        out["addresses"] = self.addresses(server);
        out["links"] = links(self.world, "servers", &server.id);
        out["security_groups"] = groups(server);
        out["os-extended-volumes:volumes_attached"] = self.volumes(server);
        out
    }

    fn since_versions(self, server: &Server, out: &mut Value) {
        let reason = server.lock.as_ref().and_then(|lock| lock.reason.as_deref());
        let members = [
            (9, "locked", json!(server.lock.is_some())),
            (19, "description", json!(server.description)),
            (26, "tags", json!(server.tags)),
            (63, "trusted_image_certificates", Value::Null),
            (73, "locked_reason", json!(reason)),
            (90, "OS-EXT-SRV-ATTR:hostname", json!(server.hostname)),
        ];
        for (_, name, value) in members.into_iter().filter(|(minor, ..)| self.version.has(*minor)) {
            out[name] = value;
        }
    }

    fn image(self, server: &Server) -> Value {
        let Some(id) = &server.image else { return json!("") };
        let href = bookmark(self.world, "images", id);
        json!({ "id": id, "links": [{ "rel": "bookmark", "href": href }] })
    }

    fn flavor(self, server: &Server) -> Value {
        let flavor = &server.flavor;
        if !self.version.has(47) {
            let href = bookmark(self.world, "flavors", &flavor.id);
            return json!({ "id": flavor.id, "links": [{ "rel": "bookmark", "href": href }] });
        }
        json!({
            "original_name": flavor.name,
            "vcpus": flavor.vcpus,
            "ram": flavor.ram_mb,
            "disk": flavor.disk_gb,
            "ephemeral": 0,
            "swap": 0,
            "extra_specs": {},
        })
    }

    /// By network name; none while it is being built.
    pub(super) fn addresses(self, server: &Server) -> Value {
        let mut networks = Map::new();
        for nic in server.nics.iter().filter(|_| server.vm != VmState::Building) {
            let name = self
                .model
                .catalogue()
                .network(&nic.network)
                .map_or("unknown", |network| network.name.as_str());
            networks.insert(
                name.to_owned(),
                json!([{
                    "addr": nic.address,
                    "version": 4,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": nic.mac,
                }]),
            );
        }
        Value::Object(networks)
    }

    fn volumes(self, server: &Server) -> Value {
        let volume = |volume: &super::super::model::server::Volume| {
            let mut out = json!({ "id": volume.id });
            if self.version.has(3) {
                out["delete_on_termination"] = json!(volume.delete_on_termination);
            }
            out
        };
        server.volumes.iter().map(volume).collect()
    }

    /// A digest, to be compared within the project only.
    fn host_id(self, server: &Server) -> String {
        use sha2::{Digest as _, Sha224};
        let Some(host) = &server.host else { return String::new() };
        hex(&Sha224::new()
            .chain_update(&self.world.config.project_id)
            .chain_update(host)
            .finalize())
    }
}

fn groups(server: &Server) -> Value {
    server.security_groups.iter().map(|name| json!({ "name": name })).collect()
}

fn write_fault(fault: &Fault) -> Value {
    json!({ "code": fault.code, "created": seconds(fault.created), "message": fault.message })
}

/// What is shown of a server whose cell cannot be reached.
pub(super) fn stub(world: &World, server: &Server) -> Value {
    json!({
        "id": server.id,
        "status": "UNKNOWN",
        "tenant_id": world.config.project_id,
        "created": seconds(server.created),
        "links": links(world, "servers", &server.id),
    })
}
