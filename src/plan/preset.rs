use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use e2mc_data::Recipe;
use e2mc_eval::{LabelAmount, LinearProbeConfig};
use e2mc_loss::{CompactSpace, E2mcLossConfig};
use e2mc_resnet::checkpoint::Layout;
use e2mc_resnet::{BlockKind, ResNetConfig, Stem};
use ssl_methods::optim::{LarcConfig, LarsConfig, SgdConfig};

use super::{
    CheckpointStart, CriterionName, Crops, Labels, MethodPlan, MicroBatch, Network, OptimizerPlan,
    OptimizerRule, PLAN_VERSION, Plan, Precision, ProbePlan, QueuePlan, SchedulePlan, Start,
    SwavPlan,
};
use crate::Result;

/// A named set of settings.
///
/// The first four are the paper's (App. B), for ResNet-50 at 224 pixels. The presets for small
/// images use the same protocol with sizes and rates for networks that train on a laptop. They were
/// tested on Fashion-MNIST (docs/reproduction.md). E2MC's authors did not use Barlow Twins, so its
/// presets are a starting point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `vicreg-1000`: VICReg after 1000 epochs.
    Vicreg1000,
    /// `swav-400`: SwAV after 400 epochs.
    Swav400,
    /// `swav-800`: SwAV after 800 epochs; the same settings.
    Swav800,
    /// `simsiam-100`: SimSiam after 100 epochs.
    SimSiam100,
    /// `barlow-twins`: VICReg's settings.
    BarlowTwins,
    /// `vicreg-small`.
    VicregSmall,
    /// `swav-small`.
    SwavSmall,
    /// `simsiam-small`.
    SimSiamSmall,
    /// `barlow-twins-small`: VICReg's settings.
    BarlowTwinsSmall,
}

/// Epochs of training from scratch for the small presets. The loss on Fashion-MNIST is then flat.
const SMALL_PRETRAINING_EPOCHS: usize = 40;
/// Draws of labels: the paper's three trials.
const DRAWS: usize = 3;
/// Draws at 1% and at more of the labels for the small presets. With them, a difference of 0.3
/// points on the embedded images is detected with a probability of 80% (docs/reproduction.md). A
/// probe takes 0.2 s there.
const SMALL_DRAWS: [usize; 2] = [16, 8];
/// The batch size of the paper's runs.
const PAPER_BATCH: usize = 512;

