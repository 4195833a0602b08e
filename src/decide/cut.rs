//! Whether the configured max takes more away than may go without a person's word.

use super::snapshot::Snapshot;
use crate::domain::cut::Accepted;
use crate::domain::fleet::Tally;
use crate::domain::plan::Waiting;

/// How the configured max stands to the one that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// What is accepted from now on.
    pub accepted: Accepted,
    /// It waits for a word: until then the fleet may be as large as `accepted.max`.
    pub waits: bool,
}

impl Cut {
    /// A cut that takes nothing away is accepted by itself; but without a look at the servers
    /// that cannot be told.
    pub fn of(snapshot: &Snapshot<'_>, tally: &Tally) -> Self {
        let max = snapshot.group.bounds.max;
        let fresh = Accepted { max, since: snapshot.now.steady };
        let Some(last) = snapshot.memory.and_then(|memory| memory.accepted) else {
            return Self { accepted: fresh, waits: false };
        };
        let takes = snapshot.seen().is_none() || tally.capacity() > max;
        if takes && last.doubts(max, snapshot.state.confirmed) {
            return Self { accepted: last, waits: true };
        }
        let accepted = if last.max == max { last } else { fresh };
        Self { accepted, waits: false }
    }

    /// What is waited for, if anything is.
    pub fn waiting(&self, snapshot: &Snapshot<'_>) -> Option<Waiting> {
        let (from, to) = (self.accepted.max, snapshot.group.bounds.max);
        self.waits.then_some(Waiting::Unconfirmed { from, to })
    }
}
