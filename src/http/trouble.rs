//! What the store could not do: said once, and once more when it can again.
//!
//! Senders repeat what was refused, many of them and for hours: a line for each request would
//! fill the disk that is full already.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::domain::id::GroupName;
use crate::store::StoreError;

/// What was asked of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    /// To keep what was sent.
    Keep,
    /// To show what it has.
    Show,
}

/// The trouble that was told last, of each group and way of asking.
#[derive(Debug, Default)]
pub(super) struct Troubles(Mutex<BTreeMap<(GroupName, Asked), String>>);

impl Troubles {
    /// Tells a change: trouble, other trouble than before, or the end of it.
    pub(super) fn tell<T>(&self, group: &GroupName, asked: Asked, result: &Result<T, StoreError>) {
        let trouble = match result {
            Ok(_) => None,
            Err(error) => match severity(error) {
                // The sender's fault says nothing of the store.
                Severity::Theirs => return,
                Severity::Passing | Severity::Lasting => Some(error),
            },
        };
        if !self.news(group, asked, trouble) {
            return;
        }
        match trouble {
            None => tracing::info!(group = %group, "{} again", works(asked)),
            Some(error) if severity(error) == Severity::Passing => {
                tracing::warn!(group = %group, "{}: {error}", fails(asked));
            }
            Some(error) => tracing::error!(group = %group, "{}: {error}", fails(asked)),
        }
    }

    /// Whether that is not what was told last.
    fn news(&self, group: &GroupName, asked: Asked, trouble: Option<&StoreError>) -> bool {
        // A panic elsewhere leaves at worst a line that is told twice.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (group.clone(), asked);
        match trouble.map(ToString::to_string) {
            None => told.remove(&place).is_some(),
            Some(text) if told.get(&place) == Some(&text) => false,
            Some(text) => {
                told.insert(place, text);
                true
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Severity {
    Theirs,
    /// Another novascale is in charge: nothing is lost.
    Passing,
    Lasting,
}

fn severity(error: &StoreError) -> Severity {
    match error {
        StoreError::KeyReused | StoreError::Command(_) | StoreError::Limit(_) => Severity::Theirs,
        StoreError::Fenced(_) => Severity::Passing,
        StoreError::Unavailable(_) | StoreError::Foreign(_) | StoreError::Corrupt(_) => {
            Severity::Lasting
        }
    }
}

fn fails(asked: Asked) -> &'static str {
    match asked {
        Asked::Keep => "what is sent is refused",
        Asked::Show => "what is stored cannot be shown",
    }
}

fn works(asked: Asked) -> &'static str {
    match asked {
        Asked::Keep => "what is sent is stored",
        Asked::Show => "what is stored is shown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_told_once_until_it_ends_or_changes() {
        let troubles = Troubles::default();
        let (web, db) = (GroupName::new("web").unwrap(), GroupName::new("db").unwrap());
        let full = StoreError::Unavailable("disk full".into());
        let broken = StoreError::Corrupt("row 7".into());
        let keep = |group, trouble| troubles.news(group, Asked::Keep, trouble);
        assert!(!keep(&web, None), "all is well at the start");
        assert!(keep(&web, Some(&full)));
        for _ in 0..100 {
            assert!(!keep(&web, Some(&full)));
        }
        assert!(keep(&db, Some(&full)), "another group has its own");
        assert!(keep(&web, Some(&broken)));
        assert!(!troubles.news(&web, Asked::Show, None), "and so has another way of asking");
        assert!(keep(&web, None));
        assert!(!keep(&web, None));
        assert!(keep(&web, Some(&broken)), "and begins anew");
    }
}
