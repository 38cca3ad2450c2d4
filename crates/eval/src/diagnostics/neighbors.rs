use burn::tensor::Tensor;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::nearest::Nearest;
use crate::{EvalError, Result};

/// Rows compared at a time, to bound the memory of their products.
const ROWS: usize = 1024;
const OTHERS: usize = 4096;

/// Distances of each embedding to two of its neighbors (Figure 3).
///
/// If images of one class lie close together and far from others, the two kinds of distances
/// overlap little.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeighborDistances {
    /// Euclidean distance to the nearest other embedding, `[n]`.
    pub nearest: Vec<f64>,
    /// Euclidean distance to the k-th nearest, `[n]`.
    pub kth: Vec<f64>,
    /// The k of the k-th neighbor: 100 in the paper.
    pub k: usize,
}

impl NeighborDistances {
    /// Overlap of the two distributions of distances, in [0, 1]: 1 minus their Kolmogorov-Smirnov
    /// distance. 0 if a threshold separates all nearest distances from all k-th ones, 1 if the
    /// distributions are the same.
    pub fn overlap(&self) -> f64 {
        let sorted = |values: &[f64]| {
            let mut sorted = values.to_vec();
            sorted.sort_unstable_by(f64::total_cmp);
            sorted
        };
        let (near, far) = (sorted(&self.nearest), sorted(&self.kth));
        let gap = near.iter().chain(&far).map(|length| {
            let share = |sorted: &[f64]| {
                sorted.partition_point(|x| x <= length) as f64 / sorted.len() as f64
            };
            (share(&near) - share(&far)).abs()
        });
        1.0 - gap.fold(0.0, f64::max)
    }
}

/// Distances of each embedding of `[n, d]` to its nearest and its k-th nearest other embedding.
///
/// Embeddings are not normalized: normalize them first if only directions count. The device finds
/// the neighbors in f32, in blocks of bounded memory. Distances are computed in f64.
///
/// # Errors
///
/// [`EvalError::InvalidOption`] if k is not from 1 to n - 1, [`EvalError::NonFinite`] for NaN or
/// infinity.
pub fn neighbor_distances(embeddings: Tensor<2>, k: usize) -> Result<NeighborDistances> {
    let [n, d] = embeddings.dims();
    if k == 0 || k >= n {
        return Err(EvalError::InvalidOption {
            option: "k",
            value: format!("{k} with {n} embeddings"),
            expected: "at least 1 and less than the number of embeddings",
        });
    }
    let embeddings = embeddings.detach();
    let values: Vec<f32> = embeddings.clone().into_data().iter().collect();
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(EvalError::NonFinite {
            row: at / d,
            column: at % d,
            value: values[at],
        });
    }
    let squares = (embeddings.clone() * embeddings.clone()).sum_dim(1);
    let mut distances = Vec::with_capacity(n);
    for start in (0..n).step_by(ROWS) {
        let rows = start..n.min(start + ROWS);
        let mut found = vec![Nearest::new(k + 1); rows.len()];
        let block = embeddings.clone().slice(rows.clone()) * 2.0;
        for other in (0..n).step_by(OTHERS) {
            let others = other..n.min(other + OTHERS);
            // 2 a.b - b.b falls as the distance of b to a rises.
            let near = block
                .clone()
                .matmul(embeddings.clone().slice(others.clone()).transpose())
                - squares.clone().slice(others.clone()).transpose();
            let near: Vec<f32> = near.into_data().iter().collect();
            found
                .par_iter_mut()
                .zip(near.par_chunks_exact(others.len()))
                .for_each(|(found, near)| found.add(other, near));
        }
        distances.par_extend(found.par_iter().enumerate().map(|(i, found)| {
            let row = |at: usize| &values[at * d..][..d];
            let own = start + i;
            let others = found.found().iter().filter(|&&(_, at)| at != own);
            let mut lengths: Vec<f64> =
                others.map(|&(_, at)| distance(row(own), row(at))).collect();
            lengths.sort_unstable_by(f64::total_cmp);
            (lengths[0], lengths[k - 1])
        }));
    }
    let (nearest, kth) = distances.into_iter().unzip();
    Ok(NeighborDistances { nearest, kth, k })
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squares = a
        .iter()
        .zip(b)
        .map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2));
    squares.sum::<f64>().sqrt()
}
