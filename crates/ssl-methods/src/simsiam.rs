//! SimSiam: similarity of two views through a predictor and a stopped gradient (Chen, He,
//! *Exploring Simple Siamese Representation Learning*, 2021; eq. 3 of the E2MC paper).
//!
//! [`SimSiam`] is the whole method, [`negative_cosine`] its loss.

use burn::config::Config;
use burn::optim::GradientsParams;
use burn::tensor::{Device, FloatDType, Tensor};
use e2mc_resnet::{Backbone, Checkpoint, ResNet, ResNetConfig, infer_resnet_config};

use crate::checkpoint::{constructors, mlp_sizes};
use crate::error::check_sizes;
use crate::named_module::named_module;
use crate::normalize::normalize;
use crate::views::{check_embeddings, embed_two_views};
use crate::{BaseMethod, MethodOutput, Mlp, MlpConfig, MlpLayer, NamedGroup, Result, RunPosition};

const NAME: &str = "SimSiam";

/// Configuration of [`SimSiam`].
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct SimSiamConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Sizes `[hidden, ..., out]` of the projector, whose input is the backbone's features.
    pub projector: Vec<usize>,
    /// Hidden sizes of the predictor, from the projector's output to the same size.
    pub predictor_hidden: Vec<usize>,
}

impl SimSiamConfig {
    /// The paper's configuration: ResNet-50, projector 2048-2048-2048-2048, predictor
    /// 2048-512-2048.
    pub fn paper() -> Self {
        Self::new(ResNetConfig::resnet50(), vec![2048; 3], vec![512])
    }

    /// Reads the sizes from a checkpoint in SimSiam's layout. Shapes do not show the stride of a
    /// small stem (see [`infer_resnet_config`]): set `config.backbone.stem` if it is not 1.
    ///
    /// # Errors
    ///
    /// If the checkpoint has no ResNet, projector or predictor, or the shapes of consecutive layers
    /// do not match.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        let backbone = infer_resnet_config(checkpoint)?;
        let projector = mlp_sizes(checkpoint, "encoder.fc", backbone.out_features())?;
        let out = projector[projector.len() - 1];
        let mut predictor = mlp_sizes(checkpoint, "predictor", out)?;
        predictor.pop();
        Ok(Self::new(backbone, projector, predictor))
    }

    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option that
    /// is out of range.
    pub fn validate(&self) -> Result<()> {
        self.backbone.validate()?;
        check_sizes("projector", &self.projector)?;
        check_sizes("predictor_hidden", &self.predictor_hidden)
    }

    fn embedding_size(&self) -> usize {
        self.projector.last().copied().unwrap_or(0)
    }

    /// The method of valid options.
    fn build<B: Backbone>(&self, backbone: B, device: &Device) -> SimSiam<B> {
        let out = self.embedding_size();
        let projector = [&[backbone.out_features()], &self.projector[..]].concat();
        let predictor = [&[out], &self.predictor_hidden[..], &[out]].concat();
        SimSiam {
            backbone,
            projector: MlpConfig::new(projector)
                .with_hidden_bias(false)
                .with_output_norm(true)
                .init(device),
            predictor: MlpConfig::new(predictor)
                .with_hidden_bias(false)
                .init(device),
            config: self.clone(),
        }
    }
}

/// SimSiam, created by [`SimSiamConfig::init`] or [`SimSiam::from_checkpoint`]. Its parameter paths
/// are those of SimSiam's official checkpoints: `encoder` (the backbone), `encoder.fc.0|1|3|4|6|7`
/// (the projector), `predictor.0|1|3`.
///
/// Takes two views. Each passes through encoder and predictor separately and has its own batch
/// statistics. The bias of the projector's last linear layer is not trained: the normalization
/// after it would remove its effect.
#[derive(Debug, Clone)]
pub struct SimSiam<B = ResNet> {
    /// Computes representations from views.
    pub backbone: B,
    /// Projector: linear without bias, batch normalization and ReLU for each hidden size, then
    /// linear and batch normalization without scale and shift.
    pub projector: Mlp,
    /// Predictor: linear without bias, batch normalization and ReLU for each hidden size, then
    /// linear.
    pub predictor: Mlp,
    config: SimSiamConfig,
}

named_module!(SimSiam<B> {
    backbone: "encoder",
    projector: "encoder.fc",
    predictor: "predictor",
} keep { config });

constructors!(SimSiam, SimSiamConfig);

impl<B: Backbone> BaseMethod for SimSiam<B> {
    type Backbone = B;

    fn name(&self) -> &'static str {
        NAME
    }

    fn backbone(&self) -> &B {
        &self.backbone
    }

    fn project(&self, images: Tensor<4>) -> Tensor<2> {
        self.projector.forward(self.backbone.forward(images))
    }

    /// `backbone`, `projector`, `predictor`. The predictor is a separate group because App. B.1
    /// gives it its own learning rate.
    fn param_groups(&self) -> Vec<NamedGroup> {
        vec![
            NamedGroup::new("backbone", &self.backbone),
            NamedGroup::new("projector", &self.projector),
            NamedGroup::new("predictor", &self.predictor),
        ]
    }

    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        embed_two_views(self, views)
    }

    /// Collapsed embeddings have a loss of -1.
    fn loss(&mut self, embeddings: Vec<Tensor<2>>, _position: RunPosition) -> MethodOutput {
        check_embeddings(NAME, &embeddings, 2..=2, self.config.embedding_size());
        let [a, b] = [&embeddings[0], &embeddings[1]];
        let predicted = [a, b].map(|z| self.predictor.forward(z.clone()));
        let [predicted_a, predicted_b] = predicted;
        let loss = (negative_cosine(predicted_a, b.clone())
            + negative_cosine(predicted_b, a.clone()))
            / 2.0;
        MethodOutput {
            loss,
            terms: Vec::new(),
            embeddings,
            small_crops: Vec::new(),
        }
    }

    /// Drops the gradient of the projector's last bias.
    fn after_gradients(&self, gradients: &mut GradientsParams, _position: RunPosition) {
        let last = self
            .projector
            .layers
            .iter()
            .rev()
            .find_map(|layer| match layer {
                MlpLayer::Linear(linear) => linear.bias.as_ref(),
                _ => None,
            });
        if let Some(bias) = last {
            gradients.remove::<1>(bias.id);
        }
    }
}

/// Minus the mean cosine of predictions and targets; no gradient flows into the targets. From -1
/// (all agree) to 1. Computed in f32.
///
/// # Shapes
///
/// - predictions, targets: `[n, d]`
/// - output `[1]`
///
/// # Panics
///
/// If the shapes differ.
pub fn negative_cosine(predictions: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    assert!(
        predictions.dims() == targets.dims(),
        "negative_cosine: expected predictions and targets of one shape, got {:?} and {:?}",
        predictions.dims(),
        targets.dims()
    );
    let predictions = normalize(predictions.cast(FloatDType::F32), 1);
    let targets = normalize(targets.without_autodiff().cast(FloatDType::F32), 1);
    -(predictions * targets).sum_dim(1).mean()
}
