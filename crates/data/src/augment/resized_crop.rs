use rand::Rng;

use crate::DataError;
use crate::random::{uniform, up_to};

/// Proposals before the central crop is taken.
const TRIES: usize = 10;

/// A rectangle of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CropBox {
    /// The first row.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// The number of rows.
    pub height: usize,
    /// The number of columns.
    pub width: usize,
}

/// The region of a random resized crop: a random part of the image's area with a random aspect ratio.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RandomResizedCrop {
    /// The least and the greatest part of the area, within (0, 1].
    pub scale: (f32, f32),
    /// The least and the greatest aspect ratio, width / height; positive.
    pub ratio: (f32, f32),
}

impl RandomResizedCrop {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`DataError::Option`] if a range is reversed or leaves its bounds.
    pub fn validate(&self) -> Result<(), DataError> {
        let (low, high) = self.scale;
        if !(low > 0.0 && low <= high && high <= 1.0) {
            return Err(DataError::option(
                "crops.scale",
                "two parts of the area, ascending, above 0 and at most 1",
                self.scale,
            ));
        }
        let (low, high) = self.ratio;
        if !(low > 0.0 && low <= high && high.is_finite()) {
            return Err(DataError::option(
                "ratio",
                "two positive aspect ratios, ascending",
                self.ratio,
            ));
        }
        Ok(())
    }

    /// Draws a region of an image of `height` x `width` pixels: up to ten proposals, then the central crop.
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

/// Height and width of the crop with `part` of the area and aspect ratio exp(`log_ratio`), if it fits.
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
