//! A cloud's settings as they were resolved, for people: each with its origin, secrets redacted.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::secret::Secret;

/// What `novascale check --show-cloud` shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloudView {
    /// `sandbox`, or what the cloud is called in messages.
    pub name: String,
    /// By setting, under the names that scaling.toml has for them.
    pub settings: BTreeMap<String, SettingView>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SettingView {
    /// A secret shows as `<redacted: …>` with where it is read from.
    pub value: Value,
    /// `scaling.toml`'s key, `preset NAME`, a file's path, `env NAME`, or `default`.
    pub origin: String,
}

impl CloudView {
    pub(super) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), settings: BTreeMap::new() }
    }

    pub(super) fn show(&mut self, name: &str, value: impl Into<Value>, origin: impl Into<String>) {
        let setting = SettingView { value: value.into(), origin: origin.into() };
        self.settings.insert(name.to_owned(), setting);
    }

    pub(super) fn show_secret(&mut self, name: &str, secret: &Secret, origin: &str) {
        let from = match secret {
            Secret::Given(_) => origin.to_owned(),
            Secret::File(_) | Secret::Env(_) | Secret::Credential(_) => secret.origin(),
        };
        self.show(name, format!("<redacted: {from}>"), origin);
    }
}
