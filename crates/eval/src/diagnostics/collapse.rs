use std::fmt;

use serde::{Deserialize, Serialize};

/// Below this effective rank, embeddings lie in one direction.
const ONE_DIRECTION: f64 = 1.5;

/// Below this share of the possible rank, most dimensions are redundant.
const FEW_DIMENSIONS: f64 = 0.05;

/// A way in which embeddings have collapsed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collapse {
    /// All embeddings are about the same vector, or multiples of one: the standard deviation is 0,
    /// or the effective rank is below 1.5.
    Complete {
        /// Mean standard deviation of the dimensions.
        std: f64,
        /// Effective rank.
        effective_rank: f64,
    },
    /// The embeddings lie in few dimensions: the effective rank is below 5% of min(n, d). Only
    /// detected if min(n, d) is at least 40.
    Dimensional {
        /// Effective rank.
        effective_rank: f64,
        /// The largest possible rank, min(n, d).
        possible: usize,
    },
}

impl Collapse {
    /// Detects collapse of embeddings of `shape` `[n, d]` from the mean standard deviation of their
    /// dimensions and their [`effective_rank`](super::effective_rank). NaN counts as complete
    /// collapse.
    pub fn of(std: f64, effective_rank: f64, [n, d]: [usize; 2]) -> Option<Self> {
        let possible = n.min(d);
        if !(std > 0.0 && effective_rank >= ONE_DIRECTION.min(possible as f64 * 0.99)) {
            return Some(Self::Complete {
                std,
                effective_rank,
            });
        }
        let few = possible >= 40 && effective_rank < FEW_DIMENSIONS * possible as f64;
        few.then_some(Self::Dimensional {
            effective_rank,
            possible,
        })
    }
}

/// A warning of one line.
impl fmt::Display for Collapse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete {
                std,
                effective_rank,
            } => write!(
                f,
                "embeddings have collapsed to one direction (effective rank {effective_rank:.1}, \
                mean standard deviation {std:.2e}): lower the learning rate or the weights of the \
                criterion"
            ),
            Self::Dimensional {
                effective_rank,
                possible,
            } => write!(
                f,
                "embeddings use few of their dimensions (effective rank {effective_rank:.1} of \
                {possible}): raise the covariance weight"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_apart() {
        let kind = |std, rank, shape| match Collapse::of(std, rank, shape) {
            None => "none",
            Some(Collapse::Complete { .. }) => "complete",
            Some(Collapse::Dimensional { .. }) => "dimensional",
        };
        assert_eq!(kind(0.5, 60.0, [512, 128]), "none");
        assert_eq!(kind(0.5, 6.0, [512, 128]), "dimensional");
        assert_eq!(kind(0.5, 1.2, [512, 128]), "complete");
        assert_eq!(kind(0.0, 1.0, [512, 128]), "complete");
        assert_eq!(kind(f64::NAN, f64::NAN, [512, 128]), "complete");
        assert_eq!(kind(0.5, 1.0, [512, 1]), "none");
        assert_eq!(kind(0.5, 1.8, [512, 16]), "none");
        let warning = Collapse::of(0.0, 1.0, [512, 128]).unwrap().to_string();
        assert!(warning.contains("effective rank 1.0, mean standard deviation 0.00e0"));
    }
}
