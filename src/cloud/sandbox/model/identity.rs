//! Who there is, and which tokens are out.
//!
//! A token is kept as the SHA-256 of its text: the saved state opens no door.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::dice::hex;
use super::{Millis, Model};

/// The two who can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Account {
    /// The service account: OAuth2 client credentials, then federation.
    Service,
    /// The user with a name and a password, or an application credential.
    Operator,
}

/// A token that is out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Token {
    pub account: Account,
    pub kind: Kind,
    pub audit_id: String,
    pub issued: Millis,
    pub expires: Millis,
}

/// What a token opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// OpenID Connect's `id_token`: Keystone's federation takes it.
    Id,
    /// Keystone's own token; without a project it can only be scoped to one.
    Keystone { methods: Vec<String>, scoped: bool },
}

impl Account {
    /// The user's id in Keystone.
    pub fn user_id(self) -> &'static str {
        match self {
            Account::Service => "5e41ce0000004000800000000000acc1",
            Account::Operator => "09e4a700000040008000000000000001",
        }
    }
}

impl Model {
    /// Puts a token under its digest and forgets those that have expired.
    pub fn store_token(&mut self, text: &str, token: Token) {
        let now = token.issued;
        self.tokens.retain(|_, old| now < old.expires);
        self.tokens.insert(digest(text), token);
    }

    /// The token of this text, if it is out and has not expired.
    pub fn token(&self, text: &str, now: Millis) -> Option<&Token> {
        self.tokens.get(&digest(text)).filter(|token| now < token.expires)
    }

    /// Takes a token back; `false` if it was not out.
    pub fn revoke(&mut self, text: &str) -> bool {
        self.tokens.remove(&digest(text)).is_some()
    }
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text))
}
