use burn::config::Config;
use burn::tensor::{Device, Tensor};

use super::linear::{Training, train_and_test};
use super::{LinearProbeConfig, ProbeResult, TrainingFeatures};
use crate::{EvalError, FeaturesPart, Result};

/// Side of the averaging window, and the smallest side of a map.
pub(crate) const WINDOW: usize = 6;

/// Averages the last feature map over windows of 6 x 6 with stride 1: the features for a
/// [`map_probe`].
///
/// # Shapes
///
/// - map: `[n, c, h, w]`, such as `[n, 2048, 7, 7]` for a ResNet-50 at 224 pixels
/// - output: `[n, c (h - 5) (w - 5)]`, such as `[n, 8192]`; the positions of a channel are adjacent
///
/// # Panics
///
/// If a side of the map is below 6.
pub fn pooled_map(map: Tensor<4>) -> Tensor<2> {
    let [n, c, height, width] = map.dims();
    assert!(
        height >= WINDOW && width >= WINDOW,
        "maps of {height} x {width} are smaller than the window of {WINDOW} x {WINDOW}"
    );
    let places = (0..=height - WINDOW).flat_map(|y| (0..=width - WINDOW).map(move |x| (y, x)));
    let means = places.map(|(y, x)| {
        let window = map
            .clone()
            .slice([0..n, 0..c, y..y + WINDOW, x..x + WINDOW]);
        window.reshape([n, c, WINDOW * WINDOW]).mean_dim(2)
    });
    Tensor::cat(means.collect(), 2).flatten(1, 2)
}

/// Settings of a [`map_probe`]; the defaults are the paper's for iNaturalist 2018 (App. B.2).
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct MapProbeConfig {
    /// Learning rate of the first epoch; positive.
    #[config(default = 0.01)]
    pub learning_rate: f64,
    /// Epochs, counted from 0, at which the learning rate is multiplied by `factor`.
    #[config(default = "vec![24, 48, 72]")]
    pub steps: Vec<usize>,
    /// Factor on the learning rate at each step; positive.
    #[config(default = 0.1)]
    pub factor: f64,
    /// Passes over the training images, at least 1.
    #[config(default = 84)]
    pub epochs: usize,
    /// Images per step, at least 1.
    #[config(default = 256)]
    pub batch_size: usize,
    /// Momentum in [0, 1), without dampening.
    #[config(default = 0.9)]
    pub momentum: f64,
    /// L2 penalty added to the gradient of every parameter, at least 0.
    #[config(default = 1e-4)]
    pub weight_decay: f64,
    /// Seed of the initial weights and of the order of the images.
    #[config(default = 0)]
    pub seed: u64,
}

impl Default for MapProbeConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl MapProbeConfig {
    /// Learning rate of an epoch, counted from 0.
    pub fn learning_rate_at(&self, epoch: usize) -> f64 {
        let steps = self.steps.iter().filter(|&&step| epoch >= step).count();
        self.learning_rate * self.factor.powi(steps as i32)
    }

    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`EvalError::InvalidOption`] for the first option out of range.
    pub fn validate(&self) -> Result<()> {
        self.optimization().validate()?;
        if self.factor > 0.0 && self.factor.is_finite() {
            return Ok(());
        }
        Err(EvalError::InvalidOption {
            option: "factor",
            value: self.factor.to_string(),
            expected: "a number above 0",
        })
    }

    pub(super) fn optimization(&self) -> LinearProbeConfig {
        LinearProbeConfig::new(self.learning_rate)
            .with_epochs(self.epochs)
            .with_batch_size(self.batch_size)
            .with_momentum(self.momentum)
            .with_weight_decay(self.weight_decay)
            .with_seed(self.seed)
    }
}

/// Trains batch normalization over the channels and softmax regression on pooled maps
/// ([`pooled_map`]) of `channels` channels: the paper's iNaturalist probe.
///
/// Batch normalization has weights and biases, and uses the running statistics for testing, as in
/// PyTorch. The rest is as in [`linear_probe_per_epoch`](crate::linear_probe_per_epoch).
///
/// # Errors
///
/// The errors of [`linear_probe_per_epoch`](crate::linear_probe_per_epoch), and
/// [`EvalError::InvalidOption`] if `channels` does not divide the number of features.
pub fn map_probe<'b, S: TrainingFeatures>(
    train: &mut S,
    test: impl Into<FeaturesPart<'b>>,
    channels: usize,
    config: &MapProbeConfig,
    device: &Device,
) -> Result<ProbeResult, S::Error> {
    let test = test.into();
    if channels == 0 || !test.dims().is_multiple_of(channels) {
        return Err(S::Error::from(EvalError::InvalidOption {
            option: "channels",
            value: format!("{channels} with features of {} dimensions", test.dims()),
            expected: "a divisor of the dimensions",
        }));
    }
    config.validate()?;
    let training = Training {
        config: &config.optimization(),
        learning_rate_at: &|epoch| config.learning_rate_at(epoch),
        channels: Some(channels),
    };
    train_and_test(train, test, &training, device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// App. B.2 of the paper.
    #[test]
    fn defaults_are_the_published_settings() {
        let config = MapProbeConfig::new();
        let rates = [0, 23, 24, 47, 48, 71, 72, 83].map(|epoch| config.learning_rate_at(epoch));
        let want = [1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5];
        for (got, want) in rates.into_iter().zip(want) {
            assert!((got / want - 1.0).abs() < 1e-12, "{got} {want}");
        }
        assert_eq!((config.epochs, config.batch_size), (84, 256));
        assert_eq!((config.momentum, config.weight_decay), (0.9, 1e-4));
    }

    #[test]
    fn a_resnet_50_map_has_8192_features() {
        let map = Tensor::<4>::ones([1, 2048, 7, 7], &Device::flex());
        assert_eq!(pooled_map(map).dims(), [1, 8192]);
    }

    #[test]
    #[should_panic(expected = "maps of 7 x 5 are smaller")]
    fn small_maps_panic() {
        pooled_map(Tensor::zeros([1, 2, 7, 5], &Device::flex()));
    }
}
