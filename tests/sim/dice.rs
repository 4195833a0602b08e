//! Chance, from one seed. Every part of the world has dice of its own, so that a new kind of
//! event in one part does not shift what happens in the others.

use std::time::Duration;

use novascale::decide::Draws;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub struct Dice(StdRng);

impl Dice {
    /// `part` tells dice of one seed apart.
    pub fn new(seed: u64, part: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ part))
    }

    pub fn percent(&mut self, chance: u32) -> bool {
        chance > 0 && self.0.random_range(0..100) < chance
    }

    /// From nothing to just below `n`; `n` is above 0.
    pub fn below(&mut self, n: u32) -> u32 {
        self.0.random_range(0..n)
    }

    pub fn between(&mut self, least: u32, most: u32) -> u32 {
        self.0.random_range(least..=most)
    }

    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.0.random_range(least..=most))
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.0.random_range(0..from.len())]) }
    }
}

impl Draws for Dice {
    fn bits(&mut self) -> u128 {
        self.0.random()
    }
}
