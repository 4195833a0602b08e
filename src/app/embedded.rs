//! The embedded cloud beside the controller: started, reached over HTTP like any other.
//!
//! Its credentials are drawn at first start and lie beside its state, as a clouds.yaml
//! that the `openstack` command line reads too.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Error, root};
use crate::clock;
use crate::cloud::sandbox::Sandbox;
use crate::cloud::sandbox::config::{Credentials, Rehearsal, SandboxConfig};
use crate::config::cloud::{
    AccessTokenType, Auth, CloudSettings, Interface, Oidc, Project, SandboxSettings, Tls,
};
use crate::config::secret::Secret;
use crate::domain::time::Wall;

/// Without it the `openstack` command asks for a Nova that knows no tags.
const VERSION: &str = "2.75";

/// The file of the token that opens `/faults`.
pub(super) const FAULT_TOKEN: &str = "faults.token";

const TOKEN_BEGIN: &str = "nvs_faults_";

const SCOPE: &str = "openid profile email publicCloudProject/all";

/// A running embedded cloud.
pub(super) struct Embedded {
    config: SandboxConfig,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    /// The lock on its directory.
    _held: std::fs::File,
}

/// What the credentials' file keeps.
#[derive(Serialize, Deserialize)]
struct Kept {
    client_id: String,
    client_secret: String,
    username: String,
    password: String,
}

impl Embedded {
    /// Listens on loopback and serves until stopped; cancels `broken` if it ends by itself.
    pub(super) async fn start(
        settings: &SandboxSettings,
        dir: &Path,
        broken: CancellationToken,
    ) -> Result<Self, Error> {
        let held = root::claim(dir).await?;
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], settings.port));
        let failed = |source| Error::Listen { key: "cloud.sandbox.port", address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let port = listener.local_addr().map_err(failed)?.port();
        let mut config = configured(settings, port, credentials(dir)?);
        config.rehearsal = rehearsal(settings, dir)?;
        write_clouds_yaml(dir, &config)?;
        let now = Arc::new(|| {
            let Wall(ms) = clock::wall();
            ms
        });
        let sandbox = Sandbox::open(config.clone(), now, seed(), Some(dir.to_owned())).await?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let serving = tokio::spawn(async move {
            let ended = sandbox.serve(listener, stopped.clone().cancelled_owned()).await;
            if let Err(error) = &ended {
                tracing::error!("{error}");
            }
            if !stopped.is_cancelled() {
                broken.cancel();
            }
        });
        Ok(Self { config, stop, serving, _held: held })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> &str {
        &self.config.base_url
    }

    /// How to sign in to it, as to any cloud.
    pub(super) fn settings(&self, settings: &SandboxSettings) -> CloudSettings {
        let config = &self.config;
        CloudSettings {
            name: format!("embedded cloud on {}", config.base_url),
            auth: Auth::OidcClientCredentials(Oidc {
                auth_url: config.auth_url(),
                identity_provider: config.identity_provider.clone(),
                protocol: config.protocol.clone(),
                client_id: config.credentials.client_id.clone(),
                client_secret: Secret::Given(config.credentials.client_secret.clone()),
                discovery_endpoint: Some(config.discovery_url()),
                access_token_endpoint: None,
                access_token_type: AccessTokenType::IdToken,
                openid_scope: SCOPE.to_owned(),
                project: Project::Id(config.project_id.clone()),
            }),
            region: Some(settings.region.clone()),
            region_keys: settings.region_keys.clone(),
            interface: Interface::Public,
            tls: Tls::default(),
            limits: settings.limits,
            allow_http: false,
            allowed_hosts: Vec::new(),
        }
    }

    pub(super) async fn stop(self) {
        self.stop.cancel();
        if self.serving.await.is_err() {
            tracing::warn!("the embedded cloud ended in a panic; its state was saved before");
        }
    }
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    for half in seed.chunks_exact_mut(16) {
        half.copy_from_slice(&clock::entropy().to_le_bytes());
    }
    seed
}

fn configured(settings: &SandboxSettings, port: u16, credentials: Credentials) -> SandboxConfig {
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let mut config = SandboxConfig::new(&format!("http://127.0.0.1:{port}"), credentials)
        .in_region(settings.region.as_str());
    config.rules.build_ms = millis(settings.build.0)..=millis(settings.build.1);
    config.rules.delete_ms = millis(settings.delete) / 2..=millis(settings.delete);
    config.rules.token_life_secs = settings.token_life.as_secs();
    config.rules.quota.instances = i64::from(settings.quota_instances);
    config
}

/// The faults from the start, the dice for them, and the token that opens `/faults`.
fn rehearsal(settings: &SandboxSettings, dir: &Path) -> Result<Rehearsal, Error> {
    let seed = settings.fault_seed.unwrap_or_else(|| clock::entropy() as u32 as u64);
    if !settings.faults.0.is_empty() {
        tracing::warn!(
            "the embedded cloud goes wrong on purpose: {} (dice of seed {seed})",
            settings.faults
        );
    }
    let token = Some(fault_token(&dir.join(FAULT_TOKEN))?);
    Ok(Rehearsal { wishes: settings.faults.clone(), seed: Some(seed), token })
}

