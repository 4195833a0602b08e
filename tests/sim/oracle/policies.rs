//! I8 and I11 for what policies ask: averages, steps, formulas, and what counts in their
//! place once nothing is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use novascale::domain::claim::{Claim, Source, Wants};
use novascale::domain::fleet::Tally;
use novascale::domain::group::Group;
use novascale::domain::id::{ServerId, SignalName};
use novascale::domain::plan::Decision;
use novascale::domain::policy::{Average, Policy, Reading, Step};
use novascale::domain::time::Steady;

use super::Watch;
use super::alerts::{Alarm, Before};
use super::input::Inputs;
use crate::policies::{FORMULAS, QUEUE, WORK};
use crate::reference::{covers, servers};
use crate::servers::State;
use crate::trace::Trace;

/// What decisions told of policies that go by their own past.
#[derive(Default, Clone)]
pub struct Told {
    /// What the last decision desired; none if something else may be remembered of it, as while a
    /// cut of max waits.
    desired: Option<u32>,
    /// The level of the last decision; none if that is not known.
    level: Option<Option<u32>>,
    /// The largest number of servers that was desired, or stood.
    most: u32,
    /// What is remembered of the alert; none if that is not known.
    alarm: Option<Option<Alarm>>,
    /// Steps of an alert that fires may have been made by a policy that was another.
    older: bool,
}

impl Told {
    /// The policies are others, or what was kept is gone.
    pub fn clear(&mut self) {
        *self = Self { most: self.most, older: self.older, ..Self::default() };
    }

    pub fn most(&self) -> u32 {
        self.most
    }

    pub fn stood(&mut self, most: u32) {
        self.most = most;
    }

    pub fn reconfigured(&mut self) {
        self.clear();
        self.older = true;
    }
}

/// When samples of each signal were taken as they were measured: they are the newest, and fresh.
pub type Sure = BTreeMap<SignalName, Steady>;

impl Inputs {
    /// A reading has to be unknown for something else to count in its place.
    fn surely_fresh(&self, reading: &Reading, now: Steady) -> bool {
        let fed = self.sure.get(&reading.signal);
        fed.is_some_and(|fed| now.since(*fed) <= reading.stale_after)
    }

    /// Why what stands in the place of a policy may not.
    pub(super) fn no_fallback(
        &self,
        (key, unknown_secs): (&str, u64),
        wants: Wants,
        group: &Group,
        now: Steady,
    ) -> bool {
        let policy = group.policies.iter().find(|policy| policy.key() == key);
        let Some((policy, fallback)) = policy.and_then(|p| Some((p, p.fallback()?))) else {
            return true;
        };
        let readings = policy.readings();
        let known = readings.iter().all(|reading| self.surely_fresh(reading, now));
        // Of an average that one sample tells no server may have been ready to be counted.
        let known = known && !matches!(policy, Policy::Average(_));
        known
            || wants != Wants::Servers(fallback.capacity)
            || Duration::from_secs(unknown_secs) < fallback.after
    }

    /// Whether the formula comes to what is asked for, of values that were measured.
    pub(super) fn sums_up(&self, claim: &Claim, group: &Group, now: Steady) -> bool {
        let Source::Expression { formula, values, .. } = &claim.source else { return false };
        let expression = group.policies.iter().find_map(|policy| match policy {
            Policy::Expression(expression) => Some(expression),
            _ => None,
        });
        let Some(expression) = expression else { return false };
        let sent = values.iter().zip(&expression.readings).all(|((name, value), reading)| {
            *name == reading.signal && value.is_none_or(|value| self.measured(value, reading, now))
        });
        let of = |name: &str| values.iter().find(|(of, _)| of.as_str() == name)?.1;
        let (_, value) = FORMULAS.iter().find(|(text, _)| text == formula).unwrap();
        let comes_to =
            of(QUEUE).zip(of(WORK)).map(|(queue, work)| servers(value(queue, work), 1.0));
        sent && claim.wants.number() == comes_to
    }

