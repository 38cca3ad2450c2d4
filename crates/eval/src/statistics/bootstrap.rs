use rand::{Rng, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Binomial, Distribution};

use super::paired::PairedCounts;
use crate::{EvalError, Result};

/// Probability on each side of the interval.
const TAIL: f64 = 0.025;

/// The question that [`bootstrap_mean_difference`] answers.
pub const BOOTSTRAP_QUESTION: &str = "How large is the difference in accuracy of these two trained \
    models likely to be on similar images?";

/// 95% bootstrap interval of the difference in accuracy, second minus first: low and high end.
///
/// The images are resampled with replacement `resamples` times. The ends are the 2.5% and 97.5%
/// percentiles of the differences (linear between neighbors, as in NumPy). The same seed gives the
/// same interval.
///
/// # Errors
///
/// [`EvalError::Unpaired`] if the lengths differ, [`EvalError::Empty`] if there is no image,
/// [`EvalError::InvalidOption`] if `resamples` is 0.
pub fn bootstrap_mean_difference(
    first: &[bool],
    second: &[bool],
    resamples: u32,
    seed: u64,
) -> Result<[f64; 2]> {
    let counts = PairedCounts::new(first, second)?;
    if resamples == 0 {
        return Err(EvalError::InvalidOption {
            option: "resamples",
            value: resamples.to_string(),
            expected: "at least 1 (10000 are usual)",
        });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut differences: Vec<f64> = (0..resamples)
        .map(|_| resample(counts, &mut rng).mean_difference())
        .collect();
    differences.sort_unstable_by(f64::total_cmp);
    Ok([TAIL, 1.0 - TAIL].map(|share| percentile(&differences, share)))
}

/// Counts among n images drawn with replacement: a multinomial, drawn as successive binomials.
fn resample(counts: PairedCounts, rng: &mut impl Rng) -> PairedCounts {
    let PairedCounts { n, n01, n10 } = counts;
    let mut draw = |trials: usize, hits: usize, of: usize| {
        // With no image left to choose from there is no trial either.
        let share = hits as f64 / of.max(1) as f64;
        let binomial = Binomial::new(trials as u64, share).expect("a share is a probability");
        binomial.sample(rng) as usize
    };
    let drawn_01 = draw(n, n01, n);
    let drawn_10 = draw(n - drawn_01, n10, n - n01);
    PairedCounts {
        n,
        n01: drawn_01,
        n10: drawn_10,
    }
}

/// The value below which a share of the sorted values lies.
fn percentile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let below = sorted[at.floor() as usize];
    let above = sorted[at.ceil() as usize];
    below + (above - below) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_neighbors() {
        let sorted: Vec<f64> = (0..5).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.0), 0.0);
        assert_eq!(percentile(&sorted, 0.625), 2.5);
        assert_eq!(percentile(&sorted, 1.0), 4.0);
        assert_eq!(percentile(&[7.0], 0.3), 7.0);
    }

    #[test]
    fn resamples_of_two_images_by_hand() {
        // Differences 1 and 0: both images, twice the first, or twice the second.
        let counts = PairedCounts {
            n: 2,
            n01: 1,
            n10: 0,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = [0u32; 3];
        for _ in 0..4000 {
            seen[resample(counts, &mut rng).n01] += 1;
        }
        // 1/4, 1/2, 1/4, within four standard deviations.
        for (seen, expected) in seen.into_iter().zip([1000.0, 2000.0, 1000.0]) {
            assert!((f64::from(seen) - expected).abs() < 4.0 * 32.0, "{seen}");
        }
        let interval = bootstrap_mean_difference(&[false, true], &[true, true], 1000, 0);
        assert_eq!(interval, Ok([0.0, 1.0]));
    }

    #[test]
    fn every_image_may_differ() {
        let interval = |first, second| bootstrap_mean_difference(first, second, 100, 0).unwrap();
        assert_eq!(interval(&[false; 3], &[true; 3]), [1.0, 1.0]);
        assert_eq!(interval(&[true; 3], &[false; 3]), [-1.0, -1.0]);
        assert_eq!(interval(&[true; 3], &[true; 3]), [0.0, 0.0]);
        assert_eq!(interval(&[true, false], &[false, true]), [-1.0, 1.0]);
    }

    #[test]
    fn no_resample_is_an_error() {
        let error = bootstrap_mean_difference(&[true], &[true], 0, 0).unwrap_err();
        assert!(error.to_string().starts_with("resamples is 0"), "{error}");
    }
}
