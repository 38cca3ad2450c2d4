use rand::Rng;
use serde::{Deserialize, Serialize};

use super::crop_box::CropBox;
use super::resize::Interpolation;
use crate::random::{uniform, up_to};
use crate::{DataError, Result};

/// Proposals before the central crop is taken.
const TRIES: usize = 10;

/// The region of a random resized crop: a random part of the image's area with a random aspect
/// ratio.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RandomResizedCrop {
    /// Height and width of the crop after resizing, in pixels.
    pub size: usize,
    /// The least and the greatest part of the area, within (0, 1].
    pub scale: (f32, f32),
    /// The least and the greatest aspect ratio, width / height; positive.
    pub ratio: (f32, f32),
    /// The filter that resizes the region.
    pub interpolation: Interpolation,
}

impl RandomResizedCrop {
    /// A crop with torchvision's default aspect ratios, 3/4 to 4/3.
    pub fn new(size: usize, scale: (f32, f32), interpolation: Interpolation) -> Self {
        Self {
            size,
            scale,
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            interpolation,
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] if a range is reversed or out of bounds.
    pub fn validate(&self) -> Result<()> {
        if self.size == 0 {
            return Err(DataError::option(
                "crop.size",
                "at least 1 pixel",
                self.size,
            ));
        }
        let (low, high) = self.scale;
        if !(low > 0.0 && low <= high && high <= 1.0) {
            return Err(DataError::option(
                "crop.scale",
                "two parts of the area, ascending, above 0 and at most 1",
                self.scale,
            ));
        }
        let (low, high) = self.ratio;
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return Err(DataError::option(
                "crop.ratio",
                "two positive aspect ratios, ascending",
                self.ratio,
            ));
        }
        Ok(())
    }

    /// Draws a region of an image of `height` x `width` pixels: up to ten proposals, then the
    /// central crop.
    pub fn sample(&self, height: usize, width: usize, rng: &mut impl Rng) -> CropBox {
        let (low, high) = (self.ratio.0.ln(), self.ratio.1.ln());
        for _ in 0..TRIES {
            let part = uniform(rng, self.scale.0, self.scale.1);
            let log_ratio = uniform(rng, low, high);
            if let Some([crop_height, crop_width]) = proposal(height, width, part, log_ratio) {
                return CropBox {
                    top: up_to(rng, height - crop_height),
                    left: up_to(rng, width - crop_width),
                    height: crop_height,
                    width: crop_width,
                };
            }
        }
        self.central(height, width)
    }

    /// The largest central crop whose aspect ratio is allowed.
    fn central(&self, height: usize, width: usize) -> CropBox {
        let (least, greatest) = (f64::from(self.ratio.0), f64::from(self.ratio.1));
        let ratio = width as f64 / height as f64;
        let [crop_height, crop_width] = if ratio < least {
            [round(width as f64 / least).min(height), width]
        } else if ratio > greatest {
            [height, round(height as f64 * greatest).min(width)]
        } else {
            [height, width]
        };
        CropBox {
            top: (height - crop_height) / 2,
            left: (width - crop_width) / 2,
            height: crop_height,
            width: crop_width,
        }
    }
}

/// Height and width of the crop with `part` of the area and aspect ratio exp(`log_ratio`), if it
/// fits.
fn proposal(height: usize, width: usize, part: f32, log_ratio: f32) -> Option<[usize; 2]> {
    let area = (height * width) as f64 * f64::from(part);
    let ratio = f64::from(log_ratio.exp());
    let crop_width = round((area * ratio).sqrt());
    let crop_height = round((area / ratio).sqrt());
    let fits = (1..=height).contains(&crop_height) && (1..=width).contains(&crop_width);
    fits.then_some([crop_height, crop_width])
}

/// Rounds half to even, as Python does.
fn round(value: f64) -> usize {
    value.round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;
    use serde::Deserialize;

    use super::*;

    /// One call of torchvision's `RandomResizedCrop.get_params`, by tests/reference/augment.py.
    #[derive(Deserialize)]
    struct Sampled {
        scale: (f32, f32),
        ratio: (f32, f32),
        image: [usize; 2],
        /// Part and log-ratio of each try. All tries before the last were rejected.
        draws: Vec<f32>,
        #[serde(rename = "box")]
        region: [usize; 4],
        /// The last try was rejected too.
        central: bool,
    }

    #[test]
    fn proposals_equal_torchvision() {
        let golden = include_str!("../../golden/sampling.json");
        let cases: Vec<Sampled> = serde_json::from_str(golden).unwrap();
        assert!(cases.iter().any(|case| case.central));
        for case in cases {
            let [height, width] = case.image;
            let [top, left, crop_height, crop_width] = case.region;
            let mut proposals: Vec<_> = case
                .draws
                .chunks_exact(2)
                .map(|draw| proposal(height, width, draw[0], draw[1]))
                .collect();
            if case.central {
                let recipe = RandomResizedCrop {
                    ratio: case.ratio,
                    ..RandomResizedCrop::new(1, case.scale, Interpolation::Bilinear)
                };
                let expected = CropBox {
                    top,
                    left,
                    height: crop_height,
                    width: crop_width,
                };
                assert_eq!(proposals.len(), TRIES);
                assert_eq!(recipe.central(height, width), expected);
            } else {
                assert_eq!(proposals.pop(), Some(Some([crop_height, crop_width])));
            }
            assert!(proposals.iter().all(Option::is_none));
        }
    }

    /// Over many draws, every region lies in the image, the corner is uniform, and parts and ratios
    /// stay in their ranges except for rounding to whole pixels.
    #[test]
    fn regions_follow_the_distribution() {
        let recipe = RandomResizedCrop::new(1, (0.2, 0.5), Interpolation::Bilinear);
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let draws = 20_000;
        let (mut part, mut position) = (0.0, 0.0);
        for _ in 0..draws {
            let region = recipe.sample(100, 100, rng);
            assert!(region.top + region.height <= 100 && region.left + region.width <= 100);
            let area = (region.height * region.width) as f64 / 1e4;
            assert!((0.19..0.51).contains(&area), "{region:?}");
            let ratio = region.width as f64 / region.height as f64;
            assert!((0.73..1.37).contains(&ratio), "{region:?}");
            part += area / f64::from(draws);
            position += region.top as f64 / (100 - region.height) as f64 / f64::from(draws);
        }
        // Standard errors: 0.087 / sqrt(20,000) = 0.0006 and 0.3 / sqrt(20,000) = 0.002; five of
        // each.
        assert!((part - 0.35).abs() < 0.003, "{part}");
        assert!((position - 0.5).abs() < 0.011, "{position}");
    }
}
