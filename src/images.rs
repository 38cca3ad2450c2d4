//! The images of a study: searched for, and as the probes see them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;

use e2mc_data::Loader;
use e2mc_data::source::{DataSet, ImageSource, Prepared, ScanOptions};
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

/// Images that pass the network at once where nothing is trained. Not what the memory allows: a resumed run shall add up in the
/// same order.
const EVALUATION_BATCH: usize = 64;

/// Images in their order, of one view each, as the probes see them. A share of `failure_limit` of them may be unreadable; another
/// is in the place of each, the same every time.
pub(crate) fn evaluation_loader(
    source: Arc<dyn ImageSource>,
    config: &StudyConfig,
    failure_limit: f64,
) -> Result<Loader, Error> {
    let batch_size = EVALUATION_BATCH.min(source.len());
    let loader = Loader::new(source, config.evaluation.clone(), batch_size, 0)?;
    Ok(loader
        .with_shuffle(false)
        .with_drop_last(false)
        .with_workers(available_parallelism().map_or(1, usize::from))
        .with_failure_limit(failure_limit)?)
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