    /// The most that was measured of a signal, and may count still.
    fn most(&self, reading: &Reading, now: Steady, server: bool) -> f64 {
        let fresh = self.fresh(reading, now).filter(|sent| sent.server.is_some() == server);
        fresh.map(|sent| sent.value).fold(0.0, f64::max)
    }
}

impl State {
    /// I11: an average that asks for less counts all that serve and say nothing.
    pub(super) fn judge_silence(&self, at: usize, decision: &Decision, trace: &Trace) {
        let (watch, now) = (&self.oracle.groups[at], decision.at.steady);
        let average = watch.group.policies.iter().find_map(|policy| match policy {
            Policy::Average(average) => Some(average),
            _ => None,
        });
        let Some(Average { reading, .. }) = average else { return };
        let reading = &Reading::newest(reading.signal.clone(), reading.stale_after);
        let fresh = watch.inputs.fresh(reading, now).filter_map(|sent| sent.server.as_ref());
        let fresh: BTreeSet<&ServerId> = fresh.collect();
        let silent = self.members(at).filter(|body| {
            let known =
                body.shown.is_some_and(|shown| body.touched <= shown && body.built <= shown);
            known && body.serves() && !fresh.contains(&body.server.id)
        });
        let silent = u32::try_from(silent.count()).unwrap();
        // Whether one goes that nobody answered for cannot be known: it is taken to leave.
        let going = u32::try_from(self.members(at).filter(|body| body.deleting()).count()).unwrap();
        let silent = silent.saturating_sub(decision.tally.leaving.saturating_sub(going));
        let last = watch.told.desired.filter(|_| watch.unsure.is_none());
        let short = decision.claims.iter().any(|claim| match &claim.source {
            Source::Average { value: Some(_), missing, young, shifting, .. } => {
                let fewer =
                    claim.wants.number().zip(last).is_some_and(|(wants, last)| wants < last);
                !fresh.is_empty() && fewer && missing + young + shifting < silent
            }
            _ => false,
        });
        if short {
            let said = format!("an average asks for less, and {silent} that serve are silent");
            trace.broken(now, "I11", &said);
        }
    }
}

impl Watch {
    /// I8, I11: what policies ask for rests on what was sent.
    pub(super) fn judge_policies(&mut self, decision: &Decision, trace: &Trace) {
        let now = decision.at.steady;
        let tally = &decision.tally;
        self.told.most = self.told.most.max(decision.desired).max(tally.occupied());
        let idle = self.cut.idle(self.group.max_ever(), decision);
        let desired = Some(decision.desired).filter(|_| !idle);
        // Behind a pin what they remember stands still.
        if decision.claims.iter().any(super::is_pin) {
            self.told.desired = desired;
            if self.unsure.is_some() {
                self.told.clear();
            }
            return;
        }
        let sure = self.unsure.is_none();
        let before = Before {
            alarm: self.told.alarm.filter(|_| sure),
            desired: self.told.desired,
            older: self.told.older,
        };
        let (alarm, why) = self.judge_alert(decision, before);
        if let Some((invariant, why)) = why {
            trace.broken(now, invariant, &why);
        }
        let alert = |claim: &Claim| matches!(claim.source, Source::Alert { .. });
        let fires = decision.claims.iter().any(alert);
        let (most, older) = (self.told.most, self.told.older && fires);
        let mut told = Told { most, desired, alarm, older, level: None };
        for claim in &decision.claims {
            let why = match &claim.source {
                Source::Average { .. } => self.judge_average(claim, tally, now),
                Source::Step { level, .. } => {
                    told.level = Some(*level);
                    self.judge_step(claim, now)
                }
                _ => None,
            };
            if let Some((invariant, why)) = why {
                trace.broken(now, invariant, &format!("{why}: {claim:?}"));
            }
        }
        let forgotten = self.group.policies.iter().any(|policy| match policy {
            Policy::Alert(policy) => self.inputs.alerts.surely_fires(policy, now),
            _ => false,
        });
        if forgotten && !fires {
            trace.broken(now, "I9", "an alert that fires asks for nothing");
        }
        self.told = told;
    }

