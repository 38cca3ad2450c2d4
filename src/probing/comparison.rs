use e2mc_eval::LabelAmount;
use e2mc_eval::statistics::{PairedComparison, PairedT, Summary, paired_t};
use serde::{Deserialize, Serialize};

use super::LabelProbes;
use crate::Error;

/// Sign flips of the paired permutation test.
const PERMUTATIONS: u32 = 10_000;

/// One backbone against another with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the backbone.
    pub backbone: String,
    /// Name of the one that it is compared with.
    pub reference: String,
    /// How many of the training labels were used.
    pub labels: LabelAmount,
    /// Difference in accuracy per draw, in percentage points.
    pub difference: Summary,
    /// Paired t test over the draws of labels: would other draws show the same? None for one draw.
    pub over_draws: Option<PairedT>,
    /// The paired tests of each draw on the correctness of each test image: would other images show
    /// the same?
    pub tests: Vec<PairedComparison>,
}

/// The probes of a backbone, under its name.
pub(crate) struct LabeledBackbone<'a> {
    pub(crate) name: &'a str,
    pub(crate) probes: &'a [LabelProbes],
    /// Labels of the test images.
    pub(crate) labels: &'a [u32],
}

/// Compares a backbone with a reference, draw by draw.
pub(crate) fn compare(
    backbone: &LabeledBackbone,
    reference: &LabeledBackbone,
    seed: u64,
) -> Result<Vec<Comparison>, Error> {
    let mut all = Vec::new();
    for (first, second) in reference.probes.iter().zip(backbone.probes) {
        let differences: Vec<f64> = first
            .accuracies
            .iter()
            .zip(&second.accuracies)
            .map(|(first, second)| second - first)
            .collect();
        let correct = |predictions: &[u32], labels: &[u32]| -> Vec<bool> {
            predictions
                .iter()
                .zip(labels)
                .map(|(p, y)| p == y)
                .collect()
        };
        let draws = first.predictions.iter().zip(&second.predictions);
        let tests = draws
            .map(|(first, second)| {
                let first = correct(first, reference.labels);
                let second = correct(second, backbone.labels);
                PairedComparison::new(&first, &second, PERMUTATIONS, seed)
            })
            .collect::<Result<_, _>>()?;
        let over_draws = match differences.len() {
            0 | 1 => None,
            _ => Some(paired_t(&differences)?),
        };
        all.push(Comparison {
            backbone: backbone.name.into(),
            reference: reference.name.into(),
            labels: first.labels,
            difference: Summary::of(&differences)?,
            over_draws,
            tests,
        });
    }
    Ok(all)
}
