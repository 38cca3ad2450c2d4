//! The protocol: branches from one start on the same images, probes, comparisons, results.

mod at_once;
mod backbone;
mod branch;
mod compared;
mod curve;
mod data;
mod device_memory;
mod embeddings;
mod epoch_lines;
mod keeper;
mod measure;
mod memory;
mod micro_batch_file;
mod monitor;
mod open;
mod results;
mod run;
mod run_data;
mod start;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use burn::tensor::{Device, TensorData};
use e2mc_data::source::ImageSource;
use e2mc_data::{FailedRead, Loader};

pub(crate) use backbone::stem_decision;
pub use backbone::{load_backbone, open_checkpoint, preset_for};
pub(crate) use curve::{CurveLine, curve_points};
pub(crate) use data::open as open_images;
pub(crate) use embeddings::{Compact, embed, shown_images};
pub use measure::BackboneResults;
pub(crate) use measure::embeddings_file;
pub(crate) use memory::{check_features, check_training};
pub use results::StudyResults;
pub use run::{run, write_report};
pub(crate) use run_data::RunData;
pub use start::StartMethod;

use crate::probing::ProbeImages;
use crate::run::{FailedReads, RunFingerprint};
use crate::{Event, Observer, Plan, Result, SavePlan};
use curve::Curve;
use monitor::Monitor;

/// Where and how often a run saves, and whether it may change its devices. Does not affect its
/// numbers, except for rounding on other devices.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RunOptions {
    /// Cache folder, shared by runs, for lists of images and prepared images. None: no cache.
    pub cache: Option<PathBuf>,
    /// When to save the state of a training.
    pub save: SavePlan,
    /// Whether the run in the folder may have begun on other devices. It is then resumed with
    /// [`Plan::on_devices`] of its plan.
    pub other_devices: bool,
}

impl RunOptions {
    /// Sets the cache folder.
    pub fn with_cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Sets when to save the state of a training.
    pub fn with_save(mut self, save: SavePlan) -> Self {
        self.save = save;
        self
    }
}

/// Creates the method with the initial weights of all branches.
type Start<M> = dyn Fn(&Device) -> Result<M> + Send + Sync;

/// A study that is ready to run: plan and files have been checked.
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
    /// Images that pass a device at once in the first step.
    at_once: usize,
    /// Training and test images of the probes. None without labels.
    probed: Option<ProbeImages>,
    /// The images whose embeddings are measured and shown.
    shown: Loader,
    monitor: Option<Monitor>,
    curve: Option<Curve>,
    start: Box<Start<M>>,
    /// The first epoch of the run.
    first_epoch: usize,
    /// The checkpoint's momentum, if the run continues with it.
    momentum: Vec<(String, TensorData)>,
    fingerprint: RunFingerprint,
    decisions: Vec<String>,
    notes: Vec<String>,
    failed: FailedReads,
    /// Held while the report is written, since branches may finish epochs at the same time.
    report: Mutex<()>,
}

impl<M> Study<M> {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Decisions and findings about checkpoint and data, one line each.
    pub fn decisions(&self) -> &[String] {
        &self.decisions
    }

    /// Notes for the user before a long run.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Reports unreadable images, each only once.
    fn report_failures(&self, source: &dyn ImageSource, failures: &[FailedRead]) {
        for failure in self.failed.add(source.name(), failures) {
            self.observer.event(&Event::FailedImage(&failure));
        }
    }
}
