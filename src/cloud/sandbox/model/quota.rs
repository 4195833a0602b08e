//! The project's quota and what of it is used.

use serde::{Deserialize, Serialize};

use super::Model;
use super::catalogue::Flavor;
use super::refusal::Refusal;
use super::rules::Rules;

/// Limits of the project; −1 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    pub instances: i64,
    pub cores: i64,
    pub ram_mb: i64,
    pub key_pairs: i64,
    pub metadata_items: i64,
    pub server_groups: i64,
    pub server_group_members: i64,
}

/// What is used. Every server counts, in BUILD, in ERROR and while it is deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    pub instances: i64,
    pub cores: i64,
    pub ram_mb: i64,
}

impl Default for Quota {
    /// A hundred instances, and room for them in the larger flavors; the rest is Nova's default
    /// (`conf/quota.py`).
    fn default() -> Quota {
        Quota {
            instances: 100,
            cores: 400,
            ram_mb: 1_600_000,
            key_pairs: 100,
            metadata_items: 128,
            server_groups: 10,
            server_group_members: 10,
        }
    }
}

impl Quota {
    /// The same with no more instances than these, if they are given.
    #[must_use]
    pub(in super::super) fn at_most(&self, instances: Option<u32>) -> Quota {
        let mut quota = self.clone();
        if let Some(most) = instances.map(i64::from)
            && (quota.instances < 0 || most < quota.instances)
        {
            quota.instances = most;
        }
        quota
    }

    /// The limits by the names of the API, in its order.
    pub fn by_name(&self) -> [(&'static str, i64); 7] {
        [
            ("instances", self.instances),
            ("cores", self.cores),
            ("ram", self.ram_mb),
            ("key_pairs", self.key_pairs),
            ("metadata_items", self.metadata_items),
            ("server_groups", self.server_groups),
            ("server_group_members", self.server_group_members),
        ]
    }

    /// The limit of this name, to be changed.
    pub fn limit_mut(&mut self, name: &str) -> Option<&mut i64> {
        match name {
            "instances" => Some(&mut self.instances),
            "cores" => Some(&mut self.cores),
            "ram" => Some(&mut self.ram_mb),
            "key_pairs" => Some(&mut self.key_pairs),
            "metadata_items" => Some(&mut self.metadata_items),
            "server_groups" => Some(&mut self.server_groups),
            "server_group_members" => Some(&mut self.server_group_members),
            _ => None,
        }
    }
}

impl Model {
    /// The quota in force.
    pub fn quota<'a>(&'a self, rules: &'a Rules) -> &'a Quota {
        self.quota.as_ref().unwrap_or(&rules.quota)
    }

    /// Sets the quota, from now on in place of the rules' own.
    pub fn set_quota(&mut self, quota: Quota) {
        self.quota = Some(quota);
    }

    /// What is used now.
    pub fn usage(&self) -> Usage {
        self.servers().fold(Usage::default(), |sum, server| Usage {
            instances: sum.instances + 1,
            cores: sum.cores + i64::from(server.flavor.vcpus),
            ram_mb: sum.ram_mb + i64::from(server.flavor.ram_mb),
        })
    }

    /// How many servers a create makes: `max`, or as many as fit if those are at least `min`
    /// (Nova `compute/utils.py`, `check_num_instances_quota`).
    ///
    /// # Errors
    /// [`Refusal::Denied`] with the exceeded limits and their numbers, when fewer than `min` fit.
    pub(super) fn fitting(
        &self,
        flavor: &Flavor,
        min: u32,
        max: u32,
        quota: &Quota,
    ) -> Result<u32, Refusal> {
        let room = Room::new(quota, self.usage(), flavor);
        let fits = room.servers();
        if i64::from(max) <= fits {
            return Ok(max);
        }
        match u32::try_from(fits) {
            Ok(fits) if min <= fits && 0 < fits => Ok(fits),
            Ok(_) | Err(_) => Err(room.refusal(min, max)),
        }
    }
}

/// The three limits that a create can meet, in the order in which Nova names them: by the alphabet.
struct Room {
    limits: [Limit; 3],
}

struct Limit {
    name: &'static str,
    limit: i64,
    used: i64,
    each: i64,
}

impl Room {
    fn new(quota: &Quota, used: Usage, flavor: &Flavor) -> Room {
        let limit = |name, limit, used, each| Limit { name, limit, used, each };
        Room {
            limits: [
                limit("cores", quota.cores, used.cores, i64::from(flavor.vcpus)),
                limit("instances", quota.instances, used.instances, 1),
                limit("ram", quota.ram_mb, used.ram_mb, i64::from(flavor.ram_mb)),
            ],
        }
    }

    fn servers(&self) -> i64 {
        self.limits.iter().map(Limit::servers).min().unwrap_or(i64::MAX)
    }

    fn refusal(&self, min: u32, max: u32) -> Refusal {
        let over: Vec<&Limit> =
            self.limits.iter().filter(|limit| limit.servers() < i64::from(max)).collect();
        let list = |write: &dyn Fn(&Limit) -> String| {
            over.iter().map(|l| write(l)).collect::<Vec<_>>().join(", ")
        };
        let names = list(&|limit| limit.name.to_owned());
        let requested = list(&|limit| limit.requested(min, max));
        let used = list(&|limit| limit.used.to_string());
        let allowed = list(&|limit| limit.limit.to_string());
        Refusal::Denied(format!(
            "Quota exceeded for {names}: Requested {requested}, but already used \
             {used} of {allowed} {names}"
        ))
    }
}

impl Limit {
    /// How many servers still fit under it.
    fn servers(&self) -> i64 {
        if self.limit < 0 || self.each == 0 {
            return i64::MAX;
        }
        (self.limit - self.used).max(0) / self.each
    }

    fn requested(&self, min: u32, max: u32) -> String {
        match self.name {
            "instances" if min != max => format!("{min}-{max}"),
            _ => (self.each * i64::from(max)).to_string(),
        }
    }
}
