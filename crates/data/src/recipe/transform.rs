use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::augment::{BlurConfig, ColorJitter, ColorJitterConfig};
use crate::error::probability;
use crate::random::happens;

/// A random change of a crop. On images of one channel, saturation, hue and grayscale change
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Transform {
    /// Mirrors left and right.
    HorizontalFlip {
        /// How often, 0 to 1.
        probability: f32,
    },
    /// Changes brightness, contrast, saturation and hue, in random order.
    ColorJitter(ColorJitterConfig),
    /// Replaces each color by its luma in all three channels.
    Grayscale {
        /// How often, 0 to 1.
        probability: f32,
    },
    /// Blurs as Pillow's `GaussianBlur`.
    GaussianBlur(BlurConfig),
    /// Inverts the values that are at least the threshold.
    Solarize {
        /// How often, 0 to 1.
        probability: f32,
        /// The least value that is inverted.
        threshold: u8,
    },
}

/// A transform with its drawn parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Operation {
    /// Mirrors left and right.
    HorizontalFlip,
    /// The color operations in their drawn order.
    ColorJitter(ColorJitter),
    /// Replaces each color by its luma.
    Grayscale,
    /// Blurs with this standard deviation, in pixels.
    GaussianBlur(f32),
    /// Inverts the values that are at least this.
    Solarize(u8),
}

impl Transform {
    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`](crate::DataError::InvalidOption) for the first option out of
    /// range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::HorizontalFlip { probability: p } => {
                probability("horizontal_flip.probability", *p)
            }
            Self::ColorJitter(config) => config.validate(),
            Self::Grayscale { probability: p } => probability("grayscale.probability", *p),
            Self::GaussianBlur(config) => config.validate(),
            Self::Solarize { probability: p, .. } => probability("solarize.probability", *p),
        }
    }

    /// Draws whether it happens and, if so, with which parameters.
    pub fn sample(&self, rng: &mut impl Rng) -> Option<Operation> {
        match self {
            Self::HorizontalFlip { probability } => {
                happens(rng, *probability).then_some(Operation::HorizontalFlip)
            }
            Self::ColorJitter(config) => config.sample(rng).map(Operation::ColorJitter),
            Self::Grayscale { probability } => {
                happens(rng, *probability).then_some(Operation::Grayscale)
            }
            Self::GaussianBlur(config) => config.sample(rng).map(Operation::GaussianBlur),
            Self::Solarize {
                probability,
                threshold,
            } => happens(rng, *probability).then_some(Operation::Solarize(*threshold)),
        }
    }
}
