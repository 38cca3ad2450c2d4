use std::path::Path;

use e2mc_eval::statistics::{
    PairedComparison, PairedT, Summary, bootstrap_mean_difference, paired_t,
};
use serde::{Deserialize, Serialize};

use super::{PredictedProbe, Predictions};
use crate::{Error, Result};

/// Permutations of the paired permutation test.
const PERMUTATIONS: u32 = 10_000;
/// Resamples of the test images for the bootstrap interval.
const RESAMPLES: u32 = 10_000;

/// One backbone compared with another by one kind of classifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Name of the backbone.
    pub backbone: String,
    /// Name of the reference backbone.
    pub reference: String,
    /// The classifier: the share of the labels for a linear probe, such as `10%`.
    pub probe: String,
    /// Difference in accuracy per draw, in percentage points.
    pub difference: Summary,
    /// Paired t test over the draws of labels: would other draws show the same difference? None for
    /// one draw.
    pub over_draws: Option<PairedT>,
    /// The comparison of each draw over the test images: would other images show the same
    /// difference?
    pub draws: Vec<DrawComparison>,
}

/// A row of the paper's Table D.1: two backbones by the same classifier, trained on the same
/// labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DrawComparison {
    /// Test images.
    pub images: usize,
    /// Top-1 accuracy of the reference in percent.
    pub accuracy_before: f64,
    /// Top-1 accuracy of the backbone in percent.
    pub accuracy_after: f64,
    /// 95% bootstrap interval of the difference over the test images, in percentage points.
    pub interval_95: [f64; 2],
    /// Permutation test, McNemar's test and Cohen's d.
    #[serde(flatten)]
    pub tests: PairedComparison,
}

/// A backbone's classifiers, under its name.
pub(crate) struct PredictedBackbone<'a> {
    pub(crate) name: &'a str,
    pub(crate) probes: Vec<PredictedProbe>,
    /// Labels of the test images.
    pub(crate) labels: &'a [u32],
}

/// Compares a backbone with a reference by their common classifiers, draw by draw.
pub(crate) fn compare(
    backbone: &PredictedBackbone,
    reference: &PredictedBackbone,
    seed: u64,
) -> Result<Vec<Comparison>> {
    let mut all = Vec::new();
    for before in &reference.probes {
        let same = |probe: &&PredictedProbe| probe.name == before.name;
        let Some(after) = backbone.probes.iter().find(same) else {
            continue;
        };
        let draws = before.draws.iter().zip(&after.draws);
        let draws = draws
            .map(|(before, after)| {
                let before = correct(before, reference.labels);
                let after = correct(after, backbone.labels);
                DrawComparison::new(&before, &after, seed)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let differences: Vec<f64> = draws
            .iter()
            .map(|draw| draw.accuracy_after - draw.accuracy_before)
            .collect();
        let over_draws = match differences.len() {
            0 | 1 => None,
            _ => Some(paired_t(&differences)?),
        };
        all.push(Comparison {
            backbone: backbone.name.into(),
            reference: reference.name.into(),
            probe: before.name.clone(),
            difference: Summary::of(&differences)?,
            over_draws,
            draws,
        });
    }
    Ok(all)
}

/// Compares two files of predictions, without the images: rows of Table D.1.
///
/// # Errors
///
/// If a file cannot be read, the files have different images or another order, or no classifier is
/// in both with the same number of draws.
pub fn compare_predictions(before: &Path, after: &Path, seed: u64) -> Result<Vec<Comparison>> {
    let [first, second] = [Predictions::read(before)?, Predictions::read(after)?];
    if let Some(difference) = first.difference_of_images(&second) {
        let way_out = "give predictions for the same images in the same order";
        return Err(Error::state(
            after,
            format!("it has {difference}; {way_out}"),
        ));
    }
    let shared = |probe: &PredictedProbe| {
        let same = |other: &&PredictedProbe| other.name == probe.name;
        second
            .probes
            .iter()
            .find(same)
            .map(|other| other.draws.len())
    };
    let names = |probes: &[PredictedProbe]| {
        let names = probes.iter().map(|probe| &*probe.name);
        names.collect::<Vec<_>>().join("; ")
    };
    if first.probes.iter().all(|probe| shared(probe).is_none()) {
        let (own, other) = (names(&second.probes), names(&first.probes));
        let reason = format!(
            "it has predictions of {own}, the other file of {other}; they have none in common"
        );
        return Err(Error::state(after, reason));
    }
    for probe in &first.probes {
        if let Some(draws) = shared(probe).filter(|&draws| draws != probe.draws.len()) {
            let PredictedProbe { name, draws: other } = probe;
            let other = other.len();
            let reason = format!("{name} has {draws} draws where the other file has {other}");
            return Err(Error::state(after, reason));
        }
    }
    compare(
        &PredictedBackbone::new("after", &second),
        &PredictedBackbone::new("before", &first),
        seed,
    )
}

impl<'a> PredictedBackbone<'a> {
    pub(crate) fn new(name: &'a str, predictions: &'a Predictions) -> Self {
        Self {
            name,
            probes: predictions.probes.clone(),
            labels: &predictions.labels,
        }
    }
}

impl DrawComparison {
    /// Compares the correctness of two classifiers on the same images.
    fn new(before: &[bool], after: &[bool], seed: u64) -> Result<Self> {
        let accuracy = |correct: &[bool]| {
            let right = correct.iter().filter(|&&correct| correct).count();
            100.0 * right as f64 / correct.len().max(1) as f64
        };
        let interval = bootstrap_mean_difference(before, after, RESAMPLES, seed)?;
        Ok(Self {
            images: before.len(),
            accuracy_before: accuracy(before),
            accuracy_after: accuracy(after),
            interval_95: interval.map(|end| 100.0 * end),
            tests: PairedComparison::new(before, after, PERMUTATIONS, seed)?,
        })
    }
}

fn correct(predictions: &[u32], labels: &[u32]) -> Vec<bool> {
    let pairs = predictions.iter().zip(labels);
    pairs.map(|(p, y)| p == y).collect()
}
