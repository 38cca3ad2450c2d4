//! Recipes: from an image to its augmented views.
//!
//! A [`Recipe`] is a list of views. Each view is a crop and a list of transforms. All parameters
//! are plain, serializable values, so your own recipe looks like the presets:
//!
//! ```
//! use e2mc_data::augment::{BlurConfig, Interpolation, RandomResizedCrop};
//! use e2mc_data::{Crop, Normalization, Recipe, Transform, View};
//!
//! let recipe = Recipe::new(
//!     vec![View {
//!         count: 2,
//!         crop: Crop::RandomResized(RandomResizedCrop::new(
//!             96,
//!             (0.2, 1.0),
//!             Interpolation::Bilinear,
//!         )),
//!         transforms: vec![
//!             Transform::HorizontalFlip { probability: 0.5 },
//!             Transform::GaussianBlur(BlurConfig { probability: 0.5, sigma: (0.1, 1.0) }),
//!         ],
//!     }],
//!     Normalization::imagenet(),
//! );
//! recipe.validate()?;
//! assert_eq!(recipe.view_sizes(), [96, 96]);
//! # Ok::<(), e2mc_data::DataError>(())
//! ```

mod crop;
mod presets;
mod sampled;
mod transform;

use rand::Rng;
use serde::{Deserialize, Serialize};

pub use self::crop::Crop;
pub use self::sampled::SampledView;
pub(crate) use self::sampled::ViewScratch;
pub use self::transform::{Operation, Transform};
use crate::augment::PassOrder;
use crate::{DataError, Normalization, Result};

/// The views of each image, in the order of [`Batch::views`](crate::Batch::views).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Recipe {
    /// The views. Full-resolution ones come first if the method distinguishes them.
    pub views: Vec<View>,
    /// Which pass of the separable resize comes first. It depends on the version of Pillow.
    pub pass_order: PassOrder,
    /// The standardization of the finished views.
    pub normalization: Normalization,
}

/// One or more views of the same kind, each with its own random choices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    /// Number of views.
    pub count: usize,
    /// The crop, with its size.
    pub crop: Crop,
    /// The transforms of the crop, in this order.
    pub transforms: Vec<Transform>,
}

impl Recipe {
    /// A recipe of these views, with rows first in a resize, as the published checkpoints had it.
    pub fn new(views: Vec<View>, normalization: Normalization) -> Self {
        Self {
            views,
            pass_order: PassOrder::HorizontalFirst,
            normalization,
        }
    }

    /// Height and width of each view in pixels.
    pub fn view_sizes(&self) -> Vec<usize> {
        self.each_view().map(|view| view.crop.size()).collect()
    }

    /// The number of channels of the images that the recipe is for, 1 or 3.
    pub fn channels(&self) -> usize {
        self.normalization.mean.len()
    }

    /// Checks every value.
    ///
    /// # Errors
    ///
    /// [`DataError::InvalidOption`] for the first option out of range.
    pub fn validate(&self) -> Result<()> {
        if self.each_view().next().is_none() {
            return Err(DataError::option("views", "at least one view", &self.views));
        }
        for view in &self.views {
            view.crop.validate()?;
            for transform in &view.transforms {
                transform.validate()?;
            }
        }
        self.normalization.validate()
    }

    /// Draws every random choice of the views of one image of `height` x `width` pixels.
    pub fn sample(&self, height: usize, width: usize, rng: &mut impl Rng) -> Vec<SampledView> {
        self.each_view()
            .map(|view| SampledView {
                resize: view.crop.sample(height, width, self.pass_order, rng),
                operations: view
                    .transforms
                    .iter()
                    .filter_map(|transform| transform.sample(rng))
                    .collect(),
            })
            .collect()
    }

    fn each_view(&self) -> impl Iterator<Item = &View> {
        self.views
            .iter()
            .flat_map(|view| std::iter::repeat_n(view, view.count))
    }
}
