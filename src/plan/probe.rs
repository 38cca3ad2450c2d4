use e2mc_eval::LinearProbeConfig;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Labels;
use super::setting::changed;
use crate::Result;

/// The probes of a backbone with one amount of labels: linear probes, or another kind with settings
/// `S`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ProbePlan<S = LinearProbeConfig> {
    /// Which of the training labels are used.
    pub labels: Labels,
    /// Draws of the labeled images, at least 1. All labels, or a list of them, have only one draw.
    pub draws: usize,
    /// The probe's settings. Its seed is replaced by the draw's.
    pub settings: S,
}

impl<S> ProbePlan<S> {
    /// Probes with `settings`, with `draws` draws if there is something to draw.
    pub fn new(labels: impl Into<Labels>, draws: usize, settings: S) -> Self {
        let labels = labels.into();
        Self {
            draws: if labels.are_drawn() { draws } else { 1 },
            labels,
            settings,
        }
    }
}

impl<S: Serialize + DeserializeOwned> ProbePlan<S> {
    /// The plan with one setting of the probe changed, such as `learning_rate`. `value` is JSON, or
    /// plain text if a name is expected.
    ///
    /// # Errors
    ///
    /// [`Error::Setting`](crate::Error::Setting) if the setting does not exist or the value is
    /// invalid.
    pub fn with_setting(mut self, name: &str, value: &str) -> Result<Self> {
        self.settings = changed(&self.settings, name, value)?;
        Ok(self)
    }
}
