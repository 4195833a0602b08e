//! I13: within a cooldown desired does not move against its last change, nor ever faster than its
//! rates. The bounds, a pin and, on the way down, an operator's word come before both.

use std::time::Duration;

use super::{Judge, Violation, broken};
use crate::domain::behaviour::{Change, Rate, Rates, Select};
use crate::domain::claim::Memory;

impl Judge<'_> {
    pub(super) fn fall(&self) -> Option<Violation> {
        let (memory, last) = self.last()?;
        let desired = self.decision.desired;
        let spoke = match (self.snapshot.state.ordered, memory.changed) {
            (Some(ordered), Some(changed)) => ordered.steady > changed,
            (None, _) | (_, None) => false,
        };
        if desired >= last || spoke || self.pinned() {
            return None;
        }
        let rules = &self.snapshot.group.behaviour.scale_in;
        if self.within(memory, rules.cooldown) {
            return broken("I13", format!("desired falls from {last} to {desired} in a cooldown"));
        }
        let slow = permits(&rules.rates, |rate| {
            let start = self.start(memory, rate);
            match rate.change {
                Change::Count(n) => start.saturating_sub(desired) <= n,
                // Less than one short of a whole number is rounded away.
                Change::Percent(percent) => {
                    f64::from(start) * (1.0 - percent / 100.0) < f64::from(desired) + 1.0
                }
            }
        });
        let said = || format!("desired falls from {last} to {desired}, faster than scale_in.rates");
        if slow { None } else { broken("I13", said()) }
    }

    pub(super) fn rise(&self) -> Option<Violation> {
        let (memory, last) = self.last()?;
        let desired = self.decision.desired;
        let declared = self.decision.claims.iter().filter(|c| !c.source.measured());
        let declared = declared.filter_map(|c| c.wants.number()).max().unwrap_or(0);
        // What is found to stand is held at once.
        let held = memory.held.is_some() || !self.snapshot.state.adoptions.is_empty();
        if desired <= last || desired <= declared || held {
            return None;
        }
        let rules = &self.snapshot.group.behaviour.scale_out;
        if self.within(memory, rules.cooldown) {
            return broken("I13", format!("desired rises from {last} to {desired} in a cooldown"));
        }
        let slow = permits(&rules.rates, |rate| {
            let start = self.start(memory, rate);
            match rate.change {
                Change::Count(n) => desired.saturating_sub(start) <= n,
                Change::Percent(percent) => {
                    let whole = f64::from(start) * (1.0 + percent / 100.0);
                    desired <= start.saturating_add(1) || f64::from(desired) < whole + 1.0
                }
            }
        });
        let said =
            || format!("desired rises from {last} to {desired}, faster than scale_out.rates");
        if slow { None } else { broken("I13", said()) }
    }

    /// What was desired last, as far as the bounds of today let it stand.
    fn last(&self) -> Option<(&Memory, u32)> {
        let memory = self.snapshot.memory?;
        Some((memory, self.snapshot.bounds().clamp(memory.desired?)))
    }

    fn pinned(&self) -> bool {
        let now = self.snapshot.now.steady;
        let pin = self.snapshot.state.pin.as_ref();
        pin.is_some_and(|pin| pin.until.is_none_or(|end| end.steady > now))
    }

    fn within(&self, memory: &Memory, cooldown: Duration) -> bool {
        let now = self.snapshot.now.steady;
        memory.changed.is_some_and(|changed| now.since(changed) < cooldown)
    }

    /// What was desired when the rate's period began.
    fn start(&self, memory: &Memory, rate: &Rate) -> u32 {
        let now = self.snapshot.now.steady;
        let within = memory.past.iter().filter(|entry| now.since(entry.until) < rate.per);
        let earliest = within.min_by_key(|entry| entry.until).map(|entry| entry.desired);
        earliest.or(memory.desired).unwrap_or(0)
    }
}

fn permits(rates: &Rates, permits: impl Fn(&Rate) -> bool) -> bool {
    match rates.select {
        Select::Disabled => false,
        Select::Max => rates.rates.is_empty() || rates.rates.iter().any(permits),
        Select::Min => rates.rates.iter().all(permits),
    }
}