impl Preset {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Vicreg1000,
        Self::Swav400,
        Self::Swav800,
        Self::SimSiam100,
        Self::BarlowTwins,
        Self::VicregSmall,
        Self::SwavSmall,
        Self::SimSiamSmall,
        Self::BarlowTwinsSmall,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vicreg1000 => "vicreg-1000",
            Self::Swav400 => "swav-400",
            Self::Swav800 => "swav-800",
            Self::SimSiam100 => "simsiam-100",
            Self::BarlowTwins => "barlow-twins",
            Self::VicregSmall => "vicreg-small",
            Self::SwavSmall => "swav-small",
            Self::SimSiamSmall => "simsiam-small",
            Self::BarlowTwinsSmall => "barlow-twins-small",
        }
    }

    /// The preset for a checkpoint with this layout and stem. None for layouts without a method.
    pub fn for_checkpoint(layout: Layout, stem: &Stem) -> Option<Self> {
        let full = *stem == Stem::ImageNet;
        Some(match (layout, full) {
            (Layout::Swav, true) => Self::Swav800,
            (Layout::Swav, false) => Self::SwavSmall,
            (Layout::VicReg, true) => Self::Vicreg1000,
            (Layout::VicReg, false) => Self::VicregSmall,
            (Layout::SimSiam, true) => Self::SimSiam100,
            (Layout::SimSiam, false) => Self::SimSiamSmall,
            (Layout::BarlowTwins, true) => Self::BarlowTwins,
            (Layout::BarlowTwins, false) => Self::BarlowTwinsSmall,
            _ => return None,
        })
    }

    /// Whether it is for small images.
    pub fn is_small(self) -> bool {
        matches!(
            self,
            Self::VicregSmall | Self::SwavSmall | Self::SimSiamSmall | Self::BarlowTwinsSmall
        )
    }

    /// The base method.
    pub fn method(self) -> MethodPlan {
        let queue = QueuePlan {
            batches: 7,
            start_epoch: 7,
        };
        match self {
            Self::Swav400 | Self::Swav800 | Self::SwavSmall => MethodPlan::Swav(SwavPlan {
                freeze_prototypes_epochs: 1,
                queue: (self != Self::SwavSmall).then_some(queue),
            }),
            Self::Vicreg1000 | Self::VicregSmall => MethodPlan::VicReg,
            Self::SimSiam100 | Self::SimSiamSmall => MethodPlan::SimSiam,
            Self::BarlowTwins | Self::BarlowTwinsSmall => MethodPlan::BarlowTwins,
        }
    }

    /// E2MC with the method's weights.
    pub fn e2mc(self) -> E2mcLossConfig {
        match self {
            Self::Swav400 | Self::Swav800 | Self::SwavSmall => E2mcLossConfig::swav(),
            Self::SimSiam100 | Self::SimSiamSmall => E2mcLossConfig::simsiam(),
            Self::Vicreg1000 | Self::BarlowTwins => E2mcLossConfig::vicreg(),
            // The paper's weights are for 8192 dimensions. At 256 dimensions they would dominate
            // VICReg's own loss.
            Self::VicregSmall | Self::BarlowTwinsSmall => {
                E2mcLossConfig::new(CompactSpace::Hypercube)
                    .with_entropy_weight(31.0)
                    .with_covariance_weight(3.1)
                    .with_epsilon(E2mcLossConfig::vicreg().epsilon)
            }
        }
    }

    /// Continued pre-training of a checkpoint by the paper's protocol. Two branches from one start,
    /// with the base loss alone (`continued`) and with E2MC (`e2mc`), and the method's probes.
    pub fn continuation(self, checkpoint: CheckpointStart) -> Plan {
        let (rule, rate) = self.optimizer();
        let part_rates = match self.method() {
            // SimSiam's predictor keeps its learning rate from pre-training.
            MethodPlan::SimSiam => {
                BTreeMap::from([("predictor".into(), 0.05 * self.batch() as f64 / 256.0)])
            }
            _ => BTreeMap::new(),
        };
        let resume = self == Self::Vicreg1000;
        Plan {
            start: Start::Checkpoint(CheckpointStart {
                resume,
                ..checkpoint
            }),
            epochs: 10,
            batch_size: self.batch(),
            optimizer: OptimizerPlan { rule, part_rates },
            schedule: SchedulePlan::constant(rate),
            branches: vec![
                CriterionName::None.branch(&self.e2mc()),
                CriterionName::E2mc.branch(&self.e2mc()),
            ],
            ..self.common()
        }
    }

    /// Training from scratch with the base loss alone, with one warm-up epoch and a half cosine.
    ///
    /// The small presets train a ResNet with four basic blocks of width 16 for 40 epochs. The
    /// others train the paper's network with the settings of the method's own paper.
    pub fn pretraining(self) -> Plan {
        let mut base = CriterionName::None.branch(&self.e2mc());
        base.name = "pretrained".into();
        let (epochs, batch_size, rule, rate) = self.scratch_optimizer();
        let part_rates = match (self.method(), self.is_small()) {
            (MethodPlan::SimSiam, _) => BTreeMap::from([("predictor".into(), rate)]),
            _ => BTreeMap::new(),
        };
        Plan {
            start: Start::Scratch(self.network()),
            epochs,
            batch_size,
            optimizer: OptimizerPlan { rule, part_rates },
            schedule: SchedulePlan::cosine(rate),
            branches: vec![base],
            ..self.common()
        }
    }

    /// The probes of the method with these labels.
    ///
    /// # Errors
    ///
    /// If a list of images cannot be read.
    pub fn probe(self, labels: Labels) -> Result<ProbePlan> {
        let nearest = labels.nearest_published()?;
        let settings = self.probe_settings(nearest);
        Ok(ProbePlan::new(labels, self.draws(nearest), settings))
    }

    /// The probes of the method with 1%, 10% and 100% of the labels.
    pub fn probes(self) -> Vec<ProbePlan> {
        LabelAmount::PUBLISHED
            .map(|labels| ProbePlan::new(labels, self.draws(labels), self.probe_settings(labels)))
            .to_vec()
    }

    /// Draws of labels, if labels are drawn.
    fn draws(self, labels: LabelAmount) -> usize {
        let [one_percent, others] = SMALL_DRAWS;
        match self.is_small() {
            false => DRAWS,
            true if labels == LabelAmount::ONE_PERCENT => one_percent,
            true => others,
        }
    }

    fn probe_settings(self, labels: LabelAmount) -> LinearProbeConfig {
        match self {
            Self::Vicreg1000 | Self::BarlowTwins => LinearProbeConfig::vicreg(labels),
            Self::Swav400 | Self::Swav800 => LinearProbeConfig::swav(labels),
            Self::SimSiam100 => LinearProbeConfig::simsiam(labels),
            _ => LinearProbeConfig::small(),
        }
    }

    /// Batch size of the continued pre-training.
    fn batch(self) -> usize {
        if self.is_small() { 256 } else { PAPER_BATCH }
    }

    /// Update rule and rate of the continued pre-training.
    fn optimizer(self) -> (OptimizerRule, f64) {
        let sgd = |weight_decay| {
            SgdConfig::new()
                .with_momentum(0.9)
                .with_weight_decay(weight_decay)
        };
        match self {
            Self::Vicreg1000 | Self::BarlowTwins => {
                (OptimizerRule::Lars(LarsConfig::new(sgd(1e-6))), 0.003)
            }
            Self::Swav400 | Self::Swav800 => {
                (OptimizerRule::Larc(LarcConfig::new(sgd(1e-6))), 0.001)
            }
            Self::SimSiam100 => (OptimizerRule::Sgd(sgd(1e-4)), 0.001),
            Self::SwavSmall | Self::SimSiamSmall => (OptimizerRule::Sgd(sgd(1e-6)), 0.01),
            Self::VicregSmall | Self::BarlowTwinsSmall => (OptimizerRule::Sgd(sgd(1e-6)), 0.003),
        }
    }

    /// Epochs, batch size, update rule and rate of training from scratch.
    fn scratch_optimizer(self) -> (usize, usize, OptimizerRule, f64) {
        let sgd = |weight_decay| {
            SgdConfig::new()
                .with_momentum(0.9)
                .with_weight_decay(weight_decay)
        };
        let small = OptimizerRule::Sgd(sgd(1e-4));
        match self {
            Self::SwavSmall => (SMALL_PRETRAINING_EPOCHS, 128, small, 0.15),
            Self::VicregSmall | Self::BarlowTwinsSmall => {
                (SMALL_PRETRAINING_EPOCHS, 256, small, 0.05)
            }
            Self::SimSiamSmall => (SMALL_PRETRAINING_EPOCHS, 256, small, 0.1),
            // The rates of the methods' papers, scaled to batches of 512.
            Self::Swav400 | Self::Swav800 => {
                let epochs = if self == Self::Swav400 { 400 } else { 800 };
                let rule = OptimizerRule::Larc(LarcConfig::new(sgd(1e-6)));
                (epochs, PAPER_BATCH, rule, 0.6)
            }
            Self::Vicreg1000 | Self::BarlowTwins => {
                let rule = OptimizerRule::Lars(LarsConfig::new(sgd(1e-6)));
                (1000, PAPER_BATCH, rule, 0.4)
            }
            Self::SimSiam100 => (100, PAPER_BATCH, OptimizerRule::Sgd(sgd(1e-4)), 0.1),
        }
    }

    /// The network for training from scratch.
    fn network(self) -> Network {
        let small = ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
            .with_width(16)
            .with_in_channels(1)
            .with_stem(Stem::Small {
                kernel: 3,
                stride: 2,
            });
        let full = ResNetConfig::resnet50();
        let network = |backbone, projector: &[usize], predictor: &[usize], prototypes| Network {
            backbone,
            projector: projector.to_vec(),
            predictor: predictor.to_vec(),
            prototypes,
        };
        match self {
            Self::SwavSmall => network(small, &[128, 64], &[], 100),
            Self::VicregSmall | Self::BarlowTwinsSmall => network(small, &[256, 256, 256], &[], 0),
            Self::SimSiamSmall => network(small, &[128, 128, 128], &[64], 0),
            Self::Swav400 | Self::Swav800 => network(full, &[2048, 128], &[], 3000),
            Self::Vicreg1000 | Self::BarlowTwins => network(full, &[8192; 3], &[], 0),
            Self::SimSiam100 => network(full, &[2048; 3], &[512], 0),
        }
    }

    /// The settings that continued training and training from scratch share. Callers fill in the
    /// rest.
    fn common(self) -> Plan {
        let small = self.is_small();
        let recipe = match (self.method(), small) {
            (MethodPlan::Swav(_), true) => Recipe::swav_small(),
            (MethodPlan::Swav(_), false) => Recipe::swav(),
            (MethodPlan::SimSiam, true) => Recipe::simsiam_small(),
            (MethodPlan::SimSiam, false) => Recipe::simsiam(),
            (MethodPlan::VicReg | MethodPlan::BarlowTwins, true) => Recipe::vicreg_small(),
            (MethodPlan::VicReg | MethodPlan::BarlowTwins, false) => Recipe::vicreg(),
        };
        let evaluation = match small {
            true => Recipe::eval_small(),
            false => Recipe::eval(),
        };
        Plan {
            version: PLAN_VERSION,
            start: Start::Scratch(self.network()),
            method: self.method(),
            data: None,
            recipe,
            evaluation,
            failure_limit: 0.01,
            prepare: false,
            epochs: 1,
            batch_size: self.batch(),
            // For the memory of one device.
            micro_batch: (!small).then_some(MicroBatch::Images(64)),
            device_memory: None,
            sync_batch_norm: false,
            precision: Precision::F32,
            optimizer: self.optimizer().0.into(),
            schedule: SchedulePlan::constant(self.optimizer().1),
            skipped_steps: 3,
            branches: Vec::new(),
            probes: self.probes(),
            probe_crops: Crops::Center,
            monitor_every: None,
            probe_every: None,
            seed: 0,
            device: "flex".into(),
        }
    }
}

impl Plan {
    /// The preset closest to the plan, by method and image size.
    pub fn nearest_preset(&self) -> Preset {
        let small = self.evaluation.view_sizes().iter().all(|&size| size < 128);
        match (&self.method, small) {
            (MethodPlan::Swav(_), false) => Preset::Swav800,
            (MethodPlan::Swav(_), true) => Preset::SwavSmall,
            (MethodPlan::VicReg, false) => Preset::Vicreg1000,
            (MethodPlan::VicReg, true) => Preset::VicregSmall,
            (MethodPlan::SimSiam, false) => Preset::SimSiam100,
            (MethodPlan::SimSiam, true) => Preset::SimSiamSmall,
            (MethodPlan::BarlowTwins, false) => Preset::BarlowTwins,
            (MethodPlan::BarlowTwins, true) => Preset::BarlowTwinsSmall,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|preset| preset.name() == text);
        known.ok_or_else(|| format!("one of {}", Self::ALL.map(Self::name).join(", ")))
    }
}
