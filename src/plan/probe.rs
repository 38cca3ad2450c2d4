use e2mc_eval::{LabelAmount, LinearProbeConfig};
use serde::{Deserialize, Serialize};

/// The linear probes of a backbone with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePlan {
    /// How many of the training labels are used.
    pub labels: LabelAmount,
    /// Draws of the labeled images, at least 1; all labels can be drawn in one way only.
    pub draws: usize,
    /// The probe's settings. Its seed is replaced by the draw's.
    pub settings: LinearProbeConfig,
}

impl ProbePlan {
    /// Probes with `settings`, with `draws` draws if there is something to draw.
    pub fn new(labels: LabelAmount, draws: usize, settings: LinearProbeConfig) -> Self {
        Self {
            labels,
            draws: if labels == LabelAmount::ALL { 1 } else { draws },
            settings,
        }
    }
}
