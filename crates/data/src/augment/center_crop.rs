use serde::{Deserialize, Serialize};

use super::crop_box::CropBox;
use super::resize::Interpolation;
use crate::{DataError, Result};

/// The evaluation crop: resizes the image so that its shorter side has `resize` pixels, then crops
/// the center.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CenterCrop {
    /// The shorter side after resizing, in pixels; at least `size`.
    pub resize: usize,
    /// Height and width of the crop, in pixels.
    pub size: usize,
    /// The filter of the resize.
    pub interpolation: Interpolation,
}

impl CenterCrop {
    /// Checks the sizes.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] if a size is 0 or the crop is larger than the resized image.
    pub fn validate(&self) -> Result<()> {
        if self.size == 0 {
            return Err(DataError::option(
                "crop.size",
                "at least 1 pixel",
                self.size,
            ));
        }
        if self.resize < self.size {
            return Err(DataError::option(
                "crop.resize",
                format!("at least the crop's size, {}", self.size),
                self.resize,
            ));
        }
        Ok(())
    }

    /// `[height, width]` after resizing an image of `height` x `width` pixels. The longer side is
    /// rounded down.
    pub fn resized(&self, height: usize, width: usize) -> [usize; 2] {
        let longer =
            |long: usize, short: usize| ((self.resize * long) as f64 / short as f64) as usize;
        if width <= height {
            [longer(height, width), self.resize]
        } else {
            [self.resize, longer(width, height)]
        }
    }

    /// The part of the resized image that is kept.
    pub fn window(&self, [height, width]: [usize; 2]) -> CropBox {
        // Half pixels go to the even number, as in Python.
        let margin = |side: usize| ((side - self.size) as f64 / 2.0).round_ties_even() as usize;
        CropBox {
            top: margin(height),
            left: margin(width),
            height: self.size,
            width: self.size,
        }
    }
}
