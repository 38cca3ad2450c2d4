use serde::{Deserialize, Serialize};

use super::{McNemar, PermutationTest, effect_size, mcnemar, paired::PairedCounts, permutation};
use crate::Result;

/// One row of the paper's Table D.1: every paired statistic of two models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedComparison {
    /// McNemar's test.
    pub mcnemar: McNemar,
    /// Paired permutation test, with the observed mean difference.
    pub permutation: PermutationTest,
    /// Cohen's d of the per-image differences, see [`cohens_d`](super::cohens_d).
    pub cohens_d: Option<f64>,
}

impl PairedComparison {
    /// Compares the per-image correctness of two models, second minus first.
    ///
    /// # Errors
    ///
    /// Those of [`permutation_test`](super::permutation_test).
    pub fn new(first: &[bool], second: &[bool], permutations: u32, seed: u64) -> Result<Self> {
        let counts = PairedCounts::new(first, second)?;
        Ok(Self {
            mcnemar: mcnemar::from_counts(counts),
            permutation: permutation::from_counts(counts, permutations, seed)?,
            cohens_d: effect_size::from_counts(counts),
        })
    }
}
