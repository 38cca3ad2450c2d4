//! The interface of a self-supervised method.

use std::path::Path;

use burn::module::{Module, ParamGroup};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use e2mc_resnet::Backbone;
use e2mc_resnet::checkpoint::save_method;

use crate::error::check;
use crate::{MethodError, MethodState, Result};

/// The position in a run. Both counts start at 0, even if the run continues a checkpoint.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunPosition {
    /// Epoch in position.
    pub epoch: usize,
    /// Optimizer steps done.
    pub iteration: usize,
}

/// The output of a method for one batch.
#[derive(Debug, Clone)]
pub struct MethodOutput {
    /// The base loss, `[1]`, with gradient.
    pub loss: Tensor<1>,
    /// The terms of the loss for the log, not weighted, each `[1]`, detached. Empty if it has only
    /// one.
    pub terms: Vec<(&'static str, Tensor<1>)>,
    /// The embeddings for an add-on criterion: one `[n, d]` per full-resolution view, with
    /// gradient, not normalized.
    pub embeddings: Vec<Tensor<2>>,
    /// The embeddings of the smaller crops, in the same form; empty without multi-crop. Only
    /// [MMCR](crate::criterion::Mmcr) uses them.
    pub small_crops: Vec<Tensor<2>>,
}

/// The result of a [step](BaseMethod::step), for the optimizer and the log.
#[derive(Debug)]
pub struct Step {
    /// The base loss, its terms and the embeddings of the batch, detached.
    pub output: MethodOutput,
    /// The total loss, `[1]`, detached.
    pub loss: Tensor<1>,
    /// The gradients of all parameters, for the optimizer.
    pub gradients: GradientsParams,
}

impl Step {
    pub(crate) fn new(output: MethodOutput, loss: Tensor<1>, gradients: GradientsParams) -> Self {
        let detached = |tensors: Vec<Tensor<2>>| {
            let tensors = tensors.into_iter().map(Tensor::without_autodiff);
            tensors.collect::<Vec<_>>()
        };
        Self {
            loss: loss.without_autodiff(),
            output: MethodOutput {
                loss: output.loss.without_autodiff(),
                terms: output.terms,
                embeddings: detached(output.embeddings),
                small_crops: detached(output.small_crops),
            },
            gradients,
        }
    }
}

/// A named part of a method's parameters, for training parts with different settings.
#[derive(Debug, Clone)]
pub struct NamedGroup {
    /// The part: `backbone`, `projection_head`, ...
    pub name: &'static str,
    /// Its parameters, by identity: loading a record into the method changes them.
    pub parameters: ParamGroup,
}

impl NamedGroup {
    /// Groups all parameters of a module, such as one of a method's fields.
    pub fn new(name: &'static str, module: &impl Module) -> Self {
        Self {
            name,
            parameters: ParamGroup::ids_from_module(module.clone()),
        }
    }
}

/// A self-supervised method: backbone, heads and base loss. A loop calls [`step`](Self::step), or
/// [`accumulated_gradients`](crate::accumulated_gradients) for batches that do not fit in memory,
/// and then the optimizer; see the [crate's example](crate).
///
/// Parameter paths are the names of the method's official PyTorch checkpoints.
///
/// To resume a run exactly, save four things: the module's record, the optimizer's record, the
/// schedule's record, and [`state`](Self::state). Take the module's record of `method.valid()`,
/// which includes the pending update of the running statistics. Records keep the parameter
/// identities to which the optimizer's state is tied.
///
/// `clone()` shares the running statistics of batch normalization: load a method twice to train two
/// branches.
pub trait BaseMethod: Module {
    /// The kind of network that the method trains.
    type Backbone: Backbone;

    /// The method's name as in its paper.
    fn name(&self) -> &'static str;

    /// The network that the method trains, whose features the evaluation uses.
    fn backbone(&self) -> &Self::Backbone;

    /// Computes the projector's output Z, the input of a criterion; not normalized.
    ///
    /// # Shapes
    ///
    /// - images: `[n, channels, h, w]`
    /// - output: `[n, d]`
    fn project(&self, images: Tensor<4>) -> Tensor<2>;

    /// All trainable parameters, in named groups.
    fn param_groups(&self) -> Vec<NamedGroup>;

