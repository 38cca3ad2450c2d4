//! The recipes of the base methods and of the probes, with the parameters of
//! their authors' code (App. B of the paper), and versions for small gray images.

use super::{Crop, Recipe, Transform, View};
use crate::augment::{
    BlurConfig, CenterCrop, ColorJitterConfig, Interpolation, PassOrder, RandomResizedCrop,
};
use crate::{Normalization, fashion_mnist};

/// The standard deviations of every recipe's blur, in pixels of a 224-pixel crop.
const BLUR_SIGMA: (f32, f32) = (0.1, 2.0);

/// The same for 28-pixel crops.
const SMALL_BLUR_SIGMA: (f32, f32) = (0.1, 1.0);

/// The threshold above which solarization inverts.
const SOLARIZE_THRESHOLD: u8 = 128;

impl Recipe {
    /// VICReg: two views of 224 pixels with different pipelines. The first is always blurred, the
    /// second seldom blurred and sometimes solarized.
    pub fn vicreg() -> Self {
        let view = |blur, solarize| View {
            count: 1,
            crop: random(224, (0.08, 1.0), Interpolation::Bicubic),
            transforms: vec![
                flip(),
                jitter(0.4, 0.4, 0.2, 0.1),
                grayscale(0.2),
                gaussian_blur(blur, BLUR_SIGMA),
                self::solarize(solarize),
            ],
        };
        imagenet(vec![view(1.0, 0.0), view(0.1, 0.2)])
    }

    /// SwAV: 2 crops of 224 pixels and 6 of 96. The red channel's standard deviation is 0.228, as
    /// in SwAV's code.
    pub fn swav() -> Self {
        let view = |count, size, scale| View {
            count,
            crop: random(size, scale, Interpolation::Bilinear),
            transforms: vec![
                flip(),
                jitter(0.8, 0.8, 0.8, 0.2),
                grayscale(0.2),
                gaussian_blur(0.5, BLUR_SIGMA),
            ],
        };
        let mut recipe = imagenet(vec![view(2, 224, (0.14, 1.0)), view(6, 96, (0.05, 0.14))]);
        recipe.normalization.std[0] = 0.228;
        recipe
    }

    /// SimSiam: two views of 224 pixels by one pipeline.
    pub fn simsiam() -> Self {
        imagenet(vec![View {
            count: 2,
            crop: random(224, (0.2, 1.0), Interpolation::Bilinear),
            transforms: vec![
                jitter(0.4, 0.4, 0.4, 0.1),
                grayscale(0.2),
                gaussian_blur(0.5, BLUR_SIGMA),
                flip(),
            ],
        }])
    }

    /// Training of a linear probe or fine-tuning: one random crop of 224 pixels, randomly mirrored.
    pub fn linear_probe_train() -> Self {
        imagenet(vec![View {
            count: 1,
            crop: random(224, (0.08, 1.0), Interpolation::Bilinear),
            transforms: vec![flip()],
        }])
    }

    /// Evaluation: resize to 256 pixels, center crop of 224.
    pub fn eval() -> Self {
        imagenet(vec![center(256, 224)])
    }

    /// [`vicreg`](Self::vicreg) for 28 x 28 gray images: crops of 30% to 100% of the area, halved
    /// color strengths, a weaker blur.
    pub fn vicreg_small() -> Self {
        let view = |blur, solarize| View {
            count: 1,
            crop: random(28, (0.3, 1.0), Interpolation::Bicubic),
            transforms: vec![
                flip(),
                jitter(0.2, 0.2, 0.0, 0.0),
                gaussian_blur(blur, SMALL_BLUR_SIGMA),
                self::solarize(solarize),
            ],
        };
        fashion_mnist(vec![view(0.5, 0.0), view(0.1, 0.2)])
    }

    /// [`swav`](Self::swav) for 28 x 28 gray images: 2 crops of 28 pixels over 30% to 100% of the
    /// area and 4 crops of 14 pixels over 10% to 30%. The probabilities are SwAV's; the color
    /// strengths are halved, and there is no blur, as in the training of the base checkpoint.
    pub fn swav_small() -> Self {
        let view = |count, size, scale| View {
            count,
            crop: random(size, scale, Interpolation::Bilinear),
            transforms: vec![
                flip(),
                jitter(0.4, 0.4, 0.0, 0.0),
                grayscale(0.0),
                gaussian_blur(0.0, SMALL_BLUR_SIGMA),
            ],
        };
        fashion_mnist(vec![view(2, 28, (0.3, 1.0)), view(4, 14, (0.1, 0.3))])
    }

