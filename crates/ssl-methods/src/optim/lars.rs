//! Layer-wise adaptive rate scaling.

use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use super::descent::{Adaptation, Descent};
use super::momentum::MomentumState;
use super::sgd::SgdConfig;
use crate::Result;
use crate::error::{assert_valid, check_positive};

/// Configuration of [`Lars`].
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct LarsConfig {
    /// The SGD that uses the adapted gradients. Its weight decay is added before the adaptation.
    pub sgd: SgdConfig,
    /// Ratio of an adapted gradient's norm to its parameter's, positive (eta).
    #[config(default = 0.001)]
    pub trust: f64,
}

impl LarsConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option out
    /// of range.
    pub fn validate(&self) -> Result<()> {
        self.sgd.validate()?;
        check_positive("trust", self.trust)
    }

    /// Creates the bare optimizer, for one group of parameters.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn build(&self) -> Lars {
        assert_valid(self.validate());
        Lars(Descent {
            momentum: self.sgd.momentum,
            weight_decay: self.sgd.weight_decay,
            adaptation: Adaptation::Lars { trust: self.trust },
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

/// LARS as VICReg and Barlow Twins use it: `g += weight_decay * p`, `g *= trust * |p| / |g|` where
/// both norms are above 0, then SGD without decay. One-dimensional parameters (biases, and the
/// scales and shifts of normalizations) get neither decay nor adaptation. Created by
/// [`LarsConfig`].
///
/// [`Larc`](super::Larc) differs in its denominator, and treats all parameters alike.
#[derive(Debug, Clone)]
pub struct Lars(Descent);

impl Optimizer for Lars {
    type State<const D: usize> = MomentumState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<MomentumState<D>>,
    ) -> (Tensor<D>, Option<MomentumState<D>>) {
        let plain = Descent {
            weight_decay: 0.0,
            adaptation: Adaptation::None,
            ..self.0
        };
        let descent = if D < 2 { &plain } else { &self.0 };
        MomentumState::step(descent, lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: MomentumState<D>, device: &Device) -> MomentumState<D> {
        state.moved(device)
    }
}
