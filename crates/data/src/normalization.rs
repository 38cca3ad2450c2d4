use pulp::Arch;
use serde::{Deserialize, Serialize};

use crate::augment::Image;
use crate::{DataError, Result};

/// Per-channel standardization of images: `(x / 255 - mean) / std`, in f32, as torchvision's
/// `ToTensor` and `Normalize` compute it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Normalization {
    /// Mean of each channel, on the scale 0 to 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, on the scale 0 to 1; positive.
    pub std: Vec<f32>,
}

impl Normalization {
    /// The statistics of one gray channel.
    pub fn gray(mean: f32, std: f32) -> Self {
        Self {
            mean: vec![mean],
            std: vec![std],
        }
    }

    /// The statistics of ImageNet's three channels.
    pub fn imagenet() -> Self {
        Self {
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }

    /// Checks the values.
    ///
    /// # Errors
    ///
    /// If there is no channel, the lengths differ, a value is not finite or a standard deviation is
    /// not positive.
    pub fn validate(&self) -> Result<()> {
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

    /// The normalized values of an image, `[channels, height, width]`.
    ///
    /// # Panics
    ///
    /// If the number of channels of the image differs.
    pub fn apply(&self, image: &Image) -> Vec<f32> {
        assert_eq!(
            self.mean.len(),
            image.shape()[0],
            "normalization for {}-channel images, got an image of shape {:?}",
            self.mean.len(),
            image.shape()
        );
        let mut values = vec![0.0; image.pixels().len()];
        Normalizer::new(self).write(image.pixels(), &mut values);
        values
    }

    /// The normalized value of each of the 256 pixel values, for each channel.
    fn tables(&self) -> Vec<[f32; 256]> {
        self.mean
            .iter()
            .zip(&self.std)
            .map(|(mean, std)| std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std))
            .collect()
    }
}

/// A [`Normalization`] ready for use.
#[derive(Clone, Debug)]
pub(crate) struct Normalizer {
    channels: Vec<Channel>,
}

/// One channel's normalization: a table, and an arithmetic form if it gives the table's values.
#[derive(Clone, Debug)]
struct Channel {
    table: [f32; 256],
    quick: Option<Quick>,
}

/// `(x / 255 - mean) / std`, with each division replaced by a product with a double-precision
/// reciprocal (two f32). The product rounds like the division, except very near the middle between
/// two f32. So all 256 values are checked before this form is used.
#[derive(Clone, Copy, Debug)]
struct Quick {
    byte: Reciprocal,
    mean: f32,
    std: Reciprocal,
}

/// 1 / x as the sum of two f32.
#[derive(Clone, Copy, Debug)]
struct Reciprocal {
    high: f32,
    low: f32,
}

impl Normalizer {
    /// # Panics
    ///
    /// If there is no channel.
    pub(crate) fn new(normalization: &Normalization) -> Self {
        let parameters = normalization.mean.iter().zip(&normalization.std);
        let channels: Vec<Channel> = normalization
            .tables()
            .into_iter()
            .zip(parameters)
            .map(|(table, (mean, std))| Channel::new(table, *mean, *std))
            .collect();
        assert!(!channels.is_empty(), "a normalization without channels");
        Self { channels }
    }

    /// Writes one planar u8 image `[c, h, w]` as normalized f32 into `target` of the same length.
    pub(crate) fn write(&self, pixels: &[u8], target: &mut [f32]) {
        let plane = pixels.len() / self.channels.len();
        for ((pixels, target), channel) in pixels
            .chunks_exact(plane)
            .zip(target.chunks_exact_mut(plane))
            .zip(&self.channels)
        {
            channel.write(Arch::new(), pixels, target);
        }
    }
}

impl Channel {
    fn new(table: [f32; 256], mean: f32, std: f32) -> Self {
        let quick = Quick {
            byte: Reciprocal::of(255.0),
            mean,
            std: Reciprocal::of(std),
        };
        let is_exact = (0..=255_u8).all(|pixel| quick.apply(pixel) == table[usize::from(pixel)]);
        Self {
            table,
            quick: is_exact.then_some(quick),
        }
    }

    fn write(&self, arch: Arch, pixels: &[u8], target: &mut [f32]) {
        match (arch, self.quick) {
            // Without fused multiply-add instructions, the table is quicker.
            (Arch::Scalar, _) | (_, None) => {
                for (target, pixel) in target.iter_mut().zip(pixels) {
                    *target = self.table[usize::from(*pixel)];
                }
            }
            (_, Some(quick)) => arch.dispatch(
                #[inline(always)]
                || {
                    for (target, pixel) in target.iter_mut().zip(pixels) {
                        *target = quick.apply(*pixel);
                    }
                },
            ),
        }
    }
}

impl Quick {
    #[inline(always)]
    fn apply(&self, pixel: u8) -> f32 {
        self.std
            .times(self.byte.times(f32::from(pixel)) - self.mean)
    }
}

impl Reciprocal {
    fn of(value: f32) -> Self {
        let exact = 1.0 / f64::from(value);
        let high = exact as f32;
        Self {
            high,
            low: (exact - f64::from(high)) as f32,
        }
    }

    #[inline(always)]
    fn times(&self, value: f32) -> f32 {
        value.mul_add(self.high, value * self.low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_form_is_the_table() {
        let pixels: Vec<u8> = (0..1000).map(|i| (i % 256) as u8).collect();
        let mut quick = 0;
        for (mean, std) in [
            (0.485, 0.229),
            (0.456, 0.224),
            (0.406, 0.225),
            (0.485, 0.228),
            (0.286, 0.353),
            (0.5, 0.1),
        ] {
            let channel = Channel::new(Normalization::gray(mean, std).tables()[0], mean, std);
            quick += usize::from(channel.quick.is_some());
            let expected: Vec<f32> = pixels
                .iter()
                .map(|p| channel.table[usize::from(*p)])
                .collect();
            let mut found = vec![0.0; pixels.len()];
            channel.write(Arch::new(), &pixels, &mut found);
            assert_eq!(found, expected);
        }
        assert!(
            quick >= 4,
            "the quick form is hardly ever used: {quick} of 6"
        );
    }
}
