//! Where the services are: the catalog that came with the token.
//!
//! An endpoint is found by service type, interface and region, all compared exactly. What
//! the catalog says is followed only to the sign-in's own domain, or to a host that the
//! configuration allows: a catalog that was moved elsewhere would be handed our token.
//! Source: keystoneauth1/access/service_catalog.py; service types and their aliases from
//! os-service-types.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::auth::auth_url;
use super::call::{Service, below};
use super::transport::guard;
use crate::config::cloud::{CloudSettings, Interface};
use crate::config::host::loopback;
use crate::domain::id::Region;
use crate::domain::outcome::{Failure, FailureKind};

/// All endpoints of a token, of the services and the interface that we use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Catalog {
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Endpoint {
    service: Service,
    interface: Interface,
    region: String,
    url: String,
}

/// What decides whether an endpoint is followed.
#[derive(Debug, Clone)]
pub(super) struct Trust {
    /// None if it cannot be read: then nothing is followed.
    pub auth_url: Option<Url>,
    pub interface: Interface,
    pub allow_http: bool,
    pub allowed_hosts: Vec<String>,
    /// Which settings name a region.
    pub region_keys: BTreeMap<Region, Vec<String>>,
}

impl Trust {
    pub(super) fn of(settings: &CloudSettings) -> Self {
        Self {
            auth_url: Url::parse(auth_url(&settings.auth)).ok(),
            interface: settings.interface,
            allow_http: settings.allow_http,
            allowed_hosts: settings.allowed_hosts.clone(),
            region_keys: settings.region_keys.clone(),
        }
    }

    /// The first setting that names the region.
    pub(super) fn region_key(&self, region: &Region) -> &str {
        self.region_keys(region).first().map_or("cloud.region", String::as_str)
    }

    fn region_keys(&self, region: &Region) -> &[String] {
        self.region_keys.get(region).map_or(&[], Vec::as_slice)
    }
}

impl Catalog {
    /// Reads `token.catalog`; entries that cannot be read are left out.
    pub(super) fn read(catalog: &Value) -> Self {
        let services = catalog.as_array().into_iter().flatten();
        let endpoints = services.flat_map(|entry| {
            let service = service_of(entry["type"].as_str().unwrap_or_default());
            let endpoints = entry["endpoints"].as_array().into_iter().flatten();
            endpoints.filter_map(move |endpoint| Endpoint::read(service?, endpoint))
        });
        Self { endpoints: endpoints.collect() }
    }

    /// The regions in which a service is offered on this interface, in the catalog's order.
    pub(super) fn regions(&self, service: Service, interface: Interface) -> Vec<&str> {
        let mut regions: Vec<&str> = Vec::new();
        for endpoint in self.of(service, interface) {
            if !regions.contains(&endpoint.region.as_str()) {
                regions.push(&endpoint.region);
            }
        }
        regions
    }

    fn of(&self, service: Service, interface: Interface) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(move |e| e.service == service && e.interface == interface)
    }

    /// The base URL of a service in a region, versioned, without a slash at its end.
    pub(super) fn endpoint(
        &self,
        service: Service,
        region: &Region,
        trust: &Trust,
    ) -> Result<Url, Failure> {
        let found = self.of(service, trust.interface).find(|e| e.region == region.as_str());
        let found = found.ok_or_else(|| self.absent(service, region, trust))?;
        let url = Url::parse(&found.url).ok().filter(|url| !url.cannot_be_a_base());
        let url = url.ok_or_else(|| {
            refused(service, region, format!("its URL cannot be read: {:?}", found.url))
        })?;
        trusted(service, region, &url, trust)?;
        Ok(versioned(service, &url))
    }

    fn absent(&self, service: Service, region: &Region, trust: &Trust) -> Failure {
        let regions = self.regions(service, trust.interface);
        let word = service.word();
        if regions.is_empty() {
            let message = format!("the catalog holds no {word} service on this interface");
            return Failure::new(FailureKind::Refused, message)
                .hint("Check cloud.interface, and that the project offers the service.")
                .key("cloud.interface");
        }
        let message = format!(
            "the catalog holds no {word} service in region {region}; its regions are {}",
            regions.join(", ")
        );
        let same = regions.iter().find(|r| r.eq_ignore_ascii_case(region.as_str()));
        let hint = match (same, trust.region_keys(region)) {
            (Some(right), _) => format!("Regions are compared exactly: write {right}."),
            (None, keys @ [_, _, ..]) => format!("Set {} to one of them.", keys.join(" and ")),
            (None, _) => "Set it to one of them.".to_owned(),
        };
        Failure::new(FailureKind::Refused, message).hint(hint).key(trust.region_key(region))
    }
}

