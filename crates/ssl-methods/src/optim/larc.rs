//! Layer-wise adaptive rate control over SGD.

use burn::config::Config;
use burn::optim::{LearningRate, ModuleOptimizer, Optimizer};
use burn::tensor::{Device, Tensor};

use super::descent::{Adaptation, Descent};
use super::momentum::MomentumState;
use super::sgd::SgdConfig;
use crate::Result;
use crate::error::{assert_valid, check_positive};

/// Configuration of [`Larc`].
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct LarcConfig {
    /// The SGD that uses the adapted gradients. Its weight decay is added before the adaptation.
    pub sgd: SgdConfig,
    /// Ratio of an adapted gradient's norm to its parameter's, positive.
    #[config(default = 0.001)]
    pub trust: f64,
}

impl LarcConfig {
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
    pub fn build(&self) -> Larc {
        assert_valid(self.validate());
        Larc(Descent {
            momentum: self.sgd.momentum,
            weight_decay: self.sgd.weight_decay,
            adaptation: Adaptation::Larc { trust: self.trust },
        })
    }

    /// Creates an optimizer for a whole module. It adapts every parameter, biases and
    /// normalizations included.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn init(&self) -> ModuleOptimizer {
        self.build().into()
    }
}

/// LARC without clipping, SwAV's optimizer: `g = (g + weight_decay * p) * adaptive` with
/// `adaptive = trust * |p| / (|g| + weight_decay * |p| + 1e-8)`, then SGD without decay. If a
/// tensor's gradient is all zeros, its gradient and decay are dropped. If its values are all zeros,
/// it is not adapted. Created by [`LarcConfig`].
#[derive(Debug, Clone)]
pub struct Larc(Descent);

impl Optimizer for Larc {
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
