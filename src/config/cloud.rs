//! Which cloud to talk to, and how to sign in to it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::rehearsal::Wishes;
use super::secret::Secret;
use crate::domain::id::Region;

/// The cloud that servers live in.
#[derive(Debug, Clone, PartialEq)]
pub enum Cloud {
    /// The embedded OpenStack, started beside the controller.
    Sandbox(SandboxSettings),
    /// A real one. Boxed, for it is large.
    OpenStack(Box<CloudSettings>),
}

/// How the embedded cloud behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct SandboxSettings {
    /// 127.0.0.1 port to listen on; 0 lets the system choose.
    pub port: u16,
    pub region: Region,
    /// As in [`CloudSettings`].
    pub region_keys: BTreeMap<Region, Vec<String>>,
    /// A server takes between these to become ACTIVE.
    pub build: (Duration, Duration),
    /// How long a delete takes.
    pub delete: Duration,
    pub token_life: Duration,
    /// Instances that the project's quota allows.
    pub quota_instances: u32,
    /// What it does wrong from the start.
    pub faults: Wishes,
    /// Rolls the dice of its faults; drawn, if it is not set.
    pub fault_seed: Option<u64>,
    pub limits: Limits,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self {
            port: 0,
            region: sandbox_region(),
            region_keys: BTreeMap::new(),
            build: (secs(2), secs(5)),
            delete: secs(2),
            token_life: secs(3600),
            quota_instances: 50,
            faults: Wishes::default(),
            fault_seed: None,
            limits: Limits::default(),
        }
    }
}

#[expect(clippy::expect_used, reason = "a word of letters keeps Region's rule")]
fn sandbox_region() -> Region {
    Region::new("SANDBOX").expect("a region")
}

/// A real cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudSettings {
    /// What it is called in messages: a preset, a cloud of clouds.yaml, `env`, or its host.
    pub name: String,
    pub auth: Auth,
    /// The default for groups without one; required when the catalog holds several.
    pub region: Option<Region>,
    /// Which settings name a region that groups are in, as `group.web.region`.
    pub region_keys: BTreeMap<Region, Vec<String>>,
    pub interface: Interface,
    pub tls: Tls,
    pub limits: Limits,
    /// Plain http beyond loopback was allowed (`allow_http`).
    pub allow_http: bool,
    /// Hosts that a catalog may name besides the sign-in's own domain; `*.example.net` fits subdomains.
    pub allowed_hosts: Vec<String>,
}

/// How to sign in.
#[derive(Debug, Clone, PartialEq)]
pub enum Auth {
    OidcClientCredentials(Oidc),
    ApplicationCredential(ApplicationCredential),
    Password(Password),
    /// It cannot be renewed.
    Token(Token),
}

/// `v3oidcclientcredentials`, as keystoneauth names its options.
#[derive(Debug, Clone, PartialEq)]
pub struct Oidc {
    /// Ends in `/v3`, without a slash after it.
    pub auth_url: String,
    pub identity_provider: String,
    pub protocol: String,
    pub client_id: String,
    pub client_secret: Secret,
    /// One of these two is given; the second wins.
    pub discovery_endpoint: Option<String>,
    pub access_token_endpoint: Option<String>,
    pub access_token_type: AccessTokenType,
    pub openid_scope: String,
    pub project: Project,
}

/// Which member of the token endpoint's answer goes to Keystone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessTokenType {
    AccessToken,
    IdToken,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ApplicationCredential {
    pub auth_url: String,
    pub who: CredentialName,
    pub secret: Secret,
}

#[derive(Debug, Clone, PartialEq)]
pub enum CredentialName {
    Id(String),
    /// Unique only together with its user.
    Name {
        name: String,
        user: User,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Password {
    pub auth_url: String,
    pub user: User,
    pub password: Secret,
    pub project: Project,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Token {
    pub auth_url: String,
    pub token: Secret,
    pub project: Project,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum User {
    Id(String),
    Name { name: String, domain: Domain },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Project {
    Id(String),
    Name { name: String, domain: Domain },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    Id(String),
    Name(String),
}

/// Which of a service's endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    Public,
    Internal,
    Admin,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// A file of PEM certificates, trusted beside the system's.
    pub cacert: Option<PathBuf>,
    /// No verification at all; warned of loudly.
    pub insecure: bool,
}

/// How fast and how wide calls may go, for one cloud.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Calls per second that read (GET), above 0; as many at once after a pause.
    pub read_per_second: f64,
    /// Calls per second that write (POST, DELETE).
    pub write_per_second: f64,
    /// Calls under way at once, at least 1.
    pub concurrency: u32,
    /// Of one call, from connecting to the last byte.
    pub call_timeout: Duration,
    /// A longer Retry-After is cut to this.
    pub retry_after_most: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            read_per_second: 5.0,
            write_per_second: 5.0,
            concurrency: 8,
            call_timeout: Duration::from_secs(60),
            retry_after_most: Duration::from_secs(300),
        }
    }
}
