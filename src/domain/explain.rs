//! One voice: how decisions and their parts read, everywhere they are shown.
//!
//! A decision reads as sentences in the order of its making: what is desired and who
//! asked for it, what held it back, what stands, what is done, what is waited for. It reads
//! the same when nothing is done.

use std::fmt;
use std::time::Duration;

use super::adoption::Adopt;
use super::claim::{Claim, Source, Wants};
use super::fleet::Tally;
use super::id::ServerId;
use super::outcome::Failure;
use super::plan::{Action, Cause, Decision, Tempering, Waiting};
use super::schedule::{Gives, InForce};
use super::time::spoken;

mod adoption;
mod claim;
mod command;
mod pause;
mod tempering;
mod waiting;

pub use adoption::{let_go, unlock};
pub use command::{answer, order, vain};
pub use pause::rests;

/// How a group fares, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Situation {
    /// The fleet is what is desired.
    Steady,
    ScalingOut,
    ScalingIn,
    /// Nothing is changed on purpose.
    Holding,
    /// Something keeps failing.
    Failing,
    /// Nothing is changed until a person lets it go on.
    Frozen,
}

impl Situation {
    pub fn word(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::ScalingOut => "scaling_out",
            Self::ScalingIn => "scaling_in",
            Self::Holding => "holding",
            Self::Failing => "failing",
            Self::Frozen => "frozen",
        }
    }
}

impl Decision {
    pub fn situation(&self) -> Situation {
        let waits = |test: fn(&Waiting) -> bool| self.waiting.iter().any(test);
        let blind = |w: &Waiting| {
            matches!(
                w,
                Waiting::Unseen { .. }
                    | Waiting::Stale { .. }
                    | Waiting::Implausible { .. }
                    | Waiting::OtherInstall { .. }
                    | Waiting::Elsewhere { .. }
                    | Waiting::OtherProject { .. }
            )
        };
        let fails = |w: &Waiting| failing(w).is_some();
        let capacity = self.tally.capacity();
        let (serving, leaving) = (self.tally.serving, self.tally.leaving);
        let excess = capacity.saturating_sub(self.desired);
        let kept = |w: &Waiting| {
            matches!(w, Waiting::Kept { n } if *n >= excess)
                || matches!(w, Waiting::Unconfirmed { .. } | Waiting::Rival { .. })
        };
        if self.frozen().is_some() {
            Situation::Frozen
        } else if waits(blind) {
            Situation::Holding
        } else if waits(fails) {
            Situation::Failing
        } else if self.at_rest().is_some() {
            Situation::Holding
        } else if serving + self.tally.unsure < self.desired && capacity <= self.desired {
            Situation::ScalingOut
        } else if excess > 0 && leaving == 0 && self.waiting.iter().any(kept) {
            Situation::Holding
        } else if excess > 0 || leaving > 0 {
            Situation::ScalingIn
        } else {
            Situation::Steady
        }
    }

    /// One line: what is desired and why, and how far the fleet is.
    pub fn headline(&self) -> String {
        let desired = self.desired;
        let why = self.reason();
        match (self.situation(), self.at_rest().or_else(|| self.waiting.first())) {
            (Situation::Steady, _) => self.steady(&why),
            (Situation::ScalingOut, _) => {
                format!("growing to {desired}: {why}; {}", self.tally)
            }
            (Situation::ScalingIn, _) => {
                format!("shrinking to {desired}: {why}; {}", self.tally)
            }
            (Situation::Holding, Some(waiting)) => format!("holding: {waiting}"),
            (Situation::Holding, None) => format!("holding at {desired}"),
            (Situation::Frozen, _) => {
                let said = self.frozen().map(ToString::to_string).unwrap_or_default();
                format!("{said}; wants {desired}, has {}", self.tally.serving)
            }
            (Situation::Failing, _) => {
                let trouble = self.waiting.iter().find_map(failing);
                let said = trouble.map(ToString::to_string).unwrap_or_default();
                format!("wants {desired}, has {}: {said}", self.tally.serving)
            }
        }
    }

    fn steady(&self, why: &str) -> String {
        let serving = match (self.tally.occupied(), self.tally.serving) {
            (0, _) => "no servers,".to_owned(),
            (_, 0) => "none serve,".to_owned(),
            (_, 1) => "1 serves,".to_owned(),
            (_, n) => format!("{n} serve,"),
        };
        match (self.tally.unsure, self.holds_back()) {
            (0, Some(step)) => format!("{serving} {step}"),
            (0, None) => format!("{serving} as desired: {why}"),
            (n, _) => {
                let are = if n == 1 { "is" } else { "are" };
                format!(
                    "{serving} {n} {are} missing from the listing or of unknown state; asking \
                     Nova for each"
                )
            }
        }
    }

