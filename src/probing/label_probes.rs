use burn::tensor::Device;
use e2mc_data::derived_seed;
use e2mc_eval::Features;
use e2mc_eval::statistics::Summary;
use serde::{Deserialize, Serialize};

use super::{LabeledImages, PredictedProbe, ProbeKind, TrainFeatures};
use crate::Error;
use crate::plan::{Labels, ProbePlan};

/// The probes of one backbone with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProbes {
    /// Which of the training labels were used.
    pub labels: Labels,
    /// Top-1 accuracy on the test images in percent after the last epoch, one per draw of labels.
    pub accuracies: Vec<f64>,
    /// The best accuracy of each draw over the epochs: the paper's protocol, which flatters every
    /// backbone a little.
    pub best_accuracies: Vec<f64>,
    /// Per draw, top-1 accuracy in percent after each epoch of the probe.
    #[serde(default)]
    pub epoch_accuracies: Vec<Vec<f64>>,
    /// Per draw, the class given to each test image.
    #[serde(skip)]
    pub predictions: Vec<Vec<u32>>,
}

impl LabelProbes {
    /// Mean and standard deviation over the draws, in percent.
    ///
    /// # Errors
    /// If there is no draw.
    pub fn summary(&self) -> Result<Summary, Error> {
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
    /// Channels of the features: of a map, each has several.
    pub(crate) channels: usize,
    pub(crate) images: LabeledImages<'a>,
    pub(crate) seed: u64,
    pub(crate) device: &'a Device,
}

impl Probing<'_> {
    /// Probes the features as the plans say. The draws depend on the seed and the labels alone, so
    /// every backbone is probed with the same images. `done` is called after each probe.
    pub(crate) fn probe_all<P: ProbeKind>(
        &self,
        plans: &[ProbePlan<P>],
        mut done: impl FnMut() -> Result<(), Error>,
    ) -> Result<Vec<LabelProbes>, Error> {
        let mut all = Vec::new();
        for plan in plans {
            let mut probes = LabelProbes {
                labels: plan.labels.clone(),
                accuracies: Vec::new(),
                best_accuracies: Vec::new(),
                epoch_accuracies: Vec::new(),
                predictions: Vec::new(),
            };
            for draw in 0..plan.draws {
                // Not `seed + draw`: the draws of neighboring seeds would overlap.
                let seed = derived_seed(self.seed, draw as u64);
                let mut rows = self.images.choose(&plan.labels, seed)?;
                let settings = plan.settings.clone().seeded(seed);
                let title = format!("{} {}/{}", plan.labels.title(), draw + 1, plan.draws);
                let images = self.images.labels.len();
                let mut train = self
                    .train
                    .of(&mut rows, images, settings.epochs(), &title)?;
                let result = settings.train(&mut train, self.test, self.channels, self.device)?;
                let percent = |share: &f64| 100.0 * share;
                probes.accuracies.push(percent(&result.accuracy));
                probes.best_accuracies.push(percent(&result.best_accuracy));
                let epochs = result.test_accuracy.iter().map(percent).collect();
                probes.epoch_accuracies.push(epochs);
                probes.predictions.push(result.predictions);
                done()?;
            }
            all.push(probes);
        }
        Ok(all)
    }
}
