//! Groups of which more alerts fire than are kept one by one: said once, and once more when it is
//! over. Senders repeat themselves, and each of them hears it in its answers.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::domain::alert::{ALERTS_MOST, Alerted};
use crate::domain::id::GroupName;

/// Those of which it was said.
#[derive(Debug, Default)]
pub(super) struct Crowds(Mutex<BTreeSet<GroupName>>);

impl Crowds {
    pub(super) fn tell(&self, group: &GroupName, alerts: &[Alerted]) {
        let crowded = alerts.iter().any(|alert| alert.crowd.is_some());
        match (self.news(group, crowded), crowded) {
            (false, _) => {}
            (true, true) => tracing::warn!(
                group = %group,
                "more alerts fire than the {ALERTS_MOST} that are kept one by one: the others count \
                 together by their names. Let a rule tell one alert of the whole group instead of one \
                 of each machine"
            ),
            (true, false) => {
                tracing::info!(group = %group, "every alert that fires has its place again")
            }
        }
    }

    /// Whether that is not what was told last.
    fn news(&self, group: &GroupName, crowded: bool) -> bool {
        // A panic elsewhere leaves at worst a line that is told twice.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if crowded && !told.contains(group) {
            told.insert(group.clone())
        } else {
            !crowded && told.remove(group)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_is_told_once_and_its_end_too() {
        let (crowds, web, db) = (Crowds::default(), "web".parse().unwrap(), "db".parse().unwrap());
        assert!(!crowds.news(&web, false));
        assert!(crowds.news(&web, true) && crowds.news(&db, true));
        assert!(!crowds.news(&web, true));
        assert!(crowds.news(&web, false) && !crowds.news(&web, false));
    }
}
