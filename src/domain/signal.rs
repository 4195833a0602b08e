//! What is received: samples of a load, and commands.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::adoption::{ADOPTED_MOST, Adoptees, Adoption, FORMER_MOST};
use super::alert::{self, AlertTold};
use super::count::{self, Bounds, MOST};
use super::cut::Confirmed;
use super::freeze::Freeze;
use super::group::{GroupState, Pin, Reservation};
use super::id::{Owner, ServerId, SignalName};
use super::pause::{self, Pause, Process};
use super::time::{Now, Wall};

/// A measured value: finite and not negative, for a load below zero has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Value(f64);

impl Value {
    pub fn new(number: f64) -> Result<Self, InvalidValue> {
        if number.is_finite() && number >= 0.0 {
            Ok(Self(number))
        } else {
            Err(InvalidValue(number))
        }
    }

    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Value {
    type Error = InvalidValue;
    fn try_from(number: f64) -> Result<Self, InvalidValue> {
        Self::new(number)
    }
}

impl From<Value> for f64 {
    fn from(value: Value) -> f64 {
        value.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a load: a value is a finite number, 0 or more")]
pub struct InvalidValue(pub f64);

/// One measurement of one signal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub name: SignalName,
    pub value: Value,
    /// When it was measured, by the sender's word; never more than
    /// [`AHEAD_MOST`] after it was received.
    pub at: Wall,
    pub received: Now,
    /// Which server it was measured on, if it is not the group's whole load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerId>,
}

/// How far in the future a sample may claim to be measured: clocks differ.
pub const AHEAD_MOST: Duration = Duration::from_secs(30);

/// Something that is to be done once, in order of arrival.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// The base becomes this number.
    Set { capacity: u32 },
    /// The base moves by this many servers.
    Adjust { by: i64 },
    /// The base moves by this share of itself.
    Percent { by: f64 },
    /// The owner wants this much capacity until then.
    Reserve { owner: Owner, capacity: u32, until: Now },
    /// The owner's reservation ends now.
    Release { owner: Owner },
    /// This number, in place of all claims.
    Pin { capacity: u32, until: Option<Now> },
    /// The claims count again.
    Unpin,
    /// Nothing is changed until it is taken back.
    Freeze,
    /// It is taken back, and what the meltdown guard stopped goes on.
    Unfreeze,
    /// This max may take servers away, however many.
    Confirm { max: u32 },
    /// Servers are taken over.
    Adopt(Adoptees),
    /// Alerts fire, or are resolved.
    Alerts { alerts: Vec<AlertTold> },
    /// These rest, until then if it ends by itself.
    Pause { processes: BTreeSet<Process>, until: Option<Now> },
    /// These go on.
    Resume { processes: BTreeSet<Process> },
}

/// A command with who gave it and why.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ordered {
    pub command: Command,
    pub at: Now,
    /// Who gave it: a scope's name or a sender's; shown, never secret.
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The longest that a reservation or a pin may last: whoever means more sets the base.
pub const ANNOUNCED_MOST: Duration = Duration::from_secs(30 * 86_400);

/// The most reservations that one group keeps at a time.
pub const RESERVATIONS_MOST: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error("{0} servers are more than the {MOST} that novascale allows for a group")]
    TooMany(u64),
    #[error("a percentage is a finite number")]
    NotFinite,
    #[error("the group holds {RESERVATIONS_MOST} reservations already; release one first")]
    TooManyReservations,
    #[error(
        "more than {ADOPTED_MOST} servers would wait for their adoption; adopt them in parts, by id"
    )]
    TooManyAdoptions,
    #[error("the group takes over {FORMER_MOST} former groups already; wait for them")]
    TooManyFormer,
}

