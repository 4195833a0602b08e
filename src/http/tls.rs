//! TLS on the listener for senders: our certificate, read again when its files change, and the
//! certificates of senders, if they show one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::http::TlsFiles;

/// How soon a new certificate counts once its files are written.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What handshakes are made with now.
pub type Current = watch::Receiver<Arc<ServerConfig>>;

/// Why there is nothing to make handshakes with.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} cannot be read: {why}")]
    Io { path: PathBuf, why: io::Error },
    #[error("{path} holds no {what} in PEM: {why}")]
    Pem { path: PathBuf, what: &'static str, why: pem::Error },
    #[error("{path} holds no {what}")]
    Empty { path: PathBuf, what: &'static str },
    #[error("certificate and key do not serve: {0}")]
    Unfit(rustls::Error),
    #[error("no client can be verified by the authorities in {path}: {why}")]
    Authorities { path: PathBuf, why: String },
}

/// Keeps the certificate that its files hold.
pub struct Certificates {
    files: TlsFiles,
    seen: [u8; 32],
    current: watch::Sender<Arc<ServerConfig>>,
    /// What was told last, until it is mended.
    trouble: Option<String>,
}

impl Certificates {
    /// # Errors
    /// The files do not hold what is needed: nothing is served without them.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let seen = digest(&files);
        let current = watch::channel(Arc::new(load(&files)?)).0;
        Ok(Self { files, seen, current, trouble: None })
    }

    pub fn current(&self) -> Current {
        self.current.subscribe()
    }

    /// Reads the files again whenever they change, until we stop. Files that do not serve leave
    /// the certificate that does.
    pub async fn keep(mut self, stopping: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                () = sleep(LOOK_EVERY) => {}
            }
            let looked = tokio::task::spawn_blocking(move || {
                self.look();
                self
            });
            match looked.await {
                Ok(same) => self = same,
                Err(_) => return,
            }
        }
    }

    /// Takes what the files hold now, if that is new and serves.
    pub fn look(&mut self) {
        let now = digest(&self.files);
        if now == self.seen && self.trouble.is_none() {
            return;
        }
        match load(&self.files) {
            Ok(config) => {
                self.seen = now;
                self.trouble = None;
                self.current.send_replace(Arc::new(config));
                tracing::info!(
                    "the certificate in {} counts now",
                    self.files.certificate.display()
                );
            }
            Err(error) => {
                let said = error.to_string();
                if self.trouble.as_ref() != Some(&said) {
                    tracing::error!(
                        "the new certificate does not count: {said}. The one before goes on \
                         serving; mend the files, they are looked at every {} s",
                        LOOK_EVERY.as_secs()
                    );
                }
                self.trouble = Some(said);
            }
        }
    }
}

fn load(files: &TlsFiles) -> Result<ServerConfig, TlsError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|why| TlsError::Pem {
        path: files.key.clone(),
        what: "private key",
        why,
    })?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(TlsError::Unfit)?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            let unfit = |why: String| TlsError::Authorities { path: path.clone(), why };
            for authority in certificates(path)? {
                roots.add(authority).map_err(|why| unfit(why.to_string()))?;
            }
            // Others may prove who they are in another way.
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|why| unfit(why.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
    let what = "certificate";
    let all = all.map_err(|why| TlsError::Pem { path: path.to_owned(), what, why })?;
    if all.is_empty() {
        return Err(TlsError::Empty { path: path.to_owned(), what });
    }
    Ok(all)
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|why| TlsError::Io { path: path.to_owned(), why })
}

/// Of all files; one that cannot be read counts as empty.
fn digest(files: &TlsFiles) -> [u8; 32] {
    let mut digest = Sha256::new();
    let all = [Some(&files.certificate), Some(&files.key), files.client_ca.as_ref()];
    for path in all.into_iter().flatten() {
        let bytes = std::fs::read(path).unwrap_or_default();
        digest.update((bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    digest.finalize().into()
}

/// The names in a client's certificate, which the handshake has verified: its DNS names
/// (RFC 6125 § 6.4.4: where there are such, no other name counts).
pub(super) fn names(certificate: &CertificateDer<'_>) -> Vec<String> {
    webpki::EndEntityCert::try_from(certificate)
        .map(|read| read.valid_dns_names().map(str::to_owned).collect())
        .unwrap_or_default()
}
