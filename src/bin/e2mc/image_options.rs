use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use e2mc::{FeatureSource, ImagePlan, Observer, Preset, Result};

use crate::terminal::Terminal;
use crate::train_options::first_image;

/// The images for evaluating backbones, and the output of the results.
#[derive(Args)]
#[command(next_help_heading = "Images and results")]
pub(crate) struct ImageOptions {
    /// Labeled images: folders train and val, or a folder for each class, a fifth of which is held
    /// out for the test [default: the embedded images of Fashion-MNIST]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// Size of the images in pixels [default: 224, or the size of the first image for small
    /// networks]
    #[arg(long, value_name = "PIXELS")]
    crop_size: Option<usize>,
    /// Share of the images that may be unreadable
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE")]
    failure_limit: Option<f64>,
    /// Device to compute on
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: String,
    /// Folder for the predictions of each image (CSV) and results.json [default: none; for compare
    /// and finetune, the first free of runs/COMMAND, runs/COMMAND-2, ...]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) output: Option<PathBuf>,
    /// Print the results as JSON instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

impl ImageOptions {
    /// The plan for backbones like the one of `first`.
    pub(crate) fn plan(&self, first: &FeatureSource) -> Result<ImagePlan> {
        let mut plan = self.plan_of_photographs(first)?;
        let (Some(folder), true) = (&self.data, plan.preset.is_small()) else {
            return Ok(plan);
        };
        plan = plan.for_images(first_image(folder)?);
        if let Some(size) = self.crop_size {
            plan.evaluation = plan.evaluation.with_size(size);
        }
        Ok(plan)
    }

    /// The plan for backbones like the one of `first`, regardless of the size of the images.
    pub(crate) fn plan_of_photographs(&self, first: &FeatureSource) -> Result<ImagePlan> {
        let mut plan = match first {
            FeatureSource::Checkpoint(start) => ImagePlan::like(start)?,
            FeatureSource::Files { .. } => ImagePlan::of(Preset::Swav800),
        };
        if let Some(size) = self.crop_size {
            plan.evaluation = plan.evaluation.with_size(size);
        }
        plan.data.clone_from(&self.data);
        plan.failure_limit = self.failure_limit.unwrap_or(plan.failure_limit);
        plan.device.clone_from(&self.device);
        Ok(plan)
    }

    /// Runs `work` with its progress on the terminal.
    pub(crate) fn watched<T>(
        &self,
        work: impl FnOnce(&Arc<dyn Observer>) -> Result<T>,
    ) -> Result<T> {
        let terminal = Arc::new(Terminal::new());
        let observer: Arc<dyn Observer> = terminal.clone();
        let result = work(&observer);
        terminal.finish();
        result
    }
}
