use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::augment::{
    BlurConfig, ColorJitterConfig, Image, ImageRef, Interpolation, PassOrder, RandomResizedCrop,
};
use crate::fashion_mnist;
use crate::random::happens;
use crate::{DataError, Normalization};

/// Crops of one size within a multi-crop recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropConfig {
    /// How many crops of this size are taken of each image.
    pub count: usize,
    /// Height and width of the crop after resizing, in pixels.
    pub size: usize,
    /// The least and the greatest part of the image's area that the crop covers, within (0, 1].
    pub scale: (f32, f32),
}

/// SwAV's multi-crop augmentation: several random crops of each image, in a few sizes, each augmented on its own.
///
/// Every crop goes through, in this order: random resized crop, horizontal flip, colour jitter, greyscale, Gaussian
/// blur, normalisation; all with Pillow's arithmetic. On images of one channel, saturation, hue and greyscale change
/// nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiCropConfig {
    /// The crops, in the order of [`Batch::views`](crate::Batch::views): those of full resolution first.
    pub crops: Vec<CropConfig>,
    /// The least and the greatest aspect ratio (width / height) of a crop before resizing; positive.
    pub ratio: (f32, f32),
    /// The filter that resizes the crop.
    pub interpolation: Interpolation,
    /// Which pass of the separable filter comes first.
    pub pass_order: PassOrder,
    /// Probability of a horizontal flip, 0 to 1.
    pub flip_probability: f32,
    /// Brightness, contrast, saturation and hue.
    pub color_jitter: ColorJitterConfig,
    /// Probability of conversion to grey, 0 to 1.
    pub grayscale_probability: f32,
    /// Gaussian blur.
    pub blur: BlurConfig,
    /// The standardisation of the finished crop.
    pub normalization: Normalization,
}

impl MultiCropConfig {
    /// The recipe for 28 x 28 grey images: 2 crops of 28 pixels over 30% to 100% of the area and 4 crops of 14 pixels
    /// over 10% to 30%, with the statistics of Fashion-MNIST. The probabilities are SwAV's; the colour strengths are
    /// halved, and there is no blur, as in the training of the base checkpoint.
    pub fn swav_small() -> Self {
        Self {
            crops: vec![
                CropConfig {
                    count: 2,
                    size: 28,
                    scale: (0.3, 1.0),
                },
                CropConfig {
                    count: 4,
                    size: 14,
                    scale: (0.1, 0.3),
                },
            ],
            ratio: (3.0 / 4.0, 4.0 / 3.0),
            interpolation: Interpolation::Bilinear,
            pass_order: PassOrder::HorizontalFirst,
            flip_probability: 0.5,
            color_jitter: ColorJitterConfig {
                probability: 0.8,
                brightness: 0.4,
                contrast: 0.4,
                saturation: 0.0,
                hue: 0.0,
            },
            grayscale_probability: 0.0,
            blur: BlurConfig {
                probability: 0.0,
                sigma: (0.1, 1.0),
            },
            normalization: fashion_mnist::NORMALIZATION.clone(),
        }
    }

    /// The size of each view, in the order of [`Batch::views`](crate::Batch::views).
    pub fn view_sizes(&self) -> Vec<usize> {
        self.crops
            .iter()
            .flat_map(|crop| std::iter::repeat_n(crop.size, crop.count))
            .collect()
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Option`] naming the first option outside its range.
    pub fn validate(&self) -> Result<(), DataError> {
        if self.crops.iter().all(|crop| crop.count == 0) {
            return Err(DataError::option("crops", "at least one crop", &self.crops));
        }
        for crop in &self.crops {
            if crop.size == 0 {
                return Err(DataError::option(
                    "crops.size",
                    "at least 1 pixel",
                    crop.size,
                ));
            }
            self.resized_crop(crop).validate()?;
        }
        probability("flip_probability", self.flip_probability)?;
        self.color_jitter.validate()?;
        probability("grayscale_probability", self.grayscale_probability)?;
        self.blur.validate()?;
        self.normalization.validate()
    }

    /// The augmented crops of one image before normalisation, in the order of
    /// [`Batch::views`](crate::Batch::views); all random choices are drawn from `rng`.
    pub fn augment(&self, image: ImageRef<'_>, rng: &mut impl Rng) -> Vec<Image> {
        let mut views = Vec::new();
        for crop in &self.crops {
            let resized_crop = self.resized_crop(crop);
            for _ in 0..crop.count {
                let region = resized_crop.sample(image.height(), image.width(), rng);
                let mut view = image.resized_crop(
                    region,
                    [crop.size, crop.size],
                    self.interpolation,
                    self.pass_order,
                );
                if happens(rng, self.flip_probability) {
                    view.flip_horizontal();
                }
                if let Some(jitter) = self.color_jitter.sample(rng) {
                    jitter.apply(&mut view);
                }
                if happens(rng, self.grayscale_probability) {
                    view.grayscale();
                }
                if let Some(sigma) = self.blur.sample(rng) {
                    view.gaussian_blur(sigma);
                }
                views.push(view);
            }
        }
        views
    }

    fn resized_crop(&self, crop: &CropConfig) -> RandomResizedCrop {
        RandomResizedCrop {
            scale: crop.scale,
            ratio: self.ratio,
        }
    }
}

/// Checks that `value` is a probability.
pub(crate) fn probability(option: &'static str, value: f32) -> Result<(), DataError> {
    if (0.0..=1.0).contains(&value) {
        Ok(())
    } else {
        Err(DataError::option(option, "a probability, 0 to 1", value))
    }
}
