//! The right to write.
//!
//! A store grants a lease to whoever asks last, and every write names its lease: the
//! epoch is compared in the transaction that writes, so that a process which was paused,
//! or started twice, changes nothing once another has taken over.

use super::StoreError;

/// Proof that its holder is the one who may write and act. Every write to the store
/// names its epoch, and fails once a newer lease was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    epoch: u64,
}

impl Lease {
    /// Made by a store when it grants the lease, and by nobody else.
    pub(in crate::store) fn granted(epoch: u64) -> Self {
        Self { epoch }
    }

    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// Whether a write under epoch `mine` may go on, while `holder` has epoch `held`.
pub(in crate::store) fn fence(mine: u64, held: u64, holder: &str) -> Result<(), StoreError> {
    if mine == held {
        return Ok(());
    }
    Err(StoreError::Fenced(format!(
        "this process writes under epoch {mine}, but {holder} took over with epoch {held}. \
         Two novascale run on one state: stop one of them"
    )))
}
