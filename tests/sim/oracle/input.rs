//! I8: what the world's senders and operators really sent, as far as they may; and whether a
//! decision's claims can be traced to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use novascale::domain::claim::{Claim, Source, Wants};
use novascale::domain::count::Bounds;
use novascale::domain::group::Group;
use novascale::domain::id::{Owner, ServerId, SignalName};
use novascale::domain::plan::Decision;
use novascale::domain::policy::{Aggregate, Reading};
use novascale::domain::signal::Command;
use novascale::domain::time::Steady;
use novascale::store::What;

use super::Watch;
use super::alerts::Alerts;
use super::policies::Sure;
use crate::reference::moved;
use crate::trace::Trace;

/// Longer than any sample of this world counts.
const COUNTS: Duration = Duration::from_secs(600);

/// All that was sent under a good token to one group. What was not answered may have been kept.
#[derive(Default)]
pub struct Inputs {
    loads: Vec<Load>,
    /// The bases that may be in force.
    bases: BTreeSet<u32>,
    pins: Vec<(u32, Option<Steady>)>,
    reservations: Vec<(Owner, u32, Steady)>,
    pub(super) alerts: Alerts,
    pub(super) sure: Sure,
    /// The largest value ever, by signal.
    pub(super) largest: BTreeMap<SignalName, f64>,
}

pub(super) struct Load {
    name: SignalName,
    pub(super) server: Option<ServerId>,
    pub(super) value: f64,
    received: Steady,
}

impl Inputs {
    /// This reached the store, and may have been kept.
    pub fn sent(&mut self, what: &What, now: Steady) {
        match what {
            What::Samples(samples, _) => {
                self.loads.retain(|load| now.since(load.received) < COUNTS);
                let loads = samples.iter().map(|identified| &identified.sample);
                for sample in loads.clone() {
                    let largest = self.largest.entry(sample.name.clone()).or_default();
                    *largest = largest.max(sample.value.get());
                }
                self.loads.extend(loads.map(|sample| Load {
                    name: sample.name.clone(),
                    server: sample.server.clone(),
                    value: sample.value.get(),
                    received: sample.received.steady,
                }));
            }
            What::Command(order, bounds) => {
                if let Command::Alerts { alerts } = &order.command {
                    self.alerts.said(alerts, now);
                }
                self.ordered(&order.command, *bounds);
            }
        }
    }

    fn ordered(&mut self, command: &Command, bounds: Bounds) {
        match command {
            Command::Set { .. } | Command::Adjust { .. } | Command::Percent { .. } => {
                let unset = [None].into_iter().filter(|_| self.bases.is_empty());
                let from = self.bases.iter().map(|base| Some(*base)).chain(unset);
                let moved: Vec<u32> =
                    from.filter_map(|base| moved(base, command, bounds)).collect();
                self.bases.extend(moved);
            }
            Command::Pin { capacity, until } => {
                self.pins.push((*capacity, until.map(|until| until.steady)));
            }
            Command::Reserve { owner, capacity, until } => {
                self.reservations.push((owner.clone(), *capacity, until.steady));
            }
            // These ask for no capacity.
            _ => {}
        }
    }

    /// An answer told which base is in force.
    pub fn based(&mut self, base: Option<u32>) {
        self.bases = base.into_iter().collect();
    }

    /// A command was answered.
    pub fn answered(&mut self, command: &Command, written: Steady) {
        self.alerts.answered(command, written);
    }

    /// Somebody measured for the whole group, and it was taken at once.
    pub fn surely_fed(&mut self, signal: &str, now: Steady) {
        self.sure.insert(SignalName::new(signal).unwrap(), now);
    }

