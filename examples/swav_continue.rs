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

/// Where the list of a folder's images is kept, and prepared images are.
const CACHE: &str = "runs/cache";

/// Continue a SwAV checkpoint with its base loss alone and with E2MC beside it, probe all three backbones, and write the
/// better backbone with a report.
///
/// The embedded images and Fashion-MNIST have settings for small images (here "small"); a folder of images has the paper's
/// for ImageNet ("full").
#[derive(Parser)]
struct Arguments {
    /// Folder of images (JPEG, PNG, WebP): train and val with a folder for each class in both; or a folder for each class,
    /// of which a fifth is kept for the test; or images without labels, which are not probed; or Fashion-MNIST's four IDX
    /// files, plain or .gz [default: the embedded 10,000 + 10,000 images of Fashion-MNIST]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Checkpoint in SwAV's layout, as torch.save or .safetensors [default: the one in the repository]
    #[arg(long, default_value = CHECKPOINT, hide_default_value = true)]
    checkpoint: PathBuf,
    /// Epochs of continued training [default: 10]
    #[arg(long)]
    epochs: Option<usize>,
    /// Images per step [default: 256 small, 512 full]
    #[arg(long)]
    batch_size: Option<usize>,
    /// Images that pass the network at once, to save memory; the loss stays that of the whole batch [default: all of a
    /// batch small, 64 full]
    #[arg(long)]
    micro_batch: Option<usize>,
    /// Weight of the marginal entropy, the paper's beta [default: 1]
    #[arg(long, allow_negative_numbers = true)]
    entropy_weight: Option<f64>,
    /// Weight of the off-diagonal covariance, the paper's gamma [default: 25]
    #[arg(long, allow_negative_numbers = true)]
    covariance_weight: Option<f64>,
    /// Constant learning rate [default: 0.01 with SGD small, 0.001 with LARC full]
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Draws of the labelled images at 1% and 10% of the labels [default: 3]
    #[arg(long)]
    label_draws: Option<usize>,
    /// Decode the training images once, into a file in runs/cache (0.6 MB for an image of ImageNet), and read them from
    /// there: where a GPU waits for images. Delete the file when images have changed
    #[arg(long)]
    prepare: bool,
    /// Share of the images that may be unreadable before the run stops [default: 0.01]
    #[arg(long, allow_negative_numbers = true)]
    failure_limit: Option<f64>,
    /// Seed of the order, the augmentations and the label draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute: flex (the CPU), or a backend that was built in with --features cuda, wgpu, vulkan, metal or rocm
    #[arg(long, default_value = "flex")]
    device: String,
    /// Run folder; an unfinished run there goes on where it stopped [default: the first free of runs/swav_continue,
    /// runs/swav_continue-2, ...]
    #[arg(long)]
    output: Option<PathBuf>,
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
    let mut config = StudyConfig::swav_for(arguments.checkpoint, arguments.data.as_deref())?;
    if let Some(batch_size) = arguments.batch_size {
        config = config.with_batch_size(batch_size);
    }
    set(&mut config.epochs, arguments.epochs);
    set(
        &mut config.criterion.entropy_weight,
        arguments.entropy_weight,
    );
    set(
        &mut config.criterion.covariance_weight,
        arguments.covariance_weight,
    );
    set(&mut config.learning_rate, arguments.learning_rate);
    set(&mut config.label_draws, arguments.label_draws);
    set(&mut config.failure_limit, arguments.failure_limit);
    config.micro_batch = arguments.micro_batch.or(config.micro_batch);
    config.cache = config.data.as_ref().map(|_| CACHE.into());
    config.prepare = arguments.prepare;
    config.seed = arguments.seed;
    config.device = arguments.device;

    let study = Study::swav(config)?;
    let output = arguments
        .output
        .unwrap_or_else(|| free_run_folder("runs/swav_continue".as_ref()));
    study.run(&output)?;
    Ok(())
}

fn set<T>(option: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *option = given;
    }
}
