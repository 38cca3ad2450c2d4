use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Network;

/// Where the weights of a run come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Start {
    /// A trained method.
    Checkpoint(CheckpointStart),
    /// Random weights, drawn from the plan's seed.
    Scratch(Network),
}

/// A checkpoint, and how it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CheckpointStart {
    /// The file.
    pub path: PathBuf,
    /// Where the method's names begin, for files whose names do not tell; none: found.
    pub prefix: Option<String>,
    /// Whether tensors inside the network that have no place are accepted.
    pub allow_unused: bool,
    /// Stride of a small stem, which most PyTorch files do not hold. None: as the file says, else
    /// 1.
    pub stem_stride: Option<usize>,
    /// Padding of a small stem, likewise. None: as the file says, else half the kernel.
    pub stem_padding: Option<usize>,
    /// Whether the file's epoch and the optimizer's momentum are taken up, as the paper does with
    /// VICReg.
    pub resume: bool,
}

impl CheckpointStart {
    /// A file that is read as its names suggest.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            prefix: None,
            allow_unused: false,
            stem_stride: None,
            stem_padding: None,
            resume: false,
        }
    }
}
