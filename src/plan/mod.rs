//! What a run does, as data.
//!
//! A [`Plan`] is the one value that a user writes, a run folder keeps, and a resumed run is
//! compared with. [`Preset`] has the paper's; [`Plan::with_setting`] changes any single setting by
//! its name.

mod branch;
mod crops;
mod file;
mod images;
mod labels;
mod method;
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
pub use network::Network;
pub use optimizer::{OptimizerPlan, OptimizerRule};
pub use precision::Precision;
pub use preset::Preset;
pub use probe::ProbePlan;
pub use schedule::{Decay, SchedulePlan};
pub use start::{CheckpointStart, Start};

/// The version of the plan's form that this program writes and reads.
pub const PLAN_VERSION: u32 = 1;

/// What a run does: every setting that decides its numbers.
///
/// As JSON it is the `plan.json` of a run folder, and can be given back to the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this form, [`PLAN_VERSION`].
    pub version: u32,
    /// Where the weights come from.
    pub start: Start,
    /// The base method and its settings that no checkpoint holds.
    pub method: MethodPlan,
    /// Folder of the images, see [`DataSet::open`](e2mc_data::source::DataSet::open). None: the
    /// embedded subset of Fashion-MNIST.
    pub data: Option<PathBuf>,
    /// From an image to its views in training.
    pub recipe: Recipe,
    /// From an image to the one view that probes see.
    pub evaluation: Recipe,
    /// The share of the images of an epoch that may be unreadable before the run stops, 0 to 1.
    pub failure_limit: f64,
    /// Whether training images are decoded once into a file of the cache folder and read from
    /// there.
    pub prepare: bool,
    /// Epochs of training (paper: 10), at least 1.
    pub epochs: usize,
    /// Images per step (paper: 512), at least 2.
    pub batch_size: usize,
    /// Images that pass the network at once, at least 2; all of a batch if none. The loss is the
    /// whole batch's in either case, but batch normalization sees only these: see
    /// [`ssl_methods::accumulated_gradients`]. With several devices, images that pass each at once.
    pub micro_batch: Option<usize>,
    /// Number format of the training.
    pub precision: Precision,
    /// The optimizer.
    pub optimizer: OptimizerPlan,
    /// The learning rate of each step.
    pub schedule: SchedulePlan,
    /// Steps in a row whose loss or gradient may be infinite or NaN before the branch stops, at
    /// least 1. Such a step changes nothing.
    pub refused_steps: usize,
    /// What is trained, at least one branch; all from the same start, over the same images.
    pub branches: Vec<BranchPlan>,
    /// The linear probes of each backbone; none: nothing is probed.
    pub probes: Vec<ProbePlan>,
    /// What the probes see of the training images.
    #[serde(default)]
    pub probe_crops: Crops,
    /// Epochs between two looks at a kNN classifier on held-out training images; none: no such
    /// looks.
    pub monitor_every: Option<usize>,
    /// Epochs between two runs of the probe with the fewest labels on each branch in training
    /// (Figure 4 of the paper); none: it runs before and after the training only.
    #[serde(default)]
    pub probe_every: Option<usize>,
    /// Decides the order of the images, their augmentation, and which labels are drawn.
    pub seed: u64,
    /// Name of the device, or of several that share each batch, see
    /// [`parse_devices`](crate::parse_devices).
    pub device: String,
}
