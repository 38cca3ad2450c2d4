use std::path::PathBuf;

use clap::Args;
use e2mc::{FeatureSource, Result, diagnose, diagnosis_table};

use crate::checkpoint_options::ReadingOptions;
use crate::image_options::ImageOptions;
use crate::tables;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint of VICReg, SwAV, SimSiam or Barlow Twins with its projector
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    images: ImageOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let start = arguments.reading.start(arguments.checkpoint);
    let images = &arguments.images;
    let plan = images.plan(&FeatureSource::from(start.clone()))?;
    let output = images.output.as_deref();
    let found = images.watched(|observer| diagnose(&start, &plan, output, observer))?;
    match images.json {
        true => tables::print(&tables::json(&found)),
        false => {
            tables::print(&tables::draw(&diagnosis_table(&found)));
            for finding in &found.findings {
                tables::print(finding);
            }
        }
    }
    Ok(())
}
