//! The images of a study: searched for, and as the probes see them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use burn::tensor::Device;
use e2mc_data::source::{DataSet, ImageSource, Prepared, ScanOptions};
use e2mc_data::{Epoch, Loader};
use e2mc_resnet::ResNet;
use indicatif::MultiProgress;

use crate::progress::{Progress, counter};
use crate::run_folder::create_dir;
use crate::{Error, StudyConfig};

/// Opens the data of a study. A folder of images is searched, with the number found so far on stderr.
pub(crate) fn open(config: &StudyConfig) -> Result<DataSet, Error> {
    let Some(folder) = &config.data else {
        return Ok(DataSet::embedded());
    };
    if let Some(cache) = &config.cache {
        create_dir(cache)?;
    }
    let kept = |part, ending| {
        let cache = config.cache.as_ref()?;
        Some(cache.join(format!("{}-{part}.{ending}", key(folder))))
    };
    let found = counter("images found");
    let data = DataSet::open(folder, |part| {
        let found = found.clone();
        let options =
            ScanOptions::new().with_progress(move |images| found.set_position(images as u64));
        match kept(part, "json") {
            Some(list) => options.with_cache(list),
            None => options,
        }
    });
    found.finish_and_clear();
    let mut data = data?;
    if let (true, Some(path)) = (config.prepare, kept("train", "images")) {
        data.train = Arc::new(prepared(&data.train, &path)?);
    }
    Ok(data)
}

/// The images as prepared in `path`; prepared anew if they are not there, or others are.
fn prepared(source: &dyn ImageSource, path: &Path) -> Result<Prepared, Error> {
    if let Ok(prepared) = Prepared::open_for(path, source) {
        return Ok(prepared);
    }
    let bars = MultiProgress::new();
    let progress = Progress::new(&bars, "preparing images", source.len(), 0);
    let prepared = Prepared::create(path, source, &|done| progress.set(done))?;
    progress.finish();
    Ok(prepared)
}

/// A name that each folder has for itself; what is kept is checked against the folder when it is read.
fn key(folder: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    folder.canonicalize().ok().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Images as the probes see them, in their order.
pub(crate) struct Part {
    pub(crate) source: Arc<dyn ImageSource>,
    loader: Loader,
}

impl Part {
    /// In batches of at most `batch_size` images, of which a share of `failure_limit` may be unreadable.
    pub(crate) fn new(
        source: Arc<dyn ImageSource>,
        config: &StudyConfig,
        batch_size: usize,
        failure_limit: f64,
    ) -> Result<Self, Error> {
        let batch_size = batch_size.min(source.len());
        let loader = Loader::new(source.clone(), config.evaluation.clone(), batch_size, 0)?
            .with_shuffle(false)
            .with_drop_last(false)
            .with_workers(available_parallelism().map_or(1, usize::from))
            .with_failure_limit(failure_limit)?;
        Ok(Self { source, loader })
    }

    /// The images, of one view. Where one cannot be read, another is in its place, the same each time.
    pub(crate) fn batches(&self, device: &Device) -> Epoch {
        self.loader.epoch(0, &device.clone().inner())
    }
}

/// Checks that a backbone takes the images of a recipe.
pub(crate) fn check_channels(backbone: &ResNet, config: &StudyConfig) -> Result<(), Error> {
    let [_, channels, _, _] = backbone.conv1.weight.dims();
    let images = config.recipe.channels();
    if channels == images && config.evaluation.channels() == images {
        return Ok(());
    }
    Err(Error::option(
        "--checkpoint",
        config.checkpoint.display(),
        format!("a backbone for images of {images} channels; this one is for {channels}"),
    ))
}
