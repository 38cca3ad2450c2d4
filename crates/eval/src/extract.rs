use burn::module::Module;
use burn::tensor::{Device, Tensor};
use e2mc_data::{ImageSet, Normalization};
use e2mc_resnet::ResNet;

use crate::{EvalError, FeatureFile, Features};

/// Runs every image through the frozen backbone and keeps its output Y.
///
/// The backbone works in evaluation mode: `valid()` of it is taken, and the images are put on the
/// device without autodiff, so batch normalisation uses the running statistics and the given
/// backbone may still be in training. `progress` is called after each batch with the number of
/// images done and the number of all.
///
/// `device` is the one that holds the backbone. Features come as one row of
/// [`out_features`](e2mc_resnet::ResNetConfig::out_features) values per image, in the order of the
/// images, with the images' labels and classes.
///
/// # Errors
/// [`EvalError::InvalidOption`] if `batch_size` is 0, [`EvalError::ChannelMismatch`] if the images
/// do not have the channels that the backbone takes, and the errors of [`Features::new`]: no
/// images, or features that are not finite.
///
/// # Panics
/// If `normalization` has not one mean per channel of the images.
pub fn extract_features(
    backbone: &ResNet,
    images: &ImageSet,
    normalization: &Normalization,
    batch_size: usize,
    device: &Device,
    mut progress: impl FnMut(usize, usize),
) -> Result<Features, EvalError> {
    if batch_size == 0 {
        return Err(EvalError::InvalidOption {
            option: "batch_size",
            value: batch_size.to_string(),
            expected: "at least 1",
        });
    }
    check_channels(backbone, images.channels())?;

    let backbone = backbone.valid();
    let device = device.clone().inner();
    let n = images.len();
    let mut values = Vec::new();
    let mut dims = 1;
    for start in (0..n).step_by(batch_size) {
        let end = n.min(start + batch_size);
        let indices: Vec<usize> = (start..end).collect();
        let batch = backbone.forward(images.tensor(&indices, normalization, &device));
        dims = batch.dims()[1];
        values.reserve_exact(if start == 0 { n * dims } else { 0 });
        values.extend(batch.into_data().iter::<f32>());
        progress(end, n);
    }
    Features::new(
        values,
        dims,
        images.labels().to_vec(),
        images.classes().len(),
    )
}

/// Runs batches of images through the frozen backbone and appends the features to `file`, batch after batch.
///
/// The backbone works in evaluation mode, as in [`extract_features`]. The batches `[any, channels, height, width]` are
/// standardised already and lie on the backbone's device without autodiff; whoever makes them may do so in threads of its
/// own. `progress` is called after each batch with the number of images done.
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
        let [n, channels, _, _] = images.dims();
        check_channels(&backbone, channels)?;
        let features: Vec<f32> = backbone.forward(images).into_data().iter().collect();
        file.append(&features)?;
        done += n;
        progress(done);
    }
    Ok(())
}

fn check_channels(backbone: &ResNet, images: usize) -> Result<(), EvalError> {
    let [_, channels, _, _] = backbone.conv1.weight.dims();
    match channels == images {
        true => Ok(()),
        false => Err(EvalError::ChannelMismatch {
            backbone: channels,
            images,
        }),
    }
}
