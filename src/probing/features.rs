use std::cell::Cell;
use std::path::Path;

use burn::tensor::{Device, Tensor};
use e2mc_data::{FailedRead, Loader};
use e2mc_eval::{
    EvalError, FeatureFile, Features, StoredFeatures, extract_features, extract_maps, map_features,
};
use e2mc_resnet::{Backbone, ResNet};

use crate::{Error, Event, Observer, Result};

/// The features to take from the last feature map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FeatureKind {
    /// Its average: the representation.
    Average,
    /// The averages of its windows, see [`e2mc_eval::pooled_map`].
    Map,
}

impl FeatureKind {
    /// These features of a ResNet.
    pub(crate) fn of(self, backbone: &ResNet) -> FeaturesOf<'_, ResNet> {
        match self {
            Self::Average => FeaturesOf::Average(backbone),
            Self::Map => FeaturesOf::Map(backbone),
        }
    }
}

/// A backbone and the kind of its features. Only a ResNet has a feature map.
pub(crate) enum FeaturesOf<'a, B> {
    Average(&'a B),
    Map(&'a ResNet),
}

impl<B: Backbone> FeaturesOf<'_, B> {
    /// Number of features of an image of `shape` = `[height, width, channels]`.
    ///
    /// # Errors
    ///
    /// If the last feature map is too small for a map probe.
    pub(crate) fn dims(&self, shape: [usize; 3]) -> Result<usize, EvalError> {
        match self {
            Self::Average(backbone) => Ok(backbone.out_features()),
            Self::Map(backbone) => map_features(backbone, shape),
        }
    }
}

/// The context of a feature extraction.
pub(crate) struct Extraction<'a> {
    pub(crate) device: &'a Device,
    pub(crate) observer: &'a dyn Observer,
    /// The task's name for the progress.
    pub(crate) task: &'a str,
    /// Images done before, and the total.
    pub(crate) done_and_total: [usize; 2],
    /// The folder named by the error if the observer stops the run.
    pub(crate) folder: &'a Path,
    /// The epoch of the loader, which decides random crops.
    pub(crate) epoch: usize,
    /// Called with the unreadable images.
    pub(crate) failed: &'a dyn Fn(&[FailedRead]),
}

/// A backbone's features of labeled images. They are read from `cache` if it exists. If not, they
/// are written there, unless an image was unreadable, since a resumed run must report it again.
pub(crate) fn extract(
    backbone: &FeaturesOf<impl Backbone>,
    loader: &Loader,
    cache: Option<&Path>,
    extraction: &Extraction,
) -> Result<Features> {
    let source = loader.source();
    let labels = source.labels().expect("probed images have labels");
    let [before, total] = extraction.done_and_total;
    let progress = |done: usize| {
        extraction.observer.event(&Event::Progress {
            task: extraction.task,
            done: before + done,
            total,
        });
    };
    if let Some(file) = cache.filter(|file| file.exists()) {
        progress(labels.len());
        return Ok(StoredFeatures::read(file)?.features);
    }
    // The label of the image actually read, which may be a replacement.
    let (whole, next) = (Cell::new(true), Cell::new(0));
    let batches = extraction.batches(loader).map(|batch| {
        let (images, indices) = batch?;
        let first = next.replace(next.get() + indices.len());
        let in_order = indices.iter().copied().eq(first..next.get());
        whole.set(whole.get() && in_order);
        Ok((images, indices.iter().map(|&index| labels[index]).collect()))
    });
    let classes = source.classes();
    let features = match backbone {
        FeaturesOf::Average(backbone) => {
            extract_features::<Error>(*backbone, batches, classes.len(), progress)?
        }
        FeaturesOf::Map(backbone) => {
            extract_maps::<Error>(backbone, batches, classes.len(), progress)?
        }
    };
    if let Some(file) = cache.filter(|_| whole.get()) {
        let names: Vec<String> = (0..source.len()).map(|i| source.image_name(i)).collect();
        let (labels, dims) = (Some(features.labels()), features.dims());
        let mut written = FeatureFile::create(file, &names, labels, classes, dims)?;
        written.append(features.values())?;
        written.finish()?;
    }
    Ok(features)
}

impl Extraction<'_> {
    /// The images and indices of a loader that keeps the order.
    pub(crate) fn batches(
        &self,
        loader: &Loader,
    ) -> impl Iterator<Item = Result<(Tensor<4>, Vec<usize>)>> {
        loader
            .epoch(self.epoch, &self.device.clone().inner())
            .map(|batch| {
                if self.observer.stop_requested() {
                    return Err(Error::Stopped {
                        folder: self.folder.to_path_buf(),
                    });
                }
                let mut batch = batch?;
                (self.failed)(&batch.failures);
                Ok((batch.views.remove(0), batch.indices))
            })
    }
}
