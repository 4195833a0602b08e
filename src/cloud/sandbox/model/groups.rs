//! Server groups: servers that want to be on one host, or on none twice.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::identity::Account;
use super::refusal::Refusal;
use super::{Model, Turn};

/// A server group. Its members are the servers that name it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerGroup {
    pub id: String,
    pub name: String,
    pub policy: Policy,
    /// `anti-affinity` only: how many members one host may hold.
    pub max_server_per_host: Option<u32>,
    pub owner: Account,
}

/// Nova's four policies; the soft ones are wishes, the others conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Policy {
    Affinity,
    AntiAffinity,
    SoftAffinity,
    SoftAntiAffinity,
}

impl Policy {
    /// Every policy.
    pub const ALL: [Policy; 4] =
        [Policy::Affinity, Policy::AntiAffinity, Policy::SoftAffinity, Policy::SoftAntiAffinity];

    /// The word of the API.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Affinity => "affinity",
            Policy::AntiAffinity => "anti-affinity",
            Policy::SoftAffinity => "soft-affinity",
            Policy::SoftAntiAffinity => "soft-anti-affinity",
        }
    }
}

impl Model {
    /// Every server group, by id.
    pub fn groups(&self) -> &BTreeMap<String, ServerGroup> {
        &self.groups
    }

    /// One server group.
    ///
    /// # Errors
    /// [`Refusal::Missing`] in Nova's words.
    pub fn group(&self, id: &str) -> Result<&ServerGroup, Refusal> {
        let why = || Refusal::Missing(format!("Instance group {id} could not be found."));
        self.groups.get(id).ok_or_else(why)
    }

    /// The ids of a group's servers.
    pub fn members(&self, group: &str) -> Vec<&str> {
        let of_group = self.servers().filter(|server| server.group.as_deref() == Some(group));
        of_group.map(|server| server.id.as_str()).collect()
    }

    /// Makes a group and returns its id.
    ///
    /// # Errors
    /// [`Refusal::Denied`] over quota.
    pub fn create_group(
        &mut self,
        name: String,
        policy: Policy,
        max_server_per_host: Option<u32>,
        turn: &mut Turn<'_>,
    ) -> Result<String, Refusal> {
        let most = self.quota(turn.rules).server_groups;
        if 0 <= most && most <= i64::try_from(self.groups.len()).unwrap_or(i64::MAX) {
            return Err(Refusal::Denied("Quota exceeded, too many server groups.".to_owned()));
        }
        let id = turn.dice.uuid();
        let group =
            ServerGroup { id: id.clone(), name, policy, max_server_per_host, owner: turn.account };
        self.groups.insert(id.clone(), group);
        Ok(id)
    }

    /// Deletes a group; its servers live on without it.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn delete_group(&mut self, id: &str) -> Result<(), Refusal> {
        self.group(id)?;
        self.groups.remove(id);
        for server in self.servers.values_mut() {
            server.group.take_if(|group| group == id);
        }
        Ok(())
    }

    /// # Errors
    /// [`Refusal::Invalid`] for an unknown group, [`Refusal::Denied`] when it would become too
    /// large.
    pub(super) fn check_group_room(
        &self,
        group: &str,
        count: u32,
        turn: &Turn<'_>,
    ) -> Result<(), Refusal> {
        self.group(group).map_err(|why| Refusal::Invalid(why.to_string()))?;
        let most = self.quota(turn.rules).server_group_members;
        let members = i64::try_from(self.members(group).len()).unwrap_or(i64::MAX);
        if 0 <= most && most < members.saturating_add(i64::from(count)) {
            return Err(Refusal::Denied("Quota exceeded, too many servers in group".to_owned()));
        }
        Ok(())
    }
}
