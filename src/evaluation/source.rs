use std::path::PathBuf;

use crate::plan::CheckpointStart;

/// The source of a backbone's features.
#[derive(Debug, Clone, PartialEq)]
pub enum FeatureSource {
    /// A checkpoint whose backbone runs on the images.
    Checkpoint(CheckpointStart),
    /// Files of previously extracted features of the training and test images.
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
