//! VCReg: VICReg's variance and covariance terms alone.

use burn::config::Config;
use burn::tensor::Tensor;
use e2mc_loss::off_diagonal_covariance;

use super::{CriterionOutput, check_views};
use crate::Result;
use crate::error::{assert_valid, check_weight};
use crate::vicreg::variance;

/// Configuration of [`VcReg`]; the defaults are the E2MC paper's.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct VcRegConfig {
    /// Weight of the variance, averaged over views; at least 0 (mu).
    #[config(default = 0.1)]
    pub variance_weight: f64,
    /// Weight of the covariance, summed over views; at least 0 (nu).
    #[config(default = 0.001)]
    pub covariance_weight: f64,
}

impl VcRegConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option that
    /// is out of range.
    pub fn validate(&self) -> Result<()> {
        check_weight("variance_weight", self.variance_weight)?;
        check_weight("covariance_weight", self.covariance_weight)
    }

    /// Creates the criterion.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn init(&self) -> VcReg {
        assert_valid(self.validate());
        VcReg {
            config: self.clone(),
        }
    }
}

/// `variance_weight * variance + covariance_weight * covariance` of the embeddings (Table 3 of the
/// E2MC paper), with [`variance`](crate::vicreg::variance) averaged and [`off_diagonal_covariance`]
/// summed over the views. Created by [`VcRegConfig`].
#[derive(Debug, Clone)]
pub struct VcReg {
    config: VcRegConfig,
}

impl VcReg {
    /// Computes the loss of the views, each `[n, d]`.
    ///
    /// # Panics
    ///
    /// If there is no view, shapes differ, or n < 2.
    pub fn forward(&self, views: &[Tensor<2>]) -> CriterionOutput {
        check_views("VCReg", views);
        let over_views = |term: fn(Tensor<2>) -> Tensor<1>| {
            let terms = views.iter().map(|view| term(view.clone())).collect();
            Tensor::cat(terms, 0)
        };
        let variance = over_views(variance).mean();
        let covariance = over_views(off_diagonal_covariance).sum();
        CriterionOutput {
            terms: vec![
                ("vcreg_variance", variance.clone().without_autodiff()),
                ("vcreg_covariance", covariance.clone().without_autodiff()),
            ],
            loss: variance * self.config.variance_weight
                + covariance * self.config.covariance_weight,
        }
    }
}
