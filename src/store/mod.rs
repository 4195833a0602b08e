//! The seam to what is remembered, and why each thing is kept.
//!
//! - **signals**: a decision is made from state, so what was acknowledged must be there
//!   after a crash. The newest sample of each name and server is enough to decide; older
//!   ones stay for their window.
//! - **group state** (base, reservations, pin): commands are applied once, in order of
//!   arrival, in the transaction that makes them durable.
//! - **memory**: what deciding needs of its own past.
//! - **intents**: written before the call, so that a crash cannot hide one.
//! - **known servers**: so that a listing that lacks one proves nothing.
//! - **decisions**: what was concluded and why; for people.
//! - **idempotency keys**: a sender's retry changes nothing.
//!
//! Every write is made under a [`Lease`]. Retention bounds every table ([`keep`]).
//!
//! No store decides anything: it keeps, and it hands back. It never guesses what a row
//! meant that it cannot read, and it never starts empty where state should be.
//!
//! Two stand behind the seam, held to one contract by `tests/it/store.rs`:
//! [`sqlite`], the embedded default, and [`memory`], on which the simulation runs.
//! [`install`] keeps the install id in a file of its own, so that servers are known
//! again when the state is lost; [`lock`] keeps a directory to one process. Read on in
//! [`sqlite`].

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::claim::Memory;
use crate::domain::count::Bounds;
use crate::domain::freeze::{Freeze, Freezes};
use crate::domain::group::GroupState;
use crate::domain::id::{GroupName, InstallId, SignalName};
use crate::domain::intent::Intent;
use crate::domain::outcome::Outcome;
use crate::domain::plan::Decision;
use crate::domain::server::Known;
use crate::domain::signal::{ANNOUNCED_MOST, CommandError, Ordered, Sample};
use crate::domain::time::{Now, Steady, Wall};

pub mod freeze_file;
pub mod install;
pub mod keep;
pub mod lease;
pub mod lock;
pub mod memory;
mod row;
pub mod sqlite;

pub use lease::Lease;
pub use memory::Memory as MemoryStore;
pub use row::same_situation;
pub use sqlite::Sqlite;

/// What novascale remembers. Every method is one transaction, done or not at all, save
/// [`sweep`](Store::sweep), which goes in pieces so that it never holds up a signal for long.
///
/// A caller that is dropped while it waits leaves nothing half done: what it asked for
/// is kept as a whole or not at all, and asking again is right in either case.
#[async_trait]
pub trait Store: Send + Sync {
    /// Makes durable what a sender sent: when this returns, it survives a crash.
    /// A repeated key with the same body changes nothing.
    ///
    /// # Errors
    /// [`KeyReused`](StoreError::KeyReused), [`Command`](StoreError::Command) and
    /// [`Limit`](StoreError::Limit) are the sender's to mend; nothing was changed.
    async fn admit(&self, lease: &Lease, admit: Admit) -> Result<Admitted, StoreError>;

    /// Whether this key came before with this request, so that admitting it again would change
    /// nothing. It writes nothing.
    ///
    /// # Errors
    /// [`KeyReused`](StoreError::KeyReused) if it came with another request.
    async fn repeated(
        &self,
        group: &GroupName,
        key: &IdempotencyKey,
        now: Now,
    ) -> Result<bool, StoreError>;

    /// All that a pass looks at, read in one transaction.
    ///
    /// # Errors
    /// [`Corrupt`](StoreError::Corrupt) names the row of this group that cannot be read;
    /// other groups are not touched by it.
    async fn gather(&self, group: &GroupName, since: Window) -> Result<Gathered, StoreError>;

    /// The kept samples of one signal received since then, in order of measuring.
    async fn history(
        &self,
        group: &GroupName,
        name: &SignalName,
        since: Steady,
    ) -> Result<Vec<Sample>, StoreError>;

    /// A decision with all it changes: memory, intents, known servers. One that changes
    /// nothing and finds the situation of the last one is written at most once a minute.
    async fn record(&self, lease: &Lease, decision: &Decision) -> Result<(), StoreError>;

    /// What became of intents' calls: each moves its intent on.
    ///
    /// # Errors
    /// [`Corrupt`](StoreError::Corrupt) if the group has no such intent: an outcome without
    /// its journal line means that the journal was lost.
    async fn settle(
        &self,
        lease: &Lease,
        group: &GroupName,
        outcomes: &[Outcome],
    ) -> Result<(), StoreError>;

    /// The newest decisions first; of runs of passes that changed nothing, the first and last.
    /// [`Changes`](crate::domain::plan::Changes) are not among what is kept of a decision.
    async fn decisions(&self, group: &GroupName, limit: u32) -> Result<Vec<Decision>, StoreError>;

    /// The newest commands first.
    async fn commands(&self, group: &GroupName, limit: u32) -> Result<Vec<Ordered>, StoreError>;

    /// Every group that anything is kept of, in order of the names, whether it is configured or not.
    async fn groups(&self) -> Result<Vec<GroupName>, StoreError>;

    /// Removes what retention no longer keeps; how many rows went.
    async fn sweep(&self, lease: &Lease, now: Now) -> Result<u64, StoreError>;

    /// Notes both clocks, from which the steady one is continued after a restart.
    /// Every other write that has a time notes them too.
    async fn mark_time(&self, lease: &Lease, now: Now) -> Result<(), StoreError>;

