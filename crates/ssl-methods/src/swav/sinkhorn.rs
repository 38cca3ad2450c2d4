//! Sinkhorn-Knopp: from scores to evenly spread codes.

use burn::tensor::activation::{log_softmax, softmax};
use burn::tensor::{FloatDType, Tensor};

/// Turns scores into soft codes that use all prototypes evenly. Each iteration scales
/// `exp(scores / epsilon)`, first so that every prototype gets the same share of the batch, then so
/// that every sample's code sums to 1.
///
/// Computed in f32 and in the log domain, where a scaling subtracts a log-sum-exp (with the maximum
/// factored out). So nothing overflows or vanishes, whatever the scores and `epsilon`, and the
/// codes equal those of the plain form. NaN in any score makes all codes NaN. No gradient flows.
///
/// # Shapes
///
/// - scores `[n, prototypes]`
/// - output `[n, prototypes]`, not negative, rows summing to 1, off any autodiff graph
///
/// `epsilon` is positive (0.05 in the paper): the smaller, the harder the codes.
///
/// # Panics
///
/// If `epsilon` is not positive or `iterations` is 0.
pub fn sinkhorn(scores: Tensor<2>, epsilon: f64, iterations: usize) -> Tensor<2> {
    assert!(
        epsilon > 0.0 && iterations > 0,
        "sinkhorn: epsilon and iterations must be positive, but are {epsilon} and {iterations}"
    );
    let mut log_codes = scores
        .without_autodiff()
        .cast(FloatDType::F32)
        .div_scalar(epsilon);
    for _ in 1..iterations {
        log_codes = log_softmax(log_softmax(log_codes, 0), 1);
    }
    softmax(log_softmax(log_codes, 0), 1)
}
