use std::sync::Mutex;

use burn::tensor::Device;
use e2mc_data::derived_seed;
use e2mc_eval::Features;
use e2mc_eval::ProbeResult;
use e2mc_eval::statistics::Summary;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{LabeledImages, PredictedProbe, ProbeKind, TrainFeatures};
use crate::plan::{Labels, ProbePlan};
use crate::{Error, Result};

/// The probes of one backbone with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProbes {
    /// Which of the training labels were used.
    pub labels: Labels,
    /// Top-1 accuracy on the test images in percent after the last epoch, one per draw of labels.
    pub accuracies: Vec<f64>,
    /// The best accuracy of each draw over the epochs: the paper's protocol, which is slightly
    /// optimistic for every backbone.
    pub best_accuracies: Vec<f64>,
    /// Per draw, top-1 accuracy in percent after each epoch of the probe.
    #[serde(default)]
    pub epoch_accuracies: Vec<Vec<f64>>,
    /// Per draw, the predicted class of each test image.
    #[serde(skip)]
    pub predictions: Vec<Vec<u32>>,
}

impl LabelProbes {
    /// Mean and standard deviation over the draws, in percent.
    ///
    /// # Errors
    ///
    /// If there is no draw.
    pub fn summary(&self) -> Result<Summary> {
        Ok(Summary::of(&self.accuracies)?)
    }

    /// Mean and standard deviation over the draws after each epoch of the probe, counted from 1, in
    /// percent.
    pub fn over_epochs(&self) -> Vec<(usize, Summary)> {
        let epochs = self.epoch_accuracies.iter().map(Vec::len).min();
        let after = |epoch: usize| {
            let draws: Vec<f64> = self
                .epoch_accuracies
                .iter()
                .map(|draw| draw[epoch])
                .collect();
            Some((epoch + 1, Summary::of(&draws).ok()?))
        };
        (0..epochs.unwrap_or(0)).filter_map(after).collect()
    }
}

impl From<&LabelProbes> for PredictedProbe {
    fn from(probes: &LabelProbes) -> Self {
        Self {
            name: probes.labels.title(),
            draws: probes.predictions.clone(),
        }
    }
}

/// A backbone's features of labeled images, for probes.
pub(crate) struct Probing<'a> {
    pub(crate) train: TrainFeatures<'a>,
    pub(crate) test: &'a Features,
    /// Channels of the features. A channel of a map has several features.
    pub(crate) channels: usize,
    pub(crate) images: LabeledImages<'a>,
    pub(crate) seed: u64,
    pub(crate) device: &'a Device,
}

impl Probing<'_> {
    /// Probes the features according to the plans. Runs several draws at a time if their features
    /// are cached. The draws depend only on the seed and the labels, so every backbone is probed
    /// with the same images. `done` is called after each probe.
    pub(crate) fn probe_all<P: ProbeKind + Sync>(
        &self,
        plans: &[ProbePlan<P>],
        done: impl FnMut() -> Result<()> + Send,
    ) -> Result<Vec<LabelProbes>> {
        let done = Mutex::new(done);
        let probe = |plan: &ProbePlan<P>, draw: usize| {
            let result = self.probe(plan, draw)?;
            (done.lock().expect("no thread panics here"))()?;
            Ok::<_, Error>(result)
        };
        let mut all = Vec::new();
        for plan in plans {
            let results: Vec<ProbeResult> = match self.train {
                // A probe with few labels leaves cores idle.
                TrainFeatures::Cached { .. } => (0..plan.draws)
                    .into_par_iter()
                    .map(|draw| probe(plan, draw))
                    .collect::<Result<_, _>>()?,
                TrainFeatures::Fresh(_) => (0..plan.draws)
                    .map(|draw| probe(plan, draw))
                    .collect::<Result<_, _>>()?,
            };
            let percent = |share: f64| 100.0 * share;
            all.push(LabelProbes {
                labels: plan.labels.clone(),
                accuracies: results.iter().map(|r| percent(r.accuracy)).collect(),
                best_accuracies: results.iter().map(|r| percent(r.best_accuracy)).collect(),
                epoch_accuracies: (results.iter())
                    .map(|r| r.test_accuracy.iter().copied().map(percent).collect())
                    .collect(),
                predictions: results.into_iter().map(|r| r.predictions).collect(),
            });
        }
        Ok(all)
    }

    fn probe<P: ProbeKind>(&self, plan: &ProbePlan<P>, draw: usize) -> Result<ProbeResult> {
        // Not `seed + draw`, since the draws of neighboring seeds would overlap.
        let seed = derived_seed(self.seed, draw as u64);
        let mut rows = self.images.choose(&plan.labels, seed)?;
        let settings = plan.settings.clone().seeded(seed);
        let title = format!("{} {}/{}", plan.labels.title(), draw + 1, plan.draws);
        let images = self.images.labels.len();
        let mut train = (self.train).of(&mut rows, images, settings.epochs(), &title)?;
        settings.train(&mut train, self.test, self.channels, self.device)
    }
}
