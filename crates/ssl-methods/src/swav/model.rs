//! SwAV: backbone, projector, prototypes, and the steps of its loss.

use burn::module::{Module, ModuleVisitor, Param, ParamGroup};
use burn::nn::Linear;
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use e2mc_resnet::{Checkpoint, ResNet};

use super::config::SwavConfig;
use super::loss::swapped_prediction_loss;
use super::queue::Queue;
use super::sinkhorn::sinkhorn;
use crate::error::check;
use crate::named_module::named_module;
use crate::views::{check_views, features_by_resolution};
use crate::{BaseMethod, MethodError, MethodOutput, MethodState, Mlp, NamedGroup, Progress};

/// SwAV, created by [`SwavConfig::init`] or [`Swav::from_checkpoint`]. Its parameter paths are those of SwAV's official
/// checkpoints: the backbone's at the root, `projection_head.0|1|3`, `prototypes`.
///
/// Views are crops: the leading [`SwavConfig::full_crops`] at full resolution, then any number of smaller ones, those of
/// one resolution side by side.
#[derive(Debug, Clone)]
pub struct Swav {
    /// From crops to representations.
    pub backbone: ResNet,
    /// Projector: linear, batch normalisation, ReLU, linear.
    pub projection_head: Mlp,
    /// Scores of normalised embeddings against the prototypes, whose vectors are the weight's columns.
    pub prototypes: Linear,
    pub(super) queue: Option<Queue>,
    pub(super) config: SwavConfig,
}

named_module!(Swav {
    backbone: "",
    projection_head: "projection_head",
    prototypes: "prototypes",
} keep { queue, config });

impl Swav {
    /// Creates the method of `config`, usually [`SwavConfig::from_checkpoint`]'s with other options set, and loads all
    /// parameters and running statistics.
    ///
    /// # Errors
    /// If an option is out of its range, or tensors are missing, misshapen, damaged or not finite.
    pub fn from_checkpoint(
        checkpoint: &Checkpoint,
        config: &SwavConfig,
        device: &Device,
    ) -> Result<Self, MethodError> {
        let mut method = config.init(device)?;
        checkpoint.load_into(&mut method, "")?;
        match first_not_finite(&method) {
            None => Ok(method),
            Some(name) => Err(MethodError::NotFinite {
                path: checkpoint.path().display().to_string(),
                name,
            }),
        }
    }

    /// The options.
    pub fn config(&self) -> &SwavConfig {
        &self.config
    }

    /// The loss of a network whose predictions are uniform, `ln(prototypes)`: where SwAV is stuck when it fails to learn.
    pub fn uniform_loss(&self) -> f64 {
        (self.config.prototypes as f64).ln()
    }

    /// Computes the projector's output for all crops. Crops of one resolution pass the backbone together, and all crops
    /// the projector: this decides the statistics of batch normalisation.
    ///
    /// # Shapes
    /// - views: each `[n, channels, h, w]`
    /// - output `[views, n, d]`, not normalised
    ///
    /// # Panics
    /// If there are fewer than 2 views or fewer than [`SwavConfig::full_crops`], n < 2, views differ in n or channels or
    /// have other channels than the backbone, full crops differ in resolution, or views of one resolution stand apart.
    pub fn embed(&self, views: Vec<Tensor<4>>) -> Tensor<3> {
        let crops = views.len();
        let full = self.config.full_crops;
        assert!(
            crops >= 2 && crops >= full,
            "SwAV: expected at least {} views, {full} of them full-resolution crops, got {crops}",
            full.max(2)
        );
        let n = check_views("SwAV", &views);
        let [_, channels, h, w] = views[0].dims();
        assert!(
            channels == self.config.backbone.in_channels,
            "SwAV: the backbone takes images of {} channels, but the views have shape {:?}",
            self.config.backbone.in_channels,
            views[0].dims()
        );
        assert!(
            views[..full]
                .iter()
                .all(|view| view.dims() == [n, channels, h, w]),
            "SwAV: the first {full} views must have one resolution, but their shapes are {:?}",
            views[..full]
                .iter()
                .map(|view| view.dims())
                .collect::<Vec<_>>()
        );
        let features = features_by_resolution(&self.backbone, views);
        let embeddings = self.projection_head.forward(features);
        let [_, d] = embeddings.dims();
        embeddings.reshape([crops, n, d])
    }

    /// Computes the loss from the projector's output, and moves the queue on by this batch if its epoch has come.
    ///
    /// # Shapes
    /// - embeddings `[crops, n, d]`, as [`embed`](Self::embed) returns them
    ///
    /// # Panics
    /// If d is not the projector's output size, there are fewer crops than [`SwavConfig::full_crops`] or than 2, or the
    /// queue's length is not a multiple of n.
    pub fn loss(&mut self, embeddings: Tensor<3>, progress: Progress) -> MethodOutput {
        let [crops, n, d] = embeddings.dims();
        let full = self.config.full_crops;
        assert!(
            crops >= full && d == self.config.projector[1],
            "SwAV: expected embeddings [crops >= {full}, n, {}], got {:?}",
            self.config.projector[1],
            embeddings.dims()
        );
        let normalised = normalise(embeddings.clone(), 2);
        let scores = self
            .prototypes
            .forward(normalised.clone().reshape([crops * n, d]))
            .reshape([crops, n, self.config.prototypes]);

        let codes = self.codes(
            scores.clone().without_autodiff().narrow(0, 0, full),
            normalised.without_autodiff().narrow(0, 0, full),
            progress,
        );
        let loss = swapped_prediction_loss(scores, codes, self.config.temperature);
        MethodOutput {
            terms: vec![("swapped_prediction", loss.clone().without_autodiff())],
            loss,
            embeddings: (0..full)
                .map(|i| embeddings.clone().narrow(0, i, 1).squeeze_dim(0))
                .collect(),
        }
    }