    pub(super) fn most(&self) -> u32 {
        self.told.most
    }

    fn judge_average(
        &self,
        claim: &Claim,
        tally: &Tally,
        now: Steady,
    ) -> Option<(&'static str, &'static str)> {
        let Source::Average { value, servers: n, missing, tolerated, .. } = &claim.source else {
            return None;
        };
        let policy = self.group.policies.iter().find_map(|policy| match policy {
            Policy::Average(average) => Some(average),
            _ => None,
        });
        let Some(Average { reading, target, .. }) = policy else {
            return Some(("I8", "no policy follows it"));
        };
        let wants = claim.wants.number();
        let (each, whole) =
            (self.inputs.most(reading, now, true), self.inputs.most(reading, now, false));
        let Some(value) = value else {
            let busy = wants.is_none() || wants == Some(1) && each.max(whole) > 0.0;
            return (!busy).then_some(("I8", "nothing was measured that asks for it"));
        };
        // A load that was measured once and that nobody carries now is told as if one did.
        let (sum, most) = (value * f64::from((*n).max(1)), f64::from(self.told.most));
        if *value > each + 1e-6 && sum > whole * most + 1e-6 {
            return Some(("I8", "nobody measured so much"));
        }
        let missing = f64::from(*missing);
        let wants = wants?;
        let last = self.told.desired.filter(|_| self.unsure.is_none())?;
        let largest = self.inputs.largest.get(&reading.signal).copied().unwrap_or(0.0);
        let needed = servers(sum, *target);
        let needed_most = servers(sum + missing * target.max(largest), *target);
        // What nobody could build is no need of this one.
        let stays = |needed: u32| last.min(needed.max(tally.capacity()));
        if *tolerated {
            let right = (stays(needed)..=stays(needed_most)).contains(&wants);
            return (!right).then_some(("I8", "what stays is not what was desired"));
        }
        if *value > target * (1.0 + 1e-9) && wants < stays(needed) {
            return Some(("I11", "it asks for less than was desired, and for all it is too much"));
        }
        if wants > last.max(needed_most) {
            return Some(("I8", "it asks for more than was measured"));
        }
        // Who is silent measures the target, or what it did if that was more.
        let least = servers(sum + missing * target, *target);
        let lowers = wants < last && wants < least;
        lowers.then_some(("I11", "it asks for less than those that are silent may need"))
    }

    /// A level rises by what was measured beyond a step, and falls by what was measured below one.
    fn judge_step(&self, claim: &Claim, now: Steady) -> Option<(&'static str, &'static str)> {
        let Source::Step { value, level, .. } = &claim.source else { return None };
        let policy = self.group.policies.iter().find_map(|policy| match policy {
            Policy::Step(step) => Some(step),
            _ => None,
        });
        let Some(Step { reading, out, into, .. }) = policy else {
            return Some(("I8", "no policy follows it"));
        };
        let most = self.inputs.most(reading, now, true).max(self.inputs.most(reading, now, false));
        if value.is_some_and(|value| value > most + 1e-6) {
            return Some(("I8", "nobody measured so much"));
        }
        let last = self.told.level.filter(|_| self.unsure.is_none())?;
        // A level begins with what was upheld or stood.
        let begins = last.is_none() && level.is_some_and(|level| level <= self.told.most);
        if *level > last && value.is_some() && begins {
            return None;
        }
        if *level > last && !value.is_some_and(|value| covers(out, value, true)) {
            return Some(("I8", "its level rose though nothing asked for a step out"));
        }
        if *level < last && !value.is_some_and(|value| covers(into, value, false)) {
            return Some(("I11", "its level fell though nothing asked for a step in"));
        }
        None
    }
}
