use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

/// Added to each spacing, as in the criterion of VICReg.
const EPSILON: f64 = 1e-7;

/// Entropies of the marginals of compact embeddings, in nats. At most about 0, the entropy of the
/// uniform distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MarginalEntropies {
    /// Mean over the dimensions.
    pub mean: f64,
    /// Entropy of each dimension, `[d]`.
    pub per_dimension: Vec<f64>,
}

/// Entropy of each marginal of compact embeddings `[n, d]`, values in [0, 1], in f64. Estimated
/// from the spacings of order `spacing` of the sorted values (equation 4). `None` uses the paper's
/// order, round(sqrt(n)).
///
/// This is the quantity that the criterion maximizes, without its gradient. NaN or infinity gives
/// NaN for its dimension.
///
/// # Panics
///
/// If n < 2, d is 0, or the spacing is not from 1 to n - 1.
pub fn marginal_entropies(compact: Tensor<2>, spacing: Option<usize>) -> MarginalEntropies {
    let [n, d] = compact.dims();
    assert!(n >= 2 && d > 0, "entropies of [{n}, {d}] embeddings");
    let spacing = spacing.unwrap_or((n as f64).sqrt().round() as usize);
    assert!((1..n).contains(&spacing), "spacing {spacing} of {n} values");
    let columns = compact.detach().transpose().into_data();
    let mut columns: Vec<f32> = columns.iter().collect();
    let entropies = columns
        .chunks_exact_mut(n)
        .map(|column| entropy(column, spacing));
    let per_dimension: Vec<f64> = entropies.collect();
    MarginalEntropies {
        mean: per_dimension.iter().sum::<f64>() / d as f64,
        per_dimension,
    }
}

fn entropy(column: &mut [f32], spacing: usize) -> f64 {
    if !column.iter().all(|value| value.is_finite()) {
        return f64::NAN;
    }
    column.sort_unstable_by(f32::total_cmp);
    let scale = (column.len() + 1) as f64 / spacing as f64;
    let pairs = column.iter().zip(&column[spacing..]);
    let logs =
        pairs.map(|(&low, &high)| (scale * (f64::from(high) - f64::from(low)) + EPSILON).ln());
    logs.sum::<f64>() / (column.len() - spacing) as f64
}
