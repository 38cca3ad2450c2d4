//! Runs images through the backbone of a checkpoint and writes the features.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use e2mc::data::augment::{CenterCrop, Interpolation};
use e2mc::data::source::{FolderLayout, ImageFolder, ImageSource, Photo, ScanOptions};
use e2mc::data::{Crop, DataError, Loader, Recipe, View, fashion_mnist};
use e2mc::eval::{FeatureFile, batch_size_for_memory, extract_to_file};
use e2mc::parse_device;
use e2mc::resnet::{Checkpoint, Stem, infer_resnet_config};
use indicatif::{ProgressBar, ProgressStyle};

/// Write the features that a checkpoint's backbone gives images: `features` [n, d], `labels` [n] where there are any, and
/// `file_names`, as safetensors, in the order of the files.
#[derive(Parser)]
struct Arguments {
    /// The checkpoint: a file written by torch.save, or .safetensors
    #[arg(long)]
    checkpoint: PathBuf,
    /// Folder of images: with a folder for each class or without, or train and val with such folders in both, or
    /// Fashion-MNIST's IDX files, plain or .gz [default: the embedded images]
    #[arg(long)]
    data: Option<PathBuf>,
    /// Which part, of Fashion-MNIST or of a folder with train and val
    #[arg(long, value_enum, default_value_t = Split::Test)]
    split: Split,
    /// Take all images beneath the folder, without labels [default: if images lie in the folder itself]
    #[arg(long)]
    flat: bool,
    /// The safetensors file to write
    #[arg(long)]
    output: PathBuf,
    /// The smaller side of an image is resized to this, ...
    #[arg(long, default_value_t = 256)]
    resize: usize,
    /// ... and the central square of this side taken; images of Fashion-MNIST are taken as they are
    #[arg(long, default_value_t = 224)]
    crop: usize,
    /// Images at a time [default: what fits into a quarter of the free memory, at most 64]
    #[arg(long)]
    batch_size: Option<usize>,
    /// The backbone's prefix, where it is not recognised, such as model.encoder
    #[arg(long)]
    prefix: Option<String>,
    /// Stride of a small stem, which leaves no trace in a checkpoint [default: 2 for images of 28 pixels, else 1]
    #[arg(long)]
    stem_stride: Option<usize>,
    /// Where to compute: flex (the CPU), or a backend that was built in with --features cuda, wgpu, vulkan, metal or rocm
    #[arg(long, default_value = "flex")]
    device: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Split {
    Train,
    Test,
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

fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let device = parse_device(&arguments.device)?;
    let mut checkpoint = Checkpoint::open(&arguments.checkpoint)?;
    if let Some(prefix) = &arguments.prefix {
        checkpoint = checkpoint.with_backbone_prefix(prefix)?;
    }
    let mut config = infer_resnet_config(&checkpoint)?;

    let source = source(&arguments)?;
    let recipe = recipe(&arguments, source.as_ref())?;
    let size = recipe.view_sizes()[0];
    if let Stem::Small { stride, .. } = &mut config.stem {
        *stride = arguments
            .stem_stride
            .unwrap_or(if size == 28 { 2 } else { 1 });
        if *stride == 0 {
            return Err("--stem-stride is 0, expected at least 1".into());
        }
    }
    let mut backbone = config.init(&device);
    let report = checkpoint.load_into(&mut backbone, checkpoint.backbone_prefix()?)?;
    eprintln!("{}\n{report}", checkpoint.summary());

    let n = source.len();
    let batch_size = arguments
        .batch_size
        .unwrap_or_else(|| batch_size_for_memory(&backbone, size, size))
        .min(n);
    let names: Vec<String> = (0..n).map(|index| source.image_name(index)).collect();
    let mut file = FeatureFile::create(
        &arguments.output,
        &names,
        source.labels(),
        source.classes(),
        config.out_features(),
    )?;
    drop(names);

    // In the source's order, the last incomplete batch too; an image that cannot be read ends it.
    let workers = std::thread::available_parallelism().map_or(1, |n| n.get());
    let name = source.name().to_string();
    let loader = Loader::new(source, recipe, batch_size, 0)?
        .with_shuffle(false)
        .with_drop_last(false)
        .with_workers(workers)
        .with_failure_limit(0.0)?;
    let batches = loader
        .epoch(0, &device)
        .map(|batch| -> Result<_, Box<dyn Error>> { Ok(batch?.views.remove(0)) });
    let bar = progress_bar(n);
    let start = Instant::now();
    extract_to_file(&backbone, batches, &mut file, |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    file.finish()?;
    eprintln!(
        "{}: {n} images of {name}, {} features each, {:.1} images/s in batches of {batch_size}",
        arguments.output.display(),
        config.out_features(),
        n as f64 / start.elapsed().as_secs_f64()
    );
    Ok(())
}

fn source(arguments: &Arguments) -> Result<Arc<dyn ImageSource>, DataError> {
    let options = &ScanOptions::new();
    let Some(folder) = &arguments.data else {
        return Ok(Arc::new(match arguments.split {
            Split::Train => fashion_mnist::embedded_train(),
            Split::Test => fashion_mnist::embedded_test(),
        }));
    };
    let layout = match arguments.flat {
        true => FolderLayout::Flat,
        false => FolderLayout::of(folder)?,
    };
    let images = match layout {
        FolderLayout::FashionMnist => {
            let (train, test) = fashion_mnist::load_idx(folder)?;
            return Ok(Arc::new(match arguments.split {
                Split::Train => train,
                Split::Test => test,
            }));
        }
        FolderLayout::TrainAnd(test) => {
            let part = match arguments.split {
                Split::Train => "train",
                Split::Test => test,
            };
            ImageFolder::open(&folder.join(part), options)?
        }
        FolderLayout::Classes => ImageFolder::open(folder, options)?,
        FolderLayout::Flat => ImageFolder::open_flat(folder, options)?,
    };
    for problem in images.problems() {
        eprintln!("note: {problem}");
    }
    Ok(Arc::new(images))
}

/// Evaluation's recipe: nothing is random.
fn recipe(arguments: &Arguments, source: &dyn ImageSource) -> Result<Recipe, DataError> {
    let mut first = Photo::default();
    source.read(0, &mut first)?;
    if first.shape() == [28, 28, 1] {
        return Ok(Recipe::eval_small());
    }
    Ok(Recipe {
        views: vec![View {
            count: 1,
            crop: Crop::Center(CenterCrop {
                resize: arguments.resize,
                size: arguments.crop,
                interpolation: Interpolation::Bilinear,
            }),
            transforms: Vec::new(),
        }],
        ..Recipe::eval()
    })
}

/// On stderr; absent where that is no terminal.
fn progress_bar(images: usize) -> ProgressBar {
    let style = "{bar:32.cyan/blue} {pos:>7}/{len} images {per_sec:>16} left {eta:>4}";
    ProgressBar::new(images as u64)
        .with_style(ProgressStyle::with_template(style).expect("the template is valid"))
}
