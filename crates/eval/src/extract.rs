use burn::module::Module;
use burn::tensor::Tensor;
use e2mc_resnet::{Backbone, ResNet};

use crate::probe::WINDOW;
use crate::{EvalError, FeatureFile, Features, Result, pooled_map};

/// Runs batches of labeled images through the frozen backbone and collects its output Y: one row of
/// [`out_features`](e2mc_resnet::Backbone::out_features) values per image, in the order of the
/// images.
///
/// The backbone runs in evaluation mode (`valid()`): batch normalization uses the running
/// statistics, and the given backbone itself may still be in training. A batch is a tensor
/// `[n, channels, height, width]` with n labels, each below `classes`. Its images must be
/// standardized and on the backbone's device without autodiff. The iterator may prepare batches in
/// its own threads. `progress` is called after each batch with the number of images done.
///
/// # Errors
///
/// The first error among the batches, [`EvalError::ChannelMismatch`] if the channels of the images
/// do not match the backbone, and the errors of [`Features::new`]: no images, or features that are
/// not finite.
///
/// # Panics
///
/// If the numbers of labels and images of a batch differ.
pub fn extract_features<E: From<EvalError>>(
    backbone: &impl Backbone,
    batches: impl IntoIterator<Item = Result<(Tensor<4>, Vec<u32>), E>>,
    classes: usize,
    progress: impl FnMut(usize),
) -> Result<Features, E> {
    let backbone = backbone.valid();
    let forward = |images| backbone.forward(images);
    collect(&backbone, forward, batches, classes, progress)
}

/// As [`extract_features`], but collects the [`pooled_map`] of the last feature map. These are the
/// features for a [`map_probe`](crate::map_probe), 8192 per image for a ResNet-50 at 224 pixels.
///
/// # Errors
///
/// The errors of [`extract_features`], and [`EvalError::SmallMap`] if a side of the last feature
/// map is below 6.
///
/// # Panics
///
/// If the numbers of labels and images of a batch differ.
pub fn extract_maps<E: From<EvalError>>(
    backbone: &ResNet,
    batches: impl IntoIterator<Item = Result<(Tensor<4>, Vec<u32>), E>>,
    classes: usize,
    progress: impl FnMut(usize),
) -> Result<Features, E> {
    let backbone = backbone.valid();
    let batches = batches.into_iter().map(|batch| {
        let batch = batch?;
        let [_, channels, height, width] = batch.0.dims();
        map_features(&backbone, [height, width, channels])?;
        Ok(batch)
    });
    let forward = |images| {
        let [_, _, _, map] = backbone.forward_features(images);
        pooled_map(map)
    };
    collect(&backbone, forward, batches, classes, progress)
}

/// Number of features per image from [`extract_maps`] for images of `shape` =
/// `[height, width, channels]`.
///
/// # Errors
///
/// [`EvalError::ChannelMismatch`], and [`EvalError::SmallMap`] if a side of the last feature map is
/// below 6.
pub fn map_features(backbone: &ResNet, shape: [usize; 3]) -> Result<usize> {
    let [height, width, channels] = shape;
    check_channels(backbone, channels)?;
    let map = backbone.map_size(height, width);
    if map.iter().any(|&side| side < WINDOW) {
        return Err(EvalError::SmallMap {
            image: [height, width],
            map,
            window: WINDOW,
        });
    }
    let places = map.map(|side| side - WINDOW + 1);
    Ok(backbone.out_features() * places[0] * places[1])
}

/// Runs `forward` on every batch and collects the output.
fn collect<E: From<EvalError>>(
    backbone: &impl Backbone,
    forward: impl Fn(Tensor<4>) -> Tensor<2>,
    batches: impl IntoIterator<Item = Result<(Tensor<4>, Vec<u32>), E>>,
    classes: usize,
    mut progress: impl FnMut(usize),
) -> Result<Features, E> {
    let mut batches = batches.into_iter();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    while let Some(batch) = batches.next() {
        let (images, of_batch) = batch?;
        assert_eq!(
            of_batch.len(),
            images.dims()[0],
            "labels, images of a batch"
        );
        check_channels(backbone, images.dims()[1])?;
        let batch: Vec<f32> = forward(images).into_data().iter().collect();
        if let (true, (_, Some(left))) = (values.is_empty(), batches.size_hint()) {
            // ImageNet's features are 10 GB, and growing the vector would take twice that.
            values.reserve_exact(batch.len() * (left + 1));
        }
        values.extend(batch);
        labels.extend(of_batch);
        progress(labels.len());
    }
    let dims = values.len() / labels.len().max(1);
    Ok(Features::new(values, dims, labels, classes)?)
}

/// Runs batches of images through the frozen backbone and appends the features to `file`, so that
/// they need not fit in memory.
///
/// Backbone, batches and `progress` are as in [`extract_features`].
///
/// # Errors
///
/// The first error among the batches, [`EvalError::ChannelMismatch`], and the errors of
/// [`FeatureFile::append`].
///
/// # Panics
///
/// If the number of features per image differs from that of `file`, or there are more images than
/// `file` was created for.
pub fn extract_to_file<E: From<EvalError>>(
    backbone: &impl Backbone,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    file: &mut FeatureFile,
    mut progress: impl FnMut(usize),
) -> Result<(), E> {
    let backbone = backbone.valid();
    let mut done = 0;
    for images in batches {
        let images = images?;
        let n = images.dims()[0];
        check_channels(&backbone, images.dims()[1])?;
        let features: Vec<f32> = backbone.forward(images).into_data().iter().collect();
        file.append(&features)?;
        done += n;
        progress(done);
    }
    Ok(())
}

fn check_channels(backbone: &impl Backbone, images: usize) -> Result<()> {
    let channels = backbone.in_channels();
    if images == channels {
        return Ok(());
    }
    Err(EvalError::ChannelMismatch {
        backbone: channels,
        images,
    })
}
