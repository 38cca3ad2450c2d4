use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};
use serde::{Deserialize, Serialize};

use super::paired::PairedCounts;
use crate::{EvalError, Result};

/// Outcome of a paired permutation test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PermutationTest {
    /// Observed difference in accuracy, second minus first, in [-1, 1].
    pub mean_difference: f64,
    /// Share of the permutations, including the observed one, with a difference at least as large
    /// in absolute value. Never 0.
    pub p_value: f64,
    /// Number of random permutations drawn.
    pub permutations: u32,
}

impl PermutationTest {
    /// The question that this test answers.
    pub const QUESTION: &'static str = "Would a difference in accuracy this large arise if the two trained \
        models were exchanged at random on each image?";
}

/// Paired permutation test (Table D.1): how often a random exchange of the two models on each image
/// gives a difference in accuracy at least as large as the observed one.
///
/// Exchanging the models on an image flips the sign of its difference in correctness. Images on
/// which they agree contribute 0 either way, so a permutation flips one fair coin per disagreement.
/// The two-sided p-value is `(1 + hits) / (1 + permutations)`; the same seed gives the same value
/// everywhere.
///
/// # Errors
///
/// [`EvalError::Unpaired`] if the lengths differ, [`EvalError::Empty`] if there is no image,
/// [`EvalError::InvalidOption`] if `permutations` is 0.
pub fn permutation_test(
    first: &[bool],
    second: &[bool],
    permutations: u32,
    seed: u64,
) -> Result<PermutationTest> {
    from_counts(PairedCounts::new(first, second)?, permutations, seed)
}

pub(super) fn from_counts(
    counts: PairedCounts,
    permutations: u32,
    seed: u64,
) -> Result<PermutationTest> {
    if permutations == 0 {
        return Err(EvalError::InvalidOption {
            option: "permutations",
            value: permutations.to_string(),
            expected: "at least 1 (10000 resolves p to 0.0001)",
        });
    }
    let disagreements = counts.n01 + counts.n10;
    let observed = counts.n01.abs_diff(counts.n10);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let hits = (0..permutations)
        .filter(|_| {
            let positive = heads(disagreements, &mut rng);
            positive.abs_diff(disagreements - positive) >= observed
        })
        .count();
    Ok(PermutationTest {
        mean_difference: counts.mean_difference(),
        p_value: (1 + hits) as f64 / (1.0 + f64::from(permutations)),
        permutations,
    })
}

/// Heads among `coins` fair coins, 64 to a random word.
fn heads(coins: usize, rng: &mut ChaCha8Rng) -> usize {
    let whole: u32 = (0..coins / 64).map(|_| rng.next_u64().count_ones()).sum();
    let rest = match coins % 64 {
        0 => 0,
        rest => (rng.next_u64() >> (64 - rest)).count_ones(),
    };
    (whole + rest) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_one_value() {
        let counts = PairedCounts {
            n: 500,
            n01: 70,
            n10: 50,
        };
        let p = |seed| from_counts(counts, 2000, seed).map(|test| test.p_value);
        assert_eq!(p(3), p(3));
        assert_ne!(p(3), p(4));
    }

    #[test]
    fn models_that_agree_do_not_differ() {
        let test = permutation_test(&[true, false], &[true, false], 100, 0).unwrap();
        assert_eq!((test.mean_difference, test.p_value), (0.0, 1.0));
    }
}
