//! What the caller decides about an embedded cloud.

use secrecy::{ExposeSecret as _, SecretString};

use super::SandboxError;
use super::model::rules::Rules;
use crate::config::rehearsal::Wishes;

/// How an embedded cloud looks from outside. Build it with [`SandboxConfig::new`] and change what
/// should differ.
#[derive(Debug, Clone)]
pub struct SandboxConfig {
    /// Where clients reach it, without a slash at the end: the catalog's URLs begin with it.
    pub base_url: String,
    /// The one region's name.
    pub region: String,
    /// The name of the identity provider in Keystone.
    pub identity_provider: String,
    /// The federation protocol; OVHcloud's is `openid`.
    pub protocol: String,
    /// The one project: 32 hexadecimal digits.
    pub project_id: String,
    pub project_name: String,
    pub credentials: Credentials,
    pub rules: Rules,
    pub rehearsal: Rehearsal,
}

/// What goes wrong, and who may say so.
#[derive(Debug, Clone, Default)]
pub struct Rehearsal {
    /// The faults that are on from the start.
    pub wishes: Wishes,
    /// The same seed rolls the same dice for faults, and for nothing else.
    pub seed: Option<u64>,
    /// Opens `/faults`, which is closed without it.
    pub token: Option<SecretString>,
}

/// Who may sign in. The secrets are drawn by the caller, at first start, and never print.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The service account's OAuth2 client.
    pub client_id: String,
    pub client_secret: SecretString,
    /// The user for `v3password`, in domain `Default`.
    pub username: String,
    pub password: SecretString,
    /// That user's application credential, for `v3applicationcredential`.
    pub application_credential: Option<ApplicationCredential>,
}

/// An application credential (Keystone `auth/plugins/application_credential.py`), bound to the one
/// project.
#[derive(Debug, Clone)]
pub struct ApplicationCredential {
    pub id: String,
    pub name: String,
    pub secret: SecretString,
}

impl SandboxConfig {
    /// The region `SANDBOX-1` at this URL, with the rules of [`Rules::for_region`].
    pub fn new(base_url: &str, credentials: Credentials) -> SandboxConfig {
        let region = "SANDBOX-1";
        SandboxConfig {
            base_url: base_url.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
            identity_provider: "novascale-sandbox".to_owned(),
            protocol: "openid".to_owned(),
            project_id: "5a4db0c5000000004000800000000001".to_owned(),
            project_name: "sandbox".to_owned(),
            credentials,
            rules: Rules::for_region(region),
            rehearsal: Rehearsal::default(),
        }
    }

    /// The same in another region; zones are named after it.
    #[must_use]
    pub fn in_region(mut self, region: &str) -> SandboxConfig {
        region.clone_into(&mut self.region);
        self.rules.zones = Rules::for_region(region).zones;
        self
    }

    /// Where an OpenID Connect client begins.
    pub fn discovery_url(&self) -> String {
        format!("{}/oidc/.well-known/openid-configuration", self.base_url)
    }

    /// Keystone, as `auth_url` wants it.
    pub fn auth_url(&self) -> String {
        format!("{}/identity/v3", self.base_url)
    }

    /// # Errors
    /// [`SandboxError::Config`]: an empty secret would open the door to everybody who leaves it
    /// out.
    pub(super) fn check(&self) -> Result<(), SandboxError> {
        let credentials = &self.credentials;
        let empty = |secret: &SecretString| secret.expose_secret().is_empty();
        let application = credentials.application_credential.iter();
        let secrets = [&credentials.client_secret, &credentials.password];
        if secrets.into_iter().chain(application.map(|it| &it.secret)).any(empty) {
            return Err(SandboxError::Config("a secret is empty; draw one for each credential"));
        }
        if credentials.client_id.is_empty() || credentials.username.is_empty() {
            return Err(SandboxError::Config("the client id or the user name is empty; give both"));
        }
        if self.rules.zones.is_empty() {
            return Err(SandboxError::Config("there is no availability zone; name at least one"));
        }
        Ok(())
    }
}
