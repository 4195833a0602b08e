//! How claims read: what was measured or said, and what that wants.

use std::fmt;
use std::time::Duration;

use super::{because, hours, number, pause, quoted};
use crate::domain::claim::{Claim, Over, Source, StepHeld};
use crate::domain::policy::Aggregate;
use crate::domain::time::spoken;

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wants = self.wants.number().unwrap_or(0);
        match &self.source {
            Source::Base { declared: true, reason } => {
                write!(f, "base is {wants}{}", because(reason.as_deref()))
            }
            Source::Base { declared: false, .. } => write!(f, "min is {wants}"),
            Source::Reservation { owner, left_secs, reason } => {
                let left = secs(*left_secs);
                write!(f, "{owner} reserved {wants} for {left} more{}", because(reason.as_deref()))
            }
            Source::Target { .. } => total(f, &self.source, wants),
            Source::Average { .. } => average(f, &self.source, wants),
            Source::Step { .. } => step(f, &self.source),
            Source::Alert { alert, firing_secs, more } => {
                let firing = secs(*firing_secs);
                match more {
                    Some(more) => {
                        let before = wants.saturating_sub(*more);
                        write!(
                            f,
                            "the alert {alert} fires for {firing}: {more} more than the {before} \
                             desired when it began"
                        )
                    }
                    None => write!(f, "the alert {alert} fires for {firing} and wants {wants}"),
                }
            }
            Source::Expression { .. } => expression(f, self),
            Source::Fallback { policy, unknown_secs } => {
                let unknown = secs(*unknown_secs);
                write!(f, "the {policy} has been unknown for {unknown}, its fallback is {wants}")
            }
            Source::Schedule { name, left_secs, early_secs } => {
                write!(f, "{} wants {wants}{}", quoted(name), hours(*left_secs, *early_secs))
            }
            Source::Pin { left_secs, reason } => {
                let left = left_secs.map(|left| format!(" for {} more", secs(left)));
                let left = left.unwrap_or_default();
                write!(f, "pinned at {wants}{left}{}", because(reason.as_deref()))
            }
            Source::Paused { left_secs, by, reason } => {
                let (left, why) = (pause::left(*left_secs), because(reason.as_deref()));
                write!(f, "signals stand at {wants}, as alarm is paused{left} by {by}{why}")
            }
        }
    }
}

fn secs(secs: u64) -> String {
    spoken(Duration::from_secs(secs))
}

/// `is 84`; of a window, `averaged 84 over the last 3 min`.
fn measured(over: Over, value: f64) -> String {
    let value = number(value);
    let window = secs(over.window_secs);
    match (over.window_secs, over.aggregate) {
        (0, _) | (_, Aggregate::Last) => format!("is {value}"),
        (_, Aggregate::Avg) => format!("averaged {value} over the last {window}"),
        (_, Aggregate::Max) => format!("was at most {value} over the last {window}"),
        (_, Aggregate::Min) => format!("was at least {value} over the last {window}"),
        (_, Aggregate::Sum) => format!("summed to {value} over the last {window}"),
        (_, p @ Aggregate::Percentile(_)) => {
            format!("was {value} over the last {window} ({p})")
        }
    }
}

fn unknown(
    f: &mut fmt::Formatter<'_>,
    signal: &impl fmt::Display,
    age: Option<u64>,
) -> fmt::Result {
    match age {
        None => write!(f, "{signal} is unknown: no sample came yet"),
        Some(age) => write!(f, "{signal} is unknown: its last sample is {} old", secs(age)),
    }
}

fn total(f: &mut fmt::Formatter<'_>, source: &Source, wants: u32) -> fmt::Result {
    let Source::Target {
        signal,
        per_server,
        load,
        age_secs,
        silent,
        shifting,
        whole_silent,
        over,
        tolerated,
    } = source
    else {
        return Ok(());
    };
    let Some(load) = load else { return unknown(f, signal, *age_secs) };
    let (load, each) = (measured(*over, *load), number(*per_server));
    match tolerated {
        true => write!(f, "{signal} {load}, near enough to {each} on each of {wants} servers")?,
        false => write!(f, "{signal} {load}, at {each} per server that wants {wants}")?,
    }
    match (whole_silent, silent) {
        (false, 0) if *shifting > 0 => write!(f, " (others take over load)"),
        (false, 0) => Ok(()),
        (false, 1) => write!(f, " (1 server has fallen silent)"),
        (false, n) => write!(f, " ({n} servers have fallen silent)"),
        (true, _) => write!(f, " (the sender for the whole group has fallen silent)"),
    }
}