    /// [`simsiam`](Self::simsiam) for 28 x 28 gray images: crops of 30% to 100% of the area, halved
    /// color strengths, a weaker blur.
    pub fn simsiam_small() -> Self {
        fashion_mnist(vec![View {
            count: 2,
            crop: random(28, (0.3, 1.0), Interpolation::Bilinear),
            transforms: vec![
                jitter(0.2, 0.2, 0.0, 0.0),
                gaussian_blur(0.5, SMALL_BLUR_SIGMA),
                flip(),
            ],
        }])
    }

    /// [`linear_probe_train`](Self::linear_probe_train) for 28 x 28 gray images, with crops of 30%
    /// to 100% of the area.
    pub fn linear_probe_train_small() -> Self {
        fashion_mnist(vec![View {
            count: 1,
            crop: random(28, (0.3, 1.0), Interpolation::Bilinear),
            transforms: vec![flip()],
        }])
    }

    /// Evaluation of 28 x 28 gray images: unchanged.
    pub fn eval_small() -> Self {
        fashion_mnist(vec![center(28, 28)])
    }

    /// Scales the recipe to full-resolution crops of `side` pixels. Smaller crops, and the size to
    /// which an image is resized first, keep their ratio.
    pub fn with_size(mut self, side: usize) -> Self {
        let full = self.view_sizes().first().copied().unwrap_or(side);
        let scaled = |size: usize| (size * side + full / 2) / full;
        for view in &mut self.views {
            match &mut view.crop {
                Crop::RandomResized(crop) => crop.size = scaled(crop.size),
                Crop::Center(crop) => {
                    crop.resize = scaled(crop.resize);
                    crop.size = scaled(crop.size);
                }
            }
        }
        self
    }

    /// Adapts the recipe to images with this number of channels, with ImageNet's statistics for 3
    /// channels and Fashion-MNIST's for 1. If a gray recipe gets colors, saturation is jittered as
    /// much as brightness, and hue a quarter as much. A recipe that already has this number of
    /// channels does not change.
    pub fn with_channels(mut self, channels: usize) -> Self {
        if channels == self.channels() {
            return self;
        }
        self.normalization = match channels {
            1 => fashion_mnist::NORMALIZATION.clone(),
            _ => Normalization::imagenet(),
        };
        for transform in self.views.iter_mut().flat_map(|view| &mut view.transforms) {
            if let Transform::ColorJitter(jitter) = transform {
                let colors = if channels == 1 {
                    0.0
                } else {
                    jitter.brightness
                };
                jitter.saturation = colors;
                jitter.hue = colors / 4.0;
            }
        }
        self
    }
}

fn imagenet(views: Vec<View>) -> Recipe {
    Recipe {
        views,
        pass_order: PassOrder::HorizontalFirst,
        normalization: Normalization::imagenet(),
    }
}

fn fashion_mnist(views: Vec<View>) -> Recipe {
    Recipe {
        normalization: fashion_mnist::NORMALIZATION.clone(),
        ..imagenet(views)
    }
}

fn random(size: usize, scale: (f32, f32), interpolation: Interpolation) -> Crop {
    Crop::RandomResized(RandomResizedCrop::new(size, scale, interpolation))
}

fn center(resize: usize, size: usize) -> View {
    View {
        count: 1,
        crop: Crop::Center(CenterCrop {
            resize,
            size,
            interpolation: Interpolation::Bilinear,
        }),
        transforms: Vec::new(),
    }
}

fn flip() -> Transform {
    Transform::HorizontalFlip { probability: 0.5 }
}

fn jitter(brightness: f32, contrast: f32, saturation: f32, hue: f32) -> Transform {
    Transform::ColorJitter(ColorJitterConfig {
        probability: 0.8,
        brightness,
        contrast,
        saturation,
        hue,
    })
}

fn grayscale(probability: f32) -> Transform {
    Transform::Grayscale { probability }
}

fn gaussian_blur(probability: f32, sigma: (f32, f32)) -> Transform {
    Transform::GaussianBlur(BlurConfig { probability, sigma })
}

fn solarize(probability: f32) -> Transform {
    Transform::Solarize {
        probability,
        threshold: SOLARIZE_THRESHOLD,
    }
}
