//! Chance, from one seed. Every part of the world, and every fault, has dice of its own, so that
//! a new kind of event does not shift what happens in the others.

use std::time::Duration;

use novascale::decide::Draws;

/// SplitMix64 (Steele, Lea, Flood 2014): a few instructions even where nothing is optimised, and
/// the same numbers whatever a library does.
#[derive(Debug, Clone)]
pub struct Dice(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

fn mixed(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Dice {
    /// `part` tells dice of one seed apart.
    pub fn new(seed: u64, part: u64) -> Self {
        Self(mixed(seed.wrapping_mul(GOLDEN)) ^ mixed(part.wrapping_add(GOLDEN)))
    }

    /// For the part of this name.
    pub fn of(seed: u64, name: &str) -> Self {
        // FNV-1a: a name is a number that no other name has.
        let number = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        Self::new(seed, number)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mixed(self.0)
    }

    /// From nothing to just below `n`, which is far below the numbers that are drawn.
    fn below_of(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    pub fn percent(&mut self, chance: u32) -> bool {
        chance > 0 && self.below_of(100) < u64::from(chance)
    }

    /// From nothing to just below `n`; `n` is above 0.
    pub fn below(&mut self, n: u32) -> u32 {
        self.below_of(u64::from(n)) as u32
    }

    pub fn between(&mut self, least: u32, most: u32) -> u32 {
        least + self.below(most - least + 1)
    }

    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below_of(most - least + 1))
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { Some(&from[self.below_of(from.len() as u64) as usize]) }
    }
}

impl Draws for Dice {
    fn bits(&mut self) -> u128 {
        u128::from(self.next()) << 64 | u128::from(self.next())
    }
}
