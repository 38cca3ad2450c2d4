//! The protocol: branches from one start over the same images, probes, comparisons, results.

mod backbone;
mod branch;
mod compared;
mod curve;
mod data;
mod device_memory;
mod embeddings;
mod lines;
mod measure;
mod memory;
mod monitor;
mod open;
mod results;
mod run_data;
mod start;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, TensorData};
use e2mc_data::Loader;

pub(crate) use backbone::stem_decision;
pub use backbone::{load_backbone, open_checkpoint, preset_for};
pub(crate) use data::open as open_images;
pub(crate) use embeddings::{Compact, embed, shown_images};
pub use measure::BackboneResults;
pub(crate) use measure::embeddings_file;
pub(crate) use memory::{check_features, check_training};
pub use results::{StudyResults, run, write_report};
pub(crate) use run_data::RunData;
pub use start::StartMethod;

use crate::probing::ProbeImages;
use crate::run::{FailedReads, RunFingerprint};
use crate::{Error, Observer, Plan, SavePlan};
use curve::Curve;
use monitor::Monitor;

/// Where and how often a run keeps things. Decides none of its numbers.
#[derive(Debug, Clone, Default)]
pub struct RunOptions {
    /// Folder for what is kept from one run to the next, beside the runs: the list of the images of
    /// a folder, and prepared images. None: nothing is kept.
    pub cache: Option<PathBuf>,
    /// When the state of a training is saved.
    pub save: SavePlan,
}

/// Makes the method afresh, with the weights that all branches start from.
type Start<M> = dyn Fn(&Device) -> Result<M, Error> + Send + Sync;

/// A study that is ready to run: everything that can be wrong with plan and files has been checked.
///
/// It trains the plan's branches from one start over the same images, probes the base and every
/// branch, and compares them (App. B of the paper).
pub struct Study<M> {
    plan: Plan,
    options: RunOptions,
    observer: Arc<dyn Observer>,
    /// The first of the devices.
    device: Device,
    /// The devices that share each batch of a training.
    devices: Vec<Device>,
    loader: Loader,
    /// What probes learn from and are judged by; none without labels.
    probed: Option<ProbeImages>,
    /// The images whose embeddings are measured and shown.
    shown: Loader,
    monitor: Option<Monitor>,
    curve: Option<Curve>,
    start: Box<Start<M>>,
    /// The epoch with which the run begins.
    first_epoch: usize,
    /// The checkpoint's momentum, where it is taken up.
    momentum: Vec<(String, TensorData)>,
    fingerprint: RunFingerprint,
    decisions: Vec<String>,
    notes: Vec<String>,
    failed: FailedReads,
    /// Held while the report is written: branches finish epochs at the same time.
    report: Mutex<()>,
}

impl<M> Study<M> {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What the program had to decide or found out about checkpoint and data, one line each.
    pub fn decisions(&self) -> &[String] {
        &self.decisions
    }

    /// What a user should know before a long run.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}