impl Endpoint {
    fn read(service: Service, endpoint: &Value) -> Option<Self> {
        let text = |key: &str| endpoint[key].as_str().filter(|text| !text.is_empty());
        let interface = match text("interface")? {
            "public" | "publicURL" => Interface::Public,
            "internal" | "internalURL" => Interface::Internal,
            "admin" | "adminURL" => Interface::Admin,
            _ => return None,
        };
        let region = text("region_id").or_else(|| text("region"))?.to_owned();
        Some(Self { service, interface, region, url: text("url")?.to_owned() })
    }
}

fn service_of(kind: &str) -> Option<Service> {
    match kind {
        "identity" => Some(Service::Identity),
        "compute" => Some(Service::Compute),
        "image" => Some(Service::Image),
        "network" => Some(Service::Network),
        _ => None,
    }
}

fn refused(service: Service, region: &Region, why: String) -> Failure {
    let message = format!("the {} endpoint of {region} is not followed: {why}", service.word());
    Failure::new(FailureKind::Refused, message)
}

fn trusted(service: Service, region: &Region, url: &Url, trust: &Trust) -> Result<(), Failure> {
    guard(url, trust.allow_http).map_err(|why| refused(service, region, why.to_string()))?;
    let Some(auth_url) = &trust.auth_url else {
        return Err(refused(service, region, "cloud.auth_url is not a URL".into()));
    };
    if auth_url.scheme() == "https" && url.scheme() != "https" && !trust.allow_http {
        return Err(refused(service, region, format!("{url} is plain http, the sign-in https")));
    }
    let host = url.host_str().unwrap_or_default();
    let home = auth_url.host_str().unwrap_or_default();
    let allowed = host == home
        || (loopback(url) && loopback(auth_url))
        || domain(home).is_some_and(|domain| within(host, domain))
        || trust.allowed_hosts.iter().any(|pattern| fits(host, pattern));
    if allowed {
        return Ok(());
    }
    Err(refused(service, region, format!("{host} is not of the sign-in's domain ({home})"))
        .hint(format!("If {host} is right, add it to cloud.allowed_hosts."))
        .key("cloud.allowed_hosts"))
}

/// The domain that a host's neighbours share: `auth.cloud.ovh.net` lives in `cloud.ovh.net`,
/// `example.net` in itself. None for addresses and for names under a public suffix alone.
fn domain(host: &str) -> Option<&str> {
    if host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    let labels = host.split('.').count();
    let parent = if labels <= 2 { host } else { host.split_once('.')?.1 };
    (!public_suffix(parent)).then_some(parent)
}

/// `net`, and the likes of `co.uk`, under which strangers live side by side.
fn public_suffix(domain: &str) -> bool {
    match domain.split('.').collect::<Vec<_>>().as_slice() {
        [second, country] => {
            country.len() == 2
                && ["ac", "co", "com", "edu", "gouv", "gov", "net", "or", "org"].contains(second)
        }
        labels => labels.len() < 2,
    }
}

fn within(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|head| head.ends_with('.'))
}

/// `*.example.net` fits subdomains; anything else fits itself.
fn fits(host: &str, pattern: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(domain) => host != domain && within(host, domain),
        None => host == pattern,
    }
}