    /// Checks that the method can train on batches of `n` images.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`] if not. Every method needs at least two images.
    fn check_batch_size(&self, n: usize) -> Result<()> {
        check(
            n >= 2,
            "batch_size",
            n,
            "at least 2: the method compares the images of a batch",
        )
    }

    /// A warning with the consequence if batches of `n` images are allowed but unwise. Show it to
    /// the user once.
    fn warning(&self, _n: usize) -> Option<String> {
        None
    }

    /// The base loss of a method that learns nothing, where it stays if training fails: `ln K` for
    /// SwAV's K prototypes. Shown beside the loss. `None`, the default, if there is no such value.
    fn uniform_loss(&self) -> Option<f64> {
        None
    }

    /// Prepares the parameters before each forward pass in training, such as SwAV's prototypes.
    /// [`step`](Self::step) calls it. Does nothing by default.
    fn before_step(&mut self) {}

    /// Computes the projector's output for every view. Batch statistics are per view or over
    /// several views, as in the method's paper.
    ///
    /// # Shapes
    ///
    /// - views: each `[n, channels, h, w]`, as many as the method takes; row `i` of all views shows
    ///   the same image
    /// - output: one `[n, d]` per view, not normalized
    ///
    /// # Panics
    ///
    /// If the views do not match the method or each other, or n < 2.
    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>>;

    /// Computes the loss from the projector's output. Learned parts beyond the projector
    /// (predictor, prototypes) belong to the loss.
    ///
    /// # Shapes
    ///
    /// - embeddings: one `[n, d]` per view, as [`embed`](Self::embed) returns them
    ///
    /// # Panics
    ///
    /// If the embeddings do not match the method or each other, or n < 2.
    fn loss(&mut self, embeddings: Vec<Tensor<2>>, position: RunPosition) -> MethodOutput;

    /// Computes the loss and the embeddings of one batch: [`embed`](Self::embed), then
    /// [`loss`](Self::loss). [`accumulated_gradients`](crate::accumulated_gradients) does the same
    /// for a batch that does not fit into the device's memory.
    ///
    /// # Panics
    ///
    /// As [`embed`](Self::embed) and [`loss`](Self::loss).
    fn forward(&mut self, views: Vec<Tensor<4>>, position: RunPosition) -> MethodOutput {
        let embeddings = self.embed(views);
        self.loss(embeddings, position)
    }

    /// Changes the gradients before the optimizer sees them, for instance to freeze prototypes.
    /// [`step`](Self::step) calls it. Does nothing by default.
    fn after_gradients(&self, _gradients: &mut GradientsParams, _position: RunPosition) {}

    /// One step on a batch, up to the optimizer: [`before_step`](Self::before_step),
    /// [`forward`](Self::forward), `loss`, backward, and
    /// [`after_gradients`](Self::after_gradients). `loss` receives the output and returns the loss
    /// to minimize: `output.loss`, plus a criterion if you use one.
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward), and if the views are not on an autodiff device.
    fn step(
        &mut self,
        views: Vec<Tensor<4>>,
        position: RunPosition,
        loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
    ) -> Step {
        self.before_step();
        let output = self.forward(views, position);
        let loss = loss(&output);
        let mut gradients = GradientsParams::from_grads(loss.backward(), self);
        self.after_gradients(&mut gradients, position);
        Step::new(output, loss, gradients)
    }

    /// The method's state besides its parameters; empty by default.
    fn state(&self) -> MethodState {
        MethodState::default()
    }

    /// Restores a [`state`](Self::state).
    ///
    /// # Errors
    ///
    /// [`MethodError::State`] if the state does not fit this method's configuration.
    fn load_state(&mut self, state: MethodState) -> Result<()> {
        match state.is_empty() {
            true => Ok(()),
            false => Err(MethodError::state(format!(
                "{} keeps no state",
                self.name()
            ))),
        }
    }

    /// Writes all parameters and running statistics as safetensors under PyTorch's names. The file
    /// is written under a temporary name and renamed.
    ///
    /// # Errors
    ///
    /// [`MethodError::Checkpoint`] if the file cannot be written.
    fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(save_method(self, self.backbone(), path)?)
    }
}
