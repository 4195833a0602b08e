//! Which OVHcloud action grants what a 403 says is missing.
//!
//! A refusal names a policy of OpenStack (`os_compute_api:servers:create`); what an
//! OVHcloud account can be given are *actions*, each a bundle of rights. The table is
//! OVHcloud's ("Managing OpenStack access with IAM policies", action by right); which right
//! a policy falls under follows from the services' policy files. Other clouds have roles
//! of their own: the text says which policy they must allow.

/// Action by right, as OVHcloud's guide has it; `x` means granted.
const TABLE: &str = include_str!("rights.csv");

/// What novascale needs in any case, so it is named first wherever it grants the right.
pub const COMPUTE_OPERATOR: &str = "publicCloudProject:openstack:computeOperator";

/// A right in OVHcloud's words, a column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    ComputeManage,
    ComputeRead,
    ImageRead,
    NetworkRead,
    NetworkManage,
    SecurityGroupRead,
    VolumeManage,
}

impl Right {
    pub fn column(self) -> &'static str {
        match self {
            Self::ComputeManage => "compute_manage",
            Self::ComputeRead => "compute_read",
            Self::ImageRead => "image_read",
            Self::NetworkRead => "network_read",
            Self::NetworkManage => "network_manage",
            Self::SecurityGroupRead => "network_secgroup_read",
            Self::VolumeManage => "volume_manage",
        }
    }

    /// The right behind a policy's name, as `os_compute_api:servers:create`,
    /// `create_port` or `get_images`; none if it is a stranger.
    /// Source: nova/policies/*.py, neutron/conf/policies/*.py, glance/policies/image.py.
    pub fn of_policy(policy: &str) -> Option<Self> {
        let reads = ["index", "show", "detail", "list", "get"];
        if let Some(name) = policy.strip_prefix("os_compute_api:") {
            let verb = name.rsplit(':').next().unwrap_or_default();
            let reads = reads.contains(&verb) || matches!(name, "limits" | "os-flavor-access");
            return Some(if reads { Self::ComputeRead } else { Self::ComputeManage });
        }
        match policy {
            "get_images" | "get_image" => Some(Self::ImageRead),
            p if p.starts_with("volume:") => Some(Self::VolumeManage),
            p if p.starts_with("get_security_group") => Some(Self::SecurityGroupRead),
            p if ["get_network", "get_subnet", "get_port"].iter().any(|g| p.starts_with(g)) => {
                Some(Self::NetworkRead)
            }
            p if ["create_port", "update_port", "delete_port"].iter().any(|g| p.starts_with(g)) => {
                Some(Self::NetworkManage)
            }
            _ => None,
        }
    }
}

/// The actions that grant a right: the one that novascale needs anyway first, then
/// those that grant the least.
pub fn actions(right: Right) -> Vec<&'static str> {
    let mut lines = TABLE.lines().map(|line| line.split(',').map(str::trim).collect::<Vec<_>>());
    let head = lines.next().unwrap_or_default();
    let Some(column) = head.iter().position(|name| *name == right.column()) else {
        return Vec::new();
    };
    let mut granting: Vec<(bool, usize, &str)> = lines
        .filter(|cells| cells.get(column) == Some(&"x"))
        .map(|cells| {
            let granted = cells.iter().filter(|cell| **cell == "x").count();
            (cells[0] != COMPUTE_OPERATOR, granted, cells[0])
        })
        .collect();
    granting.sort_unstable();
    granting.into_iter().map(|(_, _, action)| action).collect()
}

/// What to do about a missing right, as a sentence.
pub fn remedy(right: Right, policy: Option<&str>) -> String {
    let allow = policy.map_or_else(
        || "Grant the account a role that allows this call".to_owned(),
        |p| format!("Grant the account a role that allows {p}"),
    );
    match actions(right).split_first() {
        None => format!("{allow}."),
        Some((first, [])) => format!("{allow}; on OVHcloud, the action {first}."),
        Some((first, others)) => {
            format!("{allow}; on OVHcloud, the action {first} (or {}).", others.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_create_names_the_operator_first_and_then_the_others() {
        let right = Right::of_policy("os_compute_api:servers:create").unwrap();
        assert_eq!(
            actions(right),
            [COMPUTE_OPERATOR, "publicCloudProject:openstack:administrator"]
        );
        assert!(remedy(right, Some("os_compute_api:servers:create")).contains(COMPUTE_OPERATOR));
    }

    #[test]
    fn policies_fall_under_rights() {
        for (policy, right) in [
            ("os_compute_api:servers:detail", Right::ComputeRead),
            ("os_compute_api:servers:delete", Right::ComputeManage),
            ("os_compute_api:os-server-groups:create", Right::ComputeManage),
            ("os_compute_api:os-keypairs:show", Right::ComputeRead),
            ("os_compute_api:limits", Right::ComputeRead),
            ("get_networks", Right::NetworkRead),
            ("get_security_groups", Right::SecurityGroupRead),
            ("create_port", Right::NetworkManage),
            ("get_images", Right::ImageRead),
        ] {
            assert_eq!(Right::of_policy(policy), Some(right), "{policy}");
            assert!(!actions(right).is_empty(), "{policy}");
        }
        assert_eq!(Right::of_policy("identity:create_user"), None);
    }

    #[test]
    fn the_operator_cannot_make_volumes() {
        assert!(!actions(Right::VolumeManage).contains(&COMPUTE_OPERATOR));
        assert!(!actions(Right::VolumeManage).is_empty());
    }
}
