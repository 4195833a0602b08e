//! SSH key pairs. They belong to a user, not to the project; the cloud holds public halves only and
//! makes none itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::identity::Account;
use super::refusal::Refusal;
use super::{Millis, Model, Turn};

/// The public half of a key pair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keypair {
    pub owner: Account,
    pub name: String,
    pub public_key: String,
    pub created: Millis,
}

impl Keypair {
    /// SHA-256 of the key, as `ssh-keygen -l` prints it. Nova prints MD5, which nobody should
    /// compare any more.
    pub fn fingerprint(&self) -> String {
        let encoded = self.public_key.split_whitespace().nth(1).unwrap_or_default();
        let key = STANDARD.decode(encoded).unwrap_or_default();
        format!(
            "SHA256:{}",
            base64::engine::general_purpose::STANDARD_NO_PAD.encode(Sha256::digest(key))
        )
    }
}

/// The key `ops` of both accounts. Nobody holds its private half: the key is thirty-two zero bytes.
pub(super) fn seeded() -> Vec<Keypair> {
    let public_key =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA ops";
    let ops = |owner| Keypair {
        owner,
        name: "ops".to_owned(),
        public_key: public_key.to_owned(),
        created: 0,
    };
    vec![ops(Account::Service), ops(Account::Operator)]
}

impl Model {
    /// The account's key pairs, by name.
    pub fn keypairs(&self, owner: Account) -> Vec<&Keypair> {
        let mut pairs: Vec<&Keypair> =
            self.keypairs.iter().filter(|pair| pair.owner == owner).collect();
        pairs.sort_by(|a, b| a.name.cmp(&b.name));
        pairs
    }

    /// One of the account's key pairs.
    ///
    /// # Errors
    /// [`Refusal::Missing`] in Nova's words.
    pub fn keypair(&self, owner: Account, name: &str) -> Result<&Keypair, Refusal> {
        let found = self.keypairs.iter().find(|pair| pair.owner == owner && pair.name == name);
        let why =
            || Refusal::Missing(format!("Keypair {name} not found for user {}", owner.user_id()));
        found.ok_or_else(why)
    }

    /// Imports a public key.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when the name is taken, [`Refusal::Invalid`] when it is no public key,
    /// [`Refusal::Denied`] over quota.
    pub fn import_keypair(
        &mut self,
        name: &str,
        public_key: &str,
        turn: &Turn<'_>,
    ) -> Result<&Keypair, Refusal> {
        let owner = turn.account;
        if self.keypair(owner, name).is_ok() {
            return Err(Refusal::Conflict(format!("Key pair '{name}' already exists.")));
        }
        if !is_public_key(public_key) {
            return Err(Refusal::Invalid(
                "Keypair data is invalid: failed to generate fingerprint".to_owned(),
            ));
        }
        let most = self.quota(turn.rules).key_pairs;
        if 0 <= most && most <= i64::try_from(self.keypairs(owner).len()).unwrap_or(i64::MAX) {
            return Err(Refusal::Denied("Quota exceeded, too many key pairs.".to_owned()));
        }
        let (name, public_key) = (name.to_owned(), public_key.to_owned());
        Ok(self.keypairs.push_mut(Keypair { owner, name, public_key, created: turn.now }))
    }

    /// Deletes a key pair; servers that were made with it keep its name.
    ///
    /// # Errors
    /// [`Refusal::Missing`].
    pub fn delete_keypair(&mut self, name: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
        self.keypair(turn.account, name)?;
        self.keypairs.retain(|pair| pair.owner != turn.account || pair.name != name);
        Ok(())
    }
}

fn is_public_key(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let key = words.next().unwrap_or_default();
    (kind.starts_with("ssh-") || kind.starts_with("ecdsa-"))
        && !key.is_empty()
        && STANDARD.decode(key).is_ok()
}