    /// Codes of the full-resolution crops, without gradient; scores `[full, n, prototypes]`, normalised embeddings
    /// `[full, n, d]`.
    fn codes(&mut self, scores: Tensor<3>, normalised: Tensor<3>, progress: Progress) -> Tensor<3> {
        let [full, n, prototypes] = scores.dims();
        let prototype_vectors = self.prototypes.weight.val().without_autodiff();
        let past = self.queue.as_ref().and_then(Queue::when_full);
        let codes = (0..full)
            .map(|i| {
                let scores = scores.clone().narrow(0, i, 1).reshape([n, prototypes]);
                let SwavConfig {
                    sinkhorn_epsilon: epsilon,
                    sinkhorn_iterations: iterations,
                    ..
                } = self.config;
                match past {
                    None => sinkhorn(scores, epsilon, iterations),
                    Some(past) => {
                        let past = past[i].clone().to_device(&scores.device());
                        let past = past.matmul(prototype_vectors.clone());
                        let rows = past.dims()[0];
                        let all = Tensor::cat(vec![past, scores], 0);
                        sinkhorn(all, epsilon, iterations).narrow(0, rows, n)
                    }
                }
            })
            .collect::<Vec<_>>();

        if let (Some(queue), Some(options)) = (&mut self.queue, self.config.queue)
            && progress.epoch >= options.start_epoch
        {
            let [_, _, d] = normalised.dims();
            queue.push(
                (0..full)
                    .map(|i| normalised.clone().narrow(0, i, 1).reshape([n, d]))
                    .collect(),
            );
        }
        Tensor::stack(codes, 0)
    }
}

impl BaseMethod for Swav {
    fn name(&self) -> &'static str {
        "SwAV"
    }

    fn backbone(&self) -> &ResNet {
        &self.backbone
    }

    /// `backbone`, `projection_head`, `prototypes`.
    fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.projection_head.forward(self.backbone.forward(images))
    }

    fn param_groups(&self) -> Vec<NamedGroup> {
        let group = |name, parameters| NamedGroup { name, parameters };
        vec![
            group(
                "backbone",
                ParamGroup::ids_from_module(self.backbone.clone()),
            ),
            group(
                "projection_head",
                ParamGroup::ids_from_module(self.projection_head.clone()),
            ),
            group(
                "prototypes",
                ParamGroup::ids_from_module(self.prototypes.clone()),
            ),
        ]
    }

    fn check_batch_size(&self, n: usize) -> Result<(), MethodError> {
        check(
            n >= 2,
            "batch_size",
            n,
            "at least 2: codes are spread over a batch",
        )?;
        let length = self.config.queue.map_or(n, |queue| queue.length);
        check(
            length.is_multiple_of(n),
            "queue.length",
            length,
            "a multiple of the batch size",
        )
    }

    /// Brings every prototype back to unit length.
    fn before_step(&mut self) {
        let weight = self.prototypes.weight.clone();
        self.prototypes.weight = weight.map(|vectors| {
            let trained = vectors.is_require_grad();
            // Detached once more at the end: only a leaf can require a gradient.
            normalise(vectors.detach(), 0)
                .detach()
                .set_require_grad(trained)
        });
    }

    fn forward(&mut self, views: Vec<Tensor<4>>, progress: Progress) -> MethodOutput {
        let embeddings = self.embed(views);
        self.loss(embeddings, progress)
    }

    /// Drops the prototypes' gradient in the first [`SwavConfig::freeze_prototypes_steps`] steps; without gradient, an
    /// optimiser leaves them alone, decay and momentum included.
    fn after_gradients(&self, gradients: &mut GradientsParams, progress: Progress) {
        if progress.iteration < self.config.freeze_prototypes_steps {
            gradients.remove::<2>(self.prototypes.weight.id);
        }
    }

    /// The queue: `queue.i`, `[stored, d]`, for each full-resolution crop.
    fn state(&self) -> MethodState {
        self.queue.as_ref().map(Queue::state).unwrap_or_default()
    }

    fn load_state(&mut self, state: MethodState) -> Result<(), MethodError> {
        match self.config.queue {
            Some(options) => {
                let device = self.prototypes.weight.val().without_autodiff().device();
                self.queue = Some(Queue::from_state(
                    state,
                    options.length,
                    self.config.full_crops,
                    self.config.projector[1],
                    &device,
                )?);
                Ok(())
            }
            None if state.is_empty() => Ok(()),
            None => Err(MethodError::state(
                "it has a queue, this configuration has none",
            )),
        }
    }
}

/// Scales the vectors along `dim` to unit length; those shorter than 1e-12 are divided by 1e-12, as in PyTorch.
fn normalise<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    // Clamped before the root, whose gradient at 0 would be infinite.
    let norm = x.clone().square().sum_dim(dim).clamp_min(1e-24).sqrt();
    x / norm
}

/// The path of the first parameter with NaN or an infinity.
fn first_not_finite(module: &impl Module) -> Option<String> {
    #[derive(Default)]
    struct Search {
        path: Vec<String>,
        found: Option<String>,
    }
    impl ModuleVisitor for Search {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if self.found.is_none() && !param.val().is_finite().all().into_scalar::<bool>() {
                self.found = Some(self.path.join("."));
            }
        }
        fn enter_module(&mut self, name: &str, _container_type: &str) {
            self.path.push(name.to_string());
        }
        fn exit_module(&mut self, _name: &str, _container_type: &str) {
            self.path.pop();
        }
    }
    let mut search = Search::default();
    module.visit(&mut search);
    search.found
}
