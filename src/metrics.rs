use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use e2mc_data::FailedRead;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::run_folder::write_atomically;

/// Name of the method's whole loss among [`StepMetrics::base`].
pub(crate) const BASE_LOSS: &str = "base loss";

/// One line of `metrics-BRANCH.jsonl`: what one step of training looked like.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepMetrics {
    /// Key of the branch that took the step.
    pub branch: String,
    /// Epoch, from 0.
    pub epoch: usize,
    /// Step within the branch, from 0.
    pub step: usize,
    /// What was minimised.
    pub loss: f64,
    /// The base method's own loss and its named terms.
    pub base: BTreeMap<String, f64>,
    /// Marginal entropy of the embeddings, also where it is only watched (0: uniform; collapsed: far below).
    pub entropy: f64,
    /// Off-diagonal covariance of the embeddings, also where it is only watched (0: uncorrelated).
    pub covariance: f64,
    /// Mean over the dimensions of the embeddings' standard deviation, before the map to the compact space.
    pub embedding_std: f64,
    /// Learning rate.
    pub learning_rate: f64,
    /// Images per second, all their views included.
    pub images_per_second: f64,
    /// The images that could not be read for this step's batch, so that others took their places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_reads: Vec<FailedRead>,
}

impl StepMetrics {
    /// The base method's loss, without the criterion.
    pub fn base_loss(&self) -> f64 {
        self.base.get(BASE_LOSS).copied().unwrap_or(f64::NAN)
    }
}

/// Appends the steps of one branch to its file, one line each.
#[derive(Debug)]
pub(crate) struct MetricsFile {
    path: PathBuf,
    file: File,
}

impl MetricsFile {
    /// Opens the file and keeps only the lines before step `next`, which it returns: those that a resumed run repeats would
    /// stand there twice. A last line that was cut off is dropped too.
    pub(crate) fn open(path: PathBuf, next: usize) -> Result<(Self, Vec<StepMetrics>), Error> {
        let text = match path.exists() {
            true => std::fs::read_to_string(&path).map_err(Error::io(&path))?,
            false => String::new(),
        };
        let kept: Vec<StepMetrics> = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|metrics: &StepMetrics| metrics.step < next)
            .collect();
        let lines: String = kept.iter().map(line).collect();
        write_atomically(&path, lines.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        Ok((Self { path, file }, kept))
    }

    /// Appends a step.
    pub(crate) fn push(&mut self, metrics: &StepMetrics) -> Result<(), Error> {
        self.file
            .write_all(line(metrics).as_bytes())
            .map_err(Error::io(&self.path))
    }
}

/// Numbers and strings always have a JSON form; a number that is not finite becomes null.
fn line(metrics: &StepMetrics) -> String {
    let json = serde_json::to_string(metrics).expect("metrics are numbers and strings");
    format!("{json}\n")
}
