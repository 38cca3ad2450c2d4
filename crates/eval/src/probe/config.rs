use std::fmt;

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::{EvalError, LabelAmount, Result};

/// Update rule of a [linear probe](crate::linear_probe).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProbeOptimizer {
    /// Stochastic gradient descent, with momentum and weight decay as in PyTorch, on weight and
    /// bias.
    Sgd,
    /// SGD with the weight gradient scaled by 0.001 |w| / |g|. The bias has neither scaling nor
    /// weight decay.
    Lars,
}

/// Settings of a [linear probe](crate::linear_probe).
///
/// The learning rate falls from `learning_rate` to 0 along a cosine and is constant within an
/// epoch, as in the published evaluations. Epoch e of E runs at
/// `learning_rate * (1 + cos(pi e / E)) / 2`.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct LinearProbeConfig {
    /// Learning rate of the first epoch, not scaled by the batch size; positive.
    pub learning_rate: f64,
    /// Passes over the labeled images, at least 1.
    #[config(default = 100)]
    pub epochs: usize,
    /// Images per step, at least 1. The last step of an epoch takes the remaining images.
    #[config(default = 256)]
    pub batch_size: usize,
    /// Momentum in [0, 1), without dampening.
    #[config(default = 0.9)]
    pub momentum: f64,
    /// L2 penalty added to the gradient, at least 0.
    #[config(default = 0.0)]
    pub weight_decay: f64,
    /// Update rule.
    #[config(default = "ProbeOptimizer::Sgd")]
    pub optimizer: ProbeOptimizer,
    /// Whether to standardize each feature to mean 0 and standard deviation 1, measured on the
    /// labeled training images. The published evaluations do not. Enable it if the scale of the
    /// features must not influence a comparison.
    #[config(default = false)]
    pub standardize: bool,
    /// Seed of the initial weights and of the order of the images.
    #[config(default = 0)]
    pub seed: u64,
}

impl LinearProbeConfig {
    /// Settings of the paper's VICReg evaluation (App. B.2).
    ///
    /// The paper's three presets have optimizer settings for 1%, 10% and 100% of the labels.
    /// Another amount gets the settings of [`nearest_published`](LabelAmount::nearest_published). A
    /// probe on cached features sees each image under one transform, while the paper cropped
    /// training images at random.
    pub fn vicreg(labels: LabelAmount) -> Self {
        let weight_decay = match labels.nearest_published() {
            LabelAmount::ALL => 1e-6,
            _ => 1e-4,
        };
        Self::new(0.02).with_weight_decay(weight_decay)
    }

    /// Settings of the paper's SwAV evaluation (App. B.2); see [`vicreg`](Self::vicreg). They are
    /// the same for every amount of labels.
    pub fn swav(_labels: LabelAmount) -> Self {
        Self::new(0.3).with_weight_decay(1e-6)
    }

    /// Settings of the paper's SimSiam evaluation (App. B.2); see [`vicreg`](Self::vicreg).
    pub fn simsiam(labels: LabelAmount) -> Self {
        let (learning_rate, batch_size) = match labels.nearest_published() {
            LabelAmount::ONE_PERCENT => (2.0, 256),
            LabelAmount::TEN_PERCENT => (0.2, 2048),
            _ => (0.1, 2048),
        };
        Self::new(learning_rate)
            .with_batch_size(batch_size)
            .with_optimizer(ProbeOptimizer::Lars)
    }

    /// Settings for small images and backbones with some hundred features: standardized features,
    /// learning rate 0.03, weight decay 0.001. They are the same for every amount of labels.
    ///
    /// They were chosen on a fifth of the embedded training images, with raw pixels and with the
    /// features of an untrained ResNet. A higher learning rate lost up to two points at 10% of the
    /// labels.
    pub fn small() -> Self {
        Self::new(0.03)
            .with_weight_decay(1e-3)
            .with_standardize(true)
    }

