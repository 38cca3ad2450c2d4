use serde::{Deserialize, Serialize};

use crate::DataError;

/// Per-channel standardisation of images: `(x / 255 - mean) / std`, in f32, as torchvision's `ToTensor` and
/// `Normalize` compute it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1; positive.
    pub std: Vec<f32>,
}

impl Normalization {
    /// The statistics of one grey channel.
    pub fn grey(mean: f32, std: f32) -> Self {
        Self {
            mean: vec![mean],
            std: vec![std],
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    /// If there is no channel, the lengths differ, a value is not finite or a standard deviation is not positive.
    pub fn validate(&self) -> Result<(), DataError> {
        if self.mean.is_empty() || self.mean.len() != self.std.len() {
            return Err(DataError::option(
                "normalization",
                "one mean and one standard deviation for each channel",
                (&self.mean, &self.std),
            ));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(DataError::option(
                "normalization.mean",
                "finite values",
                &self.mean,
            ));
        }
        if !self.std.iter().all(|std| std.is_finite() && *std > 0.0) {
            return Err(DataError::option(
                "normalization.std",
                "finite values above 0",
                &self.std,
            ));
        }
        Ok(())
    }

    /// The normalised value of each of the 256 pixel values, for each channel.
    pub(crate) fn tables(&self) -> Vec<[f32; 256]> {
        self.mean
            .iter()
            .zip(&self.std)
            .map(|(mean, std)| std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std))
            .collect()
    }
}

/// Writes one planar u8 image `[c, h, w]` as normalised f32 into `target` of the same length.
pub(crate) fn normalize_into(pixels: &[u8], tables: &[[f32; 256]], target: &mut [f32]) {
    let plane = pixels.len() / tables.len();
    for ((pixels, target), table) in pixels
        .chunks_exact(plane)
        .zip(target.chunks_exact_mut(plane))
        .zip(tables)
    {
        for (target, pixel) in target.iter_mut().zip(pixels) {
            *target = table[usize::from(*pixel)];
        }
    }
}
