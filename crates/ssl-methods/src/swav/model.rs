//! SwAV: backbone, projector, prototypes, and the steps of its loss.

use burn::nn::{Linear, LinearConfig};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use e2mc_resnet::{Backbone, ResNet};

use super::config::SwavConfig;
use super::loss::swapped_prediction_loss;
use super::queue::Queue;
use super::sinkhorn::sinkhorn;
use crate::checkpoint::constructors;
use crate::error::check;
use crate::named_module::named_module;
use crate::normalize::normalize;
use crate::views::{check_channels, check_embeddings, check_views, features_by_resolution};
use crate::{
    BaseMethod, MethodError, MethodOutput, MethodState, Mlp, MlpConfig, NamedGroup, Result,
    RunPosition,
};

/// Above this, [`Swav`] warns. The paper has 6 (3000 prototypes at batch 512).
const MAX_PROTOTYPES_PER_SAMPLE: usize = 10;

/// SwAV, created by [`SwavConfig::init`] or [`Swav::from_checkpoint`]. Its parameter paths are
/// those of SwAV's official checkpoints: the backbone's at the root, `projection_head.0|1|3`,
/// `prototypes`.
///
/// Views are crops: first [`SwavConfig::full_crops`] at full resolution, then any number of smaller
/// ones, grouped by resolution.
#[derive(Debug, Clone)]
pub struct Swav<B = ResNet> {
    /// Computes representations from crops.
    pub backbone: B,
    /// Projector: linear, batch normalization, ReLU, linear.
    pub projection_head: Mlp,
    /// Scores of normalized embeddings against the prototypes, whose vectors are the weight's
    /// columns.
    pub prototypes: Linear,
    queue: Option<Queue>,
    config: SwavConfig,
}

impl SwavConfig {
    /// The method of valid options.
    fn build<B: Backbone>(&self, backbone: B, device: &Device) -> Swav<B> {
        let sizes = [&[backbone.out_features()], &self.projector[..]].concat();
        Swav {
            backbone,
            projection_head: MlpConfig::new(sizes).init(device),
            prototypes: LinearConfig::new(self.embedding_size(), self.prototypes)
                .with_bias(false)
                .init(device),
            queue: self.queue.map(|queue| Queue::new(queue.length)),
            config: self.clone(),
        }
    }
}

named_module!(Swav<B> {
    backbone: "",
    projection_head: "projection_head",
    prototypes: "prototypes",
} keep { queue, config });

constructors!(Swav, SwavConfig);

impl<B: Backbone> Swav<B> {
    /// Codes of the full-resolution crops, without gradient; scores `[full, n, prototypes]`,
    /// normalized embeddings `[full, n, d]`.
    fn codes(
        &mut self,
        scores: Tensor<3>,
        normalized: Tensor<3>,
        position: RunPosition,
    ) -> Tensor<3> {
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
            && position.epoch >= options.start_epoch
        {
            let [_, _, d] = normalized.dims();
            queue.push(
                (0..full)
                    .map(|i| normalized.clone().narrow(0, i, 1).reshape([n, d]))
                    .collect(),
            );
        }
        Tensor::stack(codes, 0)
    }
}

impl<B: Backbone> BaseMethod for Swav<B> {
    type Backbone = B;

