use serde::{Deserialize, Serialize};

/// One of the [`EmbeddingMeasures`](super::EmbeddingMeasures).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Quantity {
    /// [`entropy`](super::EmbeddingMeasures::entropy).
    Entropy,
    /// [`covariance`](super::EmbeddingMeasures::covariance).
    Covariance,
    /// [`correlation`](super::EmbeddingMeasures::correlation).
    Correlation,
    /// [`distance_1d`](super::EmbeddingMeasures::distance_1d).
    #[serde(rename = "distance_1d")]
    Distance1d,
    /// [`distance_2d`](super::EmbeddingMeasures::distance_2d).
    #[serde(rename = "distance_2d")]
    Distance2d,
    /// [`std`](super::EmbeddingMeasures::std).
    Std,
    /// [`effective_rank`](super::EmbeddingMeasures::effective_rank).
    EffectiveRank,
    /// [`feature_rank`](super::EmbeddingMeasures::feature_rank).
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
}
