use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use pulp::bytemuck::NoUninit;

use super::FailedRead;
use super::pool::{Buffer, Pool};
use crate::Normalization;
use crate::normalization::Normalizer;

/// Number of finished batches that wait for the training step. Bounds the memory.
pub(super) const PREFETCH: usize = 2;
/// Number of batches in memory: finished ones, one in preparation, one in training.
pub(super) const BATCHES: usize = PREFETCH + 2;

/// One batch: the same images under every view.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One tensor per view, `[n, channels, size, size]`, f32, normalized; in the order of
    /// [`Recipe::views`](crate::Recipe::views).
    pub views: Vec<Tensor<4>>,
    /// Indices of the images in the source, length n. For an unreadable image, the index of its
    /// replacement.
    pub indices: Vec<usize>,
    /// The images that could not be read for this batch.
    pub failures: Vec<FailedRead>,
}

/// The buffers of both kinds of batches.
#[derive(Clone)]
pub(super) struct Pools {
    normalized: Arc<Pool<f32>>,
    pixels: Arc<Pool<u8>>,
}

impl Pools {
    /// Pools for batches with this number of views.
    pub(super) fn new(views: usize) -> Self {
        Self {
            normalized: Pool::new(BATCHES * views),
            pixels: Pool::new(BATCHES * views),
        }
    }
}

/// The type of a batch's values in host memory.
pub(super) trait Value: NoUninit + Default + Send + Sync {
    /// Writes the pixels of a finished view, planar, in their place in the batch.
    fn write(pixels: &[u8], normalizer: &Normalizer, target: &mut [Self]);

    /// The pool of its buffers.
    fn pool(pools: &Pools) -> &Arc<Pool<Self>>;

    /// The values of one view of all images.
    fn wrap(values: Buffer<Self>) -> Values;
}

impl Value for f32 {
    fn write(pixels: &[u8], normalizer: &Normalizer, target: &mut [Self]) {
        normalizer.write(pixels, target);
    }

    fn pool(pools: &Pools) -> &Arc<Pool<Self>> {
        &pools.normalized
    }

    fn wrap(values: Buffer<Self>) -> Values {
        Values::Normalized(values)
    }
}

impl Value for u8 {
    fn write(pixels: &[u8], _: &Normalizer, target: &mut [Self]) {
        target.copy_from_slice(pixels);
    }

    fn pool(pools: &Pools) -> &Arc<Pool<Self>> {
        &pools.pixels
    }

    fn wrap(values: Buffer<Self>) -> Values {
        Values::Pixels(values)
    }
}

/// One view of all images of a batch, in host memory.
pub(super) enum Values {
    Normalized(Buffer<f32>),
    /// Pixels, to be normalized on the device.
    Pixels(Buffer<u8>),
}

impl Values {
    fn into_tensor(
        self,
        shape: [usize; 4],
        normalization: &Normalization,
        device: &Device,
    ) -> Tensor<4> {
        match self {
            Self::Normalized(values) => {
                let values = TensorData::from_bytes(values.into_bytes(), shape, DType::F32);
                Tensor::from_data(values, device)
            }
            Self::Pixels(pixels) => {
                let pixels = TensorData::from_bytes(pixels.into_bytes(), shape, DType::U8);
                let pixels = Tensor::<4, Int>::from_data(pixels, (device, DType::U8)).float();
                let channel = |values: &[f32]| {
                    let values = TensorData::new(values.to_vec(), [1, values.len(), 1, 1]);
                    Tensor::<4>::from_data(values, device)
                };
                (pixels / 255.0 - channel(&normalization.mean)) / channel(&normalization.std)
            }
        }
    }
}

/// A batch in host memory.
pub(super) struct HostBatch {
    /// The values of each view, and its shape.
    pub(super) views: Vec<(Values, [usize; 4])>,
    pub(super) indices: Vec<usize>,
    pub(super) failures: Vec<FailedRead>,
    /// Whether an image and all of its replacements were unreadable.
    pub(super) incomplete: bool,
}

impl HostBatch {
    pub(super) fn into_batch(self, normalization: &Normalization, device: &Device) -> Batch {
        let tensor =
            |(values, shape): (Values, _)| values.into_tensor(shape, normalization, device);
        Batch {
            views: self.views.into_iter().map(tensor).collect(),
            indices: self.indices,
            failures: self.failures,
        }
    }
}
