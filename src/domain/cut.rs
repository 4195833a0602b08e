//! A large cut of max: a slip of the fingers in a file must not cost half a fleet. Such a max
//! holds for launches at once, but it takes nothing away before a person has confirmed it.

use serde::{Deserialize, Serialize};

use super::time::{Now, Steady};

/// The max that was last in force without any doubt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub max: u32,
    pub since: Steady,
}

/// A person's word that this max may take servers away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    pub max: u32,
    pub at: Now,
}

impl Accepted {
    /// Whether `max` is less than half of what was accepted, and nobody has said since that just
    /// this max is meant. A word counts once: what is accepted later is later than it.
    pub fn doubts(self, max: u32, confirmed: Option<Confirmed>) -> bool {
        max < self.max.div_ceil(2) && !self.meant(max, confirmed)
    }

    /// Somebody said since then that just this max is meant.
    pub fn meant(self, max: u32, confirmed: Option<Confirmed>) -> bool {
        confirmed.is_some_and(|word| word.max == max && word.at.steady >= self.since)
    }

    /// The same, with a word for another max spent: it confirms no later slip.
    #[must_use]
    pub fn after(self, other: Option<Confirmed>, now: Steady) -> Self {
        let spent = other.is_some_and(|word| word.at.steady >= self.since);
        if spent { Self { since: now, ..self } } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Wall;

    #[test]
    fn only_less_than_half_is_doubted_and_only_without_a_later_word() {
        let accepted = |max| Accepted { max, since: Steady(100) };
        let word = |max, at| Some(Confirmed { max, at: Now { wall: Wall(0), steady: Steady(at) } });
        for (from, to, doubted) in [
            (10, 4, true),
            (10, 5, false),
            (11, 5, true),
            (1, 0, true),
            (0, 0, false),
            (4, 9, false),
        ] {
            assert_eq!(accepted(from).doubts(to, None), doubted, "{from} to {to}");
        }
        for (confirmed, doubted) in
            [(word(4, 100), false), (word(4, 99), true), (word(3, 200), true), (None, true)]
        {
            assert_eq!(accepted(10).doubts(4, confirmed), doubted, "{confirmed:?}");
        }
    }
}
