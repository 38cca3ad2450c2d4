use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;
use e2mc::data::Photo;
use e2mc::data::source::{DataSet, ImageSource, ScanOptions};
use e2mc::methods::criterion::CriterionConfig;
use e2mc::plan::{BranchPlan, CriterionName, Crops, MicroBatch, Precision};
use e2mc::{Error, Plan, Preset, Result};

use crate::labels::LabelOptions;

/// Training options that override the preset's settings.
#[derive(Args)]
#[command(next_help_heading = "Training")]
pub(crate) struct TrainOptions {
    /// Folder of images (JPEG, PNG, WebP): train and val with a folder for each class in both; a
    /// folder for each class (a fifth of the images is held out for the test); images without
    /// labels (no probes); or the files of Fashion-MNIST, CIFAR, Tiny ImageNet or iNaturalist 2018
    /// [default: the embedded 10,000 + 10,000 images of Fashion-MNIST]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Criteria beside the base loss, one branch each: e2mc, vcreg, uniformity, mmcr, none
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    criteria: Vec<CriterionName>,
    /// Pairs of E2MC's weights ENTROPY:COVARIANCE, one branch each, such as 1:25,0.3:8
    #[arg(long, value_delimiter = ',', value_name = "LIST", value_parser = weights)]
    weights: Vec<(f64, f64)>,
    /// Weight of the marginal entropy, the paper's beta
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    entropy_weight: Option<f64>,
    /// Weight of the off-diagonal covariance, the paper's gamma
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    covariance_weight: Option<f64>,
    /// Epochs of training
    #[arg(long, value_name = "N")]
    epochs: Option<usize>,
    /// Images per step
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Images that pass through the network at once, on each device, to save memory. The loss is
    /// still that of the whole batch. auto: as many as fit by calculation; a step that exhausts the
    /// memory is repeated with half as many
    #[arg(long, value_name = "N|auto")]
    micro_batch: Option<MicroBatch>,
    /// Memory of a device for --micro-batch auto, such as 24GiB. A GPU needs it; on the CPU, the
    /// default is half of the machine's memory
    #[arg(long, value_name = "SIZE")]
    device_memory: Option<ByteSize>,
    /// Batch normalization over the images that pass all devices at the same time, as one device
    /// would compute it. Otherwise each device normalizes its own. The devices wait for each other
    /// in each layer
    #[arg(long)]
    sync_batch_norm: bool,
    /// Number format: f32, or bf16 for mixed precision, which is for GPUs and slower on CPUs
    #[arg(long, value_name = "FORMAT")]
    precision: Option<Precision>,
    /// Learning rate: constant, or reached at the end of the warm-up
    #[arg(long, allow_negative_numbers = true, value_name = "X")]
    learning_rate: Option<f64>,
    /// Size of the full-resolution crops in pixels. Smaller crops are scaled along
    #[arg(long, value_name = "PIXELS")]
    crop_size: Option<usize>,
    /// Decode the training images once into a file in the cache, and read them from there. Useful
    /// if the GPU waits for images
    #[arg(long)]
    prepare: bool,
    /// Share of the images that may be unreadable before the run stops
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    failure_limit: Option<f64>,
    /// Evaluate a kNN classifier on held-out training images every N epochs
    #[arg(long, value_name = "N")]
    monitor_every: Option<usize>,
    /// Run the linear probe with the fewest labels every N epochs of the training, for a curve in
    /// the report (Figure 4 of the paper)
    #[arg(long, value_name = "N")]
    probe_every: Option<usize>,
    /// Seed of the order, the augmentations and the label draws
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Device to compute on: flex (the CPU), or a backend compiled in (cuda, wgpu, vulkan, metal,
    /// rocm). cuda:1 is the second GPU; with cuda:0,cuda:1 two GPUs share each batch
    #[arg(long, value_name = "LIST")]
    device: Option<String>,
    /// Change any setting by its path in the plan, such as optimizer.rule.sgd.momentum=0.8.
    /// --dry-run shows the plan
    #[arg(long, value_name = "PATH=VALUE")]
    set: Vec<String>,
    #[command(flatten)]
    labels: LabelOptions,
    /// View of a training image for the probes: center, N random crops in turn, or fresh, a new
    /// random crop in each epoch as published (see e2mc probe --help) [default: center]
    #[arg(long, value_name = "center|N|fresh", help_heading = "Probes")]
    crops: Option<Crops>,
    /// Do not probe
    #[arg(
        long,
        help_heading = "Probes",
        conflicts_with_all = ["labels", "label_draws", "crops", "probe_every"]
    )]
    no_probes: bool,
}

