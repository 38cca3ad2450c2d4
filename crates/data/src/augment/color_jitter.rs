use rand::Rng;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::image::Image;
use crate::error::probability;
use crate::random::{happens, uniform};
use crate::{DataError, Result};

/// Random changes of brightness, contrast, saturation and hue, in random order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColorJitterConfig {
    /// Probability that an image is changed at all, 0 to 1.
    pub probability: f32,
    /// Strength b >= 0: the factor is uniform in `[max(0, 1 - b), 1 + b]`; 0 is off.
    pub brightness: f32,
    /// Strength of contrast, as for brightness.
    pub contrast: f32,
    /// Strength of saturation, as for brightness. Changes nothing on gray images.
    pub saturation: f32,
    /// Greatest shift of the hue in either direction, in turns, 0 to 0.5. Changes nothing on gray
    /// images.
    pub hue: f32,
}

/// One color operation with its drawn parameter.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColorOperation {
    /// Blend with black: 0 is black, 1 the image itself.
    Brightness(f32),
    /// Blend with the image's mean luma.
    Contrast(f32),
    /// Blend with the gray image.
    Saturation(f32),
    /// Shift by this part of a turn, -0.5 to 0.5.
    Hue(f32),
}

/// The drawn operations, in the order in which they are applied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColorJitter {
    /// The operations, without the ones of strength 0.
    pub operations: Vec<ColorOperation>,
}

impl ColorJitterConfig {
    /// Checks the ranges.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] for the first value out of range.
    pub fn validate(&self) -> Result<()> {
        probability("color_jitter.probability", self.probability)?;
        for (option, strength) in [
            ("color_jitter.brightness", self.brightness),
            ("color_jitter.contrast", self.contrast),
            ("color_jitter.saturation", self.saturation),
        ] {
            if !(strength >= 0.0 && strength.is_finite()) {
                return Err(DataError::option(
                    option,
                    "a strength of at least 0",
                    strength,
                ));
            }
        }
        if !(0.0..=0.5).contains(&self.hue) {
            return Err(DataError::option("color_jitter.hue", "0 to 0.5", self.hue));
        }
        Ok(())
    }

    /// Draws whether the image is changed and, if so, how.
    pub fn sample(&self, rng: &mut impl Rng) -> Option<ColorJitter> {
        if !happens(rng, self.probability) {
            return None;
        }
        let mut factor = |strength: f32| uniform(rng, (1.0 - strength).max(0.0), 1.0 + strength);
        let mut operations = [
            (self.brightness > 0.0).then(|| ColorOperation::Brightness(factor(self.brightness))),
            (self.contrast > 0.0).then(|| ColorOperation::Contrast(factor(self.contrast))),
            (self.saturation > 0.0).then(|| ColorOperation::Saturation(factor(self.saturation))),
            (self.hue > 0.0).then(|| ColorOperation::Hue(uniform(rng, -self.hue, self.hue))),
        ];
        operations.shuffle(rng);
        Some(ColorJitter {
            operations: operations.into_iter().flatten().collect(),
        })
    }
}

impl ColorJitter {
    /// Applies the operations one after the other.
    pub fn apply(&self, image: &mut Image) {
        for operation in &self.operations {
            match *operation {
                ColorOperation::Brightness(factor) => image.adjust_brightness(factor),
                ColorOperation::Contrast(factor) => image.adjust_contrast(factor),
                ColorOperation::Saturation(factor) => image.adjust_saturation(factor),
                ColorOperation::Hue(shift) => image.adjust_hue(shift),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;
    use rand::rngs::ChaCha8Rng;

    use super::*;

    /// Frequencies match the probabilities, all orders are equally likely, and factors are uniform.
    #[test]
    fn draws_follow_the_distribution() {
        let config = ColorJitterConfig {
            probability: 0.8,
            brightness: 0.4,
            contrast: 1.5,
            saturation: 0.0,
            hue: 0.1,
        };
        let rng = &mut ChaCha8Rng::seed_from_u64(0);
        let draws = 30_000;
        let mut orders = BTreeMap::<String, usize>::new();
        let mut sums = [0.0; 3];
        for _ in 0..draws {
            let Some(jitter) = config.sample(rng) else {
                continue;
            };
            let mut order = String::new();
            for operation in &jitter.operations {
                match *operation {
                    ColorOperation::Brightness(factor) => {
                        assert!((0.6..=1.4).contains(&factor));
                        sums[0] += f64::from(factor);
                        order.push('b');
                    }
                    ColorOperation::Contrast(factor) => {
                        assert!((0.0..=2.5).contains(&factor));
                        sums[1] += f64::from(factor);
                        order.push('c');
                    }
                    ColorOperation::Hue(shift) => {
                        assert!((-0.1..=0.1).contains(&shift));
                        sums[2] += f64::from(shift);
                        order.push('h');
                    }
                    ColorOperation::Saturation(_) => panic!("saturation is off"),
                }
            }
            *orders.entry(order).or_default() += 1;
        }
        let applied: usize = orders.values().sum();
        // Five standard errors each: sqrt(.8 * .2 / 30,000), sqrt(4,000), range / sqrt(12 *
        // 24,000).
        assert!((applied as f64 / f64::from(draws) - 0.8).abs() < 0.012);
        assert_eq!(orders.len(), 6);
        assert!(
            orders
                .values()
                .all(|count| count.abs_diff(applied / 6) < 320),
            "{orders:?}"
        );
        for ((sum, mean), range) in sums.iter().zip([1.0, 1.25, 0.0]).zip([0.8, 2.5, 0.2]) {
            assert!(
                (sum / applied as f64 - mean).abs() < 0.0094 * range,
                "{sums:?}"
            );
        }
    }
}
