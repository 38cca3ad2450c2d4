//! Measurements of embeddings: spread, correlation, rank, and the shape of their marginals.
//!
//! The differentiable terms of the criterion are in `e2mc-loss`.

mod collapse;
mod effective_rank;
mod entropy;
mod neighbors;
mod pairs;
mod spread;
mod uniformity;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

pub use collapse::Collapse;
pub use effective_rank::effective_rank;
pub use entropy::{MarginalEntropies, marginal_entropies};
pub use neighbors::{NeighborDistances, neighbor_distances};
pub(crate) use pairs::draw_pairs;
pub use pairs::{pair_uniformity, random_pairs};
pub use spread::{mean_absolute_correlation, mean_std};
pub use uniformity::marginal_uniformity;

/// Diagnostics of one set of embeddings, cheap enough to run during training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingStatistics {
    /// [`mean_std`] of the embeddings.
    pub embedding_std_mean: f64,
    /// [`mean_absolute_correlation`] of the embeddings, in [0, 1].
    pub mean_abs_off_diagonal_correlation: f64,
    /// [`effective_rank`] of the embeddings, from 0 to min(n, d).
    pub effective_rank: f64,
    /// [`marginal_uniformity`] of the compact embeddings, in (0, 1].
    pub marginal_uniformity: f64,
}

impl EmbeddingStatistics {
    /// Statistics of the embeddings of n images.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[n, d]`, the projector output
    /// - compact: `[n, d]`, the same in [0, 1]
    ///
    /// # Panics
    ///
    /// If n < 2, or the shapes differ.
    pub fn of(embeddings: Tensor<2>, compact: Tensor<2>) -> Self {
        assert_eq!(
            embeddings.dims(),
            compact.dims(),
            "embeddings and compact embeddings must have the same shape"
        );
        Self {
            embedding_std_mean: mean_std(embeddings.clone()),
            mean_abs_off_diagonal_correlation: mean_absolute_correlation(embeddings.clone()),
            effective_rank: effective_rank(embeddings),
            marginal_uniformity: marginal_uniformity(compact),
        }
    }

    /// Whether these embeddings, of shape `[n, d]`, have collapsed.
    pub fn collapse(&self, shape: [usize; 2]) -> Option<Collapse> {
        Collapse::of(self.embedding_std_mean, self.effective_rank, shape)
    }
}
