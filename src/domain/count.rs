//! Numbers of servers and the limits they keep.

use serde::{Deserialize, Serialize};

/// The most servers that a group may be asked for. Above it a number is more
/// likely a mistake (a metric in bytes, a timestamp) than a fleet.
pub const MOST: u32 = 10_000;

/// The smallest and largest capacity of a group. `min` may stand above `max`
/// when overlays meet; then `max` wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    pub min: u32,
    pub max: u32,
}

impl Bounds {
    pub fn new(min: u32, max: u32) -> Self {
        Self { min: min.min(MOST), max: max.min(MOST) }
    }

    /// The nearest number within the bounds; where they contradict, `max`.
    pub fn clamp(self, wanted: u32) -> u32 {
        wanted.max(self.min).min(self.max)
    }

    /// The least capacity that these bounds ask for.
    pub fn floor(self) -> u32 {
        self.min.min(self.max)
    }
}

/// `whole × percent / 100`, by AWS's rounding: towards zero beyond one, and away
/// from zero below one, so that a change never vanishes.
/// Source: "Step and simple scaling policies", Amazon EC2 Auto Scaling user guide.
pub fn percent_change(whole: u32, percent: f64) -> i64 {
    let change = f64::from(whole) * percent / 100.0;
    if change.is_nan() || change == 0.0 {
        return 0;
    }
    let change = if change.abs() < 1.0 { change.signum() } else { change.trunc() };
    change.clamp(-f64::from(MOST), f64::from(MOST)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_wins_where_bounds_contradict() {
        assert_eq!(Bounds::new(5, 3).clamp(4), 3);
        assert_eq!(Bounds::new(2, 6).clamp(0), 2);
        assert_eq!(Bounds::new(2, u32::MAX).clamp(u32::MAX), MOST);
    }

    #[test]
    fn percentages_round_as_aws_does() {
        let cases = [(10, 12.0, 1), (10, 27.0, 2), (10, -12.7, -1), (10, -67.0, -6)];
        for (whole, percent, change) in cases {
            assert_eq!(percent_change(whole, percent), change, "{percent} % of {whole}");
        }
        assert_eq!(percent_change(10, 5.8), 1);
        assert_eq!(percent_change(10, -5.8), -1);
        assert_eq!(percent_change(0, 50.0), 0);
        assert_eq!(percent_change(10, f64::NAN), 0);
        let most = i64::from(MOST);
        for (percent, change) in [(1e300, most), (f64::MAX, most), (f64::INFINITY, most)] {
            assert_eq!(percent_change(10, percent), change, "{percent}");
            assert_eq!(percent_change(10, -percent), -change, "-{percent}");
        }
        assert_eq!(percent_change(0, f64::INFINITY), 0);
    }
}
