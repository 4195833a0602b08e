//! I8 and I9 for alerts: who may fire, what is counted from, and how many steps it has come to.

use std::time::Duration;

use novascale::domain::alert::AlertTold;
use novascale::domain::claim::{Claim, Source, Wants};
use novascale::domain::plan::Decision;
use novascale::domain::policy::{Alert, Asks, Change, Policy};
use novascale::domain::signal::Command;
use novascale::domain::time::Steady;

use super::Watch;

/// What was said of alerts.
#[derive(Default)]
pub struct Alerts {
    /// Under a good token, each time that it arrived; what was not answered may have been kept.
    said: Vec<(usize, Steady, AlertTold)>,
    /// Answered: from then on it is kept.
    ended: Vec<(usize, AlertTold)>,
    /// Answered, and written then.
    kept: Vec<(usize, Steady, AlertTold)>,
    /// Ends that arrived, answered or not.
    doubts: Vec<(usize, AlertTold)>,
    count: usize,
}

impl Alerts {
    pub fn said(&mut self, told: &[AlertTold], now: Steady) {
        self.count += 1;
        self.said.extend(told.iter().filter(|t| t.firing).map(|t| (self.count, now, t.clone())));
        let ends = told.iter().filter(|t| !t.firing || t.until.is_some());
        self.doubts.extend(ends.map(|t| (self.count, t.clone())));
    }

    pub fn answered(&mut self, command: &Command, written: Steady) {
        let Command::Alerts { alerts } = command else { return };
        self.count += 1;
        let (firing, ended): (Vec<_>, Vec<_>) = alerts.iter().cloned().partition(|t| t.firing);
        self.ended.extend(ended.into_iter().map(|t| (self.count, t)));
        self.kept.extend(firing.into_iter().map(|t| (self.count, written, t)));
    }

    /// Whether one of this name has to count: that it fires was answered not long ago, and nothing
    /// that was said since, or of the same episode, may have ended it.
    pub(super) fn surely_fires(&self, policy: &Alert, now: Steady) -> bool {
        self.kept.iter().any(|(kept, written, told)| {
            let doubted = |(said, word): &(usize, AlertTold)| {
                word.fingerprint == told.fingerprint
                    && match told.starts {
                        Some(starts) => word.starts.is_some_and(|other| other >= starts),
                        None => said > kept,
                    }
            };
            // It had ended before a later one of its kind began.
            let followed = |(_, _, word): &(usize, Steady, AlertTold)| {
                word.fingerprint == told.fingerprint
                    && told.starts.is_some_and(|starts| word.starts > Some(starts))
            };
            told.name == policy.alert
                && told.until.is_none()
                && !self.said.iter().any(followed)
                && written.plus(policy.expires_after) > now
                && !self.doubts.iter().any(doubted)
        })
    }

    /// How many steps may have been made, if each of them took its time.
    fn steps(&self, every: Duration, now: Steady) -> u32 {
        let first = self.said.iter().map(|(_, at, _)| *at).min();
        first.map_or(0, |first| now.since(first).div_duration_f64(every) as u32 + 1)
    }

    /// Whether one of this name may fire: somebody said so, its end has not come, and no end was
    /// said of the same episode, nor of a later one. Without a begin the last word counts.
    fn fires(&self, policy: &Alert, now: Steady) -> bool {
        self.said.iter().any(|(said, at, told)| {
            let over = |(ended, end): &(usize, AlertTold)| {
                end.fingerprint == told.fingerprint
                    && match told.starts {
                        Some(starts) => end.starts.is_some_and(|end| end >= starts),
                        None => ended > said,
                    }
            };
            told.name == policy.alert
                && ends(told, *at, policy) > now
                && !self.ended.iter().any(over)
        })
    }
}

/// An end that was declared stands in place of the policy's own, before it or after it.
fn ends(told: &AlertTold, at: Steady, policy: &Alert) -> Steady {
    told.until.map_or(at.plus(policy.expires_after), |until| until.steady)
}

/// What is remembered of the alert, by what decisions told.
#[derive(Debug, Clone, Copy)]
pub struct Alarm {
    anchor: u32,
    /// How many more it has come to; none once it has ended.
    more: Option<u32>,
    /// When it made its last step, or ended; none if nobody told.
    since: Option<Steady>,
}

