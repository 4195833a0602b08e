//! One call to one service: what is asked, of whom, and how it is called in messages.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use url::Url;

use crate::cloud::Leave;
use crate::cloud::throttle::Class;
use crate::domain::group::Placement;
use crate::domain::id::{GroupName, Region};
use crate::domain::time::Steady;

/// Whom novascale talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// The OpenID Connect provider that knows service accounts.
    IdentityProvider,
    /// Keystone.
    Identity,
    /// Nova.
    Compute,
    /// Glance.
    Image,
    /// Neutron.
    Network,
}

impl Service {
    /// The catalog's `type`, and the word in metrics and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::IdentityProvider => "identity-provider",
            Self::Identity => "identity",
            Self::Compute => "compute",
            Self::Image => "image",
            Self::Network => "network",
        }
    }
}

/// The group that a call is made for.
#[derive(Clone)]
pub(super) struct Owner {
    group: GroupName,
    placement: &'static str,
}

impl Owner {
    /// One of the group's settings, under the name that its file has: a server group comes
    /// from either of two.
    pub(super) fn key(&self, setting: &str) -> String {
        let setting = if setting == "server_group" { self.placement } else { setting };
        group_key(&self.group, setting)
    }
}

/// A setting of a group, as failures name it.
pub(super) fn group_key(group: &GroupName, setting: &str) -> String {
    format!("group.{group}.{setting}")
}

fn placement_setting(placement: &Placement) -> &'static str {
    match placement {
        Placement::AntiAffinity(_) => "anti_affinity",
        Placement::ServerGroup(_) | Placement::Anywhere => "server_group",
    }
}

/// A call, ready to be sent but for its token.
#[derive(Clone)]
pub(super) struct Call {
    pub service: Service,
    pub region: Option<Region>,
    pub method: Method,
    /// The path as messages and logs show it: no ids, no names, no query.
    pub template: &'static str,
    pub url: Url,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
    /// How many servers a create asks for.
    pub servers: Option<u32>,
    /// Whose settings are to be mended if the call is refused.
    pub owner: Option<Owner>,
    /// Until when the plan is good that it belongs to: it is not sent after that.
    pub not_after: Option<Steady>,
    /// What is asked before a change is sent.
    pub leave: Option<Arc<dyn Leave>>,
    /// What the body holds that nobody may read in an error.
    secrets: Vec<SecretString>,
}

impl Call {
    pub(super) fn new(service: Service, method: Method, template: &'static str, url: Url) -> Self {
        let (region, headers, body, servers, owner) = (None, Vec::new(), Vec::new(), None, None);
        let (not_after, leave, secrets) = (None, None, Vec::new());
        Self {
            service,
            region,
            method,
            template,
            url,
            headers,
            body,
            servers,
            owner,
            not_after,
            leave,
            secrets,
        }
    }

    /// This text of the body is to be read in no error.
    pub(super) fn hiding(mut self, text: &str) -> Self {
        self.secrets.push(SecretString::from(text));
        self
    }

    /// What a refusal may repeat and nobody may read: what was hidden, and credentials in
    /// headers without their scheme.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let headers = self.headers.iter().filter(|(_, value)| value.is_sensitive());
        let headers = headers.filter_map(|(_, value)| value.to_str().ok()?.split(' ').next_back());
        let hidden = self.secrets.iter().map(ExposeSecret::expose_secret);
        headers.chain(hidden).filter(|secret| !secret.is_empty()).collect()
    }

    pub(super) fn region(mut self, region: &Region) -> Self {
        self.region = Some(region.clone());
        self
    }

    pub(super) fn owner(mut self, group: &GroupName, placement: &Placement) -> Self {
        self.owner = Some(Owner { group: group.clone(), placement: placement_setting(placement) });
        self
    }

    /// It changes something: it is sent until then, and with this leave.
    pub(super) fn change(mut self, not_after: Steady, leave: &Arc<dyn Leave>) -> Self {
        (self.not_after, self.leave) = (Some(not_after), Some(Arc::clone(leave)));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: HeaderValue) -> Self {
        self.headers.push((HeaderName::from_static(name), value));
        self
    }

    pub(super) fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self
    }

    pub(super) fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self
    }

    /// Signing in has a class of its own: it must not wait for another's Retry-After.
    pub(super) fn class(&self) -> Class {
        match self.service {
            Service::IdentityProvider | Service::Identity => Class::SignIn,
            _ if self.method == Method::GET => Class::Read,
            Service::Compute | Service::Image | Service::Network => Class::Write,
        }
    }

    /// The service in its region: what a breaker guards.
    pub(super) fn whom(&self) -> String {
        match &self.region {
            Some(region) => format!("{} in {region}", self.service.word()),
            None => self.service.word().to_owned(),
        }
    }
}

/// As `compute in GRA11: POST /servers`.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}", self.whom(), self.method, self.template)
    }
}

/// A base from the catalog with more path below it. Segments are escaped; the base's own
/// trailing slash does not matter.
pub(super) fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url.set_query(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_put_below_a_base_whatever_its_end() {
        for base in ["https://h.test/v2.1/p", "https://h.test/v2.1/p/"] {
            let url = below(&Url::parse(base).unwrap(), &["os-keypairs", "a/b c"]);
            assert_eq!(url.as_str(), "https://h.test/v2.1/p/os-keypairs/a%2Fb%20c");
        }
        let root = below(&Url::parse("https://h.test/").unwrap(), &["v2.0", "networks"]);
        assert_eq!(root.as_str(), "https://h.test/v2.0/networks");
    }
}
