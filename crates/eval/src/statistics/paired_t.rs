use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Summary;
use crate::{EvalError, Result};

/// Student's t test on paired differences, such as those of two models over label draws or seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PairedT {
    /// Mean of the differences, in their unit.
    pub mean: f64,
    /// Sample standard deviation of the differences (divisor n - 1).
    pub std: f64,
    /// `mean / (std / sqrt(n))`; `None` if the differences are all the same.
    pub t: Option<f64>,
    /// Two-sided probability of a |t| at least this large if the mean difference is 0. Without
    /// spread: 1 if the differences are all 0, else 0.
    pub p_value: f64,
    /// 95% confidence interval of the mean difference: low and high end.
    pub interval_95: [f64; 2],
}

impl PairedT {
    /// The question that this test answers.
    pub const QUESTION: &'static str = "Would the mean difference persist with other draws of labels or \
        other seeds?";
}

/// Paired t test of whether the mean of these differences is 0.
///
/// Per-image tests ([`mcnemar`](super::mcnemar), [`permutation_test`](super::permutation_test)) ask
/// whether two trained models differ on images like these. This test asks whether the difference
/// would persist with other draws of labels or other seeds. It assumes independent draws with
/// approximately normal differences.
///
/// # Errors
///
/// [`EvalError::InvalidOption`] for fewer than two differences, or a difference that is not finite.
pub fn paired_t(differences: &[f64]) -> Result<PairedT> {
    let (mean, std) = mean_and_std(differences)?;
    let half_width = half_width(differences.len(), std, 0.05);
    let t = (std > 0.0).then(|| mean / (std / (differences.len() as f64).sqrt()));
    let p_value = match t {
        Some(t) => 2.0 * student(differences.len()).sf(t.abs()),
        None if mean == 0.0 => 1.0,
        None => 0.0,
    };
    Ok(PairedT {
        mean,
        std,
        t,
        p_value,
        interval_95: [mean - half_width, mean + half_width],
    })
}

/// The smallest mean difference that [`paired_t`] would call significant at level `alpha`, given
/// the spread of these differences: half the width of the confidence interval of level `1 - alpha`.
/// [`detectable_difference`](super::detectable_difference) is larger: the test finds it with a
/// given probability.
///
/// # Errors
///
/// Those of [`paired_t`], and [`EvalError::InvalidOption`] if `alpha` is not between 0 and 1.
pub fn smallest_significant(differences: &[f64], alpha: f64) -> Result<f64> {
    if !(alpha > 0.0 && alpha < 1.0) {
        return Err(EvalError::InvalidOption {
            option: "alpha",
            value: alpha.to_string(),
            expected: "a number between 0 and 1, such as 0.05",
        });
    }
    let (_, std) = mean_and_std(differences)?;
    Ok(half_width(differences.len(), std, alpha))
}

pub(super) fn mean_and_std(differences: &[f64]) -> Result<(f64, f64)> {
    let invalid = |value, expected| EvalError::InvalidOption {
        option: "differences",
        value,
        expected,
    };
    if let Some(value) = differences.iter().find(|value| !value.is_finite()) {
        return Err(invalid(value.to_string(), "finite numbers"));
    }
    match Summary::of(differences)? {
        Summary {
            mean,
            std: Some(std),
            ..
        } => Ok((mean, std)),
        _ => Err(invalid(
            format!("a list of {}", differences.len()),
            "at least two draws",
        )),
    }
}

fn half_width(n: usize, std: f64, alpha: f64) -> f64 {
    student(n).inverse_cdf(1.0 - alpha / 2.0) * std / (n as f64).sqrt()
}

/// Student's t distribution of n - 1 degrees of freedom.
fn student(n: usize) -> StudentsT {
    StudentsT::new(0.0, 1.0, (n - 1) as f64).expect("n is at least 2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_without_spread_have_no_t() {
        let same = paired_t(&[0.5; 4]).unwrap();
        assert_eq!((same.t, same.p_value), (None, 0.0));
        assert_eq!(same.interval_95, [0.5, 0.5]);
        let none = paired_t(&[0.0; 4]).unwrap();
        assert_eq!((none.t, none.p_value), (None, 1.0));
    }

    #[test]
    fn bad_input_is_named() {
        let message = |result: Result<PairedT>| result.unwrap_err().to_string();
        assert!(message(paired_t(&[])).contains("there are none"));
        assert!(message(paired_t(&[1.0])).contains("expected at least two draws"));
        assert!(message(paired_t(&[1.0, f64::NAN])).contains("differences is NaN"));
        let error = smallest_significant(&[1.0, 2.0], 1.0).unwrap_err();
        assert!(error.to_string().starts_with("alpha is 1"), "{error}");
    }
}