/// Drawn at first start, as the daemon's are; its file is the only place that it lies in.
fn fault_token(path: &Path) -> Result<SecretString, Error> {
    let failed = |what, source| Error::State { what, path: path.to_owned(), source };
    let kept = match std::fs::read_to_string(path) {
        Ok(text) => text.trim().to_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(failed("read", e)),
    };
    if kept.starts_with(TOKEN_BEGIN) && kept.len() == TOKEN_BEGIN.len() + 64 {
        return Ok(SecretString::from(kept));
    }
    let drawn = format!("{TOKEN_BEGIN}{:032x}{:032x}", clock::entropy(), clock::entropy());
    write_private(path, format!("{drawn}\n").as_bytes())?;
    Ok(SecretString::from(drawn))
}

fn credentials(dir: &Path) -> Result<Credentials, Error> {
    let path = dir.join("credentials.json");
    let failed = |what, source| Error::State { what, path: path.clone(), source };
    let kept = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map_err(|source| Error::Garbled { path: path.clone(), source })?,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let drawn = || format!("{:032x}", clock::entropy());
            let client_id = drawn().chars().take(16).collect();
            let username = "sandbox".to_owned();
            let kept = Kept { client_id, client_secret: drawn(), username, password: drawn() };
            let text = serde_json::to_vec(&kept).map_err(|e| failed("write", e.into()))?;
            write_private(&path, &text)?;
            kept
        }
        Err(e) => return Err(failed("read", e)),
    };
    let Kept { client_id, client_secret, username, password } = kept;
    Ok(Credentials {
        client_id,
        client_secret: client_secret.into(),
        username,
        password: SecretString::from(password),
        application_credential: None,
    })
}

/// For the `openstack` command line: `OS_CLIENT_CONFIG_FILE=… openstack --os-cloud sandbox …`.
fn write_clouds_yaml(dir: &Path, config: &SandboxConfig) -> Result<(), Error> {
    let text = format!(
        "clouds:\n  sandbox:\n    auth_type: v3oidcclientcredentials\n    region_name: '{}'\n    \
         interface: public\n    identity_api_version: 3\n    compute_api_version: '{VERSION}'\n    \
         compute_default_microversion: '{VERSION}'\n    auth:\n      auth_url: {}\n      \
         identity_provider: {}\n      protocol: {}\n      access_token_type: id_token\n      \
         openid_scope: {SCOPE}\n      scope: {SCOPE}\n      discovery_endpoint: {}\n      \
         client_id: '{}'\n      client_secret: '{}'\n      project_id: {}\n",
        config.region.replace('\'', "''"),
        config.auth_url(),
        config.identity_provider,
        config.protocol,
        config.discovery_url(),
        config.credentials.client_id,
        config.credentials.client_secret.expose_secret(),
        config.project_id,
    );
    write_private(&dir.join("clouds.yaml"), text.as_bytes())
}

/// Replaces a file that only our user may read, whole or not at all.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::io::Write as _;
    let failed = |source| Error::State { what: "write", path: path.to_owned(), source };
    let next: PathBuf = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    let opened = options.write(true).create(true).truncate(true).mode(0o600).open(&next);
    let mut file = opened.map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    std::fs::rename(&next, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_cloud(region: &str) -> SandboxConfig {
        let credentials = Credentials {
            client_id: "id".to_owned(),
            client_secret: "secret".into(),
            username: "sandbox".to_owned(),
            password: "password".into(),
            application_credential: None,
        };
        SandboxConfig::new("http://127.0.0.1:1", credentials).in_region(region)
    }

    /// YAML 1.1, as Python reads it, takes a bare NO for false and 2.75 for a number; without a
    /// version the `openstack` command asks for a Nova that knows no tags.
    #[test]
    fn the_clouds_yaml_says_words_and_versions_in_quotes() {
        let dir = tempfile::tempdir().unwrap();
        write_clouds_yaml(dir.path(), &a_cloud("NO")).unwrap();
        let text = std::fs::read_to_string(dir.path().join("clouds.yaml")).unwrap();
        for line in [
            "region_name: 'NO'",
            "compute_api_version: '2.75'",
            "compute_default_microversion: '2.75'",
        ] {
            assert!(text.lines().any(|said| said == format!("    {line}")), "{line}: {text}");
        }
    }

    #[test]
    fn the_token_for_faults_is_drawn_once_and_nobody_elses_to_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FAULT_TOKEN);
        let drawn = fault_token(&path).unwrap();
        assert_eq!(fault_token(&path).unwrap().expose_secret(), drawn.expose_secret());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::write(&path, "cut off").unwrap();
        assert_ne!(fault_token(&path).unwrap().expose_secret(), "cut off");
    }

    #[test]
    fn garbled_credentials_are_to_be_restored_or_moved_away() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("credentials.json"), "{").unwrap();
        let said = credentials(dir.path()).unwrap_err().to_string();
        assert!(said.contains("credentials.json") && said.contains("move it away"), "{said}");
        assert!(!said.contains("writable"), "{said}");
    }
}
