//! What the cloud offers: flavors, images, networks and security groups, as a small OVHcloud region
//! would list them.
//!
//! The ids never change, so a configuration may name them.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;

/// The offers of the one region.
#[derive(Clone)]
pub struct Catalogue {
    pub flavors: Vec<Flavor>,
    pub images: Vec<Image>,
    pub networks: Vec<Network>,
    pub security_groups: Vec<SecurityGroup>,
}

/// A size of server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flavor {
    pub id: String,
    pub name: String,
    pub vcpus: u32,
    pub ram_mb: u32,
    pub disk_gb: u32,
}

/// A disk image. Several may share a name; the newest is meant.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    pub id: String,
    pub name: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub size: u64,
    pub os_distro: String,
    pub os_version: String,
    /// Superseded: there for those who know its id, and in no list that does not ask for such.
    pub hidden: bool,
}

/// A network with one IPv4 subnet of 65,536 addresses.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    pub id: String,
    pub name: String,
    /// Reaches the Internet (in the wire's words `router:external`).
    pub external: bool,
    pub subnet_id: String,
    /// The two leading bytes of every address.
    pub prefix: [u8; 2],
}

/// A named set of firewall rules; this one lets everything through, as OVHcloud's `default` does.
#[derive(Debug, Clone, PartialEq)]
pub struct SecurityGroup {
    pub id: String,
    pub name: String,
    pub description: String,
}

impl Catalogue {
    pub(super) fn seeded() -> Catalogue {
        Catalogue {
            flavors: flavors(),
            images: images(),
            networks: networks(),
            security_groups: security_groups(),
        }
    }

    /// The flavor of this id.
    ///
    /// # Errors
    /// [`Refusal::Missing`] in Nova's words.
    pub fn flavor(&self, id: &str) -> Result<&Flavor, Refusal> {
        let found = self.flavors.iter().find(|flavor| flavor.id == id);
        found.ok_or_else(|| Refusal::Missing(format!("Flavor {id} could not be found.")))
    }

    /// The image of this id.
    pub fn image(&self, id: &str) -> Option<&Image> {
        self.images.iter().find(|image| image.id == id)
    }

    /// The network of this id.
    ///
    /// # Errors
    /// [`Refusal::Missing`] in Nova's and Neutron's words.
    pub fn network(&self, id: &str) -> Result<&Network, Refusal> {
        let found = self.networks.iter().find(|network| network.id == id);
        found.ok_or_else(|| Refusal::Missing(format!("Network {id} could not be found.")))
    }

    /// The security group of this name or id.
    pub fn security_group(&self, name_or_id: &str) -> Option<&SecurityGroup> {
        self.security_groups.iter().find(|group| group.name == name_or_id || group.id == name_or_id)
    }
}

fn flavors() -> Vec<Flavor> {
    let sizes = [
        ("d2-2", 1, 2_000, 25),
        ("d2-4", 2, 4_000, 50),
        ("b3-8", 2, 8_000, 50),
        ("b3-16", 4, 16_000, 100),
    ];
    let flavor = |(n, (name, vcpus, ram_mb, disk_gb)): (usize, (&str, u32, u32, u32))| Flavor {
        id: format!("f1a0b000-0000-4000-8000-{:012}", n + 1),
        name: name.to_owned(),
        vcpus,
        ram_mb,
        disk_gb,
    };
    sizes.into_iter().enumerate().map(flavor).collect()
}

/// Of `Debian 12` only the newest shows, as the `openstack` command wants a name to be one image;
/// of `AlmaLinux 9` both do, as they may in any cloud.
fn images() -> Vec<Image> {
    let made = [
        ("Debian 12", "2025-11-04T09:00:00Z", "debian", true),
        ("Debian 12", "2026-01-13T09:00:00Z", "debian", false),
        ("Ubuntu 24.04", "2026-01-20T09:00:00Z", "ubuntu", false),
        ("AlmaLinux 9", "2026-01-15T09:00:00Z", "almalinux", false),
        ("AlmaLinux 9", "2025-11-18T09:00:00Z", "almalinux", false),
    ];
    let image =
        |(n, (name, created_at, distro, hidden)): (usize, (&str, &str, &str, bool))| Image {
            id: format!("13a6e000-0000-4000-8000-{:012}", n + 1),
            name: name.to_owned(),
            created_at: created_at.to_owned(),
            size: 2_147_483_648,
            os_distro: distro.to_owned(),
            os_version: name.rsplit(' ').next().unwrap_or_default().to_owned(),
            hidden,
        };
    made.into_iter().enumerate().map(image).collect()
}

fn networks() -> Vec<Network> {
    let network = |n: u32, name: &str, external: bool, prefix: [u8; 2]| Network {
        id: format!("0e700000-0000-4000-8000-{n:012}"),
        name: name.to_owned(),
        external,
        subnet_id: format!("50b00000-0000-4000-8000-{n:012}"),
        prefix,
    };
    // 198.18.0.0/16 is set aside for tests of networks (RFC 2544): it never belongs to anybody
    // else.
    vec![network(1, "Ext-Net", true, [198, 18]), network(2, "private", false, [10, 42])]
}

fn security_groups() -> Vec<SecurityGroup> {
    vec![SecurityGroup {
        id: "5ec00000-0000-4000-8000-000000000001".to_owned(),
        name: "default".to_owned(),
        description: "Default security group".to_owned(),
    }]
}
