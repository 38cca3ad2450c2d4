use std::collections::BTreeMap;
use std::time::Duration;

use e2mc_data::FailedRead;
use e2mc_eval::diagnostics::Collapse;
use serde::{Deserialize, Deserializer, Serialize};

/// One line of `metrics-BRANCH.jsonl`: the metrics of one training step.
///
/// An infinite or NaN value is `null` in the file, and NaN when read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Name of the branch that took the step.
    pub branch: String,
    /// Epoch, counted from 0, or from the epoch of a continued checkpoint.
    pub epoch: usize,
    /// Step within the branch, from 0.
    pub step: usize,
    /// The minimized loss.
    #[serde(deserialize_with = "or_nan")]
    pub loss: f64,
    /// The base method's own loss.
    #[serde(deserialize_with = "or_nan")]
    pub base_loss: f64,
    /// The base loss of a method that learns nothing, where there is such a value (SwAV: `ln K`
    /// for K prototypes).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniform_loss: Option<f64>,
    /// Named terms of the base method's loss, not weighted; none if it has only one.
    #[serde(deserialize_with = "each_or_nan")]
    pub base: BTreeMap<String, f64>,
    /// Named terms of the criterion, not weighted.
    #[serde(deserialize_with = "each_or_nan")]
    pub criterion: BTreeMap<String, f64>,
    /// Marginal entropy of the embeddings, logged even if it is not trained (0: uniform; far below:
    /// collapsed).
    #[serde(deserialize_with = "or_nan")]
    pub entropy: f64,
    /// Off-diagonal covariance of the embeddings, logged even if it is not trained (0:
    /// uncorrelated).
    #[serde(deserialize_with = "or_nan")]
    pub covariance: f64,
    /// Standard deviation of the embeddings before the map to the compact space, averaged over the
    /// dimensions.
    #[serde(deserialize_with = "or_nan")]
    pub embedding_std: f64,
    /// Effective rank (RankMe) of the first view's embeddings, measured every few steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effective_rank: Option<f64>,
    /// The collapse of the embeddings, if any. Checked when the effective rank is measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collapse: Option<Collapse>,
    /// Norm of the gradient of all parameters.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Images per second, each with all its views, including the wait for data.
    pub images_per_second: f64,
    /// The share of the step's time spent waiting for data, 0 to 1.
    pub wait: f64,
    /// Unreadable images of this step's batch, which were replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_reads: Vec<FailedRead>,
    /// The first infinite or NaN term, if the step was skipped and changed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    #[serde(skip)]
    pub(super) images: usize,
}

impl StepMetrics {
    pub(super) fn set_times(&mut self, waited: Duration, whole: Duration) {
        let whole = whole.as_secs_f64().max(f64::MIN_POSITIVE);
        self.images_per_second = self.images as f64 / whole;
        self.wait = waited.as_secs_f64() / whole;
    }
}

fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn each_or_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, f64>, D::Error> {
    let figures = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    let figures = figures.into_iter();
    Ok(figures
        .map(|(name, figure)| (name, figure.unwrap_or(f64::NAN)))
        .collect())
}
