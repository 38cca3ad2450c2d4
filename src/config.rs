//! Everything that decides a run's numbers, with the paper's protocol as presets.

use std::path::PathBuf;

use burn::optim::ModuleOptimizer;
use e2mc_data::Recipe;
use e2mc_eval::LinearProbeConfig;
use e2mc_loss::E2mcLossConfig;
use serde::{Deserialize, Serialize};
use ssl_methods::MethodError;
use ssl_methods::optim::{LarcConfig, SgdConfig};

use crate::Error;

/// The optimiser of the continued training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerConfig {
    /// Stochastic gradient descent as in PyTorch.
    Sgd(SgdConfig),
    /// Layer-wise adaptive rates over SGD, the paper's choice for SwAV.
    Larc(LarcConfig),
}

impl OptimizerConfig {
    /// An optimiser for all parameters of a method.
    ///
    /// # Errors
    /// If an option is outside its range.
    pub fn init(&self) -> Result<ModuleOptimizer, MethodError> {
        match self {
            Self::Sgd(config) => config.init(),
            Self::Larc(config) => config.init(),
        }
    }
}

/// The base method and the options that its checkpoint does not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MethodConfig {
    /// SwAV.
    Swav {
        /// Stride of the stem where it has no max pooling, as for small images: it leaves no trace in a checkpoint.
        stem_stride: usize,
        /// Epochs from the start in which the prototypes get no gradient (paper: 1).
        freeze_prototypes_epochs: usize,
    },
}

/// A study after the paper's protocol (PAPER.md, sections 4 and 5): probe a checkpoint, continue it with its base loss
/// alone and with E2MC beside it from the same start and over the same pictures, and probe both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// The base method.
    pub method: MethodConfig,
    /// The checkpoint to make better.
    pub checkpoint: PathBuf,
    /// Folder of the images; the embedded subset of Fashion-MNIST if none.
    pub data: Option<PathBuf>,
    /// Epochs of continued training (paper: 10), at least 1.
    pub epochs: usize,
    /// Images per step, at least 2.
    pub batch_size: usize,
    /// Images that pass the network at once, at least 2; all of a batch if none. The loss is the whole batch's in either
    /// case, but batch normalisation sees only these: see [`ssl_methods::accumulated_gradients`].
    #[serde(default)]
    pub micro_batch: Option<usize>,
    /// Constant learning rate, positive.
    pub learning_rate: f64,
    /// The optimiser.
    pub optimizer: OptimizerConfig,
    /// The criterion of the branch with E2MC.
    pub criterion: E2mcLossConfig,
    /// From an image to its views.
    pub recipe: Recipe,
    /// The linear probe.
    pub probe: LinearProbeConfig,
    /// Draws of the labelled images at fractions below 100%, at least 1 (paper: three trials).
    pub label_draws: usize,
    /// Decides the order of the images, their augmentation, and which labels are drawn.
    pub seed: u64,
    /// Name of the device, see [`parse_device`](crate::parse_device).
    pub device: String,
}

impl StudyConfig {
    /// SwAV on small grey images: the paper's protocol and weights, with sizes and a learning rate for them;
    /// docs/reproduction.md says what was tried on validation images.
    pub fn swav_small(checkpoint: impl Into<PathBuf>) -> Self {
        Self {
            method: MethodConfig::Swav {
                stem_stride: 2,
                freeze_prototypes_epochs: 1,
            },
            checkpoint: checkpoint.into(),
            data: None,
            epochs: 10,
            batch_size: 256,
            micro_batch: None,
            learning_rate: 0.01,
            optimizer: OptimizerConfig::Sgd(
                SgdConfig::new().with_momentum(0.9).with_weight_decay(1e-6),
            ),
            criterion: E2mcLossConfig::swav(),
            recipe: Recipe::swav_small(),
            probe: LinearProbeConfig::small(),
            label_draws: 3,
            seed: 0,
            device: "flex".into(),
        }
    }

    /// Checks every option that can be checked without the files.
    ///
    /// # Errors
    /// For the first option outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let at_least_one = |option, value: usize| match value {
            0 => Err(Error::option(option, value, "at least 1")),
            _ => Ok(()),
        };
        at_least_one("--epochs", self.epochs)?;
        at_least_one("--label-draws", self.label_draws)?;
        if self.batch_size < 2 {
            let expected = "at least 2: the criterion compares the images of a batch";
            return Err(Error::option("--batch-size", self.batch_size, expected));
        }
        if let Some(micro_batch) = self.micro_batch
            && (micro_batch < 2 || self.batch_size % micro_batch == 1)
        {
            let expected = "at least 2, and not one that leaves a single image of a batch";
            return Err(Error::option("--micro-batch", micro_batch, expected));
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            let expected = "a number above 0";
            return Err(Error::option(
                "--learning-rate",
                self.learning_rate,
                expected,
            ));
        }
        for (option, weight) in [
            ("--entropy-weight", self.criterion.entropy_weight),
            ("--covariance-weight", self.criterion.covariance_weight),
        ] {
            if !(weight.is_finite() && weight >= 0.0) {
                return Err(Error::option(option, weight, "a number of at least 0"));
            }
        }
        self.criterion.validate()?;
        self.recipe.validate()?;
        self.probe.validate()?;
        self.optimizer.init()?;
        Ok(())
    }
}
