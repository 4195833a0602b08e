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
    /// that cannot be told. What was accepted falls only as the fleet does, so that a cut in
    /// steps is held against where it began; and where nothing is remembered, what stands counts.
    pub fn of(snapshot: &Snapshot<'_>, tally: &Tally) -> Self {
        let (max, now) = (snapshot.group.max_ever(), snapshot.now.steady);
        let word = snapshot.state.confirmed;
        let unseen = snapshot.seen().is_none();
        // What is stopped or failed may serve again.
        let stands = tally.occupied().saturating_sub(tally.leaving);
        let remembered = snapshot.memory.and_then(|memory| memory.accepted);
        let last = remembered.unwrap_or(Accepted { max: max.max(stands), since: now });
        let last = last.after(word.filter(|word| word.max != max), now);
        if (unseen || stands > max) && last.doubts(max, word) {
            return Self { accepted: last, waits: true };
        }
        let fleet = if unseen { last.max } else { last.max.min(stands) };
        let next = if last.meant(max, word) { max } else { max.max(fleet) };
        let accepted = if next == last.max { last } else { Accepted { max: next, since: now } };
        Self { accepted, waits: false }
    }

    /// What is waited for, if anything is.
    pub fn waiting(&self, snapshot: &Snapshot<'_>) -> Option<Waiting> {
        let (from, to) = (self.accepted.max, snapshot.group.max_ever());
        self.waits.then_some(Waiting::Unconfirmed { from, to })
    }
}
