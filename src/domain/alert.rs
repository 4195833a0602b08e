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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: u64) -> Now {
        Now { wall: Wall(0), steady: Steady(0) }.plus(Duration::from_secs(secs))
    }

    fn told(firing: bool, starts: Option<i64>) -> AlertTold {
        let name = AlertName::new("QueueHigh").unwrap();
        AlertTold { starts: starts.map(Wall), ..AlertTold::new(name, firing) }
    }

    fn after(words: &[AlertTold]) -> Vec<Alerted> {
        let mut alerts = Vec::new();
        for (n, word) in (0..).zip(words) {
            hear(&mut alerts, std::slice::from_ref(word), at(n));
        }
        alerts
    }

    #[test]
    fn firing_renews_and_resolved_ends() {
        let alerts = after(&[told(true, None), told(true, None)]);
        assert_eq!((alerts[0].since, alerts[0].renewed), (at(0), at(1)));
        assert!(alerts[0].fires(at(10), Duration::from_secs(60)));
        assert!(!alerts[0].fires(at(61), Duration::from_secs(60)), "nobody renewed it");
        let alerts = after(&[told(true, None), told(false, None)]);
        assert!(!alerts[0].fires(at(2), Duration::from_secs(60)));
        let alerts = after(&[told(true, None), told(false, None), told(true, None)]);
        assert_eq!((alerts[0].since, alerts[0].resolved), (at(2), false), "another episode");
    }

    fn of(source: &str, word: AlertTold) -> AlertTold {
        AlertTold { by: Teller::Source(SourceName::new(source).unwrap()), ..word }
    }

    #[test]
    fn one_sender_says_nothing_of_the_alerts_of_another() {
        let fires = [of("a", told(true, None)), of("b", told(true, None)), told(true, None)];
        for (n, last) in fires.iter().enumerate() {
            let last = AlertTold { firing: false, ..last.clone() };
            let alerts = after(&[&fires[..], &[last]].concat());
            let over: Vec<bool> = alerts.iter().map(|alert| alert.resolved).collect();
            let ended: Vec<bool> = (0..3).map(|m| m == n).collect();
            assert_eq!(over, ended);
        }
        let no_data = AlertTold { held: true, ..fires[1].clone() };
        let alerts = after(&[&fires[..], &[no_data]].concat());
        assert_eq!(alerts.iter().filter(|alert| alert.renewed == at(3)).count(), 1);
    }

    #[test]
    fn what_was_kept_without_its_teller_is_of_whoever_speaks_of_it_first() {
        let mut before = serde_json::to_value(after(&[told(true, Some(7))])).unwrap();
        before[0].as_object_mut().unwrap().remove("by");
        let before: Vec<Alerted> = serde_json::from_value(before).unwrap();
        let mut ended = before.clone();
        hear(&mut ended, &[of("a", told(false, Some(7)))], at(1));
        assert_eq!((ended.len(), ended[0].resolved), (1, true));
        let mut both = before;
        hear(&mut both, &[of("a", told(true, Some(7)))], at(1));
        hear(&mut both, &[of("b", told(false, Some(7)))], at(2));
        assert_eq!((both.len(), both[0].resolved, both[1].resolved), (2, false, true));
    }

    #[test]
    fn a_declared_end_comes_first() {
        let word = AlertTold { until: Some(at(5)), ..told(true, None) };
        let alerts = after(&[word]);
        let day = Duration::from_secs(86_400);
        assert!(alerts[0].fires(at(4), day) && !alerts[0].fires(at(5), day));
    }

    #[test]
    fn no_data_begins_and_ends_nothing() {
        let word = |fingerprint: &str, firing| AlertTold {
            fingerprint: fingerprint.to_owned(),
            ..told(firing, None)
        };
        let held = |fingerprint| AlertTold { held: true, ..word(fingerprint, true) };
        assert!(after(&[held("")]).is_empty());
        let words = [word("a", true), word("b", true), word("c", false)];
        let renewed = |last| {
            let alerts = after(&[&words[..], &[last]].concat());
            alerts.iter().map(|alert| (alert.renewed, alert.resolved)).collect::<Vec<_>>()
        };
        let over = (at(2), true);
        assert_eq!(renewed(held("a")), [(at(3), false), (at(1), false), over], "one of them");
        assert_eq!(renewed(held("")), [(at(3), false), (at(3), false), over], "all of its name");
        let other = AlertTold { name: AlertName::new("Other").unwrap(), ..held("") };
        assert_eq!(renewed(other), [(at(0), false), (at(1), false), over]);
    }

    #[test]
    fn a_late_repetition_opens_nothing() {
        let words = [told(true, Some(7)), told(false, Some(7)), told(true, Some(7))];
        assert!(after(&words)[0].resolved);
        assert!(after(&words[1..])[0].resolved, "the end came before the beginning");
        let next = after(&[told(false, Some(7)), told(true, Some(8)), told(false, Some(7))]);
        assert!(!next[0].resolved, "an earlier episode says nothing of this one");
    }

    #[test]
    fn a_beginning_ahead_of_our_clock_does_not_move() {
        let word = |firing, now| AlertTold { ahead: Some(Wall(9)), ..told(firing, Some(now)) };
        let caught_up = |firing| told(firing, Some(9));
        let fires = [word(true, 1), word(true, 2), caught_up(true)];
        let alerts = after(&fires);
        assert_eq!((alerts[0].since, alerts[0].renewed), (at(0), at(2)), "one episode");
        for last in [word(false, 3), caught_up(false)] {
            let over = after(&[&fires[..2], &[last]].concat());
            assert!(over[0].resolved);
        }
        let again = after(&[word(true, 1), word(false, 2), word(true, 3), caught_up(true)]);
        assert!(again[0].resolved, "of one episode resolved is the last word");
        let next = after(&[word(true, 1), word(false, 2), told(true, Some(10))]);
        assert_eq!((next[0].since, next[0].resolved), (at(2), false), "another episode");
    }

    #[test]
    fn a_word_that_is_only_said_later_goes_on_with_the_episode() {
        let word = |firing, said| AlertTold { dated: true, ..told(firing, Some(said)) };
        let alerts = after(&[word(true, 1), word(true, 2), word(true, 3)]);
        assert_eq!((alerts[0].since, alerts[0].renewed), (at(0), at(2)));
        let overtaken = after(&[word(true, 1), word(true, 3), word(false, 2)]);
        assert!(!overtaken[0].resolved, "it fired after that was said");
        let over = after(&[word(true, 1), word(true, 3), word(false, 4), word(true, 3)]);
        assert!(over[0].resolved);
        let next = after(&[word(true, 1), word(false, 4), word(true, 5)]);
        assert_eq!((next[0].since, next[0].resolved), (at(2), false), "another episode");
    }

    const DAY: Duration = Duration::from_secs(86_400);

    fn numbered(n: usize, firing: bool) -> AlertTold {
        AlertTold { fingerprint: format!("f{n}"), ..told(firing, Some(1)) }
    }

    fn fires(alerts: &[Alerted], now: Now) -> usize {
        alerts.iter().filter(|alert| alert.fires(now, DAY)).count()
    }

    fn known(alerts: &[Alerted]) -> usize {
        alerts.iter().filter_map(|alert| alert.crowd.as_ref()).map(Crowd::len).sum()
    }

    #[test]
    fn what_has_ended_makes_room() {
        let mut alerts = Vec::new();
        let brief = AlertTold { until: Some(at(10)), ..numbered(0, true) };
        hear(&mut alerts, &[brief], at(0));
        let words: Vec<_> = (1..ALERTS_MOST).map(|n| numbered(n, n != 1)).collect();
        hear(&mut alerts, &words, at(1));
        assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST, 0));
        for n in [999, 1000] {
            hear(&mut alerts, &[numbered(n, true)], at(10));
            assert_eq!(
                (alerts.len(), known(&alerts)),
                (ALERTS_MOST, 0),
                "one was resolved or ended"
            );
        }
        hear(&mut alerts, &[numbered(1001, true)], at(10));
        assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST + 1, 1));
    }

    #[test]
    fn what_finds_no_place_fires_and_ends_all_the_same() {
        let all = |firing| (0..400).map(|n| numbered(n, firing)).collect::<Vec<_>>();
        let mut alerts = Vec::new();
        hear(&mut alerts, &all(true), at(0));
        assert_eq!((fires(&alerts, at(0)), known(&alerts)), (ALERTS_MOST + 1, 400 - ALERTS_MOST));
        assert_eq!(crowded(&alerts, &all(true)), 400 - ALERTS_MOST);
        let before = alerts.clone();
        hear(&mut alerts, &all(true), at(1));
        assert_eq!(
            (known(&alerts), fires(&alerts, at(1))),
            (known(&before), fires(&before, at(1)))
        );
        assert_eq!((alerts[ALERTS_MOST].since, alerts[ALERTS_MOST].renewed), (at(0), at(1)));
        // All that has a place ends: the others still fire.
        hear(&mut alerts, &all(false)[..ALERTS_MOST], at(2));
        assert_eq!(fires(&alerts, at(2)), 1);
        hear(&mut alerts, &all(false)[ALERTS_MOST..399], at(3));
        assert_eq!((fires(&alerts, at(3)), known(&alerts)), (1, 1));
        // An end of an earlier episode says nothing.
        hear(&mut alerts, &[AlertTold { starts: Some(Wall(0)), ..numbered(399, false) }], at(4));
        assert_eq!(fires(&alerts, at(4)), 1);
        hear(&mut alerts, &[numbered(399, false)], at(5));
        assert_eq!((fires(&alerts, at(5)), known(&alerts)), (0, 0));
        hear(&mut alerts, &all(true)[399..], at(6));
        assert_eq!(fires(&alerts, at(6)), 0, "of one episode resolved is the last word");
    }

    #[test]
    fn ends_make_room_for_what_is_told_with_them() {
        let mut alerts = Vec::new();
        hear(&mut alerts, &(0..ALERTS_MOST).map(|n| numbered(n, true)).collect::<Vec<_>>(), at(0));
        hear(&mut alerts, &[numbered(999, true), numbered(0, false)], at(1));
        assert_eq!((fires(&alerts, at(1)), known(&alerts)), (ALERTS_MOST, 0));
        hear(&mut alerts, &[numbered(1000, true)], at(2));
        assert_eq!((fires(&alerts, at(2)), known(&alerts)), (ALERTS_MOST + 1, 1));
        hear(&mut alerts, &[numbered(999, false), numbered(1000, true)], at(3));
        let last = alerts.iter().find(|alert| alert.fingerprint == "f1000").unwrap();
        assert_eq!((last.since, known(&alerts)), (at(2), 0), "it found a place at last");
    }

    #[test]
    fn a_crowd_is_bounded_and_ends_when_nobody_renews_it() {
        let mut alerts = Vec::new();
        let most = ALERTS_MOST + CROWDED_MOST + 1;
        for n in 0..most {
            hear(&mut alerts, &[numbered(n, true)], at(0));
        }
        let other = AlertTold { name: AlertName::new("Other").unwrap(), ..told(true, None) };
        hear(&mut alerts, &[other], at(0));
        assert_eq!((alerts.len(), known(&alerts)), (ALERTS_MOST + 1, CROWDED_MOST));
        let ends: Vec<_> = (0..most).map(|n| numbered(n, false)).collect();
        hear(&mut alerts, &ends, at(1));
        assert_eq!((fires(&alerts, at(1)), known(&alerts)), (1, 0), "of one nobody knows");
        assert_eq!(fires(&alerts, at(86_400)), 0);
    }

    proptest! {
        /// With the times at which episodes began, neither order nor repetition counts.
        #[test]
        fn order_and_repetition_change_nothing(
            words in proptest::collection::vec((any::<bool>(), 0i64..3), 1..12),
            shuffled in any::<u64>(),
        ) {
            let words: Vec<AlertTold> = words.iter().map(|(f, s)| told(*f, Some(*s))).collect();
            let mut other = [words.clone(), words.clone()].concat();
            let turn = usize::try_from(shuffled % other.len() as u64).unwrap();
            other.rotate_left(turn);
            if shuffled % 2 == 0 {
                other.reverse();
            }
            let end = |words: &[AlertTold]| after(words).iter().map(|a| (a.starts, a.resolved)).next();
            prop_assert_eq!(end(&words), end(&other));
        }
    }
}
