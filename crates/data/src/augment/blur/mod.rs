mod short_sums;

use pulp::Arch;
use rand::Rng;
use serde::{Deserialize, Serialize};

use self::short_sums::ShortSums;
use super::image::Image;
use super::lanes::{Column, dispatch};
use crate::DataError;
use crate::error::probability;
use crate::random::{happens, uniform};

/// Box filters in each direction; three approximate a Gaussian well.
const PASSES: usize = 3;

/// Fraction bits of a box weight.
const WEIGHT_BITS: u32 = 24;

/// Random Gaussian blur.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlurConfig {
    /// Probability that an image is blurred, 0 to 1.
    pub probability: f32,
    /// The least and the greatest standard deviation, in pixels of the finished crop; at least 0.
    pub sigma: (f32, f32),
}

impl BlurConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] for the first value out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        probability("blur.probability", self.probability)?;
        let (low, high) = self.sigma;
        if !(low >= 0.0 && low <= high && high.is_finite()) {
            return Err(DataError::option(
                "blur.sigma",
                "two standard deviations, ascending, at least 0",
                self.sigma,
            ));
        }
        Ok(())
    }

    /// Draws whether the image is blurred and, if so, with which standard deviation.
    pub fn sample(&self, rng: &mut impl Rng) -> Option<f32> {
        happens(rng, self.probability).then(|| uniform(rng, self.sigma.0, self.sigma.1))
    }
}

impl Image {
    /// Blurs with standard deviation `sigma` in pixels, like Pillow's `GaussianBlur(sigma)`: three
    /// extended box filters along the rows, then three along the columns. Edge pixels are repeated
    /// outside, and each filter rounds to u8.
    ///
    /// # Panics
    ///
    /// If `sigma` is negative or not finite.
    pub fn gaussian_blur(&mut self, sigma: f32) {
        self.gaussian_blur_with(sigma, &mut BlurScratch::default());
    }

    pub(crate) fn gaussian_blur_with(&mut self, sigma: f32, scratch: &mut BlurScratch) {
        assert!(
            sigma >= 0.0 && sigma.is_finite(),
            "blur with standard deviation {sigma}: expected at least 0"
        );
        let filter = BoxFilter::gaussian(sigma);
        if filter.is_identity() {
            return;
        }
        filter.apply(Arch::new(), &mut self.pixels, self.shape, scratch);
    }
}

/// Memory of a blur, for reuse.
#[derive(Debug, Default)]
pub(crate) struct BlurScratch {
    columns: Vec<Column>,
    row: Vec<u8>,
    plane: Vec<u8>,
}

/// A box of `2 radius + 1` pixels with weight `inner`, and one more pixel on each side with weight
/// `outer`.
struct BoxFilter {
    radius: usize,
    inner: u32,
    outer: u32,
}

impl BoxFilter {
    /// The box that, applied [`PASSES`] times, has the variance of the Gaussian (Gwosdek et al.,
    /// "Theoretical foundations of Gaussian convolution by extended box filtering", 2011).
    fn gaussian(sigma: f32) -> Self {
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

    fn is_identity(&self) -> bool {
        self.radius == 0 && self.outer == 0
    }

    fn apply(&self, arch: Arch, pixels: &mut [u8], shape: [usize; 3], scratch: &mut BlurScratch) {
        let [_, height, width] = shape;
        for plane in pixels.chunks_exact_mut(height * width) {
            // The usual strengths use short sums. Longer ones are rare and use a running sum.
            match self.radius {
                0 => dispatch(arch, ShortSums::<3>::new(self, plane, width, scratch)),
                1 => dispatch(arch, ShortSums::<5>::new(self, plane, width, scratch)),
                2 => dispatch(arch, ShortSums::<7>::new(self, plane, width, scratch)),
                _ => self.apply_long(plane, width, scratch),
            }
        }
    }

    /// The pixel of a box with this sum and these pixels on its sides.
    #[inline(always)]
    fn weigh(&self, sum: u32, sides: u32) -> u8 {
        let value = sum * self.inner + sides * self.outer;
        ((value + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS) as u8
    }

    /// All passes over a plane, for any radius.
    fn apply_long(&self, plane: &mut [u8], width: usize, scratch: &mut BlurScratch) {
        let BlurScratch {
            row,
            plane: transposed,
            ..
        } = scratch;
        transposed.resize(plane.len(), 0);
        let height = plane.len() / width;
        for _ in 0..PASSES {
            self.apply_to_rows(plane, width, row);
        }
        transpose(plane, transposed, width);
        for _ in 0..PASSES {
            self.apply_to_rows(transposed, height, row);
        }
        transpose(transposed, plane, height);
    }

    /// Filters each row of `width` pixels in place; `padded` is scratch.
    fn apply_to_rows(&self, pixels: &mut [u8], width: usize, padded: &mut Vec<u8>) {
        let margin = self.radius + 1;
        for row in pixels.chunks_exact_mut(width) {
            padded.clear();
            padded.resize(margin, row[0]);
            padded.extend_from_slice(row);
            padded.resize(margin + width + margin, row[width - 1]);
            // Pixel x of the row has its box at 1 + x .. 1 + x + 2 radius of the padded row, the
            // outer pixels beside it.
            let box_length = 2 * self.radius + 1;
            let mut sum: u32 = padded[1..box_length].iter().map(|p| u32::from(*p)).sum();
            for (x, pixel) in row.iter_mut().enumerate() {
                sum += u32::from(padded[x + box_length]);
                let sides = u32::from(padded[x]) + u32::from(padded[x + box_length + 1]);
                *pixel = self.weigh(sum, sides);
                sum -= u32::from(padded[x + 1]);
            }
        }
    }
}

/// Writes the transpose of `from`, rows of `width` pixels, to `to`.
fn transpose(from: &[u8], to: &mut [u8], width: usize) {
    let height = from.len() / width;
    for (y, row) in from.chunks_exact(width).enumerate() {
        for (x, pixel) in row.iter().enumerate() {
            to[x * height + y] = *pixel;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::tests::{each_arch, noise};

    /// The short sums equal the running sum, on every instruction set and at every edge.
    #[test]
    fn short_sums_are_the_long_one() {
        let scratch = &mut BlurScratch::default();
        for (case, [height, width]) in [[1, 1], [1, 5], [4, 1], [3, 37], [40, 133], [17, 64]]
            .into_iter()
            .enumerate()
        {
            for step in 1..60 {
                let filter = BoxFilter::gaussian(step as f32 * 0.055);
                assert!(filter.radius <= 2);
                let image = noise(case as u64, height * width);
                let mut expected = image.clone();
                filter.apply_long(&mut expected, width, scratch);
                each_arch(|arch| {
                    let mut found = image.clone();
                    filter.apply(arch, &mut found, [1, height, width], scratch);
                    assert_eq!(found, expected, "{height} x {width}, step {step}");
                });
            }
        }
    }
}
