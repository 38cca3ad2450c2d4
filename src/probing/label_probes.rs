use burn::tensor::Device;
use e2mc_data::derived_seed;
use e2mc_eval::statistics::Summary;
use e2mc_eval::{CachedCrops, Features, linear_probe_per_epoch};
use serde::{Deserialize, Serialize};

use super::{LabeledImages, PredictedProbe};
use crate::Error;
use crate::plan::{Labels, ProbePlan};

/// The linear probes of one backbone with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelProbes {
    /// Which of the training labels were used.
    pub labels: Labels,
    /// Top-1 accuracy on the test images in percent after the last epoch, one per draw of labels.
    pub accuracies: Vec<f64>,
    /// The best accuracy of each draw over the epochs: the paper's protocol, which flatters every
    /// backbone a little.
    pub best_accuracies: Vec<f64>,
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
}

impl From<&LabelProbes> for PredictedProbe {
    fn from(probes: &LabelProbes) -> Self {
        Self {
            name: probes.labels.title(),
            draws: probes.predictions.clone(),
        }
    }
}

/// Probes a backbone's features as the plans say. The draws depend on the seed and the labels
/// alone, so every backbone is probed with the same images. `train` has features of each crop of the
/// training images; epoch e sees crop e mod their number. `done` is called after each probe.
pub(crate) fn probe_all(
    train: &[Features],
    test: &Features,
    images: LabeledImages,
    plans: &[ProbePlan],
    seed: u64,
    device: &Device,
    mut done: impl FnMut() -> Result<(), Error>,
) -> Result<Vec<LabelProbes>, Error> {
    let mut all = Vec::new();
    for plan in plans {
        let mut probes = LabelProbes {
            labels: plan.labels.clone(),
            accuracies: Vec::new(),
            best_accuracies: Vec::new(),
            predictions: Vec::new(),
        };
        for draw in 0..plan.draws {
            // Not `seed + draw`: the draws of neighboring seeds would overlap.
            let seed = derived_seed(seed, draw as u64);
            let rows = images.choose(&plan.labels, seed)?;
            let settings = plan.settings.clone().with_seed(seed);
            let crops = train.iter().map(|crop| match &rows {
                Some(rows) => crop.part(rows),
                None => Ok(crop.into()),
            });
            let mut crops = CachedCrops::new(crops.collect::<Result<_, _>>()?)?;
            let result = linear_probe_per_epoch(&mut crops, test, &settings, device)?;
            probes.accuracies.push(100.0 * result.accuracy);
            probes.best_accuracies.push(100.0 * result.best_accuracy);
            probes.predictions.push(result.predictions);
            done()?;
        }
        all.push(probes);
    }
    Ok(all)
}
