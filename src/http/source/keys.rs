//! All sources, with what each of their senders has to show.
//!
//! Secrets are read when the configuration is, at the start and at each reload; of those that are
//! presented as they are only digests stay here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};

use crate::config::secret::SecretEnv;
use crate::config::source::{self, Hash, Proof, Source};

/// By their names.
#[derive(Default)]
pub struct Sources {
    by_name: BTreeMap<String, Arc<Keyed>>,
}

/// A source with its keys.
pub struct Keyed {
    pub source: Source,
    pub keys: Vec<Key>,
    /// Keys that are configured and could not be had, each with the reason.
    pub missing: Vec<String>,
    pub(super) trouble: Trouble,
}

/// What was told last of what its senders say: senders repeat themselves for hours.
#[derive(Default)]
pub(super) struct Trouble(Mutex<Option<String>>);

impl Trouble {
    /// Whether that is not what was told last.
    pub(super) fn news(&self, now: Option<&str>) -> bool {
        // A panic elsewhere leaves at worst a line that is told twice.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = told.as_deref() != now;
        if news {
            *told = now.map(str::to_owned);
        }
        news
    }
}

/// What one sender shows.
pub enum Key {
    /// The digest of a bearer token.
    Bearer([u8; 32]),
    /// The digest of `user:password`.
    Basic([u8; 32]),
    Hmac {
        how: source::Hmac,
        key: Box<hmac::Key>,
    },
    Ed25519(UnparsedPublicKey<[u8; 32]>),
    /// The digest of the address' last part.
    Url([u8; 32]),
    /// A certificate of this name.
    Certificate(String),
}

impl Sources {
    /// Reads what the senders have to show. What cannot be had is missing from its source alone.
    pub fn read(sources: &[Source], env: &SecretEnv) -> Self {
        let keyed = |source: &Source| {
            let mut keyed = Keyed {
                source: source.clone(),
                keys: Vec::new(),
                missing: Vec::new(),
                trouble: Trouble::default(),
            };
            for proof in &source.auth {
                match key(proof, env) {
                    Ok(key) => keyed.keys.push(key),
                    Err(why) => keyed.missing.push(why),
                }
            }
            (source.name.to_string(), Arc::new(keyed))
        };
        Self { by_name: sources.iter().map(keyed).collect() }
    }

    pub fn get(&self, name: &str) -> Option<&Arc<Keyed>> {
        self.by_name.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Keyed> {
        self.by_name.values().map(|keyed| &**keyed)
    }
}

/// The digest that a presented text is compared by.
pub fn digest(text: &[u8]) -> [u8; 32] {
    Sha256::digest(text).into()
}

/// The same as a text.
pub(super) fn hex_digest(text: &[u8]) -> String {
    digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn key(proof: &Proof, env: &SecretEnv) -> Result<Key, String> {
    let read = |secret: &crate::config::secret::Secret| secret.read(env).map_err(|why| why.whole());
    Ok(match proof {
        Proof::Bearer(secret) => Key::Bearer(digest(read(secret)?.expose_secret().as_bytes())),
        Proof::Url(secret) => Key::Url(digest(read(secret)?.expose_secret().as_bytes())),
        Proof::Basic { username, password } => {
            let password = read(password)?;
            Key::Basic(digest(format!("{username}:{}", password.expose_secret()).as_bytes()))
        }
        Proof::Hmac(how) => {
            let secret = read(&how.secret)?;
            let bytes = shared(how, secret.expose_secret())
                .ok_or_else(|| format!("the secret ({}) is not base64", how.secret.origin()))?;
            let hash = match how.hash {
                Hash::Sha256 => hmac::HMAC_SHA256,
                Hash::Sha512 => hmac::HMAC_SHA512,
            };
            Key::Hmac { how: (**how).clone(), key: Box::new(hmac::Key::new(hash, &bytes)) }
        }
        Proof::Ed25519 { key } => Key::Ed25519(UnparsedPublicKey::new(&ED25519, *key)),
        Proof::Certificate { name } => Key::Certificate(name.clone()),
    })
}

/// The secret's bytes: as they are, or out of base64 behind `whsec_`.
fn shared(how: &source::Hmac, text: &str) -> Option<Vec<u8>> {
    if !how.secret_base64 {
        return Some(text.as_bytes().to_vec());
    }
    STANDARD.decode(text.strip_prefix("whsec_").unwrap_or(text)).ok()
}
