//! The embedded cloud as a plain state machine.
//!
//! It answers: what exists, and what does a call make of it? It never does IO, reads no clock and
//! has no dice of its own: every call gets a [`Turn`], which carries the instant, the dice, the
//! rules and who asks.
//!
//! The story: a face parses a request and calls a method of [`Model`]. The method changes the state
//! at once and returns an answer or a [`Refusal`]. What takes time is written into the server as
//! steps with a due instant; [`Model::advance`] carries out every step that is due. The world calls
//! it before each request, so nothing runs between requests, and a model that was saved, kept for a
//! day and loaded is exactly where it should be.
//!
//! Read on in `server.rs` (what a server is), `launch.rs` (how servers begin) and `life.rs` (what
//! happens to them).

pub mod actions;
pub mod addresses;
pub mod catalogue;
pub mod dice;
pub mod groups;
pub mod identity;
pub mod keypairs;
pub mod labels;
pub mod launch;
pub mod life;
pub mod quota;
pub mod refusal;
pub mod rules;
pub mod schedule;
pub mod server;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::catalogue::Catalogue;
use self::dice::Dice;
use self::groups::ServerGroup;
use self::identity::{Account, Token};
use self::keypairs::Keypair;
use self::quota::Quota;
use self::refusal::Refusal;
use self::rules::Rules;
use self::server::Server;
use super::faults::Faults;

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// Everything that exists in the cloud. It holds no secret in the clear: tokens are kept as
/// digests, user data and administrator passwords not at all.
#[derive(Clone, Serialize, Deserialize)]
pub struct Model {
    /// How often this state was opened: mixed into the seed, so that a restart never repeats the
    /// dice.
    pub starts: u64,
    /// The same for ever, so it is not saved.
    #[serde(skip, default = "Catalogue::seeded")]
    pub(super) catalogue: Catalogue,
    servers: BTreeMap<String, Server>,
    /// How many servers were ever made: the order of those that share an instant.
    made: u64,
    groups: BTreeMap<String, ServerGroup>,
    keypairs: Vec<Keypair>,
    /// What somebody set with a quota call; until then the rules' quota holds.
    quota: Option<Quota>,
    /// The next host part to try, by network id.
    next_addresses: BTreeMap<String, u32>,
    /// By SHA-256 of the token.
    tokens: BTreeMap<String, Token>,
}

/// What a call may use beside the state.
pub struct Turn<'a> {
    pub now: Millis,
    pub dice: &'a mut Dice,
    pub rules: &'a Rules,
    pub faults: &'a mut Faults,
    pub account: Account,
    pub request_id: &'a str,
}

impl Model {
    /// A cloud with its catalogue and nobody in it.
    pub fn new() -> Model {
        Model {
            starts: 0,
            catalogue: Catalogue::seeded(),
            servers: BTreeMap::new(),
            made: 0,
            groups: BTreeMap::new(),
            keypairs: keypairs::seeded(),
            quota: None,
            next_addresses: BTreeMap::new(),
            tokens: BTreeMap::new(),
        }
    }

    /// The flavors, images, networks and security groups.
    pub fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// Every server that is not gone, by id.
    pub fn servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values()
    }

    /// One server.
    ///
    /// # Errors
    /// [`Refusal::Missing`], in Nova's words, if there is none of this id.
    pub fn server(&self, id: &str) -> Result<&Server, Refusal> {
        self.servers.get(id).ok_or_else(|| no_instance(id))
    }

    /// Takes a server away at once, as nobody can who asks by the API.
    pub fn remove(&mut self, id: &str) {
        self.servers.remove(id);
    }

    /// Changes a server past all rules, if it is there.
    pub fn alter(&mut self, id: &str, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(id) {
            change(server);
        }
    }

    /// Somebody's own server, which carries this tag.
    pub fn add_by_hand(&mut self, id: String, tag: String, now: Millis) {
        let Some(flavor) = self.catalogue.flavors.first().cloned() else { return };
        let mut server = Server::by_hand(id, flavor, now);
        server.tags.insert(tag);
        server.order = self.made;
        self.made += 1;
        self.servers.insert(server.id.clone(), server);
    }

    fn server_mut(&mut self, id: &str) -> Result<&mut Server, Refusal> {
        self.servers.get_mut(id).ok_or_else(|| no_instance(id))
    }
}

impl Default for Model {
    fn default() -> Model {
        Model::new()
    }
}

fn no_instance(id: &str) -> Refusal {
    Refusal::Missing(format!("Instance {id} could not be found."))
}

#[cfg(test)]
mod tests;