/// The group's state after the command. The base is clamped to the bounds when it
/// is stored, so that a hundred `adjust +1` at the ceiling need not be undone.
pub fn apply(
    state: &GroupState,
    order: &Ordered,
    bounds: Bounds,
) -> Result<GroupState, CommandError> {
    let mut next = state.clone();
    let base = state.base.map_or(bounds.floor(), |b| bounds.clamp(b));
    match &order.command {
        Command::Set { capacity } => set_base(&mut next, i64::from(checked(*capacity)?), bounds),
        Command::Adjust { by } => set_base(&mut next, i64::from(base).saturating_add(*by), bounds),
        Command::Percent { by } if !by.is_finite() => return Err(CommandError::NotFinite),
        Command::Percent { by } => {
            let change = count::percent_change(base, *by);
            set_base(&mut next, i64::from(base).saturating_add(change), bounds);
        }
        Command::Reserve { owner, capacity, until } => {
            next.reservations.retain(|r| r.owner != *owner && r.until.steady > order.at.steady);
            if next.reservations.len() >= RESERVATIONS_MOST {
                return Err(CommandError::TooManyReservations);
            }
            let (owner, capacity, until) = (owner.clone(), checked(*capacity)?, *until);
            let reason = order.reason.clone();
            next.reservations.push(Reservation { owner, capacity, until, reason });
        }
        Command::Release { owner } => next.reservations.retain(|r| r.owner != *owner),
        Command::Pin { capacity, until } => {
            let (capacity, until, reason) = (checked(*capacity)?, *until, order.reason.clone());
            next.pin = Some(Pin { capacity, until, reason });
        }
        Command::Unpin => next.pin = None,
        Command::Freeze => {
            let (since, by, reason) = (order.at, order.by.clone(), order.reason.clone());
            next.freeze = Some(Freeze { since, by, reason });
        }
        Command::Unfreeze => (next.freeze, next.unfrozen) = (None, Some(order.at)),
        Command::Confirm { max } => next.confirmed = Some(Confirmed { max: *max, at: order.at }),
        // These say nothing about how large the fleet is to be.
        Command::Adopt(what) => {
            adopt(&mut next.adoptions, what, order)?;
            return Ok(next);
        }
        Command::Alerts { alerts } => {
            alert::hear(&mut next.alerts, alerts, order.at);
            return Ok(next);
        }
        Command::Pause { processes, until } => {
            pause(&mut next, processes, *until, order);
            return Ok(next);
        }
        Command::Resume { processes } => {
            next.pauses = pause::in_force(&next.pauses, order.at);
            next.pauses.retain(|process, _| !processes.contains(process));
            return Ok(next);
        }
    }
    match &order.command {
        Command::Set { .. } | Command::Adjust { .. } | Command::Percent { .. } => {
            next.base_reason.clone_from(&order.reason);
            next.steered = Some(order.at);
        }
        Command::Pin { .. } | Command::Unpin => next.steered = Some(order.at),
        Command::Reserve { .. }
        | Command::Release { .. }
        | Command::Freeze
        | Command::Unfreeze
        | Command::Confirm { .. }
        | Command::Adopt(_)
        | Command::Alerts { .. }
        | Command::Pause { .. }
        | Command::Resume { .. } => {}
    }
    // Who stops or lets go says nothing of how large the fleet is to be: no cooldown ends by it.
    if !matches!(order.command, Command::Freeze | Command::Unfreeze) {
        next.ordered = Some(order.at);
    }
    Ok(next)
}

/// A process that is paused stands as it stood when its pause began, whatever is said of the
/// pause later: else the schedule's clock would jump, and capacity with it.
fn pause(
    state: &mut GroupState,
    processes: &BTreeSet<Process>,
    until: Option<Now>,
    order: &Ordered,
) {
    state.pauses = pause::in_force(&state.pauses, order.at);
    for process in processes {
        let since = state.pauses.get(process).map_or(order.at, |pause| pause.since);
        let (by, reason) = (order.by.clone(), order.reason.clone());
        state.pauses.insert(*process, Pause { since, until, by, reason });
    }
}

/// Whether the command says anything that was not said before: an alert that is only told again
/// does not.
pub fn news(before: &GroupState, after: &GroupState, order: &Ordered) -> bool {
    let stands = |state: &GroupState| -> Vec<_> {
        let alerts = state.alerts.iter();
        alerts.map(|a| (a.name.clone(), a.fingerprint.clone(), a.since, a.resolved)).collect()
    };
    !matches!(order.command, Command::Alerts { .. }) || stands(before) != stands(after)
}

impl Command {
    /// It stands in the journal of who ordered what. Alerts are signals: their senders would push out
    /// what people ordered.
    pub fn journaled(&self) -> bool {
        !matches!(self, Self::Alerts { .. })
    }
}

