//! Which host takes a new server.
//!
//! All or nothing, as Nova's scheduler (`scheduler/manager.py`): one server too many and none of
//! the call finds a host.

use std::collections::BTreeMap;

use super::Model;
use super::catalogue::Flavor;
use super::groups::{Policy, ServerGroup};
use super::rules::Rules;

/// What the servers of one call need.
pub(super) struct Need<'a> {
    pub(super) flavor: &'a Flavor,
    pub(super) zone: Option<&'a str>,
    pub(super) group: Option<&'a ServerGroup>,
}

/// A host that was found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    pub(super) zone: String,
    pub(super) host: String,
}

#[derive(Clone, Copy, Default)]
struct Load {
    vcpus: u32,
    ram_mb: u32,
    members: u32,
}

impl Model {
    /// A host for each of `count` servers; `None` if one of them finds none.
    pub(super) fn place(&self, need: &Need<'_>, count: u32, rules: &Rules) -> Option<Vec<Place>> {
        let mut loads = self.loads(need);
        let hosts = hosts(need.zone, rules);
        (0..count).map(|_| choose(&hosts, &mut loads, need, rules)).collect()
    }

    fn loads(&self, need: &Need<'_>) -> BTreeMap<String, Load> {
        let group = need.group.map(|group| group.id.as_str());
        let mut loads: BTreeMap<String, Load> = BTreeMap::new();
        for server in self.servers() {
            let Some(host) = &server.host else { continue };
            let load = loads.entry(host.clone()).or_default();
            load.add(&server.flavor);
            load.members += u32::from(group.is_some() && server.group.as_deref() == group);
        }
        loads
    }
}

/// The hosts in question, zones in turn: equal hosts are filled in this order, so that a batch
/// spreads over the zones.
fn hosts(zone: Option<&str>, rules: &Rules) -> Vec<Place> {
    let wanted = |name: &&String| zone.is_none_or(|zone| zone == name.as_str());
    let row = |n: u32| {
        let place =
            move |zone: &String| Place { host: format!("{zone}-host-{n:03}"), zone: zone.clone() };
        rules.zones.iter().filter(wanted).map(place)
    };
    (1..=rules.hosts_per_zone).flat_map(row).collect()
}

fn choose(
    hosts: &[Place],
    loads: &mut BTreeMap<String, Load>,
    need: &Need<'_>,
    rules: &Rules,
) -> Option<Place> {
    let settled = loads.values().any(|load| 0 < load.members);
    let load_of = |place: &Place| loads.get(&place.host).copied().unwrap_or_default();
    let fits = |place: &&Place| load_of(place).fits(need, settled, rules);
    let best = hosts.iter().filter(fits).min_by_key(|place| load_of(place).cost(need))?;
    let load = loads.entry(best.host.clone()).or_default();
    load.add(need.flavor);
    load.members += u32::from(need.group.is_some());
    Some(best.clone())
}

impl Load {
    fn add(&mut self, flavor: &Flavor) {
        self.vcpus += flavor.vcpus;
        self.ram_mb += flavor.ram_mb;
    }

    fn fits(&self, need: &Need<'_>, settled: bool, rules: &Rules) -> bool {
        let room = self.vcpus + need.flavor.vcpus <= rules.host_vcpus
            && self.ram_mb + need.flavor.ram_mb <= rules.host_ram_mb;
        room && need.group.is_none_or(|group| self.suits(group, settled))
    }

    fn suits(&self, group: &ServerGroup, settled: bool) -> bool {
        match group.policy {
            Policy::Affinity => !settled || 0 < self.members,
            Policy::AntiAffinity => self.members < group.max_server_per_host.unwrap_or(1),
            Policy::SoftAffinity | Policy::SoftAntiAffinity => true,
        }
    }

    /// The group's wish first, then the emptier host.
    fn cost(&self, need: &Need<'_>) -> (u32, u32) {
        let wish = match need.group.map(|group| group.policy) {
            Some(Policy::SoftAffinity) => u32::MAX - self.members,
            Some(Policy::AntiAffinity | Policy::SoftAntiAffinity) => self.members,
            Some(Policy::Affinity) | None => 0,
        };
        (wish, self.ram_mb)
    }
}
