use std::path::PathBuf;

use clap::Args;
use e2mc::{Preset, Result};

use crate::run_options::FolderOptions;
use crate::train_options::TrainOptions;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Settings by name: swav-small, vicreg-small, simsiam-small, barlow-twins-small, or swav-800,
    /// swav-400, vicreg-1000, simsiam-100, barlow-twins
    #[arg(long, value_name = "NAME", default_value = "swav-small")]
    preset: Preset,
    /// Take all settings from a plan, such as the plan.json of a run
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    training: TrainOptions,
    #[command(flatten)]
    folder: FolderOptions,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let file = arguments.plan.as_deref();
    let preset = || Ok(arguments.preset.pretraining());
    let plan = arguments.folder.plan(file, &arguments.training, preset)?;
    arguments.folder.run(plan, "pretrain")
}
