use e2mc_eval::LabelAmount;
use serde::{Deserialize, Serialize};

use crate::{Error, Preset, Result};

/// Settings of a fine-tuning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FinetuneSettings {
    /// Learning rate of the backbone in the first epoch, at least 0.
    pub backbone_rate: f64,
    /// Learning rate of the classifier in the first epoch, above 0.
    pub head_rate: f64,
    /// Decay of both learning rates.
    pub decay: FinetuneDecay,
    /// Passes over the labeled images, at least 1.
    pub epochs: usize,
    /// Epochs from one test to the next, at least 1. The last epoch is always tested.
    pub test_every: usize,
    /// Images per step, at least 2. The last step of an epoch takes the remaining images.
    pub batch_size: usize,
    /// Momentum of SGD in [0, 1).
    pub momentum: f64,
    /// L2 penalty of SGD, at least 0.
    pub weight_decay: f64,
}

/// Learning-rate decay. Rates are constant within an epoch, as in the published evaluations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FinetuneDecay {
    /// Epoch e of E runs at `(1 + cos(pi e / E)) / 2` of the rate.
    Cosine,
    /// The rate is multiplied by `factor` at the start of each of the epochs, counted from 0.
    Steps {
        /// Epochs in ascending order.
        epochs: Vec<usize>,
        /// The factor, at least 0.
        factor: f64,
    },
}

impl FinetuneSettings {
    /// The published settings of a preset's method (App. B.2), for 1% or 10% of the labels,
    /// whichever is nearer to `labels`. For small images, and for methods that the paper does not
    /// fine-tune, they are VICReg's.
    pub fn of(preset: Preset, labels: LabelAmount) -> Self {
        let few = labels.nearest_published() == LabelAmount::ONE_PERCENT;
        let steps = FinetuneDecay::Steps {
            epochs: vec![12, 16],
            factor: 0.2,
        };
        let (backbone_rate, head_rate, decay) = match preset {
            Preset::Swav400 | Preset::Swav800 if few => (0.02, 5.0, steps),
            Preset::Swav400 | Preset::Swav800 => (0.01, 0.2, steps),
            _ if few => (0.03, 0.08, FinetuneDecay::Cosine),
            _ => (0.01, 0.1, FinetuneDecay::Cosine),
        };
        Self {
            backbone_rate,
            head_rate,
            decay,
            epochs: 20,
            test_every: 1,
            batch_size: 256,
            momentum: 0.9,
            weight_decay: 0.0,
        }
    }

    /// The factor on the first epoch's rates in an epoch, counted from 0.
    pub fn share_at(&self, epoch: usize) -> f64 {
        match &self.decay {
            FinetuneDecay::Cosine => {
                let done = epoch as f64 / self.epochs as f64;
                0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
            FinetuneDecay::Steps { epochs, factor } => {
                let passed = epochs.iter().filter(|&&step| step <= epoch).count();
                factor.powi(passed as i32)
            }
        }
    }

    /// Whether the backbone is tested after an epoch, counted from 0.
    pub(super) fn tests_after(&self, epoch: usize) -> bool {
        let done = epoch + 1;
        done.is_multiple_of(self.test_every) || done == self.epochs
    }

    /// Checks every setting against its range. The optimizer checks momentum and weight decay.
    ///
    /// # Errors
    ///
    /// For the first setting out of range.
    pub(super) fn validate(&self) -> Result<()> {
        let rate = |field, value: f64, from_zero: bool| {
            if value.is_finite() && (value > 0.0 || from_zero && value == 0.0) {
                return Ok(());
            }
            let least = if from_zero { "of at least" } else { "above" };
            Err(Error::invalid(field, value, format!("a number {least} 0")))
        };
        rate("backbone_rate", self.backbone_rate, true)?;
        rate("head_rate", self.head_rate, false)?;
        if self.epochs == 0 {
            return Err(Error::invalid("epochs", 0, "at least 1"));
        }
        if self.test_every == 0 {
            return Err(Error::invalid("test_every", 0, "at least 1"));
        }
        if self.batch_size < 2 {
            let expected = "at least 2: batch normalization compares the images of a batch";
            return Err(Error::invalid("batch_size", self.batch_size, expected));
        }
        if let FinetuneDecay::Steps { epochs, factor } = &self.decay {
            rate("decay_factor", *factor, true)?;
            if !epochs.is_sorted_by(|a, b| a < b) {
                let value = format!("{epochs:?}");
                return Err(Error::invalid(
                    "decay_epochs",
                    value,
                    "epochs in ascending order",
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// App. B.2 of the paper.
    #[test]
    fn presets_are_the_published_settings() {
        let rates = |preset, text: &str| {
            let settings = FinetuneSettings::of(preset, text.parse().unwrap());
            assert_eq!((settings.epochs, settings.batch_size), (20, 256));
            assert_eq!((settings.momentum, settings.weight_decay), (0.9, 0.0));
            (settings.backbone_rate, settings.head_rate)
        };
        assert_eq!(rates(Preset::Vicreg1000, "1%"), (0.03, 0.08));
        assert_eq!(rates(Preset::Vicreg1000, "10%"), (0.01, 0.1));
        assert_eq!(rates(Preset::Swav800, "1%"), (0.02, 5.0));
        assert_eq!(rates(Preset::Swav400, "10%"), (0.01, 0.2));
    }

    #[test]
    fn rates_fall_from_epoch_to_epoch() {
        let swav = FinetuneSettings::of(Preset::Swav800, LabelAmount::ONE_PERCENT);
        let shares = [0, 11, 12, 15, 16, 19].map(|epoch| swav.share_at(epoch));
        assert_eq!(shares[..4], [1.0, 1.0, 0.2, 0.2]);
        assert!((shares[4] - 0.04).abs() < 1e-15 && shares[4] == shares[5]);
        let vicreg = FinetuneSettings::of(Preset::Vicreg1000, LabelAmount::ONE_PERCENT);
        assert_eq!(vicreg.share_at(0), 1.0);
        assert!((vicreg.share_at(10) - 0.5).abs() < 1e-15);
        // PyTorch's CosineAnnealingLR(T_max=20) in its last epoch.
        assert!((vicreg.share_at(19) - 0.006_155_829_702_431_115).abs() < 1e-15);
    }
}
