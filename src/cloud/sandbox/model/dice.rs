//! All randomness of the embedded cloud, from one seed: ids, tokens, delays.
//!
//! The generator is cryptographic, so tokens are unguessable when the seed is; and a fixed seed
//! gives the same cloud again, call for call.

use std::ops::RangeInclusive;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

/// A seeded generator. It neither prints nor serialises.
pub struct Dice(StdRng);

impl Dice {
    /// Dice for the given seed; `start` counts the starts of one state, so that no start repeats
    /// another's draws.
    pub fn new(seed: [u8; 32], start: u64) -> Dice {
        let mixed = Sha256::new().chain_update(seed).chain_update(start.to_be_bytes()).finalize();
        Dice(StdRng::from_seed(mixed.into()))
    }

    /// A version 4 UUID.
    pub fn uuid(&mut self) -> String {
        let mut bytes: [u8; 16] = self.bytes();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let hex = hex(&bytes);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// 256 bits as 43 characters that need no escaping anywhere.
    pub fn secret(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A short word of letters and digits, as Nova's reservation ids and passwords are.
    pub fn word(&mut self, length: usize) -> String {
        const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
        (0..length).map(|_| char::from(LETTERS[self.0.random_range(0..LETTERS.len())])).collect()
    }

    /// A hardware address in the range that Neutron gives out.
    pub fn mac(&mut self) -> String {
        let [a, b, c] = self.bytes();
        format!("fa:16:3e:{a:02x}:{b:02x}:{c:02x}")
    }

    /// A number of the range, ends included; an empty range gives its start.
    pub fn within(&mut self, range: &RangeInclusive<u64>) -> i64 {
        let drawn =
            if range.is_empty() { *range.start() } else { self.0.random_range(range.clone()) };
        i64::try_from(drawn).unwrap_or(i64::MAX)
    }

    /// Whether something that happens so often, in percent, happens now.
    pub fn percent(&mut self, chance: u8) -> bool {
        0 < chance && self.0.random_range(0..100) < chance
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing into a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
