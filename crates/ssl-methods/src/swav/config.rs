//! SwAV's options.

use burn::config::Config;
use burn::nn::LinearConfig;
use burn::tensor::Device;
use e2mc_resnet::checkpoint::ShapeMismatch;
use e2mc_resnet::{Checkpoint, CheckpointError, ResNetConfig, Stem, infer_resnet_config};

use super::model::Swav;
use super::queue::Queue;
use crate::error::check;
use crate::{MethodError, MlpConfig};

const POSITIVE: &str = "a number above 0";
const ONE: &str = "at least 1";

/// The queue of past embeddings that are scored along with a batch, so that codes are spread over more samples.
#[derive(Config, Debug, Copy, PartialEq, Eq)]
pub struct QueueConfig {
    /// Number of embeddings kept per full-resolution crop, a multiple of the batch size (paper: 3584).
    pub length: usize,
    /// Index of the epoch in which filling begins, from 0 (paper: 7). The queue is used from when it is full.
    pub start_epoch: usize,
}

/// Configuration of [`Swav`]; the defaults are the paper's.
#[derive(Config, Debug, PartialEq)]
pub struct SwavConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Sizes `[hidden, out]` of the projector, whose input is the backbone's features.
    pub projector: [usize; 2],
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
    /// How many of the views, the leading ones, are full-resolution crops: they get codes, and the criterion looks at
    /// them. At least 1.
    #[config(default = 2)]
    pub full_crops: usize,
    /// Number of steps from the start of the run in which the prototypes get no gradient (paper: one epoch, 2503).
    #[config(default = 0)]
    pub freeze_prototypes_steps: usize,
    /// The queue of past embeddings; none by default.
    #[config(default = "None")]
    pub queue: Option<QueueConfig>,
}

impl SwavConfig {
    /// The paper's: ResNet-50, projector 2048-2048-128, 3000 prototypes that are frozen for one epoch of ImageNet at
    /// batch 512, and a queue of 3584 embeddings from epoch 7 on.
    pub fn paper() -> Self {
        Self::new(ResNetConfig::resnet50(), [2048, 128], 3000)
            .with_freeze_prototypes_steps(2503)
            .with_queue(Some(QueueConfig::new(3584, 7)))
    }

    /// Reads sizes from a checkpoint in SwAV's layout: the backbone as [`infer_resnet_config`] does (which cannot know
    /// the stride of a small stem: set `config.backbone.stem`), projector and prototypes from their shapes. Everything else is at its
    /// default.
    ///
    /// # Errors
    /// If the checkpoint has no ResNet, or lacks the projector or the prototypes, or their shapes do not follow on one another.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self, MethodError> {
        let backbone = infer_resnet_config(checkpoint)?;
        let hidden = rows_of(
            checkpoint,
            "projection_head.0.weight",
            backbone.out_features(),
        )?;
        let out = rows_of(checkpoint, "projection_head.3.weight", hidden)?;
        let prototypes = rows_of(checkpoint, "prototypes.weight", out)?;
        Ok(Self::new(backbone, [hidden, out], prototypes))
    }

    /// Checks every option.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), MethodError> {
        let positive = |x: f64| x.is_finite() && x > 0.0;
        validate_backbone(&self.backbone)?;
        check(
            positive(self.temperature),
            "temperature",
            self.temperature,
            POSITIVE,
        )?;
        check(
            positive(self.sinkhorn_epsilon),
            "sinkhorn_epsilon",
            self.sinkhorn_epsilon,
            POSITIVE,
        )?;
        check(
            self.sinkhorn_iterations > 0,
            "sinkhorn_iterations",
            self.sinkhorn_iterations,
            ONE,
        )?;
        check(self.full_crops > 0, "full_crops", self.full_crops, ONE)?;
        check(
            self.projector.iter().all(|&d| d > 0),
            "projector",
            self.projector,
            "two sizes of at least 1",
        )?;
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

    /// Creates the method with PyTorch's initialisation.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if an option is out of its range.
    pub fn init(&self, device: &Device) -> Result<Swav, MethodError> {
        self.validate()?;
        let [hidden, out] = self.projector;
        Ok(Swav {
            backbone: self.backbone.init(device),
            projection_head: MlpConfig::new(vec![self.backbone.out_features(), hidden, out])
                .init(device),
            prototypes: LinearConfig::new(out, self.prototypes)
                .with_bias(false)
                .init(device),
            queue: self.queue.map(|queue| Queue::new(queue.length)),
            config: self.clone(),
        })
    }
}

/// The number of rows of a matrix in the checkpoint that should have `columns` columns. Checked before anything is
/// built, so that a method is only ever as large as its file.
fn rows_of(checkpoint: &Checkpoint, name: &str, columns: usize) -> Result<usize, MethodError> {
    let path = checkpoint.path().to_path_buf();
    match checkpoint.shape(name).as_deref() {
        Some(&[rows, found]) if found == columns => Ok(rows),
        Some(found) => Err(CheckpointError::MisshapenTensors {
            path,
            tensors: vec![ShapeMismatch {
                name: name.to_string(),
                expected: vec![found.first().copied().unwrap_or(1), columns],
                found: found.to_vec(),
            }],
        }
        .into()),
        None => Err(CheckpointError::MissingTensors {
            path,
            layout: checkpoint.layout().to_string(),
            names: vec![name.to_string()],
            available: checkpoint.tensors().count(),
        }
        .into()),
    }
}

/// Checks what [`ResNetConfig::init`] would panic about.
fn validate_backbone(backbone: &ResNetConfig) -> Result<(), MethodError> {
    check(
        backbone.layers.iter().all(|&n| n > 0),
        "backbone.layers",
        backbone.layers,
        "at least one block in each stage",
    )?;
    check(backbone.width > 0, "backbone.width", backbone.width, ONE)?;
    check(
        backbone.in_channels > 0,
        "backbone.in_channels",
        backbone.in_channels,
        ONE,
    )?;
    match backbone.stem {
        Stem::ImageNet => Ok(()),
        Stem::Small { kernel, stride } => check(
            kernel % 2 == 1 && stride > 0,
            "backbone.stem",
            backbone.stem,
            "an odd kernel and a stride of at least 1",
        ),
    }
}
