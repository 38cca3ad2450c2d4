use std::ops::Range;

use super::interpolation::Interpolation;

/// Fraction bits of a filter weight: 8 of 32 bits are the pixel's, 2 are room for the sum.
pub(super) const WEIGHT_BITS: u32 = 32 - 8 - 2;

/// Initial value of a sum of weighted pixels, so that dropping the fraction rounds.
pub(super) const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// A fixed-point sum that started from [`HALF`], clipped.
#[inline(always)]
pub(super) fn to_pixel(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

/// The weights of the source positions around each target position. Its memory is reused.
#[derive(Debug, Default)]
pub(super) struct Filter {
    taps: Vec<Tap>,
    weights: Vec<i32>,
    raw: Vec<f64>,
}

/// One target position: the first source position, and its weights within [`Filter::weights`].
#[derive(Clone, Copy, Debug)]
struct Tap {
    start: usize,
    first_weight: usize,
    count: usize,
}

impl Filter {
    /// Sets the weights of the target positions `window` in a resize of `from` positions to `to`.
    pub(super) fn set(
        &mut self,
        from: usize,
        to: usize,
        window: Range<usize>,
        interpolation: Interpolation,
    ) {
        self.taps.clear();
        self.weights.clear();
        let scale = from as f64 / to as f64;
        // Antialiasing: in a reduction the filter is stretched to cover the source.
        let stretch = scale.max(1.0);
        let support = interpolation.support() * stretch;
        for position in window {
            let center = (position as f64 + 0.5) * scale;
            // `as` truncates, and clips negative numbers to 0 as needed.
            let start = (center - support + 0.5) as usize;
            let end = ((center + support + 0.5) as usize).min(from);
            self.raw.clear();
            self.raw.extend((start..end).map(|source| {
                interpolation.weight((source as f64 - center + 0.5) * (1.0 / stretch))
            }));
            let total: f64 = self.raw.iter().sum();
            self.taps.push(Tap {
                start,
                first_weight: self.weights.len(),
                count: self.raw.len(),
            });
            let weights = self.raw.iter().map(|weight| to_fixed_point(weight / total));
            self.weights.extend(weights);
        }
    }

    /// The number of target positions.
    pub(super) fn len(&self) -> usize {
        self.taps.len()
    }

    /// The first source position and the weights of each target position.
    #[inline(always)]
    pub(super) fn taps(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.taps.iter().map(|tap| {
            let weights = &self.weights[tap.first_weight..tap.first_weight + tap.count];
            (tap.start, weights)
        })
    }

    /// The source positions that any of the target positions needs.
    pub(super) fn sources(&self) -> Range<usize> {
        let end = |tap: &Tap| tap.start + tap.count;
        self.taps[0].start..end(&self.taps[self.taps.len() - 1])
    }
}

/// Rounds half away from zero.
fn to_fixed_point(weight: f64) -> i32 {
    (weight * f64::from(1 << WEIGHT_BITS) + 0.5_f64.copysign(weight)) as i32
}
