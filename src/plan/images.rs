use e2mc_data::Recipe;

use super::{Plan, Start};
use crate::{Error, Result};

/// The largest default crop of a small network, in pixels.
const LARGEST_SMALL: usize = 96;
/// The default crop for larger images.
const DEFAULT_SMALL: usize = 32;

/// A recipe for small images, adapted to images of `shape` = `[height, width, channels]`.
pub(crate) fn small_recipe(recipe: Recipe, shape: [usize; 3]) -> Recipe {
    let side = match shape[0].min(shape[1]) {
        side @ 4..=LARGEST_SMALL => side,
        _ => DEFAULT_SMALL,
    };
    recipe.with_size(side).with_channels(shape[2])
}

/// Random crops of the size of `evaluation`'s view with random flips, as in the training of the
/// published classifiers. `small` selects the recipe for small images.
pub(crate) fn probe_recipe(evaluation: &Recipe, small: bool) -> Recipe {
    let recipe = match small {
        true => Recipe::linear_probe_train_small(),
        false => Recipe::linear_probe_train(),
    };
    let recipe = recipe.with_channels(evaluation.channels());
    match evaluation.view_sizes().first() {
        Some(&size) => recipe.with_size(size),
        None => recipe,
    }
}

/// The evaluation recipe of small networks for images of `shape` = `[height, width, channels]`:
/// unchanged up to 96 pixels, else the center crop at 32.
pub fn small_evaluation(shape: [usize; 3]) -> Recipe {
    small_recipe(Recipe::eval_small(), shape)
}

impl Plan {
    /// The plan of a preset for small images, with recipes for images of `shape` =
    /// `[height, width, channels]`. Crops have the size of the shorter side up to 96 pixels, else
    /// 32 pixels. A network from scratch gets the same number of channels.
    pub fn for_small_images(mut self, shape: [usize; 3]) -> Self {
        self.recipe = small_recipe(self.recipe, shape);
        self.evaluation = small_recipe(self.evaluation, shape);
        if let Start::Scratch(network) = &mut self.start {
            network.backbone.in_channels = shape[2];
        }
        self
    }

    /// The plan with full-resolution crops of `side` pixels. Smaller crops are scaled along.
    ///
    /// # Errors
    ///
    /// If a crop would have fewer than 2 pixels.
    pub fn with_crop_size(mut self, side: usize) -> Result<Self> {
        self.recipe = self.recipe.with_size(side);
        self.evaluation = self.evaluation.with_size(side);
        match self.recipe.view_sizes().into_iter().min() {
            Some(2..) => Ok(self),
            _ => {
                let expected = "a size whose smallest crop has at least 2 pixels";
                Err(Error::invalid("crop_size", side, expected))
            }
        }
    }
}
