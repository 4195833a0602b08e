//! What measured claims wanted within a stabilisation window: the largest, or the smallest.
//!
//! A window keeps only what may still become its extreme, so that its first entry is the
//! extreme, and that there are never more entries than different numbers between the
//! extreme and what is wanted now.

use std::time::Duration;

use crate::domain::claim::Peak;
use crate::domain::time::Steady;

/// Which extreme a window keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extreme {
    Largest,
    Smallest,
}

impl Extreme {
    /// Whether `a` is at least as extreme as `b`.
    fn reaches(self, a: u32, b: u32) -> bool {
        match self {
            Self::Largest => a >= b,
            Self::Smallest => a <= b,
        }
    }

    /// Notes what is wanted now. What a later entry reaches can no longer be the extreme.
    pub(super) fn remember(self, window: &mut Vec<Peak>, now: Steady, wanted: u32) {
        match window.last_mut() {
            Some(last) if last.wanted == wanted => return,
            // It was in force until now.
            Some(last) => last.until = now,
            None => {}
        }
        while window.last().is_some_and(|last| self.reaches(wanted, last.wanted)) {
            window.pop();
        }
        window.push(Peak { until: now, wanted });
    }

    /// When the last of those that reach `wanted` leaves the window; the last entry is in force.
    pub(super) fn ends(self, window: &[Peak], span: Duration, wanted: u32) -> Option<Steady> {
        let last = window.iter().rfind(|entry| self.reaches(entry.wanted, wanted))?;
        Some(last.until.plus(span))
    }
}

/// Drops what has left the window; what is in force stays while it is known.
pub(super) fn forget(window: &mut Vec<Peak>, now: Steady, span: Duration, in_force: bool) {
    let last = window.len().saturating_sub(1);
    let mut index = 0;
    window.retain(|entry| {
        let current = in_force && index == last;
        index += 1;
        current || entry.until.plus(span) > now
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of a step function over a window, the plain way.
    fn plain(history: &[(u64, u32)], now: u64, window: u64) -> impl Iterator<Item = u32> + '_ {
        let start = now.saturating_sub(window);
        let within = move |(i, (at, _)): &(usize, &(u64, u32))| {
            let until = history.get(i + 1).map_or(u64::MAX, |(next, _)| *next);
            *at <= now && until > start
        };
        history.iter().enumerate().filter(within).map(|(_, (_, wanted))| *wanted)
    }

    proptest::proptest! {
        #[test]
        fn a_window_gives_its_extremes(
            steps in proptest::collection::vec((1u64..40, 0u32..12), 1..60),
            window in 1u64..100,
        ) {
            let (mut peaks, mut troughs) = (Vec::new(), Vec::new());
            let (mut history, mut now) = (Vec::new(), 0);
            let span = Duration::from_millis(window);
            for (pause, wanted) in steps {
                now += pause;
                history.push((now, wanted));
                Extreme::Largest.remember(&mut peaks, Steady(now), wanted);
                Extreme::Smallest.remember(&mut troughs, Steady(now), wanted);
                forget(&mut peaks, Steady(now), span, true);
                forget(&mut troughs, Steady(now), span, true);
                let largest = plain(&history, now, window).max();
                let smallest = plain(&history, now, window).min();
                proptest::prop_assert_eq!(Some(peaks[0].wanted), largest);
                proptest::prop_assert_eq!(Some(troughs[0].wanted), smallest);
                proptest::prop_assert!(peaks.len().max(troughs.len()) <= 13);
            }
        }
    }
}
