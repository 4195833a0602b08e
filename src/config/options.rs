//! A cloud's settings under keystoneauth's option names, each with where it came from.
//!
//! Presets, clouds.yaml, variables and `[cloud]` are laid over one another here; only then is
//! asked what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use secrecy::SecretString;

use super::fault::{Fault, Place, Sink, Spot};
use super::secret::Secret;

/// Options that are secrets.
pub(super) const SECRETS: [&str; 4] =
    ["client_secret", "password", "application_credential_secret", "token"];

/// Options that are not, by the names that keystoneauth and openstacksdk have for them.
/// Source: keystoneauth `keystoneauth1/loading/_plugins/identity/v3.py`, `loading/identity.py`.
pub(super) const TEXTS: [&str; 30] = [
    "auth_type",
    "auth_url",
    "identity_provider",
    "protocol",
    "client_id",
    "discovery_endpoint",
    "access_token_endpoint",
    "access_token_type",
    "openid_scope",
    "project_id",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "user_id",
    "username",
    "user_domain_id",
    "user_domain_name",
    "domain_id",
    "domain_name",
    "default_domain_id",
    "default_domain_name",
    "application_credential_id",
    "application_credential_name",
    "region_name",
    "interface",
    "cacert",
    "insecure",
    "verify",
    "cert",
    "key",
];

/// Where an option was given.
#[derive(Debug, Clone)]
pub(super) enum Origin {
    /// In scaling.toml.
    Written(Spot),
    Preset(&'static str),
    /// In clouds.yaml or one of its companions.
    Clouds(PathBuf),
    Variable(String),
}

impl Origin {
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Written(spot) => spot.key.clone(),
            Self::Preset(name) => format!("preset {name}"),
            Self::Clouds(path) => path.display().to_string(),
            Self::Variable(name) => format!("env {name}"),
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum OptionValue {
    Text(String),
    Secret(Secret),
}

#[derive(Debug, Clone)]
pub(super) struct Given {
    pub(super) value: OptionValue,
    pub(super) origin: Origin,
}

/// What the settings are, as a whole: how messages speak of what is missing.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// `[cloud]`.
    Written(Spot),
    /// A cloud of clouds.yaml.
    Clouds { name: String, path: PathBuf },
    /// `OS_*` variables.
    Variables,
}

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) base: Base,
    given: BTreeMap<&'static str, Given>,
    /// Given, but not so that it could be taken; that was told.
    refused: BTreeSet<&'static str>,
}

impl Options {
    pub(super) fn new(base: Base) -> Self {
        Self { base, given: BTreeMap::new(), refused: BTreeSet::new() }
    }

    pub(super) fn refuse(&mut self, name: &'static str) {
        self.refused.insert(name);
    }

    pub(super) fn is_refused(&self, name: &str) -> bool {
        self.refused.contains(name)
    }

    /// The later value wins.
    pub(super) fn set(&mut self, name: &'static str, text: impl Into<String>, origin: Origin) {
        let text = text.into();
        let value = if SECRETS.contains(&name) {
            OptionValue::Secret(Secret::Given(SecretString::from(text)))
        } else {
            OptionValue::Text(text)
        };
        self.given.insert(name, Given { value, origin });
    }

    pub(super) fn set_secret(&mut self, name: &'static str, secret: Secret, origin: Origin) {
        self.given.insert(name, Given { value: OptionValue::Secret(secret), origin });
    }

    pub(super) fn get(&self, name: &str) -> Option<&Given> {
        self.given.get(name)
    }

    /// An option's text; none for secrets.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            OptionValue::Text(text) => Some(text),
            OptionValue::Secret(_) => None,
        }
    }

    /// How whoever wrote it calls the option.
    pub(super) fn spelled(&self, name: &str) -> String {
        match self.get(name).map(|given| &given.origin) {
            Some(Origin::Written(spot)) => format!("`{}`", spot.key),
            Some(Origin::Preset(preset)) => format!("`{name}` of the preset {preset}"),
            Some(Origin::Clouds(_)) => match &self.base {
                Base::Clouds { name: cloud, .. } => format!("`{name}` of cloud `{cloud}`"),
                Base::Written(_) | Base::Variables => format!("`{name}`"),
            },
            Some(Origin::Variable(variable)) => format!("`{variable}`"),
            None => match &self.base {
                Base::Written(spot) => format!("`{}`", spot.child(written_name(name), 0..0).key),
                Base::Clouds { name: cloud, .. } => format!("`{name}` of cloud `{cloud}`"),
                Base::Variables => format!("`OS_{}`", name.to_uppercase()),
            },
        }
    }

    /// Refuses an option that was given, at its place.
    pub(super) fn fault<'s>(&self, name: &str, why: &str, sink: &'s mut Sink) -> &'s mut Fault {
        let reason = format!("{} {why}", self.spelled(name));
        match self.get(name).map(|given| &given.origin) {
            Some(Origin::Written(spot)) => sink.fault(spot, reason),
            Some(Origin::Clouds(path)) => sink.fault_outside(reason).place(Some(file(path))),
            Some(Origin::Preset(_) | Origin::Variable(_)) | None => {
                sink.fault_outside(reason).place(self.base_place())
            }
        }
    }

    /// Points at an option, but lets it pass.
    pub(super) fn warn<'s>(&self, name: &str, why: &str, sink: &'s mut Sink) -> &'s mut Fault {
        let reason = format!("{} {why}", self.spelled(name));
        match self.get(name).map(|given| &given.origin) {
            Some(Origin::Written(spot)) => sink.warn(spot, reason),
            Some(Origin::Clouds(path)) => sink.warn_outside(reason).place(Some(file(path))),
            Some(Origin::Preset(_) | Origin::Variable(_)) | None => {
                sink.warn_outside(reason).place(self.base_place())
            }
        }
    }

    /// Refuses the whole for lacking an option.
    pub(super) fn missing<'s>(&self, name: &str, sink: &'s mut Sink) -> &'s mut Fault {
        match &self.base {
            Base::Written(spot) => sink.missing(spot, written_name(name)),
            Base::Clouds { path, .. } => {
                let reason = format!("{} is missing", self.spelled(name));
                sink.fault_outside(reason).place(Some(file(path)))
            }
            Base::Variables => {
                let reason = format!("{} is not set", self.spelled(name));
                sink.fault_outside(reason)
            }
        }
    }

    fn base_place(&self) -> Option<Place> {
        match &self.base {
            Base::Clouds { path, .. } => Some(file(path)),
            Base::Written(_) | Base::Variables => None,
        }
    }
}

/// What scaling.toml calls an option.
fn written_name(name: &str) -> &str {
    if name == "region_name" { "region" } else { name }
}

fn file(path: &std::path::Path) -> Place {
    Place::File(path.display().to_string())
}
