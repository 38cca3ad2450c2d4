use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;
use serde::{Deserialize, Serialize};
use ssl_methods::MethodError;
use ssl_methods::optim::{LarcConfig, LarsConfig, SgdConfig};

/// The optimizer of a run, and the parts of the method that have a rate of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerPlan {
    /// The update rule, the same for all parameters.
    pub rule: OptimizerRule,
    /// Constant learning rates of parts, by the names of
    /// [`param_groups`](ssl_methods::BaseMethod::param_groups): SimSiam's `predictor`.
    pub part_rates: BTreeMap<String, f64>,
}

/// An update rule with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptimizerRule {
    /// Stochastic gradient descent as in PyTorch.
    Sgd(SgdConfig),
    /// Layer-wise adaptive rates over SGD, the paper's choice for SwAV.
    Larc(LarcConfig),
    /// Layer-wise adaptive rates, the paper's choice for VICReg.
    Lars(LarsConfig),
}

impl OptimizerRule {
    /// Checks every setting.
    ///
    /// # Errors
    ///
    /// For the first setting that is out of range.
    pub fn validate(&self) -> Result<(), MethodError> {
        match self {
            Self::Sgd(config) => config.validate(),
            Self::Larc(config) => config.validate(),
            Self::Lars(config) => config.validate(),
        }
    }

    /// Creates an optimizer for all parameters of a method.
    ///
    /// # Panics
    ///
    /// If a setting is out of range, with the message of [`validate`](Self::validate).
    pub fn init(&self) -> ModuleOptimizer {
        match self {
            Self::Sgd(config) => config.init(),
            Self::Larc(config) => config.init(),
            Self::Lars(config) => config.init(),
        }
    }
}

impl From<OptimizerRule> for OptimizerPlan {
    fn from(rule: OptimizerRule) -> Self {
        Self {
            rule,
            part_rates: BTreeMap::new(),
        }
    }
}
