use super::paired::PairedCounts;
use crate::Result;

/// The question that [`cohens_d`] answers.
pub const COHENS_D_QUESTION: &str = "How large is the mean difference compared with the spread of \
    the differences over images?";

/// Observed mean difference in correctness, second minus first, in [-1, 1].
///
/// # Errors
///
/// [`EvalError::Unpaired`](crate::EvalError::Unpaired) if the lengths differ,
/// [`EvalError::Empty`](crate::EvalError::Empty) if there is no image.
pub fn mean_difference(first: &[bool], second: &[bool]) -> Result<f64> {
    Ok(PairedCounts::new(first, second)?.mean_difference())
}

/// Cohen's d for paired samples (Table D.1): the mean of the per-image differences in correctness
/// over their sample standard deviation.
///
/// 0 if both models have the same accuracy. `None` if one model is right and the other wrong on
/// every image, since the standard deviation is then 0.
///
/// # Errors
///
/// [`EvalError::Unpaired`](crate::EvalError::Unpaired) if the lengths differ,
/// [`EvalError::Empty`](crate::EvalError::Empty) if there is no image.
pub fn cohens_d(first: &[bool], second: &[bool]) -> Result<Option<f64>> {
    PairedCounts::new(first, second).map(from_counts)
}

pub(super) fn from_counts(counts: PairedCounts) -> Option<f64> {
    if counts.n01 == counts.n10 {
        return Some(0.0);
    }
    if counts.n01.max(counts.n10) == counts.n {
        return None;
    }
    let mean = counts.mean_difference();
    // Differences are -1, 0 or 1, so their squares sum to the number of disagreements.
    let squares = (counts.n01 + counts.n10) as f64;
    let n = counts.n as f64;
    let variance = (squares - n * mean * mean) / (n - 1.0);
    Some(mean / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand() {
        // Differences 1, 0, 0, -1, 1: mean 0.2, variance (3 - 0.2) / 4 = 0.7.
        let first = [false, true, false, true, false];
        let second = [true, true, false, false, true];
        let d = cohens_d(&first, &second).unwrap().unwrap();
        assert!((d - 0.2 / 0.7f64.sqrt()).abs() < 1e-15, "{d}");
    }

    #[test]
    fn limits() {
        assert_eq!(cohens_d(&[true], &[true]), Ok(Some(0.0)));
        assert_eq!(cohens_d(&[false; 4], &[true; 4]), Ok(None));
        assert_eq!(cohens_d(&[true], &[false]), Ok(None));
    }
}
