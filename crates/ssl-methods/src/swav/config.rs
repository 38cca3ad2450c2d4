//! SwAV's options.

use burn::config::Config;
use e2mc_resnet::{Checkpoint, ResNetConfig, infer_resnet_config};

use crate::Result;
use crate::checkpoint::{mlp_sizes, rows_of};
use crate::error::{ONE, check, check_positive, check_sizes};

/// A queue of past embeddings. They are scored along with a batch, so that codes spread over more
/// samples.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Number of embeddings kept per full-resolution crop, a multiple of the batch size (paper:
    /// 3584).
    pub length: usize,
    /// Index of the epoch in which filling begins, from 0 (paper: 7). The queue is used once it is
    /// full.
    pub start_epoch: usize,
}

/// Configuration of [`Swav`](super::Swav); the defaults are the paper's.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct SwavConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Sizes `[hidden, ..., out]` of the projector, whose input is the backbone's features.
    pub projector: Vec<usize>,
    /// Number of prototypes, at least 2.
    pub prototypes: usize,
    /// Temperature of the predictions, positive.
    #[config(default = 0.1)]
    pub temperature: f64,
    /// Temperature of the codes, positive; see [`sinkhorn`](super::sinkhorn).
    #[config(default = 0.05)]
    pub sinkhorn_epsilon: f64,
    /// Iterations of Sinkhorn-Knopp, at least 1.
    #[config(default = 3)]
    pub sinkhorn_iterations: usize,
    /// Number of full-resolution crops, at least 1. They come first among the views, get codes, and
    /// are the input of a criterion.
    #[config(default = 2)]
    pub full_crops: usize,
    /// Number of steps at the start of the run in which the prototypes get no gradient (paper: one
    /// epoch, 2503).
    #[config(default = 0)]
    pub freeze_prototypes_steps: usize,
    /// The queue of past embeddings; none by default.
    #[config(default = "None")]
    pub queue: Option<QueueConfig>,
}

impl SwavConfig {
    /// The paper's configuration: ResNet-50, projector 2048-2048-128, 3000 prototypes that are
    /// frozen for one epoch of ImageNet at batch 512, and a queue of 3584 embeddings from epoch 7
    /// on.
    pub fn paper() -> Self {
        Self::new(ResNetConfig::resnet50(), vec![2048, 128], 3000)
            .with_freeze_prototypes_steps(2503)
            .with_queue(Some(QueueConfig::new(3584, 7)))
    }

    /// Reads the sizes from a checkpoint in SwAV's layout. All other options have their defaults.
    /// Shapes do not show the stride of a small stem (see [`infer_resnet_config`]): set
    /// `config.backbone.stem` if it is not 1.
    ///
    /// # Errors
    ///
    /// If the checkpoint has no ResNet, projector or prototypes, or the shapes of consecutive
    /// layers do not match.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        let backbone = infer_resnet_config(checkpoint)?;
        let projector = mlp_sizes(checkpoint, "projection_head", backbone.out_features())?;
        let out = projector[projector.len() - 1];
        let prototypes = rows_of(checkpoint, "prototypes.weight", out)?;
        Ok(Self::new(backbone, projector, prototypes))
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option that
    /// is out of range.
    pub fn validate(&self) -> Result<()> {
        self.backbone.validate()?;
        check_positive("temperature", self.temperature)?;
        check_positive("sinkhorn_epsilon", self.sinkhorn_epsilon)?;
        check(
            self.sinkhorn_iterations > 0,
            "sinkhorn_iterations",
            self.sinkhorn_iterations,
            ONE,
        )?;
        check(self.full_crops > 0, "full_crops", self.full_crops, ONE)?;
        check_sizes("projector", &self.projector)?;
        check(
            self.prototypes >= 2,
            "prototypes",
            self.prototypes,
            "at least 2",
        )?;
        check(
            self.queue.is_none_or(|queue| queue.length > 0),
            "queue.length",
            self.queue.map_or(0, |queue| queue.length),
            "at least 1, or no queue",
        )
    }

    /// Number d of the embedding's dimensions.
    pub(super) fn embedding_size(&self) -> usize {
        self.projector.last().copied().unwrap_or(0)
    }
}