    fn name(&self) -> &'static str {
        "SwAV"
    }

    fn backbone(&self) -> &B {
        &self.backbone
    }

    /// `backbone`, `projection_head`, `prototypes`.
    fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.projection_head.forward(self.backbone.forward(images))
    }

    fn param_groups(&self) -> Vec<NamedGroup> {
        vec![
            NamedGroup::new("backbone", &self.backbone),
            NamedGroup::new("projection_head", &self.projection_head),
            NamedGroup::new("prototypes", &self.prototypes),
        ]
    }

    fn check_batch_size(&self, n: usize) -> Result<()> {
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

    /// Warns if there are many more prototypes than samples for the codes of a batch.
    fn warning(&self, n: usize) -> Option<String> {
        let samples = n + self.config.queue.map_or(0, |queue| queue.length);
        let prototypes = self.config.prototypes;
        (prototypes > MAX_PROTOTYPES_PER_SAMPLE * samples).then(|| {
            format!(
                "SwAV: {prototypes} prototypes for codes of {samples} samples: the codes of a \
                 batch must use all prototypes \
                 evenly, so each sample is spread over {} of them and tells little; use fewer \
                 prototypes, a larger \
                 batch or a queue",
                prototypes / samples
            )
        })
    }

    /// The loss of uniform predictions, `ln(prototypes)`.
    fn uniform_loss(&self) -> Option<f64> {
        Some((self.config.prototypes as f64).ln())
    }

    /// Normalizes every prototype to unit length.
    fn before_step(&mut self) {
        let weight = self.prototypes.weight.clone();
        self.prototypes.weight = weight.map(|vectors| {
            let trained = vectors.is_require_grad();
            // Detached once more at the end: only a leaf can require a gradient.
            normalize(vectors.detach(), 0)
                .detach()
                .set_require_grad(trained)
        });
    }

    /// Crops of one resolution pass through the backbone together, and all crops through the
    /// projector. This decides the batch statistics.
    ///
    /// # Panics
    ///
    /// Also if there are fewer than 2 views or fewer than [`SwavConfig::full_crops`], full crops
    /// differ in resolution, or views of one resolution are not adjacent.
    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        let crops = views.len();
        let full = self.config.full_crops;
        assert!(
            crops >= 2 && crops >= full,
            "SwAV: expected at least {} views, {full} of them full-resolution crops, got {crops}",
            full.max(2)
        );
        check_views("SwAV", &views);
        check_channels("SwAV", &views, &self.backbone);
        assert!(
            views[..full]
                .iter()
                .all(|view| view.dims() == views[0].dims()),
            "SwAV: the first {full} views must have one resolution, but their shapes are {:?}",
            views[..full]
                .iter()
                .map(|view| view.dims())
                .collect::<Vec<_>>()
        );
        let features = features_by_resolution(&self.backbone, views);
        self.projection_head.forward(features).chunk(crops, 0)
    }

    /// Also adds this batch to the queue, from the queue's start epoch on.
    ///
    /// # Panics
    ///
    /// Also if there are fewer crops than [`SwavConfig::full_crops`] or than 2, or the queue's
    /// length is not a multiple of n.
    fn loss(&mut self, embeddings: Vec<Tensor<2>>, position: RunPosition) -> MethodOutput {
        let d = self.config.embedding_size();
        let full = self.config.full_crops;
        let n = check_embeddings("SwAV", &embeddings, full.max(2).., d);
        let crops = embeddings.len();
        let normalized = normalize(Tensor::cat(embeddings.clone(), 0), 1);
        let scores =
            self.prototypes
                .forward(normalized.clone())
                .reshape([crops, n, self.config.prototypes]);

        let codes = self.codes(
            scores.clone().without_autodiff().narrow(0, 0, full),
            normalized
                .without_autodiff()
                .narrow(0, 0, full * n)
                .reshape([full, n, d]),
            position,
        );
        let loss = swapped_prediction_loss(scores, codes, self.config.temperature);
        let mut embeddings = embeddings;
        let small_crops = embeddings.split_off(full);
        MethodOutput {
            loss,
            terms: Vec::new(),
            embeddings,
            small_crops,
        }
    }

    /// Drops the prototypes' gradient in the first [`SwavConfig::freeze_prototypes_steps`] steps.
    /// An optimizer skips parameters without a gradient, including their decay and momentum.
    fn after_gradients(&self, gradients: &mut GradientsParams, position: RunPosition) {
        if position.iteration < self.config.freeze_prototypes_steps {
            gradients.remove::<2>(self.prototypes.weight.id);
        }
    }

    /// The queue: `queue.i`, `[stored, d]`, for each full-resolution crop.
    fn state(&self) -> MethodState {
        self.queue.as_ref().map(Queue::state).unwrap_or_default()
    }

    fn load_state(&mut self, state: MethodState) -> Result<()> {
        match self.config.queue {
            Some(options) => {
                let device = self.prototypes.weight.val().without_autodiff().device();
                self.queue = Some(Queue::from_state(
                    state,
                    options.length,
                    self.config.full_crops,
                    self.config.embedding_size(),
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
