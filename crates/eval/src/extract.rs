use burn::module::Module;
use burn::tensor::Tensor;
use e2mc_resnet::ResNet;

use crate::{EvalError, FeatureFile, Features};

/// Runs batches of labelled images through the frozen backbone and keeps its output Y: one row of
/// [`out_features`](e2mc_resnet::ResNetConfig::out_features) values per image, in the order of the images.
///
/// The backbone works in evaluation mode: `valid()` of it is taken, so batch normalisation uses the running statistics and
/// the given backbone may still be in training. A batch is `[n, channels, height, width]`, standardised already and on the
/// backbone's device without autodiff, and its n labels, each below `classes`; whoever makes them may do so in threads of
/// its own. `progress` is called after each batch with the number of images done.
///
/// # Errors
/// The first error among the batches, [`EvalError::ChannelMismatch`] if the images do not have the channels that the
/// backbone takes, and the errors of [`Features::new`]: no images, or features that are not finite.
///
/// # Panics
/// If a batch has not as many labels as images.
pub fn extract_features<E: From<EvalError>>(
    backbone: &ResNet,
    batches: impl IntoIterator<Item = Result<(Tensor<4>, Vec<u32>), E>>,
    classes: usize,
    mut progress: impl FnMut(usize),
) -> Result<Features, E> {
    let backbone = backbone.valid();
    let mut batches = batches.into_iter();
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    while let Some(batch) = batches.next() {
        let (images, of_batch) = batch?;
        assert_eq!(
            of_batch.len(),
            images.dims()[0],
            "labels, images of a batch"
        );
        let batch = features(&backbone, images)?;
        if let (true, (_, Some(left))) = (values.is_empty(), batches.size_hint()) {
            // ImageNet's are 10 GB: growing would take twice that.
            values.reserve_exact(batch.len() * (left + 1));
        }
        values.extend(batch);
        labels.extend(of_batch);
        progress(labels.len());
    }
    let dims = values.len() / labels.len().max(1);
    Ok(Features::new(values, dims, labels, classes)?)
}

/// Runs batches of images through the frozen backbone and appends the features to `file`, batch after batch, so that any
/// number of images can be had.
///
/// Backbone, batches and `progress` are as in [`extract_features`].
///
/// # Errors
/// The first error among the batches, [`EvalError::ChannelMismatch`], and those of [`FeatureFile::append`].
///
/// # Panics
/// If the features are not as many per image as `file` was made for, or more images come.
pub fn extract_to_file<E: From<EvalError>>(
    backbone: &ResNet,
    batches: impl IntoIterator<Item = Result<Tensor<4>, E>>,
    file: &mut FeatureFile,
    mut progress: impl FnMut(usize),
) -> Result<(), E> {
    let backbone = backbone.valid();
    let mut done = 0;
    for images in batches {
        let images = images?;
        let n = images.dims()[0];
        file.append(&features(&backbone, images)?)?;
        done += n;
        progress(done);
    }
    Ok(())
}

/// The features of one batch, row-major.
fn features(backbone: &ResNet, images: Tensor<4>) -> Result<Vec<f32>, EvalError> {
    let [_, backbone_channels, _, _] = backbone.conv1.weight.dims();
    let [_, channels, _, _] = images.dims();
    if channels != backbone_channels {
        return Err(EvalError::ChannelMismatch {
            backbone: backbone_channels,
            images: channels,
        });
    }
    Ok(backbone.forward(images).into_data().iter().collect())
}
