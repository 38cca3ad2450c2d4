//! Continues a SwAV checkpoint with and without E2MC, and shows which backbone is better.
//!
//! Without arguments: the checkpoint and the images that come with the repository, a few minutes on a laptop.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use e2mc::{Error, Study, StudyConfig, free_run_folder};

const CHECKPOINT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/checkpoints/swav_fashion_mnist.pth.tar"
);

/// Continue a SwAV checkpoint with its base loss alone and with E2MC beside it, probe all three backbones, and write the
/// better backbone with a report.
#[derive(Parser)]
struct Arguments {
    /// Folder with the four Fashion-MNIST IDX files, plain or .gz [default: the embedded 10,000 + 10,000 images]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Checkpoint in SwAV's layout, as torch.save or .safetensors [default: the one in the repository]
    #[arg(long, default_value = CHECKPOINT, hide_default_value = true)]
    checkpoint: PathBuf,
    /// Epochs of continued training
    #[arg(long, default_value_t = preset().epochs)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = preset().batch_size)]
    batch_size: usize,
    /// Images that pass the network at once, to save memory; the loss stays that of the whole batch [default: all of a
    /// batch]
    #[arg(long)]
    micro_batch: Option<usize>,
    /// Weight of the marginal entropy, the paper's beta
    #[arg(long, default_value_t = preset().criterion.entropy_weight, allow_negative_numbers = true)]
    entropy_weight: f64,
    /// Weight of the off-diagonal covariance, the paper's gamma
    #[arg(long, default_value_t = preset().criterion.covariance_weight, allow_negative_numbers = true)]
    covariance_weight: f64,
    /// Constant learning rate
    #[arg(long, default_value_t = preset().learning_rate, allow_negative_numbers = true)]
    learning_rate: f64,
    /// Draws of the labelled images at 1% and 10% of the labels
    #[arg(long, default_value_t = preset().label_draws)]
    label_draws: usize,
    /// Seed of the order, the augmentations and the label draws
    #[arg(long, default_value_t = preset().seed)]
    seed: u64,
    /// Where to compute: flex (the CPU), or a backend that was built in with --features cuda, wgpu, vulkan, metal or rocm
    #[arg(long, default_value_t = preset().device)]
    device: String,
    /// Run folder; an unfinished run there goes on where it stopped [default: the first free of runs/swav_continue,
    /// runs/swav_continue-2, ...]
    #[arg(long)]
    output: Option<PathBuf>,
}

fn preset() -> StudyConfig {
    StudyConfig::swav_small(CHECKPOINT)
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Error> {
    let mut config = preset();
    config.data = arguments.data;
    config.checkpoint = arguments.checkpoint;
    config.epochs = arguments.epochs;
    config.batch_size = arguments.batch_size;
    config.micro_batch = arguments.micro_batch;
    config.criterion.entropy_weight = arguments.entropy_weight;
    config.criterion.covariance_weight = arguments.covariance_weight;
    config.learning_rate = arguments.learning_rate;
    config.label_draws = arguments.label_draws;
    config.seed = arguments.seed;
    config.device = arguments.device;

    let study = Study::swav(config)?;
    let output = arguments
        .output
        .unwrap_or_else(|| free_run_folder("runs/swav_continue".as_ref()));
    study.run(&output)?;
    Ok(())
}