/// With the version in its path that we speak. Nova's `/v2` is its legacy face, which drops
/// microversions and so ignores tag filters (nova/api/openstack/__init__.py
/// LegacyV2CompatibleWrapper). Glance and Neutron are often listed without a version.
fn versioned(service: Service, url: &Url) -> Url {
    let mut segments: Vec<String> = url
        .path_segments()
        .map(|path| path.filter(|s| !s.is_empty()).map(str::to_owned).collect())
        .unwrap_or_default();
    let versioned = |s: &String| {
        s.strip_prefix('v').is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()))
    };
    match service {
        Service::Compute => {
            if let Some(legacy) = segments.iter_mut().find(|s| *s == "v2" || *s == "v2.0") {
                "v2.1".clone_into(legacy);
            }
        }
        Service::Network if !segments.iter().any(versioned) => segments.push("v2.0".into()),
        Service::Image if !segments.iter().any(versioned) => segments.push("v2".into()),
        Service::Network | Service::Image | Service::Identity | Service::IdentityProvider => {}
    }
    let mut root = url.clone();
    root.set_path("");
    below(&root, &segments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The address at which Nova tells its versions: the part of its URL up to `/v2.1`.
pub(super) fn compute_root(base: &Url) -> Url {
    let mut root = base.clone();
    let path = base.path();
    if let Some(at) = path.find("/v2.1") {
        root.set_path(&format!("{}/v2.1/", &path[..at]));
    }
    root
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trust(auth_url: &str) -> Trust {
        Trust {
            auth_url: Url::parse(auth_url).ok(),
            interface: Interface::Public,
            allow_http: false,
            allowed_hosts: vec!["nova.partner.test".into(), "*.elsewhere.test".into()],
            region_keys: [
                ("GRA9", &["group.a.region"][..]),
                ("GRA8", &["cloud.region", "group.b.region"]),
            ]
            .map(|(region, keys)| {
                (Region::new(region).unwrap(), keys.iter().map(|key| (*key).to_owned()).collect())
            })
            .into(),
        }
    }

    fn catalog(kind: &str, url: &str) -> Catalog {
        Catalog::read(&json!([{"type": kind, "endpoints": [
            {"interface": "internal", "region_id": "GRA11", "url": "https://internal.test/"},
            {"interface": "public", "region_id": "GRA11", "url": ""},
            {"interface": "public", "region": "GRA11", "region_id": "GRA11", "url": url},
            {"interface": "publicURL", "region": "SBG5", "url": url},
            {"region": "no interface"}, 7
        ]}, {"type": 3}, {"type": "volumev3", "endpoints": null}]))
    }

    fn endpoint(kind: &str, url: &str) -> Result<String, Failure> {
        let service = service_of(kind).unwrap();
        let region = Region::new("GRA11").unwrap();
        let trust = trust("https://auth.cloud.ovh.net/v3");
        catalog(kind, url).endpoint(service, &region, &trust).map(|url| url.to_string())
    }

    #[test]
    fn urls_get_the_version_that_we_speak() {
        for (kind, listed, spoken) in [
            ("compute", "https://n.cloud.ovh.net/v2.1/p", "https://n.cloud.ovh.net/v2.1/p"),
            ("compute", "https://n.cloud.ovh.net/v2/p/", "https://n.cloud.ovh.net/v2.1/p"),
            (
                "compute",
                "https://n.cloud.ovh.net/compute/v2.1",
                "https://n.cloud.ovh.net/compute/v2.1",
            ),
            ("network", "https://n.cloud.ovh.net/", "https://n.cloud.ovh.net/v2.0"),
            ("network", "https://n.cloud.ovh.net/v2.0/", "https://n.cloud.ovh.net/v2.0"),
            ("image", "https://n.cloud.ovh.net/image", "https://n.cloud.ovh.net/image/v2"),
        ] {
            assert_eq!(endpoint(kind, listed).unwrap(), spoken);
        }
        let base = Url::parse("https://h.test/compute/v2.1/project").unwrap();
        assert_eq!(compute_root(&base).as_str(), "https://h.test/compute/v2.1/");
    }

    #[test]
    fn a_catalog_is_not_followed_to_strangers() {
        for good in [
            "https://compute.gra11.cloud.ovh.net/v2.1/p",
            "https://nova.partner.test/v2.1",
            "https://a.b.elsewhere.test/v2.1",
        ] {
            assert!(endpoint("compute", good).is_ok(), "{good}");
        }
        for bad in [
            "https://cloud.ovh.net.evil.test/v2.1",
            "https://evilcloud.ovh.net/v2.1",
            "https://elsewhere.test/v2.1",
            "https://203.0.113.9/v2.1",
        ] {
            let failure = endpoint("compute", bad).unwrap_err();
            assert_eq!(failure.key.as_deref(), Some("cloud.allowed_hosts"), "{bad}");
        }
        for bad in [
            "http://compute.cloud.ovh.net/v2.1",
            "http://127.0.0.1:8774/v2.1",
            "https://169.254.169.254/v2.1",
            "nonsense",
        ] {
            let failure = endpoint("compute", bad).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Refused, "{bad}");
        }
    }

    #[test]
    fn neighbours_share_a_domain_but_not_a_public_suffix() {
        for (host, shared) in [
            ("auth.cloud.ovh.net", Some("cloud.ovh.net")),
            ("example.net", Some("example.net")),
            ("example.co.uk", None),
            ("keystone.example.co.uk", Some("example.co.uk")),
            ("localhost", None),
            ("127.0.0.1", None),
            ("[::1]", None),
        ] {
            assert_eq!(domain(host), shared, "{host}");
        }
    }

    #[test]
    fn regions_are_compared_exactly_and_named_in_errors() {
        let catalog = catalog("compute", "https://n.cloud.ovh.net/v2.1/p");
        let trust = trust("https://auth.cloud.ovh.net/v3");
        let ask = |region: &str| {
            catalog.endpoint(Service::Compute, &Region::new(region).unwrap(), &trust)
        };
        assert!(ask("SBG5").is_ok());
        let wrong_case = ask("gra11").unwrap_err();
        assert!(wrong_case.hint.unwrap().contains("write GRA11"));
        let absent = ask("GRA99").unwrap_err();
        assert!(absent.message.contains("GRA11, SBG5"), "{absent}");
        assert_eq!(absent.key.as_deref(), Some("cloud.region"));
        let own = ask("GRA9").unwrap_err();
        assert_eq!(own.key.as_deref(), Some("group.a.region"));
        let several = ask("GRA8").unwrap_err().hint.unwrap();
        assert!(several.contains("cloud.region and group.b.region"), "{several}");
    }
}
