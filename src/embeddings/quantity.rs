use serde::{Deserialize, Serialize};

use super::EmbeddingMeasures;

/// One of the [`EmbeddingMeasures`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// [`EmbeddingMeasures::entropy`].
    Entropy,
    /// [`EmbeddingMeasures::covariance`].
    Covariance,
    /// [`EmbeddingMeasures::correlation`].
    Correlation,
    /// [`EmbeddingMeasures::distance_1d`].
    #[serde(rename = "distance_1d")]
    Distance1d,
    /// [`EmbeddingMeasures::distance_2d`].
    #[serde(rename = "distance_2d")]
    Distance2d,
    /// [`EmbeddingMeasures::std`].
    Std,
    /// [`EmbeddingMeasures::effective_rank`].
    EffectiveRank,
    /// [`EmbeddingMeasures::feature_rank`].
    FeatureRank,
}

impl Quantity {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 8] = [
        Self::Entropy,
        Self::Covariance,
        Self::Correlation,
        Self::Distance1d,
        Self::Distance2d,
        Self::Std,
        Self::EffectiveRank,
        Self::FeatureRank,
    ];

    /// Name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::Entropy => "marginal entropy",
            Self::Covariance => "covariance",
            Self::Correlation => "|correlation|",
            Self::Distance1d => "1-d distance to uniform",
            Self::Distance2d => "2-d distance to uniform",
            Self::Std => "standard deviation",
            Self::EffectiveRank => "rank of Z",
            Self::FeatureRank => "rank of Y",
        }
    }

    /// Decimals in tables.
    pub fn decimals(self) -> usize {
        match self {
            Self::Covariance => 4,
            Self::EffectiveRank | Self::FeatureRank => 2,
            _ => 3,
        }
    }

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
