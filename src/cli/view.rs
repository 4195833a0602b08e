//! The daemon's answers, as far as tables and sentences need them. Programs get the
//! answers whole (`--output json`); what is absent here is unknown and shown as `-`.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::output::{BAD, BUSY, GOOD, PLAIN, WARN};
use crate::domain::fleet::{Standing, Tally};
use crate::domain::server::Fault;
use crate::domain::time::{Wall, spoken};

#[derive(Debug, Deserialize)]
pub(super) struct Groups {
    pub(super) groups: Vec<GroupView>,
    pub(super) configuration: Option<Configuration>,
}

/// How what runs stands to the configuration file.
#[derive(Debug, Deserialize)]
pub(super) struct Configuration {
    pub(super) loaded_at: Moment,
    pub(super) read_at: Moment,
    pub(super) refused: Option<String>,
    #[serde(default)]
    pub(super) waits_for_restart: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupView {
    pub(super) name: String,
    /// False for one that is frozen because the configuration does not have it.
    #[serde(default = "yes")]
    pub(super) configured: bool,
    pub(super) known_servers: Option<u32>,
    pub(super) tag: Option<String>,
    pub(super) region: Option<String>,
    pub(super) min: Option<u32>,
    pub(super) max: Option<u32>,
    pub(super) base: Option<u32>,
    pub(super) desired: Option<u32>,
    pub(super) pin: Option<PinView>,
    pub(super) freeze: Option<FreezeView>,
    #[serde(default)]
    pub(super) pauses: Vec<PauseView>,
    #[serde(default)]
    pub(super) alerts: Vec<AlertView>,
    #[serde(default)]
    pub(super) reservations: Vec<ReservationView>,
    pub(super) tally: Option<Tally>,
    pub(super) situation: Option<Situation>,
    #[serde(default)]
    pub(super) headline: String,
    pub(super) decided_at: Option<Moment>,
    pub(super) next_look_at: Option<Moment>,
    /// When the last command came, if the decision does not count it yet.
    pub(super) told_since: Option<Moment>,
    pub(super) observer: Option<ObserverView>,
    /// Why the last pass failed, if it did.
    pub(super) failure: Option<String>,
    #[serde(default)]
    pub(super) sentences: Vec<String>,
}

fn yes() -> bool {
    true
}

#[derive(Debug, Deserialize)]
pub(super) struct PinView {
    pub(super) capacity: u32,
    pub(super) until: Option<Moment>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct FreezeView {
    pub(super) since: Option<Moment>,
    pub(super) by: String,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PauseView {
    pub(super) process: String,
    pub(super) until: Option<Moment>,
    pub(super) by: String,
    pub(super) reason: Option<String>,
}

/// An alert that fires.
#[derive(Debug, Deserialize)]
pub(super) struct AlertView {
    pub(super) name: String,
    #[serde(default)]
    pub(super) fingerprint: String,
    pub(super) source: Option<String>,
    /// How many it stands for, if it is not one.
    pub(super) others: Option<usize>,
    pub(super) since: Moment,
    pub(super) until: Option<Moment>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ReservationView {
    pub(super) owner: String,
    pub(super) capacity: u32,
    pub(super) until: Option<Moment>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct ObserverView {
    pub(super) seen_at: Option<Moment>,
    pub(super) failure: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Servers {
    pub(super) servers: Vec<ServerView>,
    /// None before the first look: then nothing is known of any server.
    pub(super) decided_at: Option<Moment>,
    #[serde(default)]
    pub(super) observer: ObserverView,
}

impl ObserverView {
    /// What keeps the region from being looked at, if anything does.
    pub(super) fn trouble(&self, now: Option<Timestamp>) -> Option<String> {
        let failure = self.failure.as_ref()?;
        Some(match self.seen_at {
            Some(seen) => format!("servers were last listed {}: {failure}", seen.seen_from(now)),
            None => format!("servers could not be listed yet: {failure}"),
        })
    }
}

/// Name, status and the like are absent while only the server's id is known.
#[derive(Debug, Deserialize)]
pub(super) struct ServerView {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) status: Option<String>,
    pub(super) standing: Option<Standing>,
    pub(super) ownership: Option<String>,
    #[serde(default)]
    pub(super) kept: bool,
    #[serde(default)]
    pub(super) outdated: bool,
    pub(super) zone: Option<String>,
    pub(super) flavor: Option<String>,
    #[serde(default)]
    pub(super) addresses: Vec<String>,
    pub(super) created: Option<Moment>,
    pub(super) fault: Option<Fault>,
}

/// A preview of the next pass.
#[derive(Debug, Deserialize)]
pub(super) struct PlanView {
    pub(super) changes: bool,
    /// Why it is not known what would change.
    pub(super) held: Option<String>,
    #[serde(default)]
    pub(super) sentences: Vec<String>,
}

/// What a command was answered with.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    pub(super) sentence: String,
    /// It was known already by its id, and not done again.
    #[serde(default)]
    pub(super) repeated: bool,
    /// What the sender should know, as that nothing follows its alert.
    pub(super) note: Option<String>,
}

/// What a reload changed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reloaded {
    pub(super) added: Vec<String>,
    pub(super) changed: Vec<String>,
    pub(super) removed: Vec<String>,
    pub(super) waits_for_restart: Vec<String>,
    pub(super) unconfirmed: Vec<Cut>,
    pub(super) confirmed: Vec<Cut>,
    pub(super) warnings: Vec<Warning>,
    pub(super) troubles: Vec<String>,
}

/// A large cut of a group's max.
#[derive(Debug, Deserialize)]
pub(super) struct Cut {
    pub(super) group: String,
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) servers: u32,
}

/// Something in a configuration that is worth a second look.
#[derive(Debug, Deserialize)]
pub(super) struct Warning {
    pub(super) reason: String,
}

/// What an order to adopt was answered with.
#[derive(Debug, Deserialize)]
pub(super) struct Adopted {
    pub(super) sentences: Vec<String>,
    #[serde(default)]
    pub(super) repeated: bool,
}

/// A point of wall time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(transparent)]
pub(super) struct Moment(Wall);

impl Moment {
    /// `3 min ago`, `in 2 h`; without a present to count from, the time itself.
    pub(super) fn seen_from(self, now: Option<Timestamp>) -> String {
        match now.map(|now| self.after(now)) {
            None => self.0.to_string(),
            Some(away) if away.is_positive() => format!("in {}", spoken(away.unsigned_abs())),
            Some(away) if away.is_zero() => "just now".to_owned(),
            Some(away) => format!("{} ago", spoken(away.unsigned_abs())),
        }
    }

