//! The images of a study.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use e2mc_data::source::{DataSet, ImageSource, Prepared, ScanOptions};

use crate::files::create_dir;
use crate::{Event, Observer, Result};

/// Opens a folder of images, or the embedded images if there is none. Reports the number of files
/// found, and keeps the list in `cache`.
pub(crate) fn open(
    folder: Option<&Path>,
    cache: Option<&Path>,
    observer: &Arc<dyn Observer>,
) -> Result<DataSet> {
    let Some(folder) = folder else {
        return Ok(DataSet::embedded());
    };
    if let Some(cache) = cache {
        create_dir(cache)?;
    }
    Ok(DataSet::open(folder, |part| {
        let observer = observer.clone();
        let found = move |done| {
            let (task, total) = ("images found", 0);
            observer.event(&Event::Progress { task, done, total });
        };
        let options = ScanOptions::new().with_progress(found);
        match cache {
            Some(cache) => options.with_cache(kept(cache, folder, part, "json")),
            None => options,
        }
    })?)
}

/// The training images, decoded once into a file in `cache`. They are prepared again if the file is
/// missing or has other images.
pub(super) fn prepared(
    source: Arc<dyn ImageSource>,
    folder: &Path,
    cache: &Path,
    observer: &dyn Observer,
) -> Result<Arc<dyn ImageSource>> {
    create_dir(cache)?;
    let path = kept(cache, folder, "train", "images");
    if let Ok(prepared) = Prepared::open_for(&path, &source) {
        return Ok(Arc::new(prepared));
    }
    let total = source.len();
    let progress = |done| {
        let task = "preparing images";
        observer.event(&Event::Progress { task, done, total });
    };
    Ok(Arc::new(Prepared::create(&path, &source, &progress)?))
}

/// A unique name for each folder. The cached content is checked against the folder when it is read.
fn kept(cache: &Path, folder: &Path, part: &str, ending: &str) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    folder.canonicalize().ok().hash(&mut hasher);
    cache.join(format!("{:016x}-{part}.{ending}", hasher.finish()))
}
