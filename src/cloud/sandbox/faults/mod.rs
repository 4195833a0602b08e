//! What the embedded cloud does wrong on request: for rehearsing an outage, and for the simulation.
//!
//! It answers: does this fault strike now? The names and what they mean stand in
//! [`crate::config::rehearsal`]. Everything here is pure: dice and time are handed in. While no
//! fault is on, no die is rolled, and the cloud is exactly what it is without this module.
//!
//! The story: a request meets `wire`, which may delay it, refuse it, let its answer be lost or
//! alter it (`fate.rs` draws, `answers.rs` writes); the faces and the model ask [`Faults`] where
//! something of theirs may go wrong: a listing by a `sight::Sight`, a build, a delete. `people.rs`
//! has what people do to servers. `face` is the endpoint by which all this is set.

pub(super) mod face;
pub mod people;
pub(super) mod sight;
pub(super) mod wire;

mod answers;
mod fate;

pub use sight::lot;

use std::collections::BTreeMap;

use super::model::Millis;
use super::model::dice::Dice;
use super::model::identity::Account;
use super::model::launch::Launch;
use crate::config::rehearsal::{Fault, Strength, Unit, Wishes};

/// The faults that are on, how often each has struck, and what is still under way because of one.
pub struct Faults {
    wishes: Wishes,
    struck: BTreeMap<Fault, u64>,
    pub(super) dice: Dice,
    late: Vec<Late>,
}

/// A create whose client got no answer, and which is carried out all the same.
#[derive(Debug, Clone, PartialEq)]
pub struct Late {
    pub due: Millis,
    pub launch: Launch,
    pub account: Account,
    pub request_id: String,
}

impl Faults {
    pub fn new(wishes: Wishes, dice: Dice) -> Faults {
        Faults { wishes, struck: BTreeMap::new(), dice, late: Vec::new() }
    }

    /// None, ever.
    pub fn none() -> Faults {
        Faults::new(Wishes::default(), Dice::new([0; 32], 0))
    }

    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// These, in place of what was on.
    pub fn set(&mut self, wishes: Wishes) {
        self.wishes = wishes;
    }

    /// How often it has struck since the start.
    pub fn struck(&self, fault: Fault) -> u64 {
        self.struck.get(&fault).copied().unwrap_or_default()
    }

    /// Whether none is on.
    pub fn quiet(&self) -> bool {
        self.wishes.0.is_empty()
    }

    pub fn is_on(&self, fault: Fault) -> bool {
        self.wishes.0.contains_key(&fault)
    }

    /// Whether it strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        let strikes = match self.wishes.0.get(&fault) {
            None => false,
            Some(Strength::Percent(chance)) => self.dice.percent(*chance),
            Some(Strength::Lasting(_) | Strength::Amount(_)) => true,
        };
        if strikes {
            *self.struck.entry(fault).or_default() += 1;
        }
        strikes
    }

    /// How long it lasts, if it strikes now.
    pub fn lasts(&mut self, fault: Fault) -> Option<Millis> {
        if !self.strikes(fault) {
            return None;
        }
        match (self.wishes.0.get(&fault)?, fault.unit()) {
            (Strength::Lasting(span), _) => i64::try_from(span.as_millis()).ok(),
            (Strength::Percent(_), Unit::Span(least, most)) => {
                Some(self.dice.within(&(least * 1_000..=most * 1_000)))
            }
            (Strength::Percent(_) | Strength::Amount(_), _) => None,
        }
    }

    /// How many it means, if it is on.
    pub fn amount(&self, fault: Fault) -> Option<u32> {
        match self.wishes.0.get(&fault)? {
            Strength::Amount(n) => Some(*n),
            Strength::Percent(_) | Strength::Lasting(_) => None,
        }
    }

    /// One of these, by chance.
    pub(super) fn one_of<T: Copy>(&mut self, first: T, others: &[T]) -> T {
        let drawn = self.dice.within(&(0..=others.len() as u64));
        usize::try_from(drawn - 1).ok().and_then(|at| others.get(at)).copied().unwrap_or(first)
    }

    pub(super) fn postpone(&mut self, late: Late) {
        self.late.push(late);
    }

    /// What is still to be carried out.
    pub fn late(&self) -> &[Late] {
        &self.late
    }

    /// The first that is due.
    pub(super) fn due(&mut self, now: Millis) -> Option<Late> {
        let due = self.late.iter().enumerate().filter(|(_, late)| late.due <= now);
        let (at, _) = due.min_by_key(|(_, late)| late.due)?;
        Some(self.late.remove(at))
    }
}
