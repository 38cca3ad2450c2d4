use std::sync::Mutex;

use burn::tensor::Device;
use e2mc_data::derived_seed;
use e2mc_eval::statistics::Summary;
use e2mc_eval::{CachedCrops, Features, ProbeResult, linear_probe_per_epoch};
use rayon::prelude::*;
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

/// Probes a backbone's features as the plans say, several draws at a time. The draws depend on the
/// seed and the labels alone, so every backbone is probed with the same images. `train` has
/// features of each crop of the training images; epoch e sees crop e mod their number. `done` is
/// called after each probe.
pub(crate) fn probe_all(
    train: &[Features],
    test: &Features,
    images: LabeledImages,
    plans: &[ProbePlan],
    seed: u64,
    device: &Device,
    done: impl FnMut() -> Result<(), Error> + Send,
) -> Result<Vec<LabelProbes>, Error> {
    let done = Mutex::new(done);
    let probe = |plan: &ProbePlan, draw: usize| {
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
        (done.lock().expect("no thread panics here"))()?;
        Ok::<_, Error>(result)
    };
    let mut all = Vec::new();
    for plan in plans {
        // A probe with few labels leaves cores idle.
        let draws = (0..plan.draws).into_par_iter();
        let results = draws.map(|draw| probe(plan, draw));
        let results = results.collect::<Result<Vec<_>, _>>()?;
        let percent = |share: fn(&ProbeResult) -> f64| {
            results.iter().map(|result| 100.0 * share(result)).collect()
        };
        all.push(LabelProbes {
            labels: plan.labels.clone(),
            accuracies: percent(|result| result.accuracy),
            best_accuracies: percent(|result| result.best_accuracy),
            predictions: results
                .into_iter()
                .map(|result| result.predictions)
                .collect(),
        });
    }
    Ok(all)
}
