use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::augment::{CenterCrop, CropBox, PassOrder, RandomResizedCrop, Resize};

/// How a view is cut out of an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Crop {
    /// A random region, resized.
    RandomResized(RandomResizedCrop),
    /// The center of the resized image; nothing is random.
    Center(CenterCrop),
}

impl Crop {
    /// Height and width of the view, in pixels.
    pub fn size(&self) -> usize {
        match self {
            Self::RandomResized(crop) => crop.size,
            Self::Center(crop) => crop.size,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`](crate::DataError::InvalidOption) for the first option out of
    /// range.
    pub fn validate(&self) -> Result<()> {
        match self {
            Self::RandomResized(crop) => crop.validate(),
            Self::Center(crop) => crop.validate(),
        }
    }

    /// The crop of an image of `height` x `width` pixels, drawn if it is random.
    pub fn sample(
        &self,
        height: usize,
        width: usize,
        pass_order: PassOrder,
        rng: &mut impl Rng,
    ) -> Resize {
        match self {
            Self::RandomResized(crop) => Resize::whole(
                crop.sample(height, width, rng),
                [crop.size, crop.size],
                crop.interpolation,
                pass_order,
            ),
            Self::Center(crop) => {
                let target = crop.resized(height, width);
                Resize {
                    region: CropBox::whole(height, width),
                    target,
                    window: crop.window(target),
                    interpolation: crop.interpolation,
                    pass_order,
                }
            }
        }
    }
}
