//! What time it is, and numbers that nobody can guess.
//!
//! These are the crate's only reads of the machine's wall clock, its steady clock and its
//! entropy: everything else is handed a [`Clock`] or a number, and can be driven by a test
//! or a simulation. Nothing here decides, sleeps or keeps state beyond its start.
//!
//! The steady clock is continued over restarts: the store notes both clocks from time to
//! time ([`crate::store::Origin`]), and whoever starts the daemon works out the base from
//! which this process goes on counting. Go on to [`crate::domain::time`] for the arithmetic.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rand::TryRng;
use rand::rngs::SysRng;

use crate::domain::time::{Clock, Now, Steady, Wall};

/// The machine's clocks.
#[derive(Debug, Clone, Copy)]
pub struct System {
    base: Steady,
    started: Instant,
}

impl System {
    /// A steady clock that reads `base` now and goes on from there. While the machine is
    /// suspended it stands still, as Linux' CLOCK_MONOTONIC does: a cooldown then lasts
    /// longer, never shorter.
    pub fn new(base: Steady) -> Self {
        Self { base, started: Instant::now() }
    }
}

impl Clock for System {
    fn now(&self) -> Now {
        Now { wall: wall(), steady: self.base.plus(self.started.elapsed()) }
    }
}

/// The wall clock's reading; it may have jumped since the last one.
pub fn wall() -> Wall {
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    Wall(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => millis(since),
        Err(before) => -millis(before.duration()),
    })
}

/// 128 bits from the operating system's generator.
#[expect(
    clippy::expect_used,
    reason = "once Linux has booted, getrandom(2) fails only where a sandbox forbids it; ids \
              that repeat and tokens that can be guessed are worse than not starting"
)]
pub fn entropy() -> u128 {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).expect("the operating system gives random bytes");
    u128::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_steady_clock_goes_on_from_its_base() {
        let clock = System::new(Steady(5_000));
        let (first, second) = (clock.now(), clock.now());
        assert!(first.steady >= Steady(5_000));
        assert!(first.steady.since(Steady(5_000)) < Duration::from_secs(60));
        assert!(second.steady >= first.steady);
    }

    #[test]
    fn the_wall_clock_reads_a_date_of_this_century() {
        assert!(wall() > Wall::parse("2020-01-01T00:00:00Z").unwrap());
        assert!(wall() < Wall::parse("2100-01-01T00:00:00Z").unwrap());
    }

    #[test]
    fn entropy_does_not_repeat() {
        assert_ne!(entropy(), entropy());
    }
}
