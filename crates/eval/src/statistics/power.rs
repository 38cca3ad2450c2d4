use std::f64::consts::{FRAC_1_SQRT_2, LN_2};

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};
use statrs::function::gamma::ln_gamma;

use super::paired_t::mean_and_std;
use crate::{EvalError, Result};

/// Steps of Simpson's rule; even.
const STEPS: usize = 4000;

/// The minimal detectable difference of [`paired_t`](super::paired_t): the smallest mean difference
/// that the test finds at level `alpha` with probability `power`, given the spread of these
/// differences. In the unit of the differences.
///
/// The power comes from the noncentral t distribution, with both tails. The spread is treated as
/// known, although it is estimated from the same differences.
///
/// # Errors
///
/// The errors of [`paired_t`](super::paired_t), and [`EvalError::InvalidOption`] unless
/// 0 < alpha < power < 1.
pub fn detectable_difference(differences: &[f64], alpha: f64, power: f64) -> Result<f64> {
    check(alpha, power)?;
    let (_, std) = mean_and_std(differences)?;
    let n = differences.len() as f64;
    let df = n - 1.0;
    let student = StudentsT::new(0.0, 1.0, df).expect("n is at least 2");
    let critical = student.inverse_cdf(1.0 - alpha / 2.0);
    Ok(noncentrality(critical, df, power) * std / n.sqrt())
}

/// The smallest difference in accuracy, from 0 to 1, that McNemar's test on `images` images finds
/// at level `alpha` with probability `power`, given the number of disagreements.
///
/// Uses the normal approximation with the standard error under no difference,
/// `sqrt(disagreements) / images`.
///
/// # Errors
///
/// [`EvalError::Empty`] without images, and [`EvalError::InvalidOption`] unless
/// 0 < alpha < power < 1.
pub fn detectable_by_mcnemar(
    images: usize,
    disagreements: usize,
    alpha: f64,
    power: f64,
) -> Result<f64> {
    check(alpha, power)?;
    if images == 0 {
        return Err(EvalError::Empty {
            what: "images to compare two models on",
        });
    }
    let quantile = |p| Normal::standard().inverse_cdf(p);
    let errors = quantile(1.0 - alpha / 2.0) + quantile(power);
    Ok(errors * (disagreements as f64).sqrt() / images as f64)
}

fn check(alpha: f64, power: f64) -> Result<()> {
    if 0.0 < alpha && alpha < power && power < 1.0 {
        return Ok(());
    }
    Err(EvalError::InvalidOption {
        option: "alpha and power",
        value: format!("{alpha} and {power}"),
        expected: "0 < alpha < power < 1, such as 0.05 and 0.8",
    })
}

/// The noncentrality at which |T| exceeds `critical` with probability `power`, by bisection.
fn noncentrality(critical: f64, df: f64, power: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while exceeds(critical, df, high) < power {
        high *= 2.0;
    }
    while high - low > 1e-12 * high {
        let middle = 0.5 * (low + high);
        match exceeds(critical, df, middle) < power {
            true => low = middle,
            false => high = middle,
        }
    }
    high
}

/// Probability that |T| exceeds `critical` for a noncentral t variable T = (Z + shift) / U, where
/// `df U^2` is chi-square with `df` degrees of freedom: the integral over U.
fn exceeds(critical: f64, df: f64, shift: f64) -> f64 {
    let below = |x: f64| 0.5 * libm::erfc(-x * FRAC_1_SQRT_2);
    let constant = LN_2 + 0.5 * df * (0.5 * df).ln() - ln_gamma(0.5 * df);
    let integrand = |u: f64| {
        // u^0 is 1 at u = 0, too.
        let power = if df == 1.0 { 0.0 } else { (df - 1.0) * u.ln() };
        let density = (constant + power - 0.5 * df * u * u).exp();
        density * (below(shift - critical * u) + below(-shift - critical * u))
    };
    // U has mean about 1 and standard deviation about 1 / sqrt(2 df).
    let spread = 12.0 / (2.0 * df).sqrt();
    let (from, to) = ((1.0 - spread).max(0.0), 1.0 + spread);
    let width = (to - from) / STEPS as f64;
    let sum: f64 = (0..=STEPS)
        .map(|i| {
            let weight = match i {
                0 | STEPS => 1.0,
                _ if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * integrand(from + width * i as f64)
        })
        .sum();
    sum * width / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_difference_the_power_is_the_level() {
        for df in [1.0, 2.0, 23.0, 400.0] {
            let student = StudentsT::new(0.0, 1.0, df).unwrap();
            let power = exceeds(student.inverse_cdf(0.975), df, 0.0);
            assert!((power - 0.05).abs() < 1e-9, "{df}: {power}");
        }
    }

    #[test]
    fn differences_without_spread_are_all_found() {
        assert_eq!(detectable_difference(&[0.5; 3], 0.05, 0.8).unwrap(), 0.0);
        assert_eq!(detectable_by_mcnemar(10, 0, 0.05, 0.8).unwrap(), 0.0);
    }

    #[test]
    fn bad_input_is_named() {
        for (alpha, power) in [(0.0, 0.8), (0.05, 1.0), (0.8, 0.05), (f64::NAN, 0.8)] {
            let error = detectable_difference(&[1.0, 2.0], alpha, power).unwrap_err();
            assert!(
                error.to_string().starts_with("alpha and power is"),
                "{error}"
            );
            assert!(detectable_by_mcnemar(10, 2, alpha, power).is_err());
        }
        assert!(detectable_difference(&[1.0], 0.05, 0.8).is_err());
        assert!(detectable_by_mcnemar(0, 0, 0.05, 0.8).is_err());
    }
}
