use std::f64::consts::TAU;

use burn::tensor::{Device, Tensor, TensorData};
use e2mc_data::derived_seed;
use e2mc_loss::CompactSpace;

/// Embeddings `[n, d]` whose dimensions are independent and uniform on the compact space: the
/// criterion's optimum. The same shape gives the same values.
pub(super) fn uniform_embeddings(
    shape: [usize; 2],
    space: CompactSpace,
    device: &Device,
) -> Tensor<2> {
    // In (0, 1): the upper 53 bits, plus half of the last one.
    let uniform = |stream: u64, i: usize| {
        ((derived_seed(stream, i as u64) >> 11) as f64 + 0.5) / 2f64.powi(53)
    };
    let value = |i: usize| {
        let u = uniform(0, i);
        let value = match space {
            // A normal variable by Box and Muller.
            CompactSpace::Hypersphere => (-2.0 * u.ln()).sqrt() * (TAU * uniform(1, i)).cos(),
            CompactSpace::Hypercube => (u / (1.0 - u)).ln(),
        };
        value as f32
    };
    let values: Vec<f32> = (0..shape[0] * shape[1]).map(value).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EmbeddingMeasures;

    #[test]
    fn they_are_uniform_and_uncorrelated_on_either_space() {
        for space in [CompactSpace::Hypersphere, CompactSpace::Hypercube] {
            let z = uniform_embeddings([2000, 8], space, &Device::flex());
            let found = EmbeddingMeasures::of(z.clone(), z, space);
            // A uniform sample of 2000 has a Kolmogorov-Smirnov distance of 0.87 / sqrt(2000).
            assert!(found.distance_1d < 0.03, "{found:?}");
            // Independent uniform columns: (d - 1) / 144 / (n - 1).
            assert!(found.covariance < 1e-4, "{found:?}");
            assert!(found.entropy.abs() < 0.03, "{found:?}");
        }
    }
}
