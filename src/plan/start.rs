use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Network;

/// The initial weights of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Start {
    /// A trained method.
    Checkpoint(CheckpointStart),
    /// Random weights, drawn from the plan's seed.
    Scratch(Network),
}

/// A checkpoint, and how to read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct CheckpointStart {
    /// The file.
    pub path: PathBuf,
    /// Prefix of the method's names, for ambiguous files. None: found.
    pub prefix: Option<String>,
    /// Whether to ignore tensors within the network's blocks that it does not have.
    pub allow_unused: bool,
    /// Stride of a small stem, which most PyTorch files do not state. None: from the file, else 1.
    pub stem_stride: Option<usize>,
    /// Padding of a small stem. None: from the file, else half the kernel.
    pub stem_padding: Option<usize>,
    /// Whether to continue from the file's epoch and the optimizer's momentum, as the paper does
    /// for VICReg.
    pub resume: bool,
}

impl CheckpointStart {
    /// A file whose layout is recognized by its names.
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
