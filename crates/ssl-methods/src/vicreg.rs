//! VICReg: variance, invariance and covariance regularization (Bardes, Ponce, LeCun, *VICReg:
//! Variance-Invariance-Covariance Regularization for Self-Supervised Learning*, 2022; eq. 1 of the
//! E2MC paper).
//!
//! [`VicReg`] is the whole method; its loss is the weighted sum of [`invariance`], [`variance`] and
//! [`off_diagonal_covariance`].

use burn::config::Config;
use burn::tensor::activation::relu;
use burn::tensor::{Device, FloatDType, Tensor};
use e2mc_resnet::{Backbone, Checkpoint, ResNet, ResNetConfig, infer_resnet_config};

pub use e2mc_loss::off_diagonal_covariance;

use crate::checkpoint::{constructors, mlp_sizes};
use crate::error::{check_sizes, check_weight};
use crate::named_module::named_module;
use crate::views::{check_embeddings, embed_two_views};
use crate::{BaseMethod, MethodOutput, Mlp, MlpConfig, NamedGroup, Result, RunPosition};

const NAME: &str = "VICReg";
/// Added to a variance before its root.
const VARIANCE_EPSILON: f64 = 1e-4;

/// Configuration of [`VicReg`]; the weights default to the paper's.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct VicRegConfig {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Sizes `[hidden, ..., out]` of the projector, whose input is the backbone's features.
    pub projector: Vec<usize>,
    /// Weight of the invariance, at least 0.
    #[config(default = 25.0)]
    pub invariance_weight: f64,
    /// Weight of the variance term, at least 0.
    #[config(default = 25.0)]
    pub variance_weight: f64,
    /// Weight of the covariance, at least 0.
    #[config(default = 1.0)]
    pub covariance_weight: f64,
}

impl VicRegConfig {
    /// The paper's configuration: ResNet-50 and projector 2048-8192-8192-8192.
    pub fn paper() -> Self {
        Self::new(ResNetConfig::resnet50(), vec![8192, 8192, 8192])
    }

    /// Reads the sizes from a checkpoint in VICReg's layout. The weights are the paper's. Shapes do
    /// not show the stride of a small stem (see [`infer_resnet_config`]): set
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
        check_weight("invariance_weight", self.invariance_weight)?;
        check_weight("variance_weight", self.variance_weight)?;
        check_weight("covariance_weight", self.covariance_weight)
    }

    /// The method of valid options.
    fn build<B: Backbone>(&self, backbone: B, device: &Device) -> VicReg<B> {
        let sizes = [&[backbone.out_features()], &self.projector[..]].concat();
        VicReg {
            backbone,
            projector: MlpConfig::new(sizes).with_output_bias(false).init(device),
            config: self.clone(),
        }
    }
}

/// VICReg, created by [`VicRegConfig::init`] or [`VicReg::from_checkpoint`]. Its parameter paths
/// are those of VICReg's official full checkpoint: `backbone`, `projector.0|1|3|4|6`.
///
/// Takes two views. Each passes through the network separately and has its own batch statistics. In
/// data-parallel training, the paper computes the invariance on the local batch and the other two
/// terms on the gathered batch.
#[derive(Debug, Clone)]
pub struct VicReg<B = ResNet> {
    /// Computes representations from views.
    pub backbone: B,
    /// Projector: linear, batch normalization and ReLU for each hidden size, then linear without
    /// bias.
    pub projector: Mlp,
    config: VicRegConfig,
}

named_module!(VicReg<B> {
    backbone: "backbone",
    projector: "projector",
} keep { config });

constructors!(VicReg, VicRegConfig);

impl<B: Backbone> BaseMethod for VicReg<B> {
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

    /// Its terms are not weighted: `invariance`, `variance` (averaged over the views) and
    /// `covariance` (summed over the views).
    fn loss(&mut self, embeddings: Vec<Tensor<2>>, _position: RunPosition) -> MethodOutput {
        let d = self.config.projector.last().copied().unwrap_or(0);
        check_embeddings(NAME, &embeddings, 2..=2, d);
        let [a, b] = [&embeddings[0], &embeddings[1]];
        let invariance = invariance(a.clone(), b.clone());
        let variance = (variance(a.clone()) + variance(b.clone())) / 2.0;
        let covariance = off_diagonal_covariance(a.clone()) + off_diagonal_covariance(b.clone());
        let terms = vec![
            ("invariance", invariance.clone().without_autodiff()),
            ("variance", variance.clone().without_autodiff()),
            ("covariance", covariance.clone().without_autodiff()),
        ];
        let VicRegConfig {
            invariance_weight,
            variance_weight,
            covariance_weight,
            ..
        } = self.config;
        MethodOutput {
            loss: invariance * invariance_weight
                + variance * variance_weight
                + covariance * covariance_weight,
            terms,
            embeddings,
            small_crops: Vec::new(),
        }
    }
}

/// The mean squared difference of two views' embeddings, over samples and dimensions. Computed in
/// f32.
///
/// # Shapes
///
/// - a, b: `[n, d]`
/// - output `[1]`
///
/// # Panics
///
/// If the shapes differ.
pub fn invariance(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    assert!(
        a.dims() == b.dims(),
        "invariance: expected embeddings of one shape, got {:?} and {:?}",
        a.dims(),
        b.dims()
    );
    let difference = a.cast(FloatDType::F32) - b.cast(FloatDType::F32);
    difference.square().mean()
}

/// The mean over dimensions of `relu(1 - std)`, with `std = sqrt(var + 1e-4)` and the unbiased
/// variance: 0 when every dimension has a standard deviation of at least 1, 0.99 when all samples
/// are the same. Computed in f32.
///
/// # Shapes
///
/// - z: `[n, d]`
/// - output `[1]`
///
/// # Panics
///
/// If n < 2.
pub fn variance(z: Tensor<2>) -> Tensor<1> {
    let [n, d] = z.dims();
    assert!(
        n >= 2,
        "variance: expected embeddings [n >= 2, d], got {:?}",
        [n, d]
    );
    let z = z.cast(FloatDType::F32);
    let centered = z.clone() - z.mean_dim(0);
    let variance = centered.square().sum_dim(0) / (n - 1) as f64;
    let std = (variance + VARIANCE_EPSILON).sqrt();
    relu(1.0 - std).mean()
}