    /// Why the claim cannot be traced to anything that was sent.
    fn untraced(&self, claim: &Claim, group: &Group, decision: &Decision) -> Option<String> {
        let (now, bounds) = (decision.at.steady, decision.bounds);
        let wants = claim.wants.number();
        let traced = match &claim.source {
            // The min in force.
            Source::Base { declared: false, .. } => wants == Some(bounds.floor()),
            Source::Base { declared: true, .. } => {
                wants.is_some_and(|base| self.bases.contains(&base))
            }
            Source::Pin { .. } => self.pins.iter().any(|(capacity, until)| {
                wants == Some(*capacity) && until.is_none_or(|end| end > now)
            }),
            Source::Reservation { owner, .. } => {
                let held = |(of, n, end): &(Owner, u32, Steady)| {
                    of == owner && wants == Some(*n) && *end > now
                };
                self.reservations.iter().any(held)
            }
            // Nobody pauses in these worlds.
            Source::Paused { .. } => false,
            // Which windows count is judged with the bounds.
            Source::Schedule { name, .. } => {
                let of = group.schedules.iter().find(|schedule| schedule.name == *name);
                of.is_some_and(|schedule| schedule.gives.capacity == wants)
            }
            // These are judged by what decisions told before, too.
            Source::Average { .. } | Source::Step { .. } | Source::Alert { .. } => true,
            Source::Expression { .. } => self.sums_up(claim, group, now),
            Source::Fallback { policy, unknown_secs } => {
                !self.no_fallback((policy, *unknown_secs), claim.wants, group, now)
            }
            Source::Target { load: None, .. } => claim.wants == Wants::Unknown,
            Source::Target { signal, load: Some(load), .. } => {
                let readings = group.policies.iter().flat_map(|policy| policy.readings());
                let mut readings = readings.filter(|reading| reading.signal == *signal);
                readings.next().is_some_and(|reading| self.measured(*load, reading, now))
            }
        };
        (!traced).then(|| format!("nobody sent what {claim:?} rests on"))
    }

    /// What was measured of a signal and may count still: a window ends with the newest.
    pub(super) fn fresh(&self, reading: &Reading, now: Steady) -> impl Iterator<Item = &Load> {
        let longest = reading.stale_after + reading.window;
        let loads = self.loads.iter().rev().filter(|load| load.name == reading.signal);
        loads.filter(move |load| now.since(load.received) <= longest)
    }

    /// Whether somebody measured this load, or servers measured shares that may come to it; with
    /// a window, whether it may come of what was measured.
    pub(super) fn measured(&self, load: f64, reading: &Reading, now: Steady) -> bool {
        let fresh = || self.fresh(reading, now);
        let near = |a: f64, b: f64| (a - b).abs() < 1e-6;
        let alone = reading.window.is_zero();
        if alone && fresh().any(|sent| sent.server.is_none() && near(sent.value, load)) {
            return true;
        }
        // Of a sum, all of the window count.
        let count = |values: Vec<f64>| match reading.aggregate {
            Aggregate::Sum if !alone => values.iter().sum::<f64>(),
            _ => values.into_iter().fold(0.0, f64::max),
        };
        let of = |server: Option<&ServerId>| {
            let of = fresh().filter(|sent| sent.server.as_ref() == server);
            count(of.map(|sent| sent.value).collect())
        };
        let whole = fresh().any(|sent| sent.server.is_none()).then(|| of(None));
        if !alone && whole.is_some_and(|most| load <= most + 1e-6) {
            return true;
        }
        let servers: BTreeSet<&ServerId> =
            fresh().filter_map(|sent| sent.server.as_ref()).collect();
        let sum = servers.iter().map(|server| of(Some(server))).sum::<f64>();
        !servers.is_empty() && load <= sum + 1e-6
    }
}

impl Watch {
    /// What counts asks: a window with a capacity is a claim, once, but behind a pin.
    fn judge_schedules(&self, decision: &Decision, trace: &Trace) {
        let pinned = decision.claims.iter().any(super::is_pin);
        let mut claimed = decision.claims.iter().filter_map(|claim| match &claim.source {
            Source::Schedule { name, .. } => Some(name),
            _ => None,
        });
        let counts = decision.schedules.iter().filter(|window| window.gives.capacity.is_some());
        let mut counts = counts.map(|window| &window.name).filter(|_| !pinned);
        if !claimed.by_ref().eq(counts.by_ref()) {
            let said = "the windows that count and those that ask are not the same";
            trace.broken(decision.at.steady, "I8", said);
        }
    }

    pub(super) fn judge_inputs(&self, decision: &Decision, trace: &Trace) {
        let now = decision.at.steady;
        let untraced =
            decision.claims.iter().find_map(|c| self.inputs.untraced(c, &self.group, decision));
        if let Some(untraced) = untraced {
            trace.broken(now, "I8", &untraced);
        }
        self.judge_schedules(decision, trace);
    }
}