    /// Everything, one sentence each. Names (of signals, owners, settings) keep their case,
    /// so no sentence begins with one.
    pub fn sentences(&self) -> Vec<String> {
        let mut said = vec![format!("{} wanted: {}.", self.wanted_in_words(), self.why())];
        let others = self.claims.iter().filter(|c| Some(*c) != self.winner());
        said.extend(others.map(|claim| format!("Also, {claim}.")));
        let bounding = self.schedules.iter().filter(|w| w.gives.min.or(w.gives.max).is_some());
        said.extend(bounding.map(|window| sentence(&window.to_string())));
        said.extend(self.tempering.iter().map(|step| sentence(&step.to_string())));
        said.push(format!("Desired is {}; {}.", self.desired, self.counted()));
        said.extend(apart(&self.tally));
        said.extend(self.plan.iter().map(|action| sentence(&self.in_words(action))));
        said.extend(self.waiting.iter().map(|waiting| sentence(&waiting.to_string())));
        said.extend(self.idle_pauses().map(|pause| sentence(&pause)));
        if self.plan.is_empty() && self.waiting.is_empty() && !self.in_flight() {
            said.push("Nothing is to be done.".to_owned());
        }
        let next = self.at.wall_at(self.next_look).timestamp();
        said.push(format!("Next look at {}.", next.strftime("%H:%M:%S UTC")));
        said
    }

    /// Which of the claims counts, by its place among them.
    pub fn winning(&self) -> Option<usize> {
        let winner = self.winner()?;
        self.claims.iter().position(|claim| claim == winner)
    }

    /// What the decision could not look past, if it had no sound listing to go by: what it knows of
    /// servers is what was known before.
    pub fn blind(&self) -> Option<&Waiting> {
        self.waiting.iter().find(|waiting| match waiting {
            Waiting::Unseen { .. } | Waiting::Stale { .. } | Waiting::Implausible { .. } => true,
            Waiting::Building { .. }
            | Waiting::Coming { .. }
            | Waiting::Leaving { .. }
            | Waiting::Backoff { .. }
            | Waiting::Ceiling { .. }
            | Waiting::Velocity { .. }
            | Waiting::Kept { .. }
            | Waiting::DeleteBackoff { .. }
            | Waiting::OtherInstall { .. }
            | Waiting::Rival { .. }
            | Waiting::Adopting { .. }
            | Waiting::AdoptBackoff { .. }
            | Waiting::Elsewhere { .. }
            | Waiting::Frozen { .. }
            | Waiting::OtherProject { .. }
            | Waiting::Unconfirmed { .. }
            | Waiting::Paused { .. }
            | Waiting::Meltdown { .. } => false,
        })
    }

    /// What stops the group until a person lets it go on, if anything does.
    pub fn frozen(&self) -> Option<&Waiting> {
        self.waiting
            .iter()
            .find(|waiting| matches!(waiting, Waiting::Frozen { .. } | Waiting::Meltdown { .. }))
    }

    /// The tally in words; none known is not none.
    fn counted(&self) -> String {
        if self.blind().is_some() && self.tally.occupied() == 0 {
            "no servers are known".to_owned()
        } else {
            self.tally.to_string()
        }
    }

    /// The action, with the server's name beside its id.
    pub fn in_words(&self, action: &Action) -> String {
        match action {
            Action::Launch { .. } => action.to_string(),
            Action::Terminate { server, cause, .. } => {
                format!("terminate {}: {cause}", self.named(server))
            }
            Action::Adopt { adopt, .. } => adopting(&self.named(&adopt.server), adopt),
        }
    }

    /// A server as people know it: its name, and its id to look it up by.
    pub fn named(&self, id: &ServerId) -> String {
        let member = self.changes.members.iter().find(|m| m.id == *id);
        match member.and_then(|m| m.server.as_deref()) {
            Some(server) if !server.name.is_empty() => format!("{} ({id})", server.name),
            _ => id.to_string(),
        }
    }

    fn wanted_in_words(&self) -> String {
        self.wanted.map_or_else(|| "An unknown number is".to_owned(), |n| n.to_string())
    }

    fn winner(&self) -> Option<&Claim> {
        let wanted = self.wanted?;
        let asking = self.claims.iter().filter(|c| c.wants == Wants::Servers(wanted));
        asking.max_by_key(|c| (c.source.measured(), !matches!(c.source, Source::Base { .. })))
    }

    /// Why desired is what it is: the claim that counts, or what holds it elsewhere.
    fn reason(&self) -> String {
        match (self.holds_back(), self.tempering.last()) {
            (Some(step), _) => step.to_string(),
            (None, Some(step @ Tempering::Bounded { .. })) => format!("{}; {step}", self.why()),
            (None, _) => self.why(),
        }
    }

