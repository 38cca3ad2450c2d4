use burn::tensor::Tensor;
use e2mc_eval::diagnostics::{
    effective_rank, marginal_uniformity, mean_absolute_correlation, mean_std, pair_uniformity,
    random_pairs,
};
use e2mc_loss::{CompactSpace, E2mcLossConfig};
use serde::{Deserialize, Serialize};

use super::Quantity;

/// Random pairs of dimensions whose two-dimensional marginals are measured.
const PAIRS: usize = 64;

/// Measurements of the embeddings Z and the features Y of some images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EmbeddingMeasures {
    /// Marginal entropy of Z on the compact space, averaged over the dimensions (0: uniform, the
    /// maximum).
    pub entropy: f64,
    /// Off-diagonal covariance of Z on the compact space, as in the criterion (0: uncorrelated).
    pub covariance: f64,
    /// Mean |Pearson's r| over all pairs of dimensions of Z, from 0 to 1.
    pub correlation: f64,
    /// Kolmogorov-Smirnov distance between the one-dimensional marginals of Z on the compact space
    /// and the uniform distribution, averaged over the dimensions; from 0 to 1.
    pub distance_1d: f64,
    /// The same for two-dimensional marginals, averaged over 64 random pairs of dimensions. 0 with
    /// fewer than two dimensions.
    pub distance_2d: f64,
    /// Mean standard deviation of the dimensions of Z.
    pub std: f64,
    /// Effective rank (RankMe) of Z.
    pub effective_rank: f64,
    /// Effective rank of Y.
    pub feature_rank: f64,
}

impl EmbeddingMeasures {
    /// Measures embeddings and features of the same images.
    ///
    /// # Shapes
    ///
    /// - embeddings: `[n, d]`, the projector output
    /// - features: `[n, features]`, the backbone output
    ///
    /// # Panics
    ///
    /// If n < 2.
    pub fn of(embeddings: Tensor<2>, features: Tensor<2>, space: CompactSpace) -> Self {
        let criterion = E2mcLossConfig::new(space).init();
        let e2mc = criterion.forward(std::slice::from_ref(&embeddings));
        let scalar = |value: Tensor<1>| value.into_scalar::<f64>();
        let compact = space.transform(embeddings.clone());
        let [_, dimensions] = compact.dims();
        let pairs = random_pairs(dimensions, PAIRS, 0);
        let distances = pair_uniformity(compact.clone(), &pairs);
        Self {
            entropy: scalar(e2mc.entropy),
            covariance: scalar(e2mc.covariance),
            correlation: mean_absolute_correlation(embeddings.clone()),
            distance_1d: marginal_uniformity(compact),
            distance_2d: distances.iter().sum::<f64>() / distances.len().max(1) as f64,
            std: mean_std(embeddings.clone()),
            effective_rank: effective_rank(embeddings),
            feature_rank: effective_rank(features),
        }
    }

    /// Measurements with the values that `value` returns for each quantity.
    pub(super) fn from_each(value: impl Fn(Quantity) -> f64) -> Self {
        use Quantity::*;
        Self {
            entropy: value(Entropy),
            covariance: value(Covariance),
            correlation: value(Correlation),
            distance_1d: value(Distance1d),
            distance_2d: value(Distance2d),
            std: value(Std),
            effective_rank: value(EffectiveRank),
            feature_rank: value(FeatureRank),
        }
    }
}

impl Quantity {
    /// Its value.
    pub fn of(self, measures: &EmbeddingMeasures) -> f64 {
        match self {
            Self::Entropy => measures.entropy,
            Self::Covariance => measures.covariance,
            Self::Correlation => measures.correlation,
            Self::Distance1d => measures.distance_1d,
            Self::Distance2d => measures.distance_2d,
            Self::Std => measures.std,
            Self::EffectiveRank => measures.effective_rank,
            Self::FeatureRank => measures.feature_rank,
        }
    }
}
