//! The linear probe of a backbone in training: a point of Figure 4.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use e2mc_data::derived_seed;
use e2mc_data::source::ImageSource;
use e2mc_resnet::Backbone;
use serde::{Deserialize, Serialize};

use super::epoch_lines::{EpochLine, read_lines};
use crate::plan::{Labels, Plan, ProbePlan};
use crate::probing::{Around, FeaturesOf, LabeledImages, ProbeImages, Probing};
use crate::{Error, LabelProbes, Result};

/// The probe with the fewest labels, on features of the images that its draws choose.
pub(super) struct Curve {
    pub(super) every: usize,
    probe: ProbePlan,
    images: ProbeImages,
    /// The training images that some draw chooses, ascending; none for all of them.
    rows: Option<Vec<usize>>,
    names: Vec<String>,
    labels: Vec<u32>,
    seed: u64,
}

/// One line of `curve-BRANCH.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CurveLine {
    /// Whole epochs done.
    pub(crate) epoch: usize,
    /// Which of the training labels were used.
    pub(crate) labels: Labels,
    /// Top-1 accuracy on the test images in percent, one per draw of labels.
    pub(crate) accuracies: Vec<f64>,
}

/// The file with the points of a branch.
pub(super) fn curve_file(root: &Path, branch: &str) -> PathBuf {
    root.join(format!("curve-{branch}.jsonl"))
}

/// The points of a branch so far; none if the plan asks for none.
pub(crate) fn curve_points(root: &Path, branch: &str) -> Result<Vec<CurveLine>> {
    read_lines(&curve_file(root, branch))
}

impl EpochLine for CurveLine {
    fn epoch(&self) -> usize {
        self.epoch
    }
}

impl Curve {
    /// Probes `images` every `every` epochs.
    ///
    /// # Errors
    ///
    /// If the plan has no probe, or a draw of its labels cannot be made.
    pub(super) fn new(plan: &Plan, images: &ProbeImages, every: usize) -> Result<Self> {
        let source = images.train();
        let names: Vec<String> = (0..source.len()).map(|i| source.image_name(i)).collect();
        let labels = source.labels().expect("what is probed has labels").to_vec();
        let all = labeled(source, &names, &labels, None);
        let choose = |probe: &ProbePlan, draw: usize| {
            all.choose(&probe.labels, derived_seed(plan.seed, draw as u64))
        };
        let mut fewest = None;
        for probe in &plan.probes {
            let count = choose(probe, 0)?.map_or(labels.len(), |rows| rows.len());
            if fewest.is_none_or(|(least, _)| count < least) {
                fewest = Some((count, probe));
            }
        }
        let Some((_, probe)) = fewest else {
            return Err(Error::invalid("probe_every", every, "a plan with probes"));
        };
        let mut rows = Some(BTreeSet::new());
        for draw in 0..probe.draws {
            rows = match (rows, choose(probe, draw)?) {
                (Some(mut rows), Some(chosen)) => {
                    rows.extend(chosen);
                    Some(rows)
                }
                _ => None,
            };
        }
        let rows = rows.map(|rows| rows.into_iter().collect::<Vec<_>>());
        Ok(Self {
            every,
            probe: probe.clone(),
            images: match &rows {
                Some(rows) => images.of_training_images(rows),
                None => images.clone(),
            },
            rows,
            names,
            labels,
            seed: plan.seed,
        })
    }

    /// Probes a backbone.
    pub(super) fn probe(&self, backbone: &impl Backbone, around: &Around) -> Result<LabelProbes> {
        let network = FeaturesOf::Average(backbone);
        let features = self.images.features(&network, around, |_| None)?;
        let fresh = self.images.fresh(&network, around);
        let probing = Probing {
            train: features.train(&fresh),
            test: &features.test,
            channels: backbone.out_features(),
            images: labeled(
                self.images.train(),
                &self.names,
                &self.labels,
                self.rows.as_deref(),
            ),
            seed: self.seed,
            device: around.device,
        };
        let mut probes = probing.probe_all(std::slice::from_ref(&self.probe), || Ok(()))?;
        Ok(probes.remove(0))
    }
}

/// The images of `source`, or those of them that are at `rows` of the names and labels.
fn labeled<'a>(
    source: &'a dyn ImageSource,
    names: &'a [String],
    labels: &'a [u32],
    rows: Option<&'a [usize]>,
) -> LabeledImages<'a> {
    LabeledImages {
        place: source.name(),
        names,
        labels,
        classes: source.classes(),
        rows,
    }
}
