//! What holds desired back, in words.

use std::fmt;
use std::time::Duration;

use crate::domain::behaviour::Change;
use crate::domain::plan::Tempering;
use crate::domain::time::spoken;

impl fmt::Display for Tempering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bounded { from, to } if from > to => {
                write!(f, "cut from {from} to {to}, which is max")
            }
            Self::Bounded { from, to } => write!(f, "raised from {from} to {to}, which is min"),
            Self::Pinned { to } => write!(f, "pinned at {to} in place of all claims"),
            Self::Stabilized { from, to, .. }
            | Self::StabilizedOut { from, to, .. }
            | Self::RatedIn { from, to, .. }
            | Self::RatedOut { from, to, .. }
            | Self::Disabled { from, to }
            | Self::Cooling { from, to, .. }
            | Self::CoolingOut { from, to, .. }
            | Self::Blind { from, to, .. }
            | Self::Held { from, to }
            | Self::TakenOver { from, to } => {
                write!(f, "held at {to} rather than {from}: {}", self.because())
            }
        }
    }
}

impl Tempering {
    /// What it is held by.
    fn because(&self) -> String {
        match self {
            Self::Stabilized { to, window_secs, left_secs, .. } => {
                let (window, left) = (span(*window_secs), span(*left_secs));
                format!("{to} were wanted within the last {window} (stabilization, {left} left)")
            }
            Self::StabilizedOut { least, window_secs, left_secs, .. } => {
                let (window, left) = (span(*window_secs), span(*left_secs));
                format!(
                    "no more than {least} were wanted at some time within the last {window} \
                     (scale_out.stabilization, {left} left)"
                )
            }
            Self::RatedIn { change, per_secs, left_secs, .. } => {
                let (most, left) = (at_most(*change, "fewer", *per_secs), span(*left_secs));
                format!("{most} (scale_in.rates), {left} left")
            }
            Self::RatedOut { change, per_secs, left_secs, .. } => {
                let (most, left) = (at_most(*change, "more", *per_secs), span(*left_secs));
                format!("{most} (scale_out.rates), {left} left")
            }
            Self::Disabled { from, to } if from < to => {
                "scaling in is disabled (scale_in.select)".to_owned()
            }
            Self::Disabled { .. } => {
                "scaling out by signals is disabled (scale_out.select)".to_owned()
            }
            Self::Cooling { left_secs, .. } => format!("cooldown, {} left", span(*left_secs)),
            Self::CoolingOut { left_secs, .. } => {
                format!("cooldown of scale_out, {} left", span(*left_secs))
            }
            Self::Blind { signals, .. } => format!(
                "{} lacks fresh data, and missing data never lowers capacity",
                signals.join(", ")
            ),
            Self::Held { .. } => "the stored state was lost; it is held until every signal has \
                                  data or an operator sets or pins"
                .to_owned(),
            Self::TakenOver { .. } => "servers were adopted; it is held until every signal has \
                                       data or an operator sets or pins"
                .to_owned(),
            Self::Bounded { .. } => "bounds".to_owned(),
            Self::Pinned { .. } => "a pin".to_owned(),
        }
    }
}

fn at_most(change: Change, which: &str, per_secs: u64) -> String {
    let per = match per_secs {
        1 => "second".to_owned(),
        60 => "minute".to_owned(),
        _ => span(per_secs),
    };
    match change {
        Change::Count(n) => format!("at most {n} {which} per {per}"),
        Change::Percent(percent) => format!("at most {percent} % {which} per {per}"),
    }
}

fn span(secs: u64) -> String {
    spoken(Duration::from_secs(secs))
}
