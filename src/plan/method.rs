use e2mc_loss::CompactSpace;
use e2mc_resnet::checkpoint::Layout;
use serde::{Deserialize, Serialize};
use ssl_methods::swav::QueueConfig;

/// The base method, and its settings that checkpoints do not contain.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum MethodPlan {
    /// SwAV.
    Swav(SwavPlan),
    /// VICReg, with its paper's weights.
    #[serde(rename = "vicreg")]
    VicReg,
    /// SimSiam.
    #[serde(rename = "simsiam")]
    SimSiam,
    /// Barlow Twins.
    BarlowTwins,
}

/// SwAV's settings beyond its weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwavPlan {
    /// Epochs at the start of the run in which the prototypes get no gradient (paper: 1).
    pub freeze_prototypes_epochs: usize,
    /// The queue of past embeddings; none for small studies.
    pub queue: Option<QueuePlan>,
}

/// SwAV's queue. Its length is in batches, so that it fits any batch size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueuePlan {
    /// Batches in the queue (paper: 7, that is 3584 embeddings at batch 512), at least 1.
    pub batches: usize,
    /// Index of the epoch in which filling begins, from 0 (paper: 7).
    pub start_epoch: usize,
}

impl QueuePlan {
    /// The queue for batches of `batch_size` images.
    pub fn config(&self, batch_size: usize) -> QueueConfig {
        QueueConfig::new(self.batches * batch_size, self.start_epoch)
    }
}

impl MethodPlan {
    /// The method's name as in its paper.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Swav(_) => "SwAV",
            Self::VicReg => "VICReg",
            Self::SimSiam => "SimSiam",
            Self::BarlowTwins => "Barlow Twins",
        }
    }

    /// The layout of the method's checkpoints.
    pub fn layout(&self) -> Layout {
        match self {
            Self::Swav(_) => Layout::Swav,
            Self::VicReg => Layout::VicReg,
            Self::SimSiam => Layout::SimSiam,
            Self::BarlowTwins => Layout::BarlowTwins,
        }
    }

    /// The compact space of the criterion: the hypersphere for methods that normalize embeddings.
    pub fn compact_space(&self) -> CompactSpace {
        match self {
            Self::Swav(_) | Self::SimSiam => CompactSpace::Hypersphere,
            Self::VicReg | Self::BarlowTwins => CompactSpace::Hypercube,
        }
    }
}
