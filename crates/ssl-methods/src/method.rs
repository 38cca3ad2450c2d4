//! What a training loop, an evaluation and a user's own loop need from a self-supervised method.

use std::path::Path;

use burn::module::{Module, ParamGroup};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use e2mc_resnet::ResNet;
use e2mc_resnet::checkpoint::save_method;

use crate::error::check;
use crate::{MethodError, MethodState};

/// Where a run stands. Both counts begin at 0 with the run, also when it continues a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Epoch in progress.
    pub epoch: usize,
    /// Optimiser steps done.
    pub iteration: usize,
}

/// What a method makes of one batch.
#[derive(Debug, Clone)]
pub struct MethodOutput {
    /// The method's own loss, `[1]`, to be differentiated.
    pub loss: Tensor<1>,
    /// The loss's parts for the log, each `[1]` and without graph.
    pub terms: Vec<(&'static str, Tensor<1>)>,
    /// The embeddings that an add-on criterion looks at, one `[n, d]` per full-resolution view, with gradient and not
    /// normalised.
    pub embeddings: Vec<Tensor<2>>,
    /// The embeddings of the smaller crops, likewise; empty without multi-crop. Only [MMCR](crate::criterion::Mmcr) looks
    /// at them.
    pub small_crops: Vec<Tensor<2>>,
}

/// A named part of a method's parameters, for recipes that train parts differently.
#[derive(Debug, Clone)]
pub struct NamedGroup {
    /// The part: `backbone`, `projection_head`, ...
    pub name: &'static str,
    /// Its parameters, by identity: loading a record into the method changes them.
    pub parameters: ParamGroup,
}

impl NamedGroup {
    /// All parameters of a module, for instance of one of a method's fields.
    pub fn new(name: &'static str, module: &impl Module) -> Self {
        Self {
            name,
            parameters: ParamGroup::ids_from_module(module.clone()),
        }
    }
}

/// A self-supervised method: backbone, heads and base loss. The order in a step is
/// [`before_step`](Self::before_step), [`forward`](Self::forward), backward, [`after_gradients`](Self::after_gradients),
/// optimiser; see the [crate's example](crate).
///
/// Parameter paths are the names of the method's official PyTorch checkpoints.
///
/// To resume a run exactly, save four things: the module's record (of `method.valid()`, which has the pending update of
/// the running statistics; records keep the parameter identities to which the optimiser's state is tied), the
/// optimiser's and the schedule's records, and [`state`](Self::state).
///
/// `clone()` shares the running statistics of batch normalisation: load a method twice to train two branches.
pub trait BaseMethod: Module {
    /// The method's name as in its paper.
    fn name(&self) -> &'static str;

    /// The network that the method trains, whose features the evaluation uses.
    fn backbone(&self) -> &ResNet;

    /// The projector's output Z, of which the criterion judges a batch; not normalised.
    ///
    /// # Shapes
    /// - images: `[n, channels, h, w]`
    /// - output: `[n, d]`
    fn project(&self, images: Tensor<4>) -> Tensor<2>;

    /// All trainable parameters, in parts.
    fn param_groups(&self) -> Vec<NamedGroup>;

    /// Checks that the method can train on batches of `n` images.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if not; every method needs two images at least.
    fn check_batch_size(&self, n: usize) -> Result<(), MethodError> {
        check(
            n >= 2,
            "batch_size",
            n,
            "at least 2: the method compares the images of a batch",
        )
    }

    /// What is unwise, though allowed, about batches of `n` images, and what happens then; to be shown once to the user.
    fn warning(&self, _n: usize) -> Option<String> {
        None
    }

    /// To be called before each step's forward pass. Does nothing by default.
    fn before_step(&mut self) {}

    /// Computes the projector's output for every view, with the statistics of batch normalisation that the method's paper
    /// has: per view, or over views together.
    ///
    /// # Shapes
    /// - views: each `[n, channels, h, w]`, as many as the method takes; row `i` of all views shows the same image
    /// - output: one `[n, d]` per view, not normalised
    ///
    /// # Panics
    /// If the views do not fit the method or one another, or n < 2.
    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>>;

    /// Computes the loss from the projector's output. What is learned beyond the projector (predictor, prototypes) is
    /// part of it.
    ///
    /// # Shapes
    /// - embeddings: one `[n, d]` per view, as [`embed`](Self::embed) returns them
    ///
    /// # Panics
    /// If the embeddings do not fit the method or one another, or n < 2.
    fn loss(&mut self, embeddings: Vec<Tensor<2>>, progress: Progress) -> MethodOutput;

    /// Computes the loss and the embeddings of one batch: [`embed`](Self::embed), then [`loss`](Self::loss).
    /// [`accumulated_gradients`](crate::accumulated_gradients) does the same for a batch that does not fit the device's
    /// memory at once.
    ///
    /// # Panics
    /// As the two.
    fn forward(&mut self, views: Vec<Tensor<4>>, progress: Progress) -> MethodOutput {
        let embeddings = self.embed(views);
        self.loss(embeddings, progress)
    }

    /// To be called with the gradients before the optimiser sees them. Does nothing by default.
    fn after_gradients(&self, _gradients: &mut GradientsParams, _progress: Progress) {}

    /// What the method remembers from step to step beside its parameters; empty by default.
    fn state(&self) -> MethodState {
        MethodState::default()
    }

    /// Puts back what [`state`](Self::state) returned.
    ///
    /// # Errors
    /// [`MethodError::State`] if the state does not fit this method's configuration.
    fn load_state(&mut self, state: MethodState) -> Result<(), MethodError> {
        match state.is_empty() {
            true => Ok(()),
            false => Err(MethodError::state(format!(
                "{} keeps no state",
                self.name()
            ))),
        }
    }

    /// Writes all parameters and running statistics as safetensors under PyTorch's names. The file is written under a
    /// temporary name and renamed.
    ///
    /// # Errors
    /// [`MethodError::Checkpoint`] if the file cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<(), MethodError> {
        Ok(save_method(self, self.backbone(), path)?)
    }
}
