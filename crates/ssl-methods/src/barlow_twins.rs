//! Barlow Twins: two views, one cross-correlation matrix that should be the identity (Zbontar,
//! Jing, Misra, LeCun, Deny, *Barlow Twins: Self-Supervised Learning via Redundancy Reduction*,
//! 2021).
//!
//! It is not one of the E2MC paper's base methods, but related to VICReg. [`BarlowTwins`] is the
//! whole method, [`cross_correlation_terms`] its loss. [`e2mc_as_for_vicreg`] is a starting point
//! for adding E2MC.

use burn::config::Config;
use burn::tensor::{Device, FloatDType, Tensor};
use e2mc_loss::E2mcLossConfig;
use e2mc_resnet::{
    Backbone, BatchNorm, BatchNormConfig, Checkpoint, ResNet, ResNetConfig, infer_resnet_config,
};

use crate::checkpoint::{constructors, mlp_sizes};
use crate::error::{check_sizes, check_weight};
use crate::named_module::named_module;
use crate::views::{check_embeddings, embed_two_views};
use crate::{BaseMethod, MethodOutput, Mlp, MlpConfig, NamedGroup, Result, RunPosition};

const NAME: &str = "Barlow Twins";

/// Configuration of [`BarlowTwins`].
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct BarlowTwinsConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Sizes `[hidden, ..., out]` of the projector, whose input is the backbone's features.
    pub projector: Vec<usize>,
    /// Weight of the off-diagonal elements, at least 0 (the paper's lambda).
    #[config(default = 0.005)]
    pub off_diagonal_weight: f64,
}

impl BarlowTwinsConfig {
    /// The paper's configuration: ResNet-50 and projector 2048-8192-8192-8192.
    pub fn paper() -> Self {
        Self::new(ResNetConfig::resnet50(), vec![8192, 8192, 8192])
    }

    /// Reads the sizes from a checkpoint in Barlow Twins' layout. The weight is the paper's. Shapes
    /// do not show the stride of a small stem (see [`infer_resnet_config`]): set
    /// `config.backbone.stem` if it is not 1.
    ///
    /// # Errors
    ///
    /// If the checkpoint has no ResNet or no projector, or the shapes of consecutive layers do not
    /// match.
    pub fn from_checkpoint(checkpoint: &Checkpoint) -> Result<Self> {
        let backbone = infer_resnet_config(checkpoint)?;
        let projector = mlp_sizes(checkpoint, "projector", backbone.out_features())?;
        Ok(Self::new(backbone, projector))
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
        check_weight("off_diagonal_weight", self.off_diagonal_weight)
    }

    /// The method of valid options.
    fn build<B: Backbone>(&self, backbone: B, device: &Device) -> BarlowTwins<B> {
        let sizes = [&[backbone.out_features()], &self.projector[..]].concat();
        let d = sizes[sizes.len() - 1];
        BarlowTwins {
            backbone,
            projector: MlpConfig::new(sizes)
                .with_hidden_bias(false)
                .with_output_bias(false)
                .init(device),
            norm: BatchNormConfig::new(d).with_affine(false).init(device),
            config: self.clone(),
        }
    }
}

/// E2MC with the paper's setting for VICReg, since neither method normalizes its embeddings to unit
/// length. The E2MC paper did not test Barlow Twins: choose the weights on validation data.
pub fn e2mc_as_for_vicreg() -> E2mcLossConfig {
    E2mcLossConfig::vicreg()
}

/// Barlow Twins, created by [`BarlowTwinsConfig::init`] or [`BarlowTwins::from_checkpoint`]. Its
/// parameter paths are those of the official full checkpoint: `backbone`, `projector.0|1|3|4|6`,
/// `bn`.
///
/// Takes two views. Each passes through the network separately and has its own batch statistics.
#[derive(Debug, Clone)]
pub struct BarlowTwins<B = ResNet> {
    /// Computes representations from views.
    pub backbone: B,
    /// Projector without biases: linear, batch normalization and ReLU for each hidden size, then
    /// linear.
    pub projector: Mlp,
    /// Normalizes each dimension of the embeddings before the correlation, without scale and shift.
    pub norm: BatchNorm,
    config: BarlowTwinsConfig,
}

named_module!(BarlowTwins<B> {
    backbone: "backbone",
    projector: "projector",
    norm: "bn",
} keep { config });

constructors!(BarlowTwins, BarlowTwinsConfig);

impl<B: Backbone> BaseMethod for BarlowTwins<B> {
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

    /// `backbone`, `projector`.
    fn param_groups(&self) -> Vec<NamedGroup> {
        vec![
            NamedGroup::new("backbone", &self.backbone),
            NamedGroup::new("projector", &self.projector),
        ]
    }

    fn embed(&self, views: Vec<Tensor<4>>) -> Vec<Tensor<2>> {
        embed_two_views(self, views)
    }

    /// Its terms, `on_diagonal` and `off_diagonal`, are not weighted.
    fn loss(&mut self, embeddings: Vec<Tensor<2>>, _position: RunPosition) -> MethodOutput {
        let d = self.config.projector.last().copied().unwrap_or(0);
        check_embeddings(NAME, &embeddings, 2..=2, d);
        let [a, b] = [0, 1].map(|i| {
            self.norm
                .forward(embeddings[i].clone().cast(FloatDType::F32))
        });
        let [on_diagonal, off_diagonal] = cross_correlation_terms(a, b);
        MethodOutput {
            terms: vec![
                ("on_diagonal", on_diagonal.clone().without_autodiff()),
                ("off_diagonal", off_diagonal.clone().without_autodiff()),
            ],
            loss: on_diagonal + off_diagonal * self.config.off_diagonal_weight,
            embeddings,
            small_crops: Vec::new(),
        }
    }
}

/// The two parts of the loss: `sum_i (1 - C_ii)^2` and `sum_{i != j} C_ij^2`, where `C = a^T b / n`
/// is the cross-correlation.
///
/// When d > n, the second is computed by `|a^T b|^2 = sum((a a^T) * (b b^T))`, so no d x d matrix
/// is needed. Computed in f32.
///
/// # Shapes
///
/// - a, b: embeddings `[n, d]` whose columns have mean 0 and variance 1
/// - output: `[1]` each
///
/// # Panics
///
/// If the shapes differ.
pub fn cross_correlation_terms(a: Tensor<2>, b: Tensor<2>) -> [Tensor<1>; 2] {
    let [n, d] = a.dims();
    assert!(
        b.dims() == [n, d],
        "cross_correlation_terms: expected embeddings of one shape, got {:?} and {:?}",
        a.dims(),
        b.dims()
    );
    let [a, b] = [a, b].map(|z| z.cast(FloatDType::F32));
    let diagonal = (a.clone() * b.clone()).sum_dim(0) / n as f64;
    let squares = if d > n {
        a.clone().matmul(a.transpose()) * b.clone().matmul(b.transpose())
    } else {
        a.transpose().matmul(b).square()
    };
    // Summed row by row first: one running f32 sum over all elements would lose digits.
    let all = squares.sum_dim(1).sum() / (n as f64 * n as f64);
    [
        (-diagonal.clone() + 1.0).square().sum(),
        all - diagonal.square().sum(),
    ]
}
