//! Maximum manifold capacity (Yerxa, Kuang, Simoncelli, Chung, *Learning Efficient Coding of
//! Natural Images with Maximum Manifold Capacity Representations*, 2023).

use burn::config::Config;
use burn::linalg::svd;
use burn::tensor::{FloatDType, Tensor};

use super::{CriterionOutput, check_views};
use crate::Result;
use crate::error::{assert_valid, check_weight};
use crate::normalize::normalize;

/// Limit on the sweeps of the QR iteration per singular value. LAPACK stops after 6, so convergence
/// never needs this many.
const SWEEPS: usize = 30;

/// Configuration of [`Mmcr`]; the default is the E2MC paper's.
#[derive(Config, Debug, PartialEq)]
#[non_exhaustive]
pub struct MmcrConfig {
    /// Weight, at least 0 (lambda).
    #[config(default = 0.005)]
    pub weight: f64,
}

impl MmcrConfig {
    /// Checks every option.
    ///
    /// # Errors
    ///
    /// [`MethodError::InvalidOption`](crate::MethodError::InvalidOption) for the first option that
    /// is out of range.
    pub fn validate(&self) -> Result<()> {
        check_weight("weight", self.weight)
    }

    /// Creates the criterion.
    ///
    /// # Panics
    ///
    /// If an option is out of range, with the message of [`validate`](Self::validate).
    pub fn init(&self) -> Mmcr {
        assert_valid(self.validate());
        Mmcr {
            config: self.clone(),
        }
    }
}

/// `-weight` times the nuclear norm of the `n x d` matrix of centroids: for each image, the mean
/// over all its crops of the embeddings at unit length (Table 3 of the E2MC paper). Created by
/// [`MmcrConfig`].
#[derive(Debug, Clone)]
pub struct Mmcr {
    config: MmcrConfig,
}

impl Mmcr {
    /// Computes the loss of the crops, each `[n, d]`. Computed in f32.
    ///
    /// # Panics
    ///
    /// If there is no crop, shapes differ, or n < 2.
    pub fn forward(&self, crops: &[Tensor<2>]) -> CriterionOutput {
        check_views("MMCR", crops);
        let normalized = crops
            .iter()
            .map(|z| normalize(z.clone().cast(FloatDType::F32), 1))
            .reduce(|sum, z| sum + z)
            .expect("at least one crop");
        let norm = nuclear_norm(normalized / crops.len() as f64);
        CriterionOutput {
            terms: vec![("nuclear_norm", norm.clone().without_autodiff())],
            loss: norm * -self.config.weight,
        }
    }
}

/// The sum of the singular values, with the gradient `U V^T`. Directions with singular value zero
/// (up to rounding) are left out. This gives the subgradient of least norm, which is finite for
/// repeated values too. NaN for a matrix that is not finite.
///
/// Burn's singular value decomposition runs on the host: one round trip of an `n x d` matrix on a
/// GPU.
///
/// # Shapes
///
/// - matrix: `[n, d]`
/// - output `[1]`
pub(super) fn nuclear_norm(matrix: Tensor<2>) -> Tensor<1> {
    let [n, d] = matrix.dims();
    let values = matrix.clone().without_autodiff();
    let device = values.device();
    let polar = if values.clone().is_finite().all().into_scalar::<bool>() {
        let (u, s, vt) = svd::<2, 1>(values, SWEEPS);
        let rounding = f64::from(f32::EPSILON) * n.max(d) as f64;
        let smallest = s.clone().max() * rounding;
        let kept = s.greater(smallest).float();
        (u * kept.unsqueeze_dim(0)).matmul(vt)
    } else {
        Tensor::zeros([n, d], &device)
    };
    // sum(M * U V^T) is the sum of the singular values, and its gradient U V^T.
    (matrix * polar).sum_dim(1).sum()
}
