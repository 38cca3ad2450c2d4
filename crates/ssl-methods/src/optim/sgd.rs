//! Stochastic gradient descent as in PyTorch.

use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use super::descent::{Adaptation, Descent};
use super::momentum::MomentumState;
use crate::Result;
use crate::error::{assert_valid, check, check_weight};

/// Configuration of [`Sgd`], with PyTorch's defaults.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct SgdConfig {
    /// Share of the momentum buffer that each step keeps, from 0 to below 1.
    #[config(default = 0.0)]
    pub momentum: f64,
    /// Multiple of the parameter that is added to its gradient, at least 0.
    #[config(default = 0.0)]
    pub weight_decay: f64,
}

impl SgdConfig {
    /// Checks both options.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option out
    /// of range.
    pub fn validate(&self) -> Result<()> {
        check(
            (0.0..1.0).contains(&self.momentum),
            "momentum",
            self.momentum,
            "a number from 0 to below 1",
        )?;
        check_weight("weight_decay", self.weight_decay)
    }

    /// Creates the bare optimizer, for one group of parameters.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn build(&self) -> Sgd {
        assert_valid(self.validate());
        Sgd(Descent {
            momentum: self.momentum,
            weight_decay: self.weight_decay,
            adaptation: Adaptation::None,
        })
    }

    /// Creates an optimizer for a whole module.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn init(&self) -> ModuleOptimizer {
        self.build().into()
    }
}

/// PyTorch's SGD without dampening: `g += weight_decay * p`, `buffer = momentum * buffer + g` (`g`
/// at first), `p -= lr * buffer`. Created by [`SgdConfig`].
#[derive(Debug, Clone)]
pub struct Sgd(Descent);

impl Optimizer for Sgd {
    type State<const D: usize> = MomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentumState<D>>,
    ) -> (Tensor<D>, Option<MomentumState<D>>) {
        MomentumState::step(&self.0, lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: MomentumState<D>, device: &Device) -> MomentumState<D> {
        state.moved(device)
    }
}
