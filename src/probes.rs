use burn::tensor::Device;
use e2mc_data::class_balanced_subset;
use e2mc_eval::statistics::{PairedComparison, Summary};
use e2mc_eval::{Features, LabelFraction, linear_probe};
use serde::{Deserialize, Serialize};

use crate::{Error, StudyConfig};

/// Sign flips of the paired permutation test.
const PERMUTATIONS: u32 = 10_000;

/// The linear probes of one backbone with one fraction of the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FractionProbes {
    /// How many of the training labels were used.
    pub fraction: LabelFraction,
    /// Top-1 accuracy on the test images in percent, one per draw of labels.
    pub accuracies: Vec<f64>,
    /// Per draw, whether each test image was classified correctly.
    #[serde(skip)]
    pub correct: Vec<Vec<bool>>,
}

impl FractionProbes {
    /// Mean and standard deviation over the draws, in percent.
    ///
    /// # Errors
    /// If there is no draw.
    pub fn summary(&self) -> Result<Summary, Error> {
        Ok(Summary::of(&self.accuracies)?)
    }
}

/// How many draws of labels a fraction has: all labels can be drawn in one way only.
pub(crate) fn draws(fraction: LabelFraction, config: &StudyConfig) -> usize {
    match fraction {
        LabelFraction::All => 1,
        _ => config.label_draws,
    }
}

/// Probes a backbone's features at every fraction. The draws depend on the seed and the labels alone, so every backbone
/// is probed with the same images. `done` is called after each probe.
pub(crate) fn probe_all(
    train: &Features,
    test: &Features,
    config: &StudyConfig,
    device: &Device,
    mut done: impl FnMut(),
) -> Result<Vec<FractionProbes>, Error> {
    let mut all = Vec::new();
    for fraction in LabelFraction::ALL {
        let mut probes = FractionProbes {
            fraction,
            accuracies: Vec::new(),
            correct: Vec::new(),
        };
        for draw in 0..draws(fraction, config) {
            let seed = config.seed.wrapping_add(draw as u64);
            let subset = class_balanced_subset(train.labels(), fraction.share(), seed)?;
            let labelled = train.subset(&subset)?;
            let probe = config.probe.clone().with_seed(seed);
            let result = linear_probe(&labelled, test, &probe, device)?;
            probes.accuracies.push(100.0 * result.accuracy);
            probes.correct.push(result.correct);
            done();
        }
        all.push(probes);
    }
    Ok(all)
}

/// One backbone against another at one fraction of the labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FractionComparison {
    /// How many of the training labels were used.
    pub fraction: LabelFraction,
    /// Difference in accuracy per draw, in percentage points.
    pub difference: Summary,
    /// The paired tests of each draw, on the correctness of each test image.
    pub tests: Vec<PairedComparison>,
}

/// Compares `second` with `first`, draw by draw.
pub(crate) fn compare(
    first: &[FractionProbes],
    second: &[FractionProbes],
    seed: u64,
) -> Result<Vec<FractionComparison>, Error> {
    let mut all = Vec::new();
    for (first, second) in first.iter().zip(second) {
        let differences: Vec<f64> = first
            .accuracies
            .iter()
            .zip(&second.accuracies)
            .map(|(first, second)| second - first)
            .collect();
        let tests = first
            .correct
            .iter()
            .zip(&second.correct)
            .map(|(first, second)| PairedComparison::new(first, second, PERMUTATIONS, seed))
            .collect::<Result<_, _>>()?;
        all.push(FractionComparison {
            fraction: first.fraction,
            difference: Summary::of(&differences)?,
            tests,
        });
    }
    Ok(all)
}
