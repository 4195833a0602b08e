//! How a command reads in the log, and what is said of one that had nothing to end.

use super::because;
use crate::domain::group::GroupState;
use crate::domain::signal::Command;
use crate::domain::time::{Now, spoken};

/// What is said of a command that ended nothing, for there was nothing to end: a slip of the
/// fingers, perhaps, so what there is is named. `before` is the state before the command.
pub fn vain(command: &Command, before: &GroupState, now: Now) -> Option<String> {
    match command {
        Command::Release { owner } => {
            let current = before.reservations.iter().filter(|r| r.until.steady > now.steady);
            let owners: Vec<&str> = current.map(|r| r.owner.as_str()).collect();
            let there = match owners.as_slice() {
                _ if owners.contains(&owner.as_str()) => return None,
                [] => "there is none at all".to_owned(),
                owners => format!("there are those of {}", owners.join(", ")),
            };
            Some(format!("there was no reservation of `{owner}`; {there}"))
        }
        Command::Unpin => {
            let pin = before.pin.as_ref();
            let holds = pin.is_some_and(|p| p.until.is_none_or(|u| u.steady > now.steady));
            (!holds).then(|| "there was no pin; nothing was changed".to_owned())
        }
        Command::Set { .. }
        | Command::Adjust { .. }
        | Command::Percent { .. }
        | Command::Reserve { .. }
        | Command::Pin { .. }
        | Command::Freeze
        | Command::Unfreeze
        | Command::Confirm { .. }
        | Command::Adopt(_) => None,
    }
}

/// A command with its end and its reason: `pin at 4 for 2 h (repair)`.
pub fn order(command: &Command, reason: Option<&str>, now: Now) -> String {
    let until = match command {
        Command::Reserve { until, .. } => Some(*until),
        Command::Pin { until, .. } => *until,
        Command::Set { .. }
        | Command::Adjust { .. }
        | Command::Percent { .. }
        | Command::Release { .. }
        | Command::Unpin
        | Command::Freeze
        | Command::Unfreeze
        | Command::Confirm { .. }
        | Command::Adopt(_) => None,
    };
    let until = until.map(|until| format!(" for {}", spoken(until.steady.since(now.steady))));
    format!("{command}{}{}", until.unwrap_or_default(), because(reason))
}
