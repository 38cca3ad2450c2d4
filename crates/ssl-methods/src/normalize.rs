//! Vectors of unit length.

use burn::tensor::Tensor;

/// Scales the vectors along `dim` to unit length. Vectors shorter than 1e-12 are divided by 1e-12,
/// as in PyTorch.
pub(crate) fn normalize<const D: usize>(x: Tensor<D>, dim: usize) -> Tensor<D> {
    // Clamped before the root, whose gradient is infinite at 0.
    let norm = x.clone().square().sum_dim(dim).clamp_min(1e-24).sqrt();
    x / norm
}
