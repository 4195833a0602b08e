//! OVHcloud's sign-in, per subsidiary: what differs only by where the customer account lives.
//!
//! Source: OVHcloud guide "How to use service accounts to connect to OpenStack APIs" (EU and
//! world pages of 2023-11, and the US page, whose examples mix the subsidiaries: hence
//! [`disagreement`]).

use super::options::{Options, Origin};

/// One subsidiary's endpoints.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) name: &'static str,
    auth_url: &'static str,
    identity_provider: &'static str,
    discovery_endpoint: &'static str,
}

pub(super) const PRESETS: [Preset; 3] = [
    Preset {
        name: "ovhcloud-eu",
        auth_url: "https://auth.cloud.ovh.net/v3",
        identity_provider: "ovhcloud-emea",
        discovery_endpoint: "https://iam.ovh.net/role-adapter/urn:v1:eu:resource:publicCloudProject:pci/.well-known/openid-configuration",
    },
    Preset {
        name: "ovhcloud-ca",
        auth_url: "https://auth.cloud.ovh.net/v3",
        identity_provider: "ovhcloud-world",
        discovery_endpoint: "https://iam.ovh.ca/role-adapter/urn:v1:ca:resource:publicCloudProject:pci/.well-known/openid-configuration",
    },
    Preset {
        name: "ovhcloud-us",
        auth_url: "https://auth.cloud.ovh.us/v3",
        identity_provider: "ovhcloud-us",
        discovery_endpoint: "https://iam.ovh.us/role-adapter/urn:v1:us:resource:publicCloudProject:pci/.well-known/openid-configuration",
    },
];

impl Preset {
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Adds what the preset fills in.
    pub(super) fn fill(&'static self, options: &mut Options) {
        for (name, value) in [
            ("auth_type", "v3oidcclientcredentials"),
            ("auth_url", self.auth_url),
            ("identity_provider", self.identity_provider),
            ("discovery_endpoint", self.discovery_endpoint),
            ("protocol", "openid"),
            ("access_token_type", "id_token"),
            ("openid_scope", "openid profile email publicCloudProject/all"),
        ] {
            options.set(name, value, Origin::Preset(self.name));
        }
    }
}

/// What a sign-in names, as far as it is OVHcloud's.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Parts<'a> {
    pub(super) auth_url: &'a str,
    pub(super) identity_provider: &'a str,
    pub(super) discovery_endpoint: Option<&'a str>,
}

/// Says which parts belong to different subsidiaries. Each alone is right, together they refuse
/// the account with a plain 401, in a step that gives no reason.
pub(super) fn disagreement(parts: Parts<'_>) -> Option<String> {
    let of = |fits: &dyn Fn(&Preset) -> bool| -> Option<Vec<&'static str>> {
        let names: Vec<_> = PRESETS.iter().filter(|p| fits(p)).map(|p| p.name).collect();
        (!names.is_empty()).then_some(names)
    };
    let host = |url: &str| ::url::Url::parse(url).ok()?.host_str().map(str::to_owned);
    let same_host = |a: &str, b: &str| host(a).is_some() && host(a) == host(b);
    let said = [
        ("identity_provider", of(&|p| p.identity_provider == parts.identity_provider)),
        (
            "discovery_endpoint",
            of(&|p| parts.discovery_endpoint.is_some_and(|d| same_host(d, p.discovery_endpoint))),
        ),
        ("auth_url", of(&|p| same_host(parts.auth_url, p.auth_url))),
    ];
    let said: Vec<_> = said.into_iter().filter_map(|(part, names)| Some((part, names?))).collect();
    let agreed = |name: &str| said.iter().all(|(_, names)| names.contains(&name));
    if said.is_empty() || PRESETS.iter().any(|p| agreed(p.name)) {
        return None;
    }
    let parts =
        said.iter().map(|(part, names)| format!("`{part}` is that of {}", names.join(" or ")));
    Some(parts.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_agree_with_themselves() {
        for preset in &PRESETS {
            let parts = Parts {
                auth_url: preset.auth_url,
                identity_provider: preset.identity_provider,
                discovery_endpoint: Some(preset.discovery_endpoint),
            };
            assert_eq!(disagreement(parts), None, "{}", preset.name);
        }
    }

    #[test]
    fn mixed_parts_are_named() {
        let [eu, ca, us] = &PRESETS;
        let mixed = |auth: &Preset, provider: &Preset, discovery: &Preset| {
            disagreement(Parts {
                auth_url: auth.auth_url,
                identity_provider: provider.identity_provider,
                discovery_endpoint: Some(discovery.discovery_endpoint),
            })
        };
        assert!(
            mixed(us, eu, us)
                .is_some_and(|said| said.contains("`identity_provider` is that of ovhcloud-eu"))
        );
        assert!(mixed(us, us, ca).is_some());
        assert!(mixed(eu, ca, eu).is_some());
        assert!(mixed(ca, eu, eu).is_none(), "EU and CA share a Keystone");
    }

    #[test]
    fn other_clouds_are_not_judged() {
        let parts = Parts {
            auth_url: "https://keystone.example.net/v3",
            identity_provider: "idp",
            ..Parts::default()
        };
        assert_eq!(disagreement(parts), None);
    }
}