    /// What keeps desired away from what is wanted, other than bounds and an operator.
    fn holds_back(&self) -> Option<&Tempering> {
        self.tempering.last().filter(|step| match step {
            Tempering::Stabilized { .. }
            | Tempering::StabilizedOut { .. }
            | Tempering::RatedIn { .. }
            | Tempering::RatedOut { .. }
            | Tempering::Disabled { .. }
            | Tempering::Cooling { .. }
            | Tempering::CoolingOut { .. }
            | Tempering::Blind { .. }
            | Tempering::Held { .. }
            | Tempering::TakenOver { .. } => true,
            Tempering::Bounded { .. } | Tempering::Pinned { .. } => false,
        })
    }

    /// The claim that counts, in words.
    fn why(&self) -> String {
        self.winner().map_or_else(|| "no claim has data".to_owned(), ToString::to_string)
    }
}

/// A window that changes the bounds. What it asks for reads with the claims.
impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gives { min, max, .. } = self.gives;
        let said = [("min", min), ("max", max)].into_iter();
        let said = said.filter_map(|(key, n)| n.map(|n| format!("{key} {n}")));
        let said = said.collect::<Vec<_>>().join(" and ");
        write!(f, "{} gives {said}{}", quoted(&self.name), hours(self.left_secs, self.early_secs))
    }
}

/// A name that people gave, so that it is not read as a part of the sentence.
fn quoted(name: &str) -> String {
    format!("the schedule \"{name}\"")
}

fn hours(left_secs: Option<u64>, early_secs: u64) -> String {
    let span = |secs| spoken(Duration::from_secs(secs));
    match (early_secs, left_secs) {
        (0, Some(left)) => format!(" for {} more", span(left)),
        (0, None) => String::new(),
        (early, _) => format!(", ahead of its hour in {}, as servers take to boot", span(early)),
    }
}

/// A value as people read it: what would be a line of digits, by its power of ten.
fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-6) {
        format!("{value:e}")
    } else {
        value.to_string()
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(" ({reason})"))
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.serving, "serving"),
            (self.building, "building"),
            (self.coming, "coming"),
            (self.leaving, "leaving"),
            (self.failed, "failed"),
            (self.unsure, "unsure"),
            (self.idle, "idle"),
        ];
        let said: Vec<String> =
            parts.iter().filter(|(n, _)| *n > 0).map(|(n, word)| format!("{n} {word}")).collect();
        match (said.is_empty(), self.foreign) {
            (true, _) => f.write_str("no servers"),
            (false, 0) => f.write_str(&said.join(", ")),
            (false, n) => write!(f, "{} ({n} of them foreign)", said.join(", ")),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Surplus => "more than desired",
            Self::Error => "it is in ERROR",
            Self::Stuck => "it is stuck",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch { launch, .. } => {
                let zone = launch.zone.as_ref().map(|z| format!(", zone {z}")).unwrap_or_default();
                write!(f, "launch {} of {} in {}{zone}", launch.n, launch.flavor, launch.region)
            }
            Self::Terminate { server, cause, .. } => write!(f, "terminate {server}: {cause}"),
            Self::Adopt { adopt, .. } => f.write_str(&adopting(adopt.server.as_str(), adopt)),
        }
    }
}

impl Failure {
    /// What failed, and behind it the key to mend and what to do.
    pub fn in_words(&self) -> String {
        let advice = match (&self.key, &self.hint) {
            (Some(key), Some(hint)) => format!("`{key}`: {hint}"),
            (Some(key), None) => format!("`{key}`"),
            (None, Some(hint)) => hint.clone(),
            (None, None) => return self.message.clone(),
        };
        format!("{} ({advice})", self.message.trim_end_matches('.'))
    }
}

fn adopting(named: &str, adopt: &Adopt) -> String {
    let from = adopt.from.as_ref().map(|former| format!(" from {}", former.group));
    format!("adopt {named}{}", from.unwrap_or_default())
}

/// What keeps failing, if it does.
fn failing(waiting: &Waiting) -> Option<&Waiting> {
    let fails = matches!(
        waiting,
        Waiting::Backoff { .. } | Waiting::DeleteBackoff { .. } | Waiting::AdoptBackoff { .. }
    );
    fails.then_some(waiting)
}

/// `1 server`, `2 servers`.
pub fn servers(n: u32) -> String {
    if n == 1 { "1 server".to_owned() } else { format!("{n} servers") }
}

/// Members that are counted but not worked with, and what that means.
fn apart(tally: &Tally) -> Vec<String> {
    let cases = [
        (tally.idle, "stopped, paused, shelved or rescued: no capacity, but room under max"),
        (tally.unsure, "not listed or of unknown state: counted as before until Nova tells"),
        (tally.foreign, "foreign, with the tag but not launched here: counted, never deleted"),
    ];
    let is = |n: u32| if n == 1 { "is" } else { "are" };
    let some = cases.iter().filter(|(n, _)| *n > 0);
    some.map(|(n, what)| format!("{n} {} {what}.", is(*n))).collect()
}

/// A phrase as a sentence: capital at the start, full stop at the end.
pub fn sentence(phrase: &str) -> String {
    let mut letters = phrase.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if phrase.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
