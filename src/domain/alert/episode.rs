//! Which episode of an alert a source speaks of, where what is kept of it tells better than the word.
//!
//! Alertmanager knows an episode by when it began and still says of one both that it is over and,
//! later, that it fires: after a time in which Prometheus could not reach it, it tells *resolved*
//! and then *firing* with the same `startsAt`. And the two of a pair, one of which was started
//! again, may hold different beginnings of one episode.

use std::borrow::Cow;
use std::time::Duration;

use super::{AlertTold, Alerted, Teller};
use crate::domain::time::Now;

/// What overtakes another message on its way, or is sent once more, comes within this. What comes
/// later was said later. Below the shortest `group_interval` that is common.
const OVERTAKEN: Duration = Duration::from_secs(60);

/// The word of a source beside what is kept of the alert.
pub(super) fn placed<'t>(told: &'t AlertTold, held: &Alerted, now: Now) -> Cow<'t, AlertTold> {
    let begins = held.starts.zip(told.starts_beside(held));
    let (Some((began, tells)), Teller::Source(_)) = (begins, &told.by) else {
        return Cow::Borrowed(told);
    };
    let said_later = now.steady.since(held.renewed.steady) >= OVERTAKEN;
    if told.firing && held.resolved && tells <= began && said_later {
        // Another episode: who tells no beginning begins anew.
        return Cow::Owned(AlertTold { starts: None, ahead: None, ..told.clone() });
    }
    let ended_since = told.ends.is_some_and(|ends| ends >= began);
    if !told.firing && !held.resolved && tells < began && ended_since {
        return Cow::Owned(AlertTold { starts: held.starts, ahead: None, ..told.clone() });
    }
    Cow::Borrowed(told)
}
