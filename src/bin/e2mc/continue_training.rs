use std::path::PathBuf;

use clap::Args;
use e2mc::{Plan, Preset, Result, preset_for};

use crate::checkpoint_options::ReadingOptions;
use crate::run_options::FolderOptions;
use crate::train_options::TrainOptions;

/// The checkpoint that comes with e2mc, trained by PyTorch on the embedded images.
const CHECKPOINT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/checkpoints/swav_fashion_mnist.pth.tar"
);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint of VICReg, SwAV, SimSiam or Barlow Twins with its projector, as torch.save or
    /// safetensors [default: a small SwAV that comes with e2mc]
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Settings by name: vicreg-1000, swav-400, swav-800, simsiam-100, barlow-twins, or
    /// vicreg-small, swav-small, simsiam-small, barlow-twins-small [default: from the checkpoint]
    #[arg(long, value_name = "NAME")]
    preset: Option<Preset>,
    /// Take all settings from a plan, such as the plan.json of a run
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadingOptions,
    #[command(flatten)]
    training: TrainOptions,
    #[command(flatten)]
    folder: FolderOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.plan.as_deref();
    let plan = arguments
        .folder
        .plan(file, &arguments.training, || arguments.preset_plan())?;
    arguments.folder.run(plan, "continue")
}

impl Arguments {
    /// The plan of the preset, before options change it.
    fn preset_plan(&self) -> Result<Plan> {
        let path = self.checkpoint.clone().unwrap_or_else(|| CHECKPOINT.into());
        let start = self.reading.start(path);
        let preset = match self.preset {
            Some(preset) => preset,
            None => preset_for(&start)?,
        };
        Ok(preset.continuation(start))
    }
}
