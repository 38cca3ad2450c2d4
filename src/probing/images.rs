use std::sync::Arc;
use std::thread::available_parallelism;

use e2mc_data::source::ImageSource;
use e2mc_data::{Loader, Recipe};
use e2mc_resnet::Backbone;

use crate::{Error, Result};

/// Batch size without training. Fixed rather than memory-dependent, so that a resumed run sums in
/// the same order.
const EVALUATION_BATCH: usize = 64;

/// A loader of images in their order, with one view each, as in probes. A share of `failure_limit`
/// may be unreadable. Each is replaced by another image, always the same one.
pub(crate) fn evaluation_loader(
    source: Arc<dyn ImageSource>,
    recipe: &Recipe,
    failure_limit: f64,
) -> Result<Loader> {
    let batch_size = EVALUATION_BATCH.min(source.len());
    let loader = Loader::new(source, recipe.clone(), batch_size, 0)?;
    Ok(loader
        .with_shuffle(false)
        .with_drop_last(false)
        .with_workers(available_parallelism().map_or(1, usize::from))
        .with_failure_limit(failure_limit)?)
}

/// Checks that a backbone takes images with this number of channels.
pub(crate) fn check_channels(backbone: &impl Backbone, images: usize) -> Result<()> {
    let channels = backbone.in_channels();
    if channels == images {
        return Ok(());
    }
    Err(Error::invalid(
        "checkpoint",
        format!("a backbone for {channels}-channel images"),
        format!("a backbone for {images}-channel images"),
    ))
}
