//! The plan of a run, as data.
//!
//! A [`Plan`] holds every setting of a run. A user writes it, the run folder keeps it, and a
//! resumed run is compared with it. [`Preset`] has the paper's plans. [`Plan::with_setting`]
//! changes any single setting by its name.

mod branch;
mod crops;
mod devices;
mod file;
mod images;
mod labels;
mod method;
mod micro_batch;
mod network;
mod optimizer;
mod precision;
mod preset;
mod probe;
mod schedule;
mod setting;
mod start;
mod validate;

use std::path::PathBuf;

use e2mc_data::Recipe;
use serde::{Deserialize, Serialize};

pub use branch::{BASE, BranchPlan, CriterionName};
pub use crops::Crops;
pub use images::small_evaluation;
pub(crate) use images::{probe_recipe, small_recipe};
pub use labels::Labels;
pub use method::{MethodPlan, QueuePlan, SwavPlan};
pub use micro_batch::MicroBatch;
pub(crate) use micro_batch::equal_pieces;
pub use network::Network;
pub use optimizer::{OptimizerPlan, OptimizerRule};
pub use precision::Precision;
pub use preset::Preset;
pub use probe::ProbePlan;
pub use schedule::{Decay, SchedulePlan};
pub use start::{CheckpointStart, Start};

/// The version of the plan's format that this program writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// Every setting that affects the numbers of a run.
///
/// In JSON, it is the `plan.json` of a run folder, which the program reads as `--plan`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Plan {
    /// Version of the format, [`PLAN_VERSION`].
    pub version: u32,
    /// The initial weights.
    pub start: Start,
    /// The base method, and its settings that checkpoints do not contain.
    pub method: MethodPlan,
    /// Folder of the images, see [`DataSet::open`](e2mc_data::source::DataSet::open). None: the
    /// embedded subset of Fashion-MNIST.
    pub data: Option<PathBuf>,
    /// From an image to its views in training.
    pub recipe: Recipe,
    /// From an image to its single view in probes.
    pub evaluation: Recipe,
    /// The share of the images of an epoch that may be unreadable before the run stops, 0 to 1.
    pub failure_limit: f64,
    /// Whether training images are decoded once into a file in the cache folder and read from
    /// there.
    pub prepare: bool,
    /// Epochs of training (paper: 10), at least 1.
    pub epochs: usize,
    /// Images per step (paper: 512), at least 2.
    pub batch_size: usize,
    /// Images that pass through the network at once. None: the whole batch. The loss is the whole
    /// batch's in either case, but batch normalization sees only these images: see
    /// [`ssl_methods::accumulated_gradients`]. With several devices, the number is per device.
    pub micro_batch: Option<MicroBatch>,
    /// Bytes of a device's memory, from which [`MicroBatch::Auto`] calculates where to begin; only
    /// for it. Required on a GPU. None on the CPU: half of the machine's memory.
    #[serde(default)]
    pub device_memory: Option<u64>,
    /// Whether batch normalization takes its statistics from the images that pass all devices at
    /// the same time, by [`SyncBatchNorm`](e2mc_resnet::SyncBatchNorm). If false, each device has
    /// those of its own. Without effect on one device.
    #[serde(default)]
    pub sync_batch_norm: bool,
    /// Number format of the training.
    pub precision: Precision,
    /// The optimizer.
    pub optimizer: OptimizerPlan,
    /// The learning rate of each step.
    pub schedule: SchedulePlan,
    /// Consecutive steps with an infinite or NaN loss or gradient after which the branch stops, at
    /// least 1. Such a step changes nothing.
    pub skipped_steps: usize,
    /// The branches to train, at least one. All start from the same weights and see the same
    /// images.
    pub branches: Vec<BranchPlan>,
    /// The linear probes of each backbone. Empty: no probes.
    pub probes: Vec<ProbePlan>,
    /// The probes' view of the training images.
    #[serde(default)]
    pub probe_crops: Crops,
    /// Epochs between two evaluations of a kNN classifier on held-out training images. None: no
    /// such evaluation.
    pub monitor_every: Option<usize>,
    /// Epochs between two runs of the probe with the fewest labels on each branch in training
    /// (Figure 4 of the paper). None: the probe runs only before and after training.
    #[serde(default)]
    pub probe_every: Option<usize>,
    /// Decides the order of the images, their augmentation, and the drawn labels.
    pub seed: u64,
    /// Name of the device, or of several that share each batch, see
    /// [`parse_devices`](crate::parse_devices).
    pub device: String,
}
