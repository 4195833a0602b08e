//! Alerts: what senders say of them, and what is remembered.
//!
//! An alert is told by level: *firing* opens or renews it, *resolved* ends it. Senders repeat
//! themselves and networks reorder, so that an alert is known by its name, its fingerprint and who
//! tells it, and its episodes by when they began: of one episode *resolved* is the last word,
//! whatever comes after.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::id::{AlertName, SourceName};
use super::time::{Now, Steady, Wall};

mod crowd;
mod episode;
#[cfg(test)]
mod tests;

pub use crowd::{CROWDED_MOST, Crowd};

/// The most alerts that one group remembers at a time, but for crowds.
pub const ALERTS_MOST: usize = 256;
/// The most that are told at once.
pub const TOLD_MOST: usize = 200;
/// The longest fingerprint.
pub const FINGERPRINT_MOST: usize = 128;
/// An alert that ended, or that nobody renewed, is forgotten after this: the longest
/// `expires_after`, and above any sender's retries.
pub const REMEMBERED: Duration = Duration::from_secs(7 * 86_400);

/// Who tells of an alert. Two senders may number theirs alike, so that what one says is nothing to
/// the alerts of the other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Teller {
    /// Who speaks to the group itself: a program of one's own, or a person.
    #[default]
    Direct,
    Source(SourceName),
}

/// What a sender says of one alert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertTold {
    pub name: AlertName,
    /// Tells alerts of one name apart; empty if there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    #[serde(default)]
    pub by: Teller,
    pub firing: bool,
    /// Its sender has no data: if it fires it goes on, and nothing begins or ends. Without a
    /// fingerprint it is said of all alerts of the name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// When it began, by the sender's clock: tells one episode from the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Wall>,
    /// What its sender said in place of `starts`, if that lay ahead of our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Wall>,
    /// `starts` is when this was said, and no beginning: it orders the words of one sender.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dated: bool,
    /// When it ended, by the sender's clock, if it is over and its sender tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<Wall>,
    /// When it ends unless it is told again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Now>,
}

impl AlertTold {
    /// The bare word, with nothing that tells the alert or its episode from others.
    pub fn new(name: AlertName, firing: bool) -> Self {
        let (fingerprint, by, held, dated) = (String::new(), Teller::Direct, false, false);
        let (starts, ahead, ends, until) = (None, None, None, None);
        Self { name, fingerprint, by, firing, held, starts, ahead, dated, ends, until }
    }

    /// When it began, beside what is kept of it. What began ahead of our clock began when it was
    /// told first, however often that is said again.
    pub fn starts_beside(&self, kept: &Alerted) -> Option<Wall> {
        let as_told = self.ahead.or(self.starts);
        if kept.ahead.is_some() && kept.ahead == as_told { kept.starts } else { self.starts }
    }
}

/// An alert that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerted {
    pub name: AlertName,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// None in a state of before it was noted: it is of whoever speaks of it first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Teller>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starts: Option<Wall>,
    /// What its sender said in place of `starts`, if that lay ahead of our clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ahead: Option<Wall>,
    /// When it was first told in this episode.
    pub since: Now,
    /// When it was told last.
    pub renewed: Now,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Now>,
    #[serde(default)]
    pub resolved: bool,
    /// It stands for all of its name that fire and have no place of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crowd: Option<Crowd>,
}

impl Alerted {
    fn new(told: &AlertTold, at: Now) -> Self {
        Self {
            name: told.name.clone(),
            fingerprint: told.fingerprint.clone(),
            by: Some(told.by.clone()),
            starts: told.starts,
            ahead: told.ahead,
            since: at,
            renewed: at,
            until: told.until,
            resolved: !told.firing,
            crowd: None,
        }
    }

    /// Whether it fires, if an alert that nobody renews lasts for so long.
    pub fn fires(&self, now: Now, expires_after: Duration) -> bool {
        !self.resolved && self.ends(expires_after) > now.steady
    }

    /// It is over, however long its policy would wait for it to be told again.
    fn has_ended(&self, at: Now) -> bool {
        self.resolved || self.until.is_some_and(|end| end.steady <= at.steady)
    }

    /// When it ends unless it is told again.
    pub fn ends(&self, expires_after: Duration) -> Steady {
        self.until.map_or(self.renewed.steady.plus(expires_after), |until| until.steady)
    }

