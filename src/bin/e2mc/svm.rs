use std::path::PathBuf;

use clap::Args;
use e2mc::eval::svm::SvmConfig;
use e2mc::{FeatureSource, Result, SvmPlan, evaluate_svm, svm_table};

use crate::checkpoint_options::ReadingOptions;
use crate::image_options::ImageOptions;
use crate::tables;

/// --data is the folder VOC2007, or a folder that contains VOCdevkit/VOC2007. SVMs are trained on
/// trainval and tested on test. C is chosen by cross-validation. --output receives scores.csv, the
/// decision values of each test image.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint with a ResNet, of any layout
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// Values of C to choose from, in ascending order [default: the paper's 23 from 1e-6 to 1000]
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    costs: Option<Vec<f64>>,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    images: ImageOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let checkpoint = arguments.reading.start(arguments.checkpoint);
    let images = &arguments.images;
    let mut settings = SvmConfig::new();
    settings.costs = arguments.costs.unwrap_or(settings.costs);
    let plan = SvmPlan {
        images: images.plan_of_photographs(&FeatureSource::from(checkpoint.clone()))?,
        checkpoint,
        settings,
    };
    let found =
        images.watched(|observer| evaluate_svm(&plan, images.output.as_deref(), observer))?;
    match images.json {
        true => tables::print(&tables::json(&found)),
        false => tables::print(&tables::draw(&svm_table(&found))),
    }
    Ok(())
}
