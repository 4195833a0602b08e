//! Tags and metadata of a server after its create (Nova `compute/server_tags.py`,
//! `compute/server_metadata.py`).
//!
//! Both want a machine that was built: in BUILD and ERROR they answer 409.

use std::collections::{BTreeMap, BTreeSet};

use super::refusal::Refusal;
use super::server::{Server, VmState};
use super::{Model, Turn};

/// Tags that one server may carry (Nova `objects/instance.py`).
pub const MAX_TAGS: usize = 50;

/// Whether a tag was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tagged {
    Added,
    Already,
}

impl Model {
    /// Adds one tag.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Conflict`] in a wrong state, [`Refusal::Invalid`] when the
    /// server is full.
    pub fn add_tag(&mut self, id: &str, tag: &str, turn: &Turn<'_>) -> Result<Tagged, Refusal> {
        let server = self.built(id, "update tag")?;
        // Nova counts before it looks for the tag, so a full server refuses even what it carries.
        if MAX_TAGS <= server.tags.len() {
            let why = format!("The number of tags exceeded the per-server limit {MAX_TAGS}");
            return Err(Refusal::Invalid(why));
        }
        server.updated = turn.now;
        Ok(if server.tags.insert(tag.to_owned()) { Tagged::Added } else { Tagged::Already })
    }

    /// Puts these tags in place of all others.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Conflict`] in a wrong state.
    pub fn set_tags(
        &mut self,
        id: &str,
        tags: BTreeSet<String>,
        turn: &Turn<'_>,
    ) -> Result<(), Refusal> {
        let action = if tags.is_empty() { "delete tags" } else { "update tags" };
        let server = self.built(id, action)?;
        server.updated = turn.now;
        server.tags = tags;
        Ok(())
    }

    /// Takes one tag away.
    ///
    /// # Errors
    /// [`Refusal::Missing`] for the server or its tag, [`Refusal::Conflict`] in a wrong state.
    pub fn remove_tag(&mut self, id: &str, tag: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
        let server = self.built(id, "delete tag")?;
        if !server.tags.remove(tag) {
            return Err(Refusal::Missing(format!("Instance {id} has no tag '{tag}'")));
        }
        server.updated = turn.now;
        Ok(())
    }

    /// Adds these items, or puts them in place of all others, and returns what the server carries
    /// then.
    ///
    /// # Errors
    /// [`Refusal::Missing`], [`Refusal::Conflict`] (locked, wrong state), [`Refusal::Denied`] over
    /// quota.
    pub fn write_metadata(
        &mut self,
        id: &str,
        items: BTreeMap<String, String>,
        replace: bool,
        turn: &Turn<'_>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let most = self.quota(turn.rules).metadata_items;
        let server = self.built(id, "update metadata")?;
        server.check_unlocked()?;
        let mut metadata = if replace { BTreeMap::new() } else { server.metadata.clone() };
        metadata.extend(items);
        check_metadata_count(metadata.len(), most)?;
        server.updated = turn.now;
        server.metadata.clone_from(&metadata);
        Ok(metadata)
    }

    /// Takes one item away.
    ///
    /// # Errors
    /// [`Refusal::Missing`] for the server or the item, [`Refusal::Conflict`] (locked, wrong
    /// state).
    pub fn remove_metadata(&mut self, id: &str, key: &str, turn: &Turn<'_>) -> Result<(), Refusal> {
        if !self.server(id)?.metadata.contains_key(key) {
            return Err(Refusal::Missing("Metadata item was not found".to_owned()));
        }
        let server = self.built(id, "delete metadata")?;
        server.check_unlocked()?;
        server.metadata.remove(key);
        server.updated = turn.now;
        Ok(())
    }

    fn built(&mut self, id: &str, action: &str) -> Result<&mut Server, Refusal> {
        let server = self.server_mut(id)?;
        server.check_vm(action, &[VmState::Active, VmState::Stopped])?;
        Ok(server)
    }
}

/// # Errors
/// [`Refusal::Denied`] when there are more items than the quota has room for.
pub(super) fn check_metadata_count(items: usize, most: i64) -> Result<(), Refusal> {
    let over = 0 <= most && usize::try_from(most).is_ok_and(|most| most < items);
    if over {
        return Err(Refusal::Denied(format!("Maximum number of metadata items exceeds {most}")));
    }
    Ok(())
}