fn average(f: &mut fmt::Formatter<'_>, source: &Source, wants: u32) -> fmt::Result {
    let Source::Average {
        signal,
        target,
        value,
        servers,
        over,
        age_secs,
        missing,
        young,
        warming,
        shifting,
        whole_silent,
        tolerated,
    } = source
    else {
        return Ok(());
    };
    let Some(value) = value else {
        return match age_secs {
            Some(_) if wants > 0 => {
                write!(f, "{signal} is above 0, and no server that counts is measured")
            }
            age => unknown(f, signal, *age),
        };
    };
    let (value, target) = (measured(*over, *value), number(*target));
    let on = match servers {
        1 => "on 1 server".to_owned(),
        n => format!("on {n} servers"),
    };
    match tolerated {
        true => write!(f, "{signal} {value} {on}, its target is {target}: {wants} stay")?,
        false => write!(f, "{signal} {value} {on}, at its target {target} that wants {wants}")?,
    }
    let mut aside: Vec<String> = Vec::new();
    let count = |n: u32, one: &str, many: &str| match n {
        0 => None,
        1 => Some(format!("1 server {one}")),
        n => Some(format!("{n} servers {many}")),
    };
    aside.extend(count(*missing, "reports nothing", "report nothing"));
    aside.extend(count(*young, "does not count yet", "do not count yet"));
    aside.extend((*warming > 0).then(|| "nothing goes before they do".to_owned()));
    aside.extend((*shifting > 0).then(|| "others take over load".to_owned()));
    aside.extend(whole_silent.then(|| "the sender for all servers has fallen silent".to_owned()));
    if aside.is_empty() { Ok(()) } else { write!(f, " ({})", aside.join(", ")) }
}

fn step(f: &mut fmt::Formatter<'_>, source: &Source) -> fmt::Result {
    let Source::Step { signal, value, over, age_secs, level, held } = source else { return Ok(()) };
    match value {
        Some(value) => write!(f, "{signal} {}", measured(*over, *value))?,
        None => unknown(f, signal, *age_secs)?,
    }
    match level {
        Some(level) => write!(f, ", its steps have come to {level}")?,
        None => f.write_str(", no step was made")?,
    }
    match held {
        None => Ok(()),
        Some(StepHeld::WarmingUp { left_secs }) => {
            write!(f, "; the last one has {} more to show its effect", secs(*left_secs))
        }
        Some(StepHeld::NothingNew) => f.write_str("; nothing was measured since the last one"),
        Some(StepHeld::KnownInPart) => f.write_str(
            "; nothing is taken while servers are silent or others take over their load",
        ),
        Some(StepHeld::WouldStepOut { servers }) => {
            write!(f, "; with {servers} it would be where it steps out again")
        }
    }
}

fn expression(f: &mut fmt::Formatter<'_>, claim: &Claim) -> fmt::Result {
    let Source::Expression { name, formula, values } = &claim.source else { return Ok(()) };
    let called = if name == formula { String::new() } else { format!("\"{name}\", ") };
    let end = if name == formula { " " } else { ", " };
    write!(f, "the expression {called}{formula}{end}")?;
    let lacking = claim.source.lacking();
    let known = values.iter().filter_map(|(signal, value)| Some((signal, (*value)?)));
    let known: Vec<String> =
        known.map(|(signal, value)| format!("{signal} {}", number(value))).collect();
    let with = known.join(", ");
    match (claim.wants.number(), known.len() == values.len()) {
        (Some(wants), _) => write!(f, "wants {wants} with {with}"),
        (None, true) => write!(f, "comes to no number with {with}"),
        (None, false) => {
            let names = lacking.join(", ");
            write!(f, "is unknown without fresh data of the whole group: {names}")
        }
    }
}
