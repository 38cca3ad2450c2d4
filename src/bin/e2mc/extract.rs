use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use clap::{Args, ValueEnum};
use e2mc::data::source::{
    DataFolder, DataSet, FolderLayout, ImageFolder, ImageSource, ScanOptions, Subset, imagenet,
};
use e2mc::data::{FailedRead, Loader, Photo, Recipe};
use e2mc::eval::{FeatureFile, extract_to_file};
use e2mc::resnet::{ResNet, Stem, infer_resnet_config};
use e2mc::{
    Error, Event, Observer, Result, batch_size_for_memory, load_backbone, open_checkpoint,
    parse_device,
};

use crate::checkpoint_options::ReadingOptions;
use crate::terminal::Terminal;

/// Write `features` [n, d], `labels` [n] if there are any, and `file_names`, as safetensors, in
/// the order of the files.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Checkpoint with a ResNet, of any layout
    #[arg(long, value_name = "FILE")]
    checkpoint: PathBuf,
    /// Folder of images, with or without a folder for each class; or with train and val; or with
    /// the files of Fashion-MNIST, CIFAR or Tiny ImageNet [default: the embedded images]
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Which part to use, if the data have two
    #[arg(long, value_enum, default_value_t = Part::Test)]
    part: Part,
    /// Take all images beneath the folder, without labels
    #[arg(long)]
    flat: bool,
    /// Only the images named in this text file, one per line, in its order
    #[arg(long, value_name = "FILE", requires = "data")]
    list: Option<PathBuf>,
    /// The safetensors file to write
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Size of the images in pixels [default: 224 after a resize to 256, or the size of the first
    /// image for small networks]
    #[arg(long, value_name = "PIXELS")]
    crop_size: Option<usize>,
    /// Images at a time [default: as many as fit into a quarter of the free memory, at most 64]
    #[arg(long, value_name = "N")]
    batch_size: Option<usize>,
    /// Share of the images that may be unreadable; unreadable images are left out and listed
    #[arg(
        long,
        allow_negative_numbers = true,
        value_name = "SHARE",
        default_value_t = 0.01
    )]
    failure_limit: f64,
    /// Device to compute on
    #[arg(long, value_name = "NAME", default_value = "flex")]
    device: String,
    #[command(flatten)]
    reading: ReadingOptions,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Part {
    Train,
    Test,
}

pub(crate) fn run(arguments: Arguments) -> Result<()> {
    let terminal = Terminal::new();
    let device = parse_device(&arguments.device)?;
    let start = arguments.reading.start(arguments.checkpoint.clone());
    let checkpoint = open_checkpoint(&start)?;
    for line in checkpoint.decisions() {
        terminal.event(&Event::Decision(&line));
    }
    let small = infer_resnet_config(&checkpoint)?.stem != Stem::ImageNet;
    let backbone = load_backbone(&checkpoint, &start, &device)?;
    let mut source = arguments.source(&terminal)?;
    let recipe = arguments.recipe(&*source, small)?;

    let (begin, all) = (Instant::now(), source.len());
    let mut left_out = 0;
    // The file has names before features, so unreadable images require a second pass without them.
    let bad = loop {
        let bad = arguments.write(&backbone, source.clone(), &recipe, &terminal)?;
        if bad.is_empty() {
            break left_out;
        }
        for image in bad.values() {
            terminal.event(&Event::FailedImage(image));
        }
        left_out += bad.len();
        let good: Vec<usize> = (0..source.len()).filter(|i| !bad.contains_key(i)).collect();
        source = Arc::new(Subset::new(source, good));
        if left_out as f64 > arguments.failure_limit * all as f64 || source.is_empty() {
            let expected = format!("a larger share, if {left_out} of {all} images may be left out");
            let limit = arguments.failure_limit.to_string();
            return Err(Error::InvalidOption {
                option: "failure_limit",
                value: limit,
                expected,
            });
        }
    };
    terminal.finish();
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!(
        "{}: {} images of {}, {} features each, {bad} left out, {:.1} images/s",
        arguments.output.display(),
        source.len(),
        source.name(),
        backbone.out_features(),
        source.len() as f64 / seconds
    );
    Ok(())
}

