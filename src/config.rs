//! Everything that decides a run's numbers, with the paper's protocol as presets.

use std::path::{Path, PathBuf};

use burn::optim::ModuleOptimizer;
use e2mc_data::Recipe;
use e2mc_data::source::FolderLayout;
use e2mc_eval::{LabelFraction, LinearProbeConfig};
use e2mc_loss::E2mcLossConfig;
use serde::{Deserialize, Serialize};
use ssl_methods::MethodError;
use ssl_methods::optim::{LarcConfig, SgdConfig};
use ssl_methods::swav::QueueConfig;

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
        /// The queue of past embeddings; its length is a multiple of the batch size. None for small studies.
        #[serde(default)]
        queue: Option<QueueConfig>,
    },
}

/// Batches in SwAV's queue: 3584 embeddings at batch 512.
const QUEUE_BATCHES: usize = 7;

/// A study after the paper's protocol (PAPER.md, sections 4 and 5): probe a checkpoint, continue it with its base loss
/// alone and with E2MC beside it from the same start and over the same pictures, and probe both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// The base method.
    pub method: MethodConfig,
    /// The checkpoint to make better.
    pub checkpoint: PathBuf,
    /// Folder of the images, see [`DataSet::open`](e2mc_data::source::DataSet::open); the embedded subset of Fashion-MNIST if
    /// none.
    pub data: Option<PathBuf>,
    /// Folder for what is kept from one run to the next, beside the runs: the list of the images of `data`, and prepared
    /// images. None: nothing is kept.
    #[serde(default)]
    pub cache: Option<PathBuf>,
    /// Whether the training images are decoded once into a file in `cache` and read from there
    /// ([`Prepared`](e2mc_data::source::Prepared)): for a model that trains faster than images are decoded.
    #[serde(default)]
    pub prepare: bool,
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
    /// From an image to its views in training.
    pub recipe: Recipe,
    /// From an image to the one view that the probes see.
    pub evaluation: Recipe,
    /// The share of the images of an epoch that may be unreadable before the run stops, 0 to 1.
    #[serde(default = "default_failure_limit")]
    pub failure_limit: f64,
    /// The linear probe.
    pub probe: LinearProbeConfig,
    /// Draws of the labelled images at fractions below 100%, at least 1 (paper: three trials).
    pub label_draws: usize,
    /// Decides the order of the images, their augmentation, and which labels are drawn.
    pub seed: u64,
    /// Name of the device, see [`parse_device`](crate::parse_device).
    pub device: String,
}

fn default_failure_limit() -> f64 {
    0.01
}

impl StudyConfig {
    /// SwAV at ImageNet's scale, as in the paper (PAPER.md, sections 4 and 5): batch 512, LARC at the constant rate 0.001,
    /// two crops of 224 pixels and six of 96, probes without standardisation.
    ///
    /// The network gets 64 images at once, for the memory of one device: batch normalisation sees as many, the loss all 512.
    pub fn swav(checkpoint: impl Into<PathBuf>) -> Self {
        Self {
            method: MethodConfig::Swav {
                stem_stride: 1,
                freeze_prototypes_epochs: 1,
                queue: Some(QueueConfig::new(QUEUE_BATCHES * 512, 7)),
            },
            batch_size: 512,
            micro_batch: Some(64),
            learning_rate: 0.001,
            optimizer: OptimizerConfig::Larc(LarcConfig::new(
                SgdConfig::new().with_momentum(0.9).with_weight_decay(1e-6),
            )),
            recipe: Recipe::swav(),
            evaluation: Recipe::eval(),
            probe: LinearProbeConfig::swav(LabelFraction::All),
            ..Self::swav_small(checkpoint)
        }
    }

    /// The preset for the images of a folder: [`swav_small`](Self::swav_small) for Fashion-MNIST's files and, where there is
    /// no folder, for the embedded images; else [`swav`](Self::swav).
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn swav_for(checkpoint: impl Into<PathBuf>, data: Option<&Path>) -> Result<Self, Error> {
        let layout = data.map_or(Ok(FolderLayout::FashionMnist), FolderLayout::of)?;
        let preset = match layout {
            FolderLayout::FashionMnist => Self::swav_small(checkpoint),
            _ => Self::swav(checkpoint),
        };
        Ok(Self {
            data: data.map(Path::to_path_buf),
            ..preset
        })
    }

    /// The same study with batches of `batch_size` images, and a queue of as many batches as before.
    pub fn with_batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        let MethodConfig::Swav { queue, .. } = &mut self.method;
        if let Some(queue) = queue {
            queue.length = QUEUE_BATCHES * batch_size;
        }
        self
    }

    /// SwAV on small grey images: the paper's protocol and weights, with sizes and a learning rate for them;
    /// docs/reproduction.md says what was tried on validation images.
    pub fn swav_small(checkpoint: impl Into<PathBuf>) -> Self {
        Self {
            method: MethodConfig::Swav {
                stem_stride: 2,
                freeze_prototypes_epochs: 1,
                queue: None,
            },
            checkpoint: checkpoint.into(),
            data: None,
            cache: None,
            prepare: false,
            failure_limit: default_failure_limit(),
            epochs: 10,
            batch_size: 256,
            micro_batch: None,
            learning_rate: 0.01,
            optimizer: OptimizerConfig::Sgd(
                SgdConfig::new().with_momentum(0.9).with_weight_decay(1e-6),
            ),
            criterion: E2mcLossConfig::swav(),
            recipe: Recipe::swav_small(),
            evaluation: Recipe::eval_small(),
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
        if self.prepare && (self.data.is_none() || self.cache.is_none()) {
            let expected = "a folder of images (--data), and one to keep them in";
            return Err(Error::option("--prepare", true, expected));
        }
        if !(0.0..=1.0).contains(&self.failure_limit) {
            return Err(Error::option(
                "--failure-limit",
                self.failure_limit,
                "a share, from 0 to 1",
            ));
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
        self.evaluation.validate()?;
        if self.evaluation.view_sizes().len() != 1 {
            let views = self.evaluation.view_sizes().len();
            return Err(Error::option("evaluation", format!("{views} views"), "one"));
        }
        self.probe.validate()?;
        self.optimizer.init()?;
        Ok(())
    }
}
