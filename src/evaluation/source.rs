use std::path::PathBuf;

use crate::plan::CheckpointStart;

/// Where the features of a backbone come from.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureSource {
    /// A checkpoint, whose backbone is run on the images.
    Checkpoint(CheckpointStart),
    /// Files of features that were extracted before, of the training and of the test images.
    Files {
        /// The training images' features.
        train: PathBuf,
        /// The test images' features.
        test: PathBuf,
    },
}

impl From<CheckpointStart> for FeatureSource {
    fn from(start: CheckpointStart) -> Self {
        Self::Checkpoint(start)
    }
}