impl TrainOptions {
    /// The plan with the changes of the options.
    pub(crate) fn apply(&self, mut plan: Plan) -> Result<Plan> {
        let preset = plan.nearest_preset();
        if let Some(folder) = &self.data {
            plan.data = Some(folder.clone());
            if preset.is_small() {
                plan = plan.for_small_images(first_image(folder)?);
            }
        }
        if let Some(size) = self.crop_size {
            plan = plan.with_crop_size(size)?;
        }
        self.choose_branches(&mut plan, preset);
        self.labels.apply(&mut plan.probes, preset)?;
        if self.no_probes {
            plan.probes.clear();
        }
        set(&mut plan.probe_crops, self.crops);
        set(&mut plan.epochs, self.epochs);
        set(&mut plan.batch_size, self.batch_size);
        set(&mut plan.schedule.learning_rate, self.learning_rate);
        set(&mut plan.failure_limit, self.failure_limit);
        set(&mut plan.seed, self.seed);
        set(&mut plan.precision, self.precision);
        set(&mut plan.device, self.device.clone());
        plan.micro_batch = self.micro_batch.or(plan.micro_batch);
        plan.device_memory = self
            .device_memory
            .map(|size| size.as_u64())
            .or(plan.device_memory);
        plan.monitor_every = self.monitor_every.or(plan.monitor_every);
        plan.probe_every = self.probe_every.or(plan.probe_every);
        plan.prepare |= self.prepare;
        plan.sync_batch_norm |= self.sync_batch_norm;
        for setting in &self.set {
            let (path, value) = name_and_value(setting)?;
            plan = plan.with_setting(path, value)?;
        }
        Ok(plan)
    }

    /// The plan of a run to resume, on the given devices.
    pub(crate) fn on_devices(&self, plan: Plan) -> Plan {
        match &self.device {
            Some(list) => plan.on_devices(list),
            None => plan,
        }
    }

    fn choose_branches(&self, plan: &mut Plan, preset: Preset) {
        let planned = plan
            .branches
            .iter()
            .find_map(|branch| match &branch.criterion {
                CriterionConfig::E2mc(config) => Some(config.clone()),
                _ => None,
            });
        let mut e2mc = planned.unwrap_or_else(|| preset.e2mc());
        set(&mut e2mc.entropy_weight, self.entropy_weight);
        set(&mut e2mc.covariance_weight, self.covariance_weight);
        for branch in &mut plan.branches {
            if let CriterionConfig::E2mc(config) = &mut branch.criterion {
                config.clone_from(&e2mc);
            }
        }
        if self.criteria.is_empty() && self.weights.is_empty() {
            return;
        }
        // The other branches are compared with the branch without a criterion.
        plan.branches.retain(BranchPlan::is_without_criterion);
        plan.branches.truncate(1);
        let criteria = self
            .criteria
            .iter()
            .filter(|&&name| name != CriterionName::None);
        plan.branches
            .extend(criteria.map(|name| name.branch(&e2mc)));
        plan.branches
            .extend(self.weights.iter().map(|&(entropy, covariance)| {
                let config = e2mc.clone();
                let config = config.with_entropy_weight(entropy);
                let config = config.with_covariance_weight(covariance);
                let name = format!("e2mc-{entropy}-{covariance}");
                BranchPlan::new(name, CriterionConfig::E2mc(config))
            }));
    }
}

/// The two sides of the `=` in a setting.
pub(crate) fn name_and_value(setting: &str) -> Result<(&str, &str)> {
    setting.split_once('=').ok_or_else(|| Error::Setting {
        path: setting.into(),
        value: "nothing".into(),
        expected: "PATH=VALUE".into(),
    })
}

fn weights(text: &str) -> Result<(f64, f64), String> {
    let pair = text.split_once(':');
    let numbers = pair.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
    numbers.ok_or_else(|| "expected ENTROPY:COVARIANCE, such as 1:25".into())
}

/// `[height, width, channels]` of the first image of a folder that can be read.
pub(crate) fn first_image(folder: &Path) -> Result<[usize; 3]> {
    let train = DataSet::open(folder, |_| ScanOptions::new())?.train;
    let mut photo = Photo::default();
    let mut result = Ok(());
    for i in 0..train.len().min(100) {
        result = train.read(i, &mut photo);
        if result.is_ok() {
            break;
        }
    }
    result?;
    Ok(photo.shape())
}

pub(crate) fn set<T>(setting: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *setting = given;
    }
}