    /// The source that tells of it.
    pub fn source(&self) -> Option<&SourceName> {
        match &self.by {
            Some(Teller::Source(source)) => Some(source),
            Some(Teller::Direct) | None => None,
        }
    }

    fn hold(&mut self, at: Now) {
        if !self.resolved {
            self.renewed = at;
        }
    }

    /// Whether the word is that there is no data of this one.
    fn held_by(&self, told: &AlertTold) -> bool {
        if let Some(crowd) = &self.crowd {
            let all = told.fingerprint.is_empty();
            return self.name == told.name && (all || crowd.holds(told));
        }
        let all = told.fingerprint.is_empty() && self.name == told.name;
        (all || self.called_as(told)) && self.by.as_ref().is_none_or(|by| *by == told.by)
    }

    fn called_as(&self, told: &AlertTold) -> bool {
        self.crowd.is_none() && self.name == told.name && self.fingerprint == told.fingerprint
    }

    fn hear(&mut self, told: &AlertTold, at: Now) {
        let (held, new) = (self.starts, told.starts_beside(self));
        let earlier = held.zip(new).is_some_and(|(held, new)| new < held);
        let later = held.zip(new).is_some_and(|(held, new)| new > held);
        // Who tells no beginning begins anew by firing again.
        let again = self.resolved && told.firing && held.zip(new).is_none();
        // That it was said later is no other beginning.
        let goes_on = told.dated && told.firing && !self.resolved;
        if earlier {
            return;
        }
        self.by = Some(told.by.clone());
        if later && !goes_on || again {
            *self = Self::new(told, at);
        } else if !told.firing {
            (self.resolved, self.renewed) = (true, at);
        } else if !self.resolved {
            (self.renewed, self.until) = (at, told.until);
            if new > held {
                (self.starts, self.ahead) = (new, told.ahead);
            }
        }
    }
}

/// What is kept of the alert that is spoken of.
pub fn kept<'k>(alerts: &'k [Alerted], told: &AlertTold) -> Option<&'k Alerted> {
    place(alerts, told).map(|at| &alerts[at])
}

fn place(alerts: &[Alerted], told: &AlertTold) -> Option<usize> {
    let find = |by: Option<&Teller>| {
        alerts.iter().position(|alert| alert.called_as(told) && alert.by.as_ref() == by)
    };
    find(Some(&told.by)).or_else(|| find(None))
}

/// Takes in what was told. What ends is always taken; what fires and finds no place of its own joins
/// the crowd of its name.
pub fn hear(alerts: &mut Vec<Alerted>, told: &[AlertTold], at: Now) {
    alerts.retain(|alert| at.steady.since(alert.renewed.steady) < REMEMBERED);
    for told in told {
        if told.held {
            alerts.iter_mut().filter(|alert| alert.held_by(told)).for_each(|alert| alert.hold(at));
            continue;
        }
        match place(alerts, told) {
            Some(kept) => {
                let told = episode::placed(told, &alerts[kept], at);
                alerts[kept].hear(&told, at);
            }
            None => {
                let alert = crowd::called_out(alerts, told, at);
                alerts.push(alert);
            }
        }
    }
    make_room(alerts, at);
    let over = |alert: &Alerted, crowd: &Crowd| crowd.is_over() || alert.has_ended(at);
    alerts.retain(|alert| alert.crowd.as_ref().is_none_or(|crowd| !over(alert, crowd)));
}

fn make_room(alerts: &mut Vec<Alerted>, at: Now) {
    let single = |alert: &Alerted| alert.crowd.is_none();
    let surplus = alerts.iter().filter(|alert| single(alert)).count().saturating_sub(ALERTS_MOST);
    for _ in 0..surplus {
        // What has ended is needed only against late repetitions.
        let ended =
            alerts.iter().enumerate().filter(|(_, alert)| single(alert) && alert.has_ended(at));
        let oldest = ended.min_by_key(|(_, alert)| alert.renewed.steady).map(|(oldest, _)| oldest);
        // Of those that fire whoever came last has no place.
        let Some(leaves) = oldest.or_else(|| alerts.iter().rposition(single)) else { return };
        let alert = alerts.remove(leaves);
        if oldest.is_none() {
            crowd::join(alerts, &alert);
        }
    }
}

/// How many of those that were told to fire have no place of their own in what is kept.
pub fn crowded(alerts: &[Alerted], told: &[AlertTold]) -> usize {
    let fires = told.iter().filter(|told| told.firing && !told.held);
    fires.filter(|told| kept(alerts, told).is_none()).count()
}
