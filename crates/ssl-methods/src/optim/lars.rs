//! Layer-wise adaptive rate scaling.

use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use super::momentum::MomentumState;
use super::sgd::{Sgd, SgdConfig};
use crate::MethodError;
use crate::error::check_positive;

/// Configuration of [`Lars`].
#[derive(Config, Debug, PartialEq)]
pub struct LarsConfig {
    /// The SGD that takes the adapted gradients. Its weight decay is applied before the adaptation.
    pub sgd: SgdConfig,
    /// Ratio of an adapted gradient's norm to its parameter's, positive (eta).
    #[config(default = 0.001)]
    pub trust: f64,
}

impl LarsConfig {
    /// Checks every option.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] for the first that is out of its range.
    pub fn validate(&self) -> Result<(), MethodError> {
        self.sgd.validate()?;
        check_positive("trust", self.trust)
    }

    /// Creates the bare optimiser, for one group of parameters.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if an option is out of its range.
    pub fn build(&self) -> Result<Lars, MethodError> {
        self.validate()?;
        Ok(Lars {
            sgd: self.sgd.clone().with_weight_decay(0.0).build()?,
            weight_decay: self.sgd.weight_decay,
            trust: self.trust,
        })
    }

    /// Creates an optimiser for a whole module.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if an option is out of its range.
    pub fn init(&self) -> Result<ModuleOptimizer, MethodError> {
        Ok(self.build()?.into())
    }
}

/// LARS as VICReg and Barlow Twins use it (PAPER.md, section 4): `g += weight_decay * p`, `g *= trust * |p| / |g|` where
/// both norms are above 0, then SGD without decay. One-dimensional parameters (biases, scales and shifts of
/// normalisations) get neither decay nor adaptation. Created by [`LarsConfig`].
///
/// [`Larc`](super::Larc) differs in its denominator, and treats all parameters alike.
#[derive(Debug, Clone)]
pub struct Lars {
    sgd: Sgd,
    weight_decay: f64,
    trust: f64,
}

impl Optimizer for Lars {
    type State<const D: usize> = MomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentumState<D>>,
    ) -> (Tensor<D>, Option<MomentumState<D>>) {
        if D < 2 {
            return self.sgd.step(lr, tensor, grad, state);
        }
        let norm = |x: &Tensor<D>| x.clone().square().sum().sqrt();
        let grad = grad + tensor.clone() * self.weight_decay;
        let (tensor_norm, grad_norm) = (norm(&tensor), norm(&grad));
        let adaptive = (tensor_norm.clone() * self.trust / grad_norm.clone())
            .mask_fill(grad_norm.equal_scalar(0.0), 1.0)
            .mask_fill(tensor_norm.equal_scalar(0.0), 1.0);
        self.sgd
            .step(lr, tensor, grad * adaptive.reshape([1; D]), state)
    }

    fn to_device<const D: usize>(state: MomentumState<D>, device: &Device) -> MomentumState<D> {
        Sgd::to_device(state, device)
    }
}