    /// Freezes every group, or with nothing takes that back; a group's own freeze stays as it is.
    async fn freeze_all(&self, lease: &Lease, freeze: Option<Freeze>) -> Result<(), StoreError>;

    /// The project that the state belongs to, if it belongs to one yet.
    async fn project(&self) -> Result<Option<String>, StoreError>;

    /// The project that the state belongs to; if it belongs to none yet, from now on to this one.
    async fn bind(&self, lease: &Lease, project: &str) -> Result<String, StoreError>;

    /// The freezes in force for this group: asked before each call that changes anything.
    async fn freezes(&self, group: &GroupName) -> Result<Freezes, StoreError>;

    /// Whether a write would succeed now: it makes one.
    async fn probe(&self, lease: &Lease) -> Result<(), StoreError>;
}

/// How far back a pass looks.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    pub now: Now,
    /// Samples received within this span.
    pub signals: Duration,
    /// Closed intents and gone servers of this span; live ones always come, and so do
    /// abandoned intents as long as they are kept.
    pub past: Duration,
}

/// What a pass reads from the store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gathered {
    pub state: GroupState,
    pub memory: Option<Memory>,
    /// The newest sample of each name and server within the window, but none of a server that
    /// is known to have left: a sender may go on repeating its last word.
    /// The newest is the one measured last, in whatever order they arrived.
    pub samples: Vec<Sample>,
    /// In order of their opening.
    pub intents: Vec<Intent>,
    /// In order of their ids.
    pub known: Vec<Known>,
    /// Every group was frozen.
    pub all_frozen: Option<Freeze>,
}

/// Something a sender wants kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Admit {
    pub group: GroupName,
    pub what: What,
    /// The sender's key and a digest of the body, if it gave a key.
    pub key: Option<IdempotencyKey>,
    pub at: Now,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Samples, each with its own id if the sender gave one: known ids are left out, and so
    /// are known measurements (one name, server and instant: the larger value counts). With
    /// them the names that the group's policies read: other names never take their room.
    Samples(Vec<Identified>, BTreeSet<SignalName>),
    /// A command, applied to the group's state within these bounds.
    Command(Ordered, Bounds),
}

/// A sample and the id that tells a repetition.
#[derive(Debug, Clone, PartialEq)]
pub struct Identified {
    pub sample: Sample,
    pub id: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Up to 255 printable characters, as sent.
    pub key: String,
    /// Of method, path and body.
    pub digest: [u8; 32],
}

/// What became of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Admitted {
    /// Stored now; `fresh` of the samples were not known before, or the command was none that only
    /// says again what was said. `state` is the group's after it.
    Stored { fresh: u32, state: GroupState },
    /// The same key and body came before: nothing was changed. `state` is the group's now.
    Repeated { state: GroupState },
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another holder has the lease, or this one was lost: stop writing.
    #[error("the lease was lost: {0}")]
    Fenced(String),
    /// The key came before with another body.
    #[error("the Idempotency-Key was used before with another request")]
    KeyReused,
    #[error(transparent)]
    Command(#[from] CommandError),
    /// A bound on what one group may store is reached; it says which.
    #[error("{0}")]
    Limit(String),
    /// Locked, full, unreadable, too slow: take it as not done; it may work again later.
    /// (After a wait that ran out it may still appear, as a whole: asking again is right.)
    #[error("{0}")]
    Unavailable(String),
    /// The state belongs to something else: another installation, another program, a newer
    /// novascale. Nothing was touched.
    #[error("{0}")]
    Foreign(String),
    /// Stored data that this version cannot read, with where it lies.
    #[error("{0}")]
    Corrupt(String),
}

/// Which installation this state belongs to, and how its clocks stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub install: InstallId,
    /// The last noted clocks; none in a fresh state.
    pub marked: Option<Now>,
}

/// The steady clock's first reading after a start: the last noted one, moved on by the
/// wall time since. The wall clock may have jumped meanwhile, so the step is held
/// between nothing and [`OFF_MOST`]: a note from the future counts as just made, and no
/// jump ends every cooldown, patience and settling time at once.
pub fn continued(marked: Option<Now>, wall: Wall) -> Steady {
    marked.map_or(Steady(0), |then| then.steady.plus(wall.since(then.wall).min(OFF_MOST)))
}

/// The longest pause that the steady clock believes in: beyond the longest that is measured by
/// it, a reservation or pin of thirty days.
pub const OFF_MOST: Duration = ANNOUNCED_MOST.saturating_add(Duration::from_secs(86_400));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steady_clock_goes_on_from_the_last_note() {
        let noted = Some(Now { wall: Wall(1_000_000), steady: Steady(500) });
        let day = 24 * 3_600_000;
        let month = 31 * day;
        let cases = [
            (1_000_000, 500),
            (1_007_000, 7_500),
            (0, 500),
            (i64::MIN, 500),
            (i64::MAX, 500 + month),
            (1_000_000 + 3 * 86_400_000, 500 + 3 * day),
        ];
        for (wall, steady) in cases {
            assert_eq!(continued(noted, Wall(wall)), Steady(steady), "wall {wall}");
        }
        assert_eq!(continued(None, Wall(1_000_000)), Steady(0));
        let last = Some(Now { wall: Wall(0), steady: Steady(u64::MAX) });
        assert_eq!(continued(last, Wall(9)), Steady(u64::MAX));
    }
}
