use std::sync::Arc;
use std::thread::available_parallelism;

use e2mc_data::source::ImageSource;
use e2mc_data::{Loader, Recipe};
use e2mc_resnet::Backbone;

use crate::Error;

/// Images that pass the network at once where nothing is trained. Fixed rather than
/// memory-dependent, so that a resumed run sums in the same order.
const EVALUATION_BATCH: usize = 64;

/// Images in their order, of one view each, as probes see them. A share of `failure_limit` of them
/// may be unreadable; another is in the place of each, the same every time.
pub(crate) fn evaluation_loader(
    source: Arc<dyn ImageSource>,
    recipe: &Recipe,
    failure_limit: f64,
) -> Result<Loader, Error> {
    let batch_size = EVALUATION_BATCH.min(source.len());
    let loader = Loader::new(source, recipe.clone(), batch_size, 0)?;
    Ok(loader
        .with_shuffle(false)
        .with_drop_last(false)
        .with_workers(available_parallelism().map_or(1, usize::from))
        .with_failure_limit(failure_limit)?)
}

/// Checks that a backbone takes images of so many channels.
pub(crate) fn check_channels(backbone: &impl Backbone, images: usize) -> Result<(), Error> {
    let channels = backbone.in_channels();
    if channels == images {
        return Ok(());
    }
    Err(Error::invalid(
        "checkpoint",
        format!("a backbone for images of {channels} channels"),
        format!("one for {images} channels, which the images have"),
    ))
}
