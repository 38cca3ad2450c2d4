use burn::tensor::{DType, FloatDType, Tensor};
use nalgebra::DMatrix;

/// Added to each normalized singular value, as in RankMe.
const EPSILON: f64 = 1e-7;

/// Effective rank of embeddings or features `[n, d]` (RankMe, Garrido et al. 2023): the exponential
/// of the Shannon entropy of the singular values divided by their sum, from 1 to min(n, d).
///
/// The columns are not centered. All zeros give rank 0, and NaN or infinity gives NaN.
///
/// The singular values are the square roots of the eigenvalues of the smaller Gram matrix, `z z^T`
/// or `z^T z`. The device computes the product. Only min(n, d)^2 numbers reach the host, which
/// continues in f64. A Gram matrix squares the condition number, so small singular values lose
/// digits that an SVD keeps. On a device with f64, the product is in f64 and resolves singular
/// values above 1e-7 of the largest, like an SVD in f32. On other devices it resolves singular
/// values above about 0.002 of the largest. Eigenvalues that are negative or within rounding of 0
/// count as 0.
pub fn effective_rank(values: Tensor<2>) -> f64 {
    let [n, d] = values.dims();
    let double = values.device().supports_dtype(DType::F64);
    let (dtype, precision) = if double {
        (FloatDType::F64, f64::EPSILON)
    } else {
        (FloatDType::F32, f64::from(f32::EPSILON))
    };
    let values = values.detach().cast(dtype);
    let transposed = values.clone().transpose();
    let gram = if n <= d {
        values.matmul(transposed)
    } else {
        transposed.matmul(values)
    };
    let size = n.min(d);
    let gram = DMatrix::from_iterator(size, size, gram.into_data().iter::<f64>());
    if !gram.iter().all(|value| value.is_finite()) {
        return f64::NAN;
    }
    let eigenvalues = gram.symmetric_eigenvalues();
    // The rounding error of a sum of k products grows about as sqrt(k).
    let floor = (n.max(d) as f64).sqrt() * precision * eigenvalues.max();
    let singular = |&value: &f64| if value > floor { value.sqrt() } else { 0.0 };
    let sum: f64 = eigenvalues.iter().map(singular).sum();
    if sum == 0.0 {
        return 0.0;
    }
    let entropy: f64 = eigenvalues
        .iter()
        .map(|value| singular(value) / sum + EPSILON)
        .map(|p| -p * p.ln())
        .sum();
    entropy.exp()
}
