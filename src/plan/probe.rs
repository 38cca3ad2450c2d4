use e2mc_eval::LinearProbeConfig;
use serde::{Deserialize, Serialize};

use super::Labels;

/// The linear probes of a backbone with one amount of labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePlan {
    /// Which of the training labels are used.
    pub labels: Labels,
    /// Draws of the labeled images, at least 1; all labels, or those of a list, can be drawn in one
    /// way only.
    pub draws: usize,
    /// The probe's settings. Its seed is replaced by the draw's.
    pub settings: LinearProbeConfig,
}

impl ProbePlan {
    /// Probes with `settings`, with `draws` draws if there is something to draw.
    pub fn new(labels: impl Into<Labels>, draws: usize, settings: LinearProbeConfig) -> Self {
        let labels = labels.into();
        Self {
            draws: if labels.are_drawn() { draws } else { 1 },
            labels,
            settings,
        }
    }
}