/// What is known before a decision.
#[derive(Clone, Copy)]
pub struct Before {
    /// None if another decision may have been made since.
    pub alarm: Option<Option<Alarm>>,
    pub desired: Option<u32>,
    /// Steps may have been made by a policy that was another.
    pub older: bool,
}

impl Watch {
    /// Judges what an alert asks for, and says what is remembered of it then.
    pub(super) fn judge_alert(
        &self,
        decision: &Decision,
        before: Before,
    ) -> (Option<Option<Alarm>>, Option<(&'static str, String)>) {
        let now = decision.at.steady;
        let alert = |claim: &&Claim| matches!(claim.source, Source::Alert { .. });
        let Some(claim) = decision.claims.iter().find(alert) else {
            let cooldown = self.group.behaviour.scale_in.cooldown;
            return (before.alarm.map(|alarm| alarm?.ended(cooldown, now)), None);
        };
        match self.alarm(claim, before, now) {
            Ok(alarm) => (Some(alarm), None),
            Err(why) => (None, Some(("I8", format!("{why}: {claim:?}")))),
        }
    }

    fn alarm(
        &self,
        claim: &Claim,
        before: Before,
        now: Steady,
    ) -> Result<Option<Alarm>, &'static str> {
        let Source::Alert { more, .. } = &claim.source else { return Ok(None) };
        let policy = self.group.policies.iter().find_map(|policy| match policy {
            Policy::Alert(alert) => Some(alert),
            _ => None,
        });
        let policy = policy.ok_or("no policy follows it")?;
        if !self.inputs.alerts.fires(policy, now) {
            return Err("nobody says that it fires");
        }
        let (change, every, most, more) = match (policy.asks, more) {
            (Asks::Capacity(n), None) if claim.wants == Wants::Servers(n) => return Ok(None),
            (Asks::More { change: Change::Servers(n), every, most }, Some(more)) => {
                (n, every, most, *more)
            }
            _ => return Err("it asks for what its policy does not"),
        };
        let whole = more == most || more.is_multiple_of(change);
        let steps = self.inputs.alerts.steps(every, now);
        if more > most || !before.older && (!whole || more > change * steps) {
            return Err("it asks for more than it may");
        }
        let anchor = claim.wants.number().unwrap_or(0).saturating_sub(more);
        let counted = match before.alarm {
            Some(Some(alarm)) => Some(alarm.anchor),
            Some(None) => before.desired,
            None => None,
        };
        if anchor > self.most() || counted.is_some_and(|counted| counted != anchor) {
            return Err("it is counted from what was not desired when it began");
        }
        let since = match before.alarm {
            Some(alarm) => step(alarm, (change, every, most), more, now)?,
            None => None,
        };
        Ok(Some(Alarm { anchor, more: Some(more), since }))
    }
}

/// When the last step was made, if so many more are what they should be: one step when it is heard
/// first, and one once its time has passed, however long that was.
fn step(
    alarm: Option<Alarm>,
    (change, every, most): (u32, Duration, u32),
    more: u32,
    now: Steady,
) -> Result<Option<Steady>, &'static str> {
    let (last, since) = alarm.map_or((None, None), |alarm| (alarm.more, alarm.since));
    let next = (last.unwrap_or(0) + change).min(most);
    let stays = last == Some(more) && since.is_none_or(|since| since.plus(every) > now);
    let steps = more == next && (last.is_none() || since.is_none_or(|at| at.plus(every) <= now));
    match (stays, steps) {
        (false, false) => Err("it has not come to so many steps"),
        (true, false) => Ok(since),
        (false, true) => Ok(Some(now)),
        // At its most, and nobody knows whether for the first time.
        (true, true) => Ok(None),
    }
}

impl Alarm {
    /// What it was counted from is known for as long as desired may still be what it made of it.
    fn ended(self, cooldown: Duration, now: Steady) -> Option<Self> {
        let since = if self.more.is_some() { now } else { self.since.unwrap_or(now) };
        (since.plus(cooldown) > now).then_some(Self { more: None, since: Some(since), ..self })
    }
}
