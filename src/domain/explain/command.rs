//! How a command reads in the log, what it is answered, and what is said of one that had nothing
//! to end.

use std::collections::BTreeSet;
use std::fmt;

use super::{adoption, because, number, pause};
use crate::domain::alert::AlertTold;
use crate::domain::group::GroupState;
use crate::domain::plan::Decision;
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
        Command::Resume { processes } => {
            let standing = super::super::pause::in_force(&before.pauses, now);
            if processes.iter().any(|process| standing.contains_key(process)) {
                return None;
            }
            let there = match pause::names(&standing.into_keys().collect()).as_str() {
                "nothing" => "nothing is paused".to_owned(),
                paused => format!("paused: {paused}"),
            };
            let are = if processes.len() == 1 { "was" } else { "were" };
            Some(format!("{} {are} not paused; {there}", pause::names(processes)))
        }
        Command::Set { .. }
        | Command::Adjust { .. }
        | Command::Percent { .. }
        | Command::Reserve { .. }
        | Command::Pin { .. }
        | Command::Pause { .. }
        | Command::Freeze
        | Command::Unfreeze
        | Command::Confirm { .. }
        | Command::Adopt(_)
        | Command::Alerts { .. } => None,
    }
}

/// A command with its end and its reason: `pin at 4 for 2 h (repair)`.
pub fn order(command: &Command, reason: Option<&str>, now: Now) -> String {
    let until = match command {
        Command::Reserve { until, .. } => Some(*until),
        Command::Pin { until, .. } | Command::Pause { until, .. } => *until,
        Command::Set { .. }
        | Command::Adjust { .. }
        | Command::Percent { .. }
        | Command::Release { .. }
        | Command::Unpin
        | Command::Freeze
        | Command::Unfreeze
        | Command::Confirm { .. }
        | Command::Resume { .. }
        | Command::Adopt(_)
        | Command::Alerts { .. } => None,
    };
    let until = until.map(|until| format!(" for {}", spoken(until.steady.since(now.steady))));
    format!("{command}{}{}", until.unwrap_or_default(), because(reason))
}

/// The answer to a command: what it did, and what desired comes to. As "base 3; desired is
/// 7: requests is 640, at 100 per server that wants 7".
pub fn answer(command: &Command, state: &GroupState, decision: &Decision) -> String {
    let desired = decision.desired;
    let (done, asked) = done(command, state, decision);
    if asked == Some(desired) && decision.wanted == asked {
        format!("{done}; desired is {desired}")
    } else {
        format!("{done}; desired is {desired}: {}", decision.reason())
    }
}

/// What a command did, and the number that it asked for, if it asked for one.
fn done(command: &Command, state: &GroupState, decision: &Decision) -> (String, Option<u32>) {
    match command {
        Command::Set { .. } | Command::Adjust { .. } | Command::Percent { .. } => {
            let bounds = decision.bounds;
            let base = state.base.unwrap_or_else(|| bounds.floor());
            let end = match base {
                n if n == bounds.max => ", which is max",
                n if n == bounds.floor() => ", which is min",
                _ => "",
            };
            (format!("base {base}{end}"), Some(base))
        }
        Command::Reserve { owner, capacity, until } => {
            let left = spoken(until.steady.since(decision.at.steady));
            (format!("{owner} reserved {capacity} for {left}"), Some(*capacity))
        }
        Command::Release { owner } => (format!("{owner} has no reservation now"), None),
        Command::Pin { capacity, until } => {
            let left = until.map(|end| spoken(end.steady.since(decision.at.steady)));
            let left = left.map_or_else(String::new, |left| format!(" for {left}"));
            (format!("pinned at {capacity}{left}"), Some(*capacity))
        }
        Command::Unpin => ("no pin now".to_owned(), None),
        Command::Freeze | Command::Unfreeze => (String::new(), None),
        Command::Confirm { max } => (format!("max {max} is confirmed"), None),
        Command::Adopt(what) => (adoption::ordered(what), None),
        Command::Alerts { alerts } => (told(alerts), None),
        Command::Pause { .. } | Command::Resume { .. } => {
            (pause::rests(command, decision.at), None)
        }
    }
}

/// So many names are told; more are counted.
const NAMED: usize = 3;

/// Which alerts were told to fire, and which to have ended.
fn told(alerts: &[AlertTold]) -> String {
    let of = |firing: bool| {
        let names: BTreeSet<&str> =
            alerts.iter().filter(|a| a.firing == firing).map(|a| a.name.as_str()).collect();
        let word = if firing { "firing" } else { "resolved" };
        let more = names.len().saturating_sub(NAMED);
        let first = names.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        match (first.is_empty(), more) {
            (true, _) => None,
            (false, 0) => Some(format!("{word}: {first}")),
            (false, more) => Some(format!("{word}: {first} and {more} more")),
        }
    };
    [of(true), of(false)].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { capacity } => write!(f, "set the base to {capacity}"),
            Self::Adjust { by } => write!(f, "change the base by {by:+}"),
            Self::Percent { by } => {
                let plus = if *by >= 0.0 { "+" } else { "" };
                write!(f, "change the base by {plus}{} %", number(*by))
            }
            Self::Reserve { owner, capacity, .. } => write!(f, "reserve {capacity} for {owner}"),
            Self::Release { owner } => write!(f, "release the reservation of {owner}"),
            Self::Pin { capacity, .. } => write!(f, "pin at {capacity}"),
            Self::Unpin => f.write_str("unpin"),
            Self::Freeze => f.write_str("freeze"),
            Self::Unfreeze => f.write_str("unfreeze"),
            Self::Confirm { max } => write!(f, "confirm that max is {max}"),
            Self::Adopt(what) => f.write_str(&adoption::ordered(what)),
            Self::Alerts { alerts } => f.write_str(&told(alerts)),
            Self::Pause { processes, .. } => write!(f, "pause {}", pause::names(processes)),
            Self::Resume { processes } => write!(f, "resume {}", pause::names(processes)),
        }
    }
}
