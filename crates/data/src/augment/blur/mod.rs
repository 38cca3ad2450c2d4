mod box_filter;
mod short_sums;

use pulp::Arch;
use rand::Rng;
use serde::{Deserialize, Serialize};

pub(crate) use self::box_filter::BlurScratch;
use self::box_filter::{BoxFilter, PASSES};
use self::short_sums::ShortSums;
use super::image::Image;
use super::lanes::dispatch;
use crate::error::probability;
use crate::random::{happens, uniform};
use crate::{DataError, Result};

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
    pub fn validate(&self) -> Result<()> {
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

impl BoxFilter {
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
