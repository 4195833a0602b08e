//! What to do about a failure: which setting to mend, which right to grant, where to look.

use reqwest::{Method, StatusCode};
use url::Url;

use super::envelope::Told;
use crate::cloud::openstack::call::{Call, Service};
use crate::cloud::openstack::transport::Response;
use crate::cloud::rights::{self, Right};
use crate::domain::outcome::FailureKind;

#[derive(Default)]
pub(super) struct Advice {
    pub hint: Option<String>,
    pub key: Option<String>,
}

impl Advice {
    fn hint(text: impl Into<String>) -> Self {
        Self { hint: Some(text.into()), key: None }
    }

    fn key(self, key: impl Into<Option<String>>) -> Self {
        Self { key: key.into(), ..self }
    }
}

pub(super) fn advice(call: &Call, answer: &Response, told: &Told, kind: FailureKind) -> Advice {
    match kind {
        FailureKind::Quota { .. } if told.message.contains("too many servers in group") => {
            Advice::hint("Nova allows so many members of a server group only (10 by default).")
                .key(call.owner.as_ref().map(|owner| owner.key("server_group")))
        }
        FailureKind::Quota { .. } if told.message.contains("too many server groups") => {
            Advice::hint(
                "Nova allows a project so many server groups only (10 by default): delete one \
                 that nobody uses.",
            )
            .key(call.owner.as_ref().map(|owner| owner.key("server_group")))
        }
        FailureKind::Quota { .. } => {
            Advice::hint("Raise the project's quota in this region, or lower the group's max.")
        }
        FailureKind::Capacity => {
            Advice::hint("The place is full: another flavor, zone or region may have room.")
        }
        FailureKind::Denied if answer.status == StatusCode::FORBIDDEN => {
            let policy = policy(&told.message);
            let right = policy.and_then(Right::of_policy).unwrap_or_else(|| needed(call));
            Advice::hint(rights::remedy(right, policy))
        }
        FailureKind::Denied => Advice::hint(
            "The service refused a fresh token: check that the project is enabled and that the \
             account still has a right on it.",
        ),
        FailureKind::Refused => refused(call, answer, told),
        FailureKind::Unclear if answer.status == StatusCode::NOT_FOUND => Advice::hint(
            "This 404 is not Nova's own: a proxy or a wrong endpoint answered. It proves nothing.",
        ),
        FailureKind::Unclear if call.servers.is_some() && !answer.status.is_server_error() => {
            Advice::hint(
                "This answer is not Nova's own: what stands between may have put it in the place of \
             one that was lost. Servers that were made all the same are looked for.",
            )
        }
        FailureKind::Unclear if call.method != Method::GET => {
            Advice::hint("Nobody knows whether the call was carried out.")
        }
        FailureKind::Conflict if told.message.contains("is locked") => {
            Advice::hint("Unlock it: `openstack server unlock`, by whoever locked it.")
        }
        FailureKind::Busy
        | FailureKind::Gone
        | FailureKind::Conflict
        | FailureKind::Unreached
        | FailureKind::Held
        | FailureKind::Unclear => Advice::default(),
    }
}

/// Which text of a refused create blames which setting of the group.
/// Source: nova/api/openstack/compute/servers.py, nova/exception.py.
const BLAMED: [(&str, &str); 16] = [
    ("Can not find requested image", "image"),
    ("Image ", "image"),
    ("Flavor", "flavor"),
    ("Invalid flavorRef", "flavor"),
    ("Only volume-backed servers", "boot_volume"),
    ("Block Device Mapping is Invalid", "boot_volume"),
    ("external network", "networks"),
    ("possible networks", "networks"),
    ("Network", "networks"),
    ("ecurity group", "security_groups"),
    ("ecurity_group", "security_groups"),
    ("Instance group", "server_group"),
    ("key_name", "key_pair"),
    ("availability zone", "availability_zones"),
    ("ser_data", "user_data"),
    ("User data", "user_data"),
];

fn refused(call: &Call, answer: &Response, told: &Told) -> Advice {
    let words = &told.message;
    if answer.status.is_redirection() {
        return Advice::hint("Configure the address that the redirect names, if it is right.");
    }
    if answer.status == StatusCode::NOT_ACCEPTABLE {
        return Advice::hint(
            "The region's Nova does not know this microversion: it was updated or is too old.",
        );
    }
    if words.contains("Malformed request URL") {
        return Advice::hint("The catalog's project is not the token's.")
            .key("cloud.project_id".to_owned());
    }
    let blamed = BLAMED.iter().find(|(text, _)| words.contains(text)).map(|(_, setting)| *setting);
    match (blamed, &call.owner) {
        (Some(setting), Some(owner)) => {
            Advice::hint("Check the setting; names are looked up anew before the next try.")
                .key(owner.key(setting))
        }
        _ => Advice::default(),
    }
}

/// The policy that a 403 names: Nova's `Policy doesn't allow P to be performed.`,
/// Neutron's `(rule:P) is disallowed by policy`, Glance's `You are not authorized to complete P action.`
fn policy(words: &str) -> Option<&str> {
    let between = |from: &str, to: &str| {
        let (_, rest) = words.split_once(from)?;
        let (name, _) = rest.split_once(to)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "_:-.".contains(c);
        (!name.is_empty() && name.chars().all(plain)).then_some(name)
    };
    between("Policy doesn't allow ", " to be performed")
        .or_else(|| between("(rule:", ") is disallowed"))
        .or_else(|| between("rule:", " is disallowed"))
        .or_else(|| between("authorized to complete ", " action"))
}

/// The right that a call needs, where the refusal names no policy.
fn needed(call: &Call) -> Right {
    match call.service {
        Service::Image => Right::ImageRead,
        Service::Network if call.template.contains("security-groups") => Right::SecurityGroupRead,
        Service::Network => Right::NetworkRead,
        _ if call.method == Method::GET => Right::ComputeRead,
        Service::Compute | Service::Identity | Service::IdentityProvider => Right::ComputeManage,
    }
}

pub(super) const CERTIFICATE: &str = "The other side's certificate is not trusted, or is another host's: name \
     the authority that issued it with cloud.cacert. cloud.insecure = true would trust everybody.";

/// As `https://nova.example.net:8774`.
pub(super) fn place(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Where the address of a call came from.
pub(super) fn address(call: &Call) -> &'static str {
    match call.service {
        Service::Identity => "Check cloud.auth_url",
        Service::IdentityProvider if call.method == Method::GET => "Check cloud.discovery_endpoint",
        Service::IdentityProvider => {
            "Check cloud.access_token_endpoint, or what cloud.discovery_endpoint names in its place"
        }
        Service::Compute | Service::Image | Service::Network => {
            "The address came from the cloud's catalog: check the region, cloud.interface"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_out_of_refusals() {
        for (words, named) in [
            (
                "Policy doesn't allow os_compute_api:servers:create to be performed.",
                Some("os_compute_api:servers:create"),
            ),
            ("(rule:create_port) is disallowed by policy", Some("create_port")),
            ("You are not authorized to complete get_images action.", Some("get_images")),
            ("Policy doesn't allow <b>x</b> to be performed.", None),
            ("You are not authorized to perform the requested action.", None),
        ] {
            assert_eq!(policy(words), named, "{words}");
        }
    }
}