/// A later word on the same servers takes the place of an earlier one.
fn adopt(orders: &mut Vec<Adoption>, what: &Adoptees, order: &Ordered) -> Result<(), CommandError> {
    if let Adoptees::Servers { servers, .. } = what {
        orders.iter_mut().for_each(|earlier| earlier.forget(servers));
    }
    let again = |earlier: &Adoption| match what.former() {
        Some(former) => earlier.what.former() == Some(former),
        None => earlier.what == *what,
    };
    orders.retain(|earlier| !earlier.is_empty() && !again(earlier));
    let (by, reason) = (order.by.clone(), order.reason.clone());
    orders.push(Adoption { what: what.clone(), at: order.at, by, reason });
    let (mut waiting, mut former) = (0, 0);
    for order in orders.iter() {
        match &order.what {
            Adoptees::Servers { servers, .. } => waiting += servers.len(),
            Adoptees::Renamed { .. } => former += 1,
        }
    }
    match (waiting <= ADOPTED_MOST, former <= FORMER_MOST) {
        (true, true) => Ok(()),
        (false, _) => Err(CommandError::TooManyAdoptions),
        (true, false) => Err(CommandError::TooManyFormer),
    }
}

fn set_base(state: &mut GroupState, wanted: i64, bounds: Bounds) {
    let wanted = u32::try_from(wanted.clamp(0, i64::from(MOST))).unwrap_or(MOST);
    state.base = Some(bounds.clamp(wanted));
}

fn checked(capacity: u32) -> Result<u32, CommandError> {
    if capacity > MOST { Err(CommandError::TooMany(u64::from(capacity))) } else { Ok(capacity) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(command: Command) -> Ordered {
        Ordered { command, at: Now::default(), by: "test".into(), reason: None }
    }

    fn base_after(start: Option<u32>, command: Command) -> Option<u32> {
        let state = GroupState { base: start, ..GroupState::default() };
        apply(&state, &order(command), Bounds::new(2, 8)).unwrap().base
    }

    #[test]
    fn values_are_finite_and_not_negative() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0] {
            assert!(Value::new(bad).is_err(), "{bad}");
        }
        assert!(Value::new(0.0).is_ok());
    }

    #[test]
    fn the_base_moves_within_the_bounds() {
        assert_eq!(base_after(None, Command::Set { capacity: 5 }), Some(5));
        assert_eq!(base_after(None, Command::Adjust { by: 1 }), Some(3));
        assert_eq!(base_after(Some(8), Command::Adjust { by: i64::MAX }), Some(8));
        assert_eq!(base_after(Some(8), Command::Adjust { by: i64::MIN }), Some(2));
        assert_eq!(base_after(Some(4), Command::Percent { by: 50.0 }), Some(6));
        assert_eq!(base_after(Some(4), Command::Percent { by: -1.0 }), Some(3));
    }

    #[test]
    fn a_reservation_replaces_the_owners_last() {
        let owner = Owner::new("batch").unwrap();
        let until = Now::default().plus(Duration::from_secs(60));
        let mut state = GroupState::default();
        for capacity in [4, 7] {
            let command = Command::Reserve { owner: owner.clone(), capacity, until };
            state = apply(&state, &order(command), Bounds::new(0, 8)).unwrap();
        }
        assert_eq!(state.reservations.len(), 1);
        assert_eq!(state.reservations[0].capacity, 7);
        let state = apply(&state, &order(Command::Release { owner }), Bounds::new(0, 8)).unwrap();
        assert!(state.reservations.is_empty());
    }

    #[test]
    fn a_pause_moves_no_number_and_a_later_word_on_it_moves_its_end_only() {
        let at = |secs| Now::default().plus(Duration::from_secs(secs));
        let told = |state: &GroupState, command, at| {
            let order = Ordered { command, at, by: "test".into(), reason: None };
            apply(state, &order, Bounds::new(0, 8)).unwrap()
        };
        let both = BTreeSet::from([Process::Launch, Process::Schedule]);
        let until = Some(at(60));
        let state = GroupState::default();
        let first = told(&state, Command::Pause { processes: both.clone(), until }, at(0));
        let launch = BTreeSet::from([Process::Launch]);
        let again = Command::Pause { processes: launch.clone(), until: Some(at(90)) };
        let second = told(&first, again, at(30));
        assert_eq!(second.pauses[&Process::Launch].since, at(0));
        assert_eq!(second.pauses[&Process::Launch].until, Some(at(90)));
        assert_eq!(second.pauses[&Process::Schedule].until, until);
        assert_eq!((second.ordered, second.steered), (None, None));
        let anew = told(&second, Command::Pause { processes: both, until: None }, at(90));
        assert_eq!(anew.pauses[&Process::Launch].since, at(90), "the earlier one was over");
        let third = told(&anew, Command::Resume { processes: launch }, at(100));
        assert_eq!(third.pauses.keys().collect::<Vec<_>>(), [&Process::Schedule]);
    }
}
