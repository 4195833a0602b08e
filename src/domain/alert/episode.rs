//! Which episode of an alert a word is about, where what is kept of it tells better than the word.
//!
//! Alertmanager knows an episode by when it began and still says of one both that it is over and,
//! later, that it fires: after a time in which Prometheus could not reach it, it tells *resolved*
//! and then *firing* with the same `startsAt`. And the two of a pair, one of which was started
//! again, may hold different beginnings of one episode.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::alert::{self, AlertTold, Alerted};
use crate::domain::id::AlertName;
use crate::domain::time::{Now, Wall};

/// What overtakes another message on its way, or is sent once more, comes within this. What comes
/// later was said later. Below the shortest `group_interval` that is common.
pub(super) const OVERTAKEN: Duration = Duration::from_secs(60);

/// When alerts ended, by name and fingerprint.
pub(super) type Ended = BTreeMap<(AlertName, String), Wall>;

/// Places the word beside what is kept.
pub(super) fn place(told: &mut AlertTold, ended: &Ended, kept: &[Alerted], now: Now) {
    let Some(held) = alert::kept(kept, told) else { return };
    let Some((began, tells)) = held.starts.zip(told.starts_beside(held)) else { return };
    let said_later = now.steady.since(held.renewed.steady) >= OVERTAKEN;
    if told.firing && !told.held && held.resolved && tells <= began && said_later {
        // Another episode: who tells no beginning begins anew.
        (told.starts, told.ahead) = (None, None);
    }
    let ends = ended.get(&(told.name.clone(), told.fingerprint.clone()));
    if !told.firing && !held.resolved && tells < began && ends.is_some_and(|ends| *ends >= began) {
        (told.starts, told.ahead) = (held.starts, None);
    }
}
