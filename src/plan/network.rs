use e2mc_resnet::ResNetConfig;
use serde::{Deserialize, Serialize};

/// The sizes of a network trained from scratch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// The backbone.
    pub backbone: ResNetConfig,
    /// Sizes `[hidden, ..., out]` of the projector, whose input is the backbone's features.
    pub projector: Vec<usize>,
    /// Hidden sizes of SimSiam's predictor; empty for the other methods.
    pub predictor: Vec<usize>,
    /// Number of SwAV's prototypes; 0 for the other methods.
    pub prototypes: usize,
}