    /// How old it is: `3 min`; without a present, the time itself.
    pub(super) fn age(self, now: Option<Timestamp>) -> String {
        match now.map(|now| self.after(now)) {
            None => self.0.to_string(),
            Some(away) if away.is_positive() => spoken(std::time::Duration::ZERO),
            Some(away) => spoken(away.unsigned_abs()),
        }
    }

    /// To the second, as the present is known to the second.
    fn after(self, now: Timestamp) -> SignedDuration {
        let away = self.0.timestamp().duration_since(now);
        SignedDuration::from_secs(away.as_secs())
    }
}

/// What a group is busy with, as words: `scaling_out` reads `scaling out`.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(super) struct Situation(String);

impl Situation {
    pub(super) fn style(&self) -> anstyle::Style {
        match self.0.as_str() {
            "steady" => GOOD,
            "scaling_out" | "scaling_in" => BUSY,
            "failing" | "frozen" => BAD,
            _ => WARN,
        }
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.replace('_', " "))
    }
}

pub(super) fn standing_style(standing: Option<Standing>) -> anstyle::Style {
    match standing {
        Some(Standing::Serving) | None => PLAIN,
        Some(Standing::Building) => BUSY,
        Some(Standing::Unsure | Standing::Idle | Standing::Leaving) => WARN,
        Some(Standing::Failed) => BAD,
    }
}

/// The text, or `-` for what is not known.
pub(super) fn or_dash(known: Option<impl ToString>) -> String {
    known.map_or_else(|| "-".to_owned(), |known| known.to_string())
}

impl Groups {
    /// What to say when `asked` is none of them.
    pub(super) fn nearest(&self, asked: &str) -> String {
        let mut names: Vec<&str> = self.groups.iter().map(|group| group.name.as_str()).collect();
        if names.is_empty() {
            return "the daemon has no groups: add one to its configuration".to_owned();
        }
        names.sort_by_key(|name| slips(asked, name));
        match names.first() {
            Some(nearest) if slips(asked, nearest) <= (asked.len() / 3).max(1) => {
                format!("did you mean `{nearest}`? The groups are: {}", names.join(", "))
            }
            _ => format!("the groups are: {}", names.join(", ")),
        }
    }
}

/// How many letters would have to be added, left out, changed or swapped.
fn slips(asked: &str, name: &str) -> usize {
    strsim::damerau_levenshtein(asked, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> Groups {
        let groups = names.iter().map(|name| serde_json::json!({ "name": name })).collect();
        let groups = serde_json::json!({ "groups": serde_json::Value::Array(groups) });
        serde_json::from_value(groups).unwrap()
    }

    #[test]
    fn a_slip_of_the_fingers_is_recognised() {
        let groups_known = groups(&["batch", "web"]);
        let said = groups_known.nearest("wbe");
        assert_eq!(said, "did you mean `web`? The groups are: web, batch");
        assert!(groups_known.nearest("zzz").starts_with("the groups are:"));
        assert!(groups(&[]).nearest("web").contains("no groups"));
    }

    #[test]
    fn moments_are_told_from_the_daemons_clock() {
        let moment: Moment = serde_json::from_str("\"2026-01-02T03:00:00Z\"").unwrap();
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(moment.seen_from(at("2026-01-02T03:01:30Z")), "1 min 30 s ago");
        assert_eq!(moment.seen_from(at("2026-01-02T01:00:00Z")), "in 2 h");
        assert_eq!(moment.seen_from(at("2026-01-02T03:00:00Z")), "just now");
        assert_eq!(moment.seen_from(None), "2026-01-02T03:00:00Z");
        assert_eq!(moment.age(at("2026-01-02T01:00:00Z")), "0 s");
    }
}
