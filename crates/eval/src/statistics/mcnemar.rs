use serde::{Deserialize, Serialize};

use super::paired::PairedCounts;
use crate::Result;

/// Below this many disagreements the chi-square approximation is poor and the exact test is used.
const EXACT_BELOW: usize = 25;

/// How the p-value of a [`McNemar`] test was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum McNemarMethod {
    /// Two-sided binomial test on the disagreements: fewer than 25 of them.
    Exact,
    /// Upper tail of the chi-square distribution with one degree of freedom, uncorrected.
    ChiSquare,
}

/// McNemar's test on the correctness of two models.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct McNemar {
    /// Images on which only the second model is right.
    pub n01: usize,
    /// Images on which only the first model is right.
    pub n10: usize,
    /// `(n01 - n10)^2 / (n01 + n10)`; 0 if the models never disagree.
    pub chi_squared: f64,
    /// Probability of a difference at least this large if both models are equally good; 1 if they
    /// never disagree.
    pub p_value: f64,
    /// How the p-value was obtained.
    pub method: McNemarMethod,
}

impl McNemar {
    /// The question that this test answers.
    pub const QUESTION: &'static str = "Where the two trained models disagree, is each of them right \
        about equally often, apart from chance?";
}

/// McNemar's test (Table D.1) on the per-image correctness of two models.
///
/// The statistic is `(n01 - n10)^2 / (n01 + n10)`, without continuity correction. If the models
/// disagree on 25 images or more, the p-value is the chi-square tail with one degree of freedom.
/// With fewer disagreements, it comes from the exact two-sided binomial test.
///
/// # Errors
///
/// [`EvalError::Unpaired`](crate::EvalError::Unpaired) if the lengths differ,
/// [`EvalError::Empty`](crate::EvalError::Empty) if there is no image.
pub fn mcnemar(first: &[bool], second: &[bool]) -> Result<McNemar> {
    PairedCounts::new(first, second).map(from_counts)
}

pub(super) fn from_counts(counts: PairedCounts) -> McNemar {
    let PairedCounts { n01, n10, .. } = counts;
    let disagreements = n01 + n10;
    let chi_squared = if disagreements == 0 {
        0.0
    } else {
        (n01 as f64 - n10 as f64).powi(2) / disagreements as f64
    };
    let (method, p_value) = if disagreements < EXACT_BELOW {
        (McNemarMethod::Exact, binomial_two_sided(n01, n10))
    } else {
        // A chi-square variable with one degree of freedom is a squared standard normal.
        let p = libm::erfc((chi_squared / 2.0).sqrt());
        (McNemarMethod::ChiSquare, p)
    };
    McNemar {
        n01,
        n10,
        chi_squared,
        p_value,
        method,
    }
}

/// Probability under fair coins that the rarer outcome is at most `min(a, b)`, times two.
fn binomial_two_sided(a: usize, b: usize) -> f64 {
    let n = a + b;
    let mut coefficient = 1.0;
    let mut tail = 0.0;
    for i in 0..=a.min(b) {
        tail += coefficient;
        coefficient *= (n - i) as f64 / (i + 1) as f64;
    }
    // The two tails overlap in the middle when a = b.
    (2.0 * tail / (n as f64).exp2()).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(n01: usize, n10: usize) -> McNemar {
        from_counts(PairedCounts { n: 100, n01, n10 })
    }

    #[test]
    fn no_disagreement_is_no_evidence() {
        let result = test(0, 0);
        assert_eq!((result.chi_squared, result.p_value), (0.0, 1.0));
    }

    #[test]
    fn exact_tail_by_hand() {
        // 5 coins, none or all heads: 2/32.
        assert_eq!(test(5, 0).p_value, 0.0625);
        assert_eq!(test(3, 3).p_value, 1.0);
        // 1 + 4 of 4 coins, twice: 10/16.
        assert_eq!(test(1, 3).p_value, 0.625);
    }

    #[test]
    fn chi_square_takes_over_at_25() {
        assert_eq!(test(12, 12).method, McNemarMethod::Exact);
        assert_eq!(test(12, 13).method, McNemarMethod::ChiSquare);
        let p = test(20, 5).p_value; // chi^2 = 225 / 25 = 9: three standard deviations
        assert!((p / 2.699_796_063_260_19e-3 - 1.0).abs() < 1e-12, "{p}");
    }
}
