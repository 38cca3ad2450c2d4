use std::path::PathBuf;

use clap::Args;
use e2mc::FeatureSource;

use crate::checkpoint_options::ReadingOptions;

/// The backbone to evaluate: a checkpoint, or features from `extract`.
#[derive(Args)]
pub(crate) struct SourceOptions {
    /// Checkpoint with a ResNet, of any layout
    #[arg(
        long,
        value_name = "FILE",
        required_unless_present = "train_features",
        conflicts_with = "train_features"
    )]
    checkpoint: Option<PathBuf>,
    /// Instead of a checkpoint and images: features of the training images, from
    /// `e2mc extract --part train`
    #[arg(
        long,
        value_name = "FILE",
        requires = "test_features",
        conflicts_with_all = ["data", "crop_size"]
    )]
    train_features: Option<PathBuf>,
    /// Features of the test images, from `e2mc extract`
    #[arg(long, value_name = "FILE", requires = "train_features")]
    test_features: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingOptions,
}

impl SourceOptions {
    pub(crate) fn source(&self) -> FeatureSource {
        match (&self.checkpoint, &self.train_features, &self.test_features) {
            (_, Some(train), Some(test)) => FeatureSource::Files {
                train: train.clone(),
                test: test.clone(),
            },
            (Some(checkpoint), _, _) => self.reading.start(checkpoint.clone()).into(),
            _ => unreachable!("clap has asked for one of them"),
        }
    }
}
