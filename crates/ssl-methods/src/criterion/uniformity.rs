//! Uniformity on the hypersphere (Wang, Isola, *Understanding Contrastive Representation Learning
//! through Alignment and Uniformity on the Hypersphere*, 2020).

use burn::config::Config;
use burn::tensor::{Bool, FloatDType, Tensor};

use super::{CriterionOutput, check_views};
use crate::Result;
use crate::error::{assert_valid, check_positive, check_weight};
use crate::normalize::normalize;

/// Configuration of [`Uniformity`]; the defaults are the E2MC paper's.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct UniformityConfig {
    /// Weight, at least 0 (lambda).
    #[config(default = 0.5)]
    pub weight: f64,
    /// Sharpness of the Gaussian kernel, positive (t).
    #[config(default = 2.0)]
    pub sharpness: f64,
}

impl UniformityConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option that
    /// is out of range.
    pub fn validate(&self) -> Result<()> {
        check_weight("weight", self.weight)?;
        check_positive("sharpness", self.sharpness)
    }

    /// Creates the criterion.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn init(&self) -> Uniformity {
        assert_valid(self.validate());
        Uniformity {
            config: self.clone(),
        }
    }
}

/// `weight` times the mean over views of `log mean_{p < q} exp(-sharpness |z_p - z_q|^2)` on
/// embeddings of unit length (Table 3 of the E2MC paper). The term lies between `-4 sharpness` and
/// 0. It is 0 if all embeddings coincide. Created by [`UniformityConfig`].
#[derive(Debug, Clone)]
pub struct Uniformity {
    config: UniformityConfig,
}

impl Uniformity {
    /// Computes the loss of the views, each `[n, d]`. Computed in f32.
    ///
    /// # Panics
    ///
    /// If there is no view, shapes differ, or n < 2.
    pub fn forward(&self, views: &[Tensor<2>]) -> CriterionOutput {
        check_views("uniformity", views);
        let terms = views.iter().map(|view| self.view(view.clone())).collect();
        let uniformity = Tensor::cat(terms, 0).mean();
        CriterionOutput {
            terms: vec![("uniformity", uniformity.clone().without_autodiff())],
            loss: uniformity * self.config.weight,
        }
    }

    fn view(&self, view: Tensor<2>) -> Tensor<1> {
        let [n, _] = view.dims();
        let z = normalize(view.cast(FloatDType::F32), 1);
        // |p - q|^2 of vectors of length 1, or of length 0 where a vector was 0.
        let squares = z.clone().square().sum_dim(1);
        let distances =
            squares.clone() + squares.transpose() - z.clone().matmul(z.transpose()) * 2.0;
        let diagonal = Tensor::<2, Bool>::diag_mask([n, n], 0, &distances.device()).bool_not();
        let exponents = (distances * -self.config.sharpness).mask_fill(diagonal, f32::NEG_INFINITY);
        // The largest exponent is factored out, since otherwise all terms could underflow.
        let largest = exponents.clone().without_autodiff().max();
        let sum = (exponents - largest.clone().unsqueeze_dim(0))
            .exp()
            .sum_dim(1)
            .sum();
        // Every pair counts twice.
        let pairs = n as f64 * (n - 1) as f64;
        (sum / pairs).log() + largest
    }
}
