//! Layer-wise adaptive rate control over SGD.

use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use super::momentum::MomentumState;
use super::sgd::{Sgd, SgdConfig};
use crate::MethodError;
use crate::error::check_positive;

/// Keeps the adaptive rate finite (PAPER.md, section 4).
const EPSILON: f64 = 1e-8;

/// Configuration of [`Larc`].
#[derive(Config, Debug, PartialEq)]
pub struct LarcConfig {
    /// The SGD that takes the adapted gradients. Its weight decay is applied before the adaptation.
    pub sgd: SgdConfig,
    /// Ratio of an adapted gradient's norm to its parameter's, positive.
    #[config(default = 0.001)]
    pub trust: f64,
}

impl LarcConfig {
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
    pub fn build(&self) -> Result<Larc, MethodError> {
        self.validate()?;
        Ok(Larc {
            sgd: self.sgd.clone().with_weight_decay(0.0).build()?,
            weight_decay: self.sgd.weight_decay,
            trust: self.trust,
        })
    }

    /// Creates an optimiser for a whole module. Every parameter is adapted, biases and normalisations included.
    ///
    /// # Errors
    /// [`MethodError::InvalidOption`] if an option is out of its range.
    pub fn init(&self) -> Result<ModuleOptimizer, MethodError> {
        Ok(self.build()?.into())
    }
}

/// LARC without clipping (SwAV's optimiser; PAPER.md, section 4): `g = (g + weight_decay * p) * adaptive` with
/// `adaptive = trust * |p| / (|g| + weight_decay * |p| + 1e-8)`, then SGD without decay. A tensor whose gradient or
/// value is all zeros is left as it is. Created by [`LarcConfig`].
#[derive(Debug, Clone)]
pub struct Larc {
    sgd: Sgd,
    weight_decay: f64,
    trust: f64,
}

impl Optimizer for Larc {
    type State<const D: usize> = MomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentumState<D>>,
    ) -> (Tensor<D>, Option<MomentumState<D>>) {
        let norm = |x: &Tensor<D>| x.clone().square().sum().sqrt();
        let (tensor_norm, grad_norm) = (norm(&tensor), norm(&grad));
        let adaptive = tensor_norm.clone() * self.trust
            / (grad_norm.clone() + tensor_norm.clone() * self.weight_decay + EPSILON);
        // Without adaptation there is no decay either: factor 0 where the gradient is 0 (g stays 0 although p is not),
        // and 1 where the parameter is (g stays g, and p adds nothing).
        let adaptive = adaptive
            .mask_fill(grad_norm.equal_scalar(0.0), 0.0)
            .mask_fill(tensor_norm.equal_scalar(0.0), 1.0);
        let grad = (grad + tensor.clone() * self.weight_decay) * adaptive.reshape([1; D]);
        self.sgd.step(lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: MomentumState<D>, device: &Device) -> MomentumState<D> {
        Sgd::to_device(state, device)
    }
}