    /// Checks every option against its range.
    ///
    /// # Errors
    ///
    /// [`EvalError::InvalidOption`] for the first option out of range.
    pub fn validate(&self) -> Result<()> {
        let check = |valid: bool, option, value: &dyn fmt::Display, expected| {
            if valid {
                return Ok(());
            }
            Err(EvalError::InvalidOption {
                option,
                value: value.to_string(),
                expected,
            })
        };
        let lr = self.learning_rate;
        let decay = self.weight_decay;
        check(
            lr > 0.0 && lr.is_finite(),
            "learning_rate",
            &lr,
            "a number above 0",
        )?;
        check(self.epochs > 0, "epochs", &self.epochs, "at least 1")?;
        check(
            self.batch_size > 0,
            "batch_size",
            &self.batch_size,
            "at least 1",
        )?;
        check(
            (0.0..1.0).contains(&self.momentum),
            "momentum",
            &self.momentum,
            "a number from 0 to below 1",
        )?;
        check(
            decay >= 0.0 && decay.is_finite(),
            "weight_decay",
            &decay,
            "a number of at least 0",
        )
    }

    /// Learning rate of an epoch, counted from 0.
    pub fn learning_rate_at(&self, epoch: usize) -> f64 {
        let progress = epoch as f64 / self.epochs as f64;
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_round_trip() {
        for labels in LabelAmount::PUBLISHED {
            let config = LinearProbeConfig::simsiam(labels).with_seed(7);
            let json = serde_json::to_string(&config).unwrap();
            assert_eq!(
                serde_json::from_str::<LinearProbeConfig>(&json).unwrap(),
                config
            );
        }
    }

    #[test]
    fn other_amounts_of_labels_get_the_nearest_published_settings() {
        let labels = |text: &str| text.parse::<LabelAmount>().unwrap();
        for (other, published) in [
            ("2%", "1%"),
            ("5/class", "1%"),
            ("25%", "10%"),
            ("50%", "100%"),
        ] {
            let (other, published) = (labels(other), labels(published));
            for preset in [
                LinearProbeConfig::vicreg,
                LinearProbeConfig::swav,
                LinearProbeConfig::simsiam,
            ] {
                assert_eq!(preset(other), preset(published));
            }
        }
    }

    /// App. B.2 of the paper.
    #[test]
    fn presets_are_the_published_settings() {
        let settings = |preset: fn(LabelAmount) -> LinearProbeConfig| {
            LabelAmount::PUBLISHED.map(|labels| {
                let config = preset(labels);
                assert_eq!((config.epochs, config.momentum), (100, 0.9));
                assert!(!config.standardize);
                (config.learning_rate, config.batch_size, config.weight_decay)
            })
        };
        assert_eq!(
            settings(LinearProbeConfig::vicreg),
            [(0.02, 256, 1e-4), (0.02, 256, 1e-4), (0.02, 256, 1e-6)]
        );
        assert_eq!(settings(LinearProbeConfig::swav), [(0.3, 256, 1e-6); 3]);
        assert_eq!(
            settings(LinearProbeConfig::simsiam),
            [(2.0, 256, 0.0), (0.2, 2048, 0.0), (0.1, 2048, 0.0)]
        );
        let optimizer = LinearProbeConfig::simsiam(LabelAmount::ALL).optimizer;
        assert_eq!(optimizer, ProbeOptimizer::Lars);
    }

    #[test]
    fn options_out_of_range_are_named() {
        let ok = LinearProbeConfig::small();
        assert_eq!(ok.validate(), Ok(()));
        let cases = [
            ("learning_rate", LinearProbeConfig::new(f64::NAN)),
            ("epochs", ok.clone().with_epochs(0)),
            ("batch_size", ok.clone().with_batch_size(0)),
            ("momentum", ok.clone().with_momentum(1.0)),
            ("weight_decay", ok.clone().with_weight_decay(-1.0)),
        ];
        for (option, config) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.starts_with(option), "{message}");
        }
    }
}
