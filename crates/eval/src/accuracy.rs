//! Predictions against labels.

use crate::FeaturesPart;

/// Whether each prediction is correct.
pub(crate) fn correct(predictions: &[u32], test: &FeaturesPart<'_>) -> Vec<bool> {
    let pairs = predictions.iter().zip(test.labels());
    pairs.map(|(&class, label)| class == label).collect()
}

/// Share of correct predictions, in [0, 1].
pub(crate) fn accuracy(correct: &[bool]) -> f64 {
    let hits = correct.iter().filter(|&&hit| hit).count();
    hits as f64 / correct.len() as f64
}