impl Arguments {
    /// Writes the features of all images. If some cannot be read, returns them and writes nothing.
    fn write(
        &self,
        backbone: &ResNet,
        source: Arc<dyn ImageSource>,
        recipe: &Recipe,
        terminal: &Terminal,
    ) -> Result<BTreeMap<usize, FailedRead>> {
        let n = source.len();
        let size = recipe.view_sizes()[0];
        let batch = self
            .batch_size
            .unwrap_or_else(|| batch_size_for_memory(backbone, size, size));
        let names: Vec<String> = (0..n).map(|index| source.image_name(index)).collect();
        let (labels, classes) = (source.labels(), source.classes());
        let mut file = FeatureFile::create(
            &self.output,
            &names,
            labels,
            classes,
            backbone.out_features(),
        )?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let loader = Loader::new(source.clone(), recipe.clone(), batch.min(n), 0)?
            .with_shuffle(false)
            .with_drop_last(false)
            .with_workers(workers)
            .with_failure_limit(1.0)?;
        // A replacement may be unreadable too, and an image may fail more than once.
        let mut bad = BTreeMap::new();
        let device = backbone.conv1.weight.val().device();
        let batches = loader.epoch(0, &device).map(|batch| -> Result<_> {
            let mut batch = batch?;
            let failures = batch.failures.into_iter();
            bad.extend(failures.map(|image| (image.index, image)));
            Ok(batch.views.remove(0))
        });
        let (task, total) = ("features", n);
        extract_to_file(backbone, batches, &mut file, |done| {
            terminal.event(&Event::Progress { task, done, total });
        })?;
        if bad.is_empty() {
            file.finish()?;
        }
        Ok(bad)
    }

    fn source(&self, terminal: &Terminal) -> Result<Arc<dyn ImageSource>> {
        let options = ScanOptions::new();
        let told = |images: ImageFolder| {
            for problem in images.problems() {
                terminal.event(&Event::Note(&problem.to_string()));
            }
            images
        };
        let data = match &self.data {
            None => DataSet::embedded(),
            Some(folder) => {
                let found = DataFolder::find(folder)?;
                let flat = self.flat || found.layout == FolderLayout::Flat;
                let images = match found.layout {
                    _ if flat => Some(ImageFolder::open_flat(&found.root, &options)?),
                    FolderLayout::Classes => Some(ImageFolder::open(&found.root, &options)?),
                    FolderLayout::Parts { train, test } if self.list.is_some() => {
                        let part = if self.part == Part::Train {
                            train
                        } else {
                            test
                        };
                        Some(ImageFolder::open(&found.root.join(part), &options)?)
                    }
                    _ => None,
                };
                match (images, &self.list) {
                    (Some(images), Some(list)) => {
                        let images = told(images);
                        let chosen = imagenet::listed(&images, list)?;
                        return Ok(Arc::new(Subset::new(Arc::new(images), chosen)));
                    }
                    (Some(images), None) => return Ok(Arc::new(told(images))),
                    (None, Some(_)) => {
                        return Err(Error::InvalidOption {
                            option: "list",
                            value: "for data without files".into(),
                            expected: "a folder of image files".into(),
                        });
                    }
                    (None, None) => DataSet::open(folder, |_| ScanOptions::new())?,
                }
            }
        };
        for line in data.summary().lines() {
            terminal.event(&Event::Decision(&line));
        }
        Ok(match (self.part, data.test) {
            (Part::Test, Some(test)) => test,
            _ => data.train,
        })
    }

    /// The evaluation recipe, without randomness.
    fn recipe(&self, source: &dyn ImageSource, small: bool) -> Result<Recipe> {
        let mut recipe = Recipe::eval();
        if small {
            let mut first = Photo::default();
            (0..source.len().min(100)).find(|&i| source.read(i, &mut first).is_ok());
            recipe = e2mc::small_evaluation(first.shape());
        }
        Ok(match self.crop_size {
            Some(size) => recipe.with_size(size),
            None => recipe,
        })
    }
}
