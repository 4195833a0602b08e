//! What desired should come to once everything is calm: small enough to be plainly right.

use novascale::domain::count::Bounds;
use novascale::domain::signal::Command;

/// One group as its operators and senders mean it. What has an end has ended by then.
#[derive(Debug, Clone, Default)]
pub struct Reference {
    pub base: Option<u32>,
    /// The load that was measured last.
    pub load: Option<f64>,
}

/// The base after a command; none if it moves no base.
pub fn moved(base: Option<u32>, command: &Command, bounds: Bounds) -> Option<u32> {
    let within = |n: u32| n.max(bounds.min).min(bounds.max);
    let base = i64::from(within(base.unwrap_or(bounds.min)));
    let next = match command {
        Command::Set { capacity } => i64::from(*capacity),
        Command::Adjust { by } => base + by,
        // Towards zero, but never to nothing: as AWS rounds.
        Command::Percent { by } => {
            let change = base as f64 * by / 100.0;
            let least = if change == 0.0 { 0.0 } else { change.signum() };
            let change = if change.abs() < 1.0 { least } else { change.trunc() };
            base + change as i64
        }
        _ => return None,
    };
    Some(within(u32::try_from(next.clamp(0, 10_000)).unwrap()))
}

impl Reference {
    /// Each command counts once, in the order in which they were taken.
    pub fn order(&mut self, command: &Command, bounds: Bounds) {
        self.base = moved(self.base, command, bounds).or(self.base);
    }

    pub fn desired(&self, bounds: Bounds, per_server: f64) -> u32 {
        let base = self.base.unwrap_or(bounds.min);
        let load = self.load.map_or(0, |load| (load / per_server).ceil() as u32);
        base.max(load).max(bounds.min).min(bounds.max)
    }
}
