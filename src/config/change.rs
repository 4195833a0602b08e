//! What of a new configuration takes effect while novascale runs, and what does not.

use std::time::Duration;

use super::fault::{Fault, Faults, Severity};
use super::{Cloud, Config};
use crate::domain::group::Group;
use crate::domain::id::Region;

/// Sections that mean something else than in the configuration that runs: they wait for a
/// restart. Groups never do.
pub fn waits_for_restart(running: &Config, next: &Config) -> Vec<&'static str> {
    let sections = [
        ("[controller]", running.controller != next.controller),
        ("[cloud]", cloud(&running.cloud) != cloud(&next.cloud)),
        ("[http]", running.http != next.http),
    ];
    sections.into_iter().filter(|(_, differs)| *differs).map(|(section, _)| section).collect()
}

/// The cloud without what its settings say of groups.
fn cloud(cloud: &Cloud) -> Cloud {
    let mut bare = cloud.clone();
    match &mut bare {
        Cloud::Sandbox(settings) => settings.region_keys.clear(),
        Cloud::OpenStack(settings) => settings.region_keys.clear(),
    }
    bare
}

impl Config {
    /// Refuses groups that do not go with the cloud's settings that run until the restart: a
    /// create that is still under way must never be given up.
    pub fn fits(&self, running: &Config) -> Result<(), Faults> {
        let call_timeout = match &running.cloud {
            Cloud::Sandbox(settings) => settings.limits.call_timeout,
            Cloud::OpenStack(settings) => settings.limits.call_timeout,
        };
        let short = |group: &&Group| group.patience.settle <= 2 * call_timeout;
        let mut faults: Vec<Fault> =
            self.groups.iter().filter(short).map(|group| too_short(group, call_timeout)).collect();
        faults.extend(self.moved(running).into_iter().map(elsewhere));
        if faults.is_empty() { Ok(()) } else { Err(faults.into()) }
    }

    /// Groups that follow the cloud's own region to where it is only after a restart.
    fn moved(&self, running: &Config) -> Vec<&Group> {
        let next = region(&self.cloud);
        if next == region(&running.cloud) {
            return Vec::new();
        }
        let stays = |group: &&Group| {
            let before = running.groups.iter().find(|other| other.name == group.name);
            before.is_some_and(|before| before.region == group.region)
        };
        self.groups.iter().filter(|group| Some(&group.region) == next && !stays(group)).collect()
    }
}

/// Where groups are that name no region themselves.
fn region(cloud: &Cloud) -> Option<&Region> {
    match cloud {
        Cloud::Sandbox(settings) => Some(&settings.region),
        Cloud::OpenStack(settings) => settings.region.as_ref(),
    }
}

fn elsewhere(group: &Group) -> Fault {
    let reason = format!(
        "the group {} would be in {} by a `region` of the cloud that takes effect with a restart",
        group.name, group.region
    );
    let mut fault = Fault::new(Severity::Fault, reason);
    fault.key = Some(format!("group.{}.region", group.name));
    fault.hint("restart novascale, which takes all of the file at once").clone()
}

fn too_short(group: &Group, call_timeout: Duration) -> Fault {
    let key = format!("group.{}.patience.settle", group.name);
    let reason = format!(
        "`{key}` must be more than twice `cloud.limits.call_timeout`, which is {} s until novascale \
         is restarted",
        call_timeout.as_secs()
    );
    let mut fault = Fault::new(Severity::Fault, reason);
    fault.key = Some(key);
    fault.hint("restart novascale, which takes all of the file at once").clone()
}
