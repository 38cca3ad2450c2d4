//! One box filter of a blur.

use crate::augment::lanes::Column;

/// Box filters in each direction; three approximate a Gaussian well.
pub(super) const PASSES: usize = 3;

/// Fraction bits of a box weight.
pub(super) const WEIGHT_BITS: u32 = 24;

/// Memory of a blur, for reuse.
#[derive(Debug, Default)]
pub(crate) struct BlurScratch {
    pub(super) columns: Vec<Column>,
    pub(super) row: Vec<u8>,
    pub(super) plane: Vec<u8>,
}

/// A box of `2 radius + 1` pixels with weight `inner`, and one more pixel on each side with weight
/// `outer`.
pub(super) struct BoxFilter {
    pub(super) radius: usize,
    pub(super) inner: u32,
    pub(super) outer: u32,
}

impl BoxFilter {
    /// The box that, applied [`PASSES`] times, has the variance of the Gaussian (Gwosdek et al.,
    /// "Theoretical foundations of Gaussian convolution by extended box filtering", 2011).
    pub(super) fn gaussian(sigma: f32) -> Self {
        // Pillow mixes f32 and f64 in the same way.
        let variance = sigma * sigma / PASSES as f32;
        let length = (12.0 * f64::from(variance) + 1.0).sqrt() as f32;
        let whole = ((f64::from(length) - 1.0) / 2.0).floor() as f32;
        let part = (2.0 * whole + 1.0) * (whole * (whole + 1.0) - 3.0 * variance)
            / (6.0 * (variance - (whole + 1.0) * (whole + 1.0)));
        Self::new(whole + part)
    }

    fn new(radius: f32) -> Self {
        let one = 1_u32 << WEIGHT_BITS;
        let whole = radius as usize;
        let inner = (one as f32 / (radius * 2.0 + 1.0)) as u32;
        Self {
            radius: whole,
            inner,
            outer: (one - (2 * whole as u32 + 1) * inner) / 2,
        }
    }

    pub(super) fn is_identity(&self) -> bool {
        self.radius == 0 && self.outer == 0
    }

    /// The pixel of a box with this sum and these pixels on its sides.
    #[inline(always)]
    pub(super) fn weigh(&self, sum: u32, sides: u32) -> u8 {
        let value = sum * self.inner + sides * self.outer;
        ((value + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS) as u8
    }
}
