//! The random streams. Each is a ChaCha8 generator, keyed by the decision that it makes. So no
//! stream depends on which thread reads it, on earlier draws, or on where a run was resumed.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, RngExt, SeedableRng};

/// What a stream is for; part of its key, so that no two purposes share a stream.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    /// The order of an epoch.
    Order = 1,
    /// The augmentation of one sample.
    Augment = 2,
    /// The labeled subset of one class.
    Subset = 3,
    /// The replacement of an unreadable image.
    Replacement = 4,
    /// A derived seed.
    DerivedSeed = 5,
}

/// A seed for stream `stream` of a run with the seed `seed`, such as the draw of one of several
/// labeled subsets.
///
/// Use it instead of `seed + stream`, which makes the streams of neighboring seeds overlap: seed 0
/// with stream 1 would equal seed 1 with stream 0.
pub fn derived_seed(seed: u64, stream: u64) -> u64 {
    self::stream(Purpose::DerivedSeed, seed, stream, 0).next_u64()
}

/// The stream with key `(seed, a, b, purpose)`.
pub(crate) fn stream(purpose: Purpose, seed: u64, a: u64, b: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip([seed, a, b, purpose as u64]) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// A uniform f32 in `[low, high)` with 24 random bits, as torch draws it.
pub(crate) fn uniform(rng: &mut impl Rng, low: f32, high: f32) -> f32 {
    let unit = (rng.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0);
    unit * (high - low) + low
}

/// Whether an event of probability `probability` happens: never at 0, always at 1.
pub(crate) fn happens(rng: &mut impl Rng, probability: f32) -> bool {
    uniform(rng, 0.0, 1.0) < probability
}

/// A uniform integer in `0..=last`.
pub(crate) fn up_to(rng: &mut impl Rng, last: usize) -> usize {
    rng.random_range(0..=last)
}
