use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use pulp::bytemuck::NoUninit;

use super::FailedRead;
use super::pool::{Buffer, Pool};
use crate::normalization::Normalizer;
use crate::{DataError, Normalization, Result};

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

/// One batch for several devices, each with an equal share of the images, in order.
#[derive(Clone, Debug)]
pub struct SplitBatch {
    /// The views of each device's share, as [`Batch::views`]; in the order of the devices.
    pub shares: Vec<Vec<Tensor<4>>>,
    /// As [`Batch::indices`], of all shares.
    pub indices: Vec<usize>,
    /// As [`Batch::failures`], of all shares.
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
    /// To each device its share of the images.
    fn upload(self, shape: [usize; 4], devices: &[Device]) -> Result<Vec<Uploaded>> {
        let count = devices.len();
        let shape = [shape[0] / count, shape[1], shape[2], shape[3]];
        let (dtype, parts): (_, Vec<_>) = match self {
            Self::Normalized(values) => (DType::F32, values.into_parts(count).collect()),
            Self::Pixels(pixels) => (DType::U8, pixels.into_parts(count).collect()),
        };
        let parts = parts.into_iter().zip(devices).enumerate();
        let send = |(i, (part, device))| {
            let values = TensorData::from_bytes(part, shape, dtype);
            on_device(i, count, || match dtype {
                DType::U8 => Uploaded::Pixels(Tensor::from_data(values, (device, dtype))),
                _ => Uploaded::Normalized(Tensor::from_data(values, device)),
            })
        };
        parts.map(send).collect()
    }
}

/// One view of a share of a batch, on its device.
pub(super) enum Uploaded {
    Normalized(Tensor<4>),
    /// Pixels take a quarter of the memory until they are normalized.
    Pixels(Tensor<4, Int>),
}

impl Uploaded {
    fn normalize(self, normalization: &Normalization) -> Tensor<4> {
        match self {
            Self::Normalized(values) => values,
            Self::Pixels(pixels) => {
                let device = pixels.device();
                let channel = |values: &[f32]| {
                    let values = TensorData::new(values.to_vec(), [1, values.len(), 1, 1]);
                    Tensor::<4>::from_data(values, &device)
                };
                let pixels = pixels.float() / 255.0;
                (pixels - channel(&normalization.mean)) / channel(&normalization.std)
            }
        }
    }
}

/// Work for the device at a place of the list, from 0. Backends panic if they fail.
fn on_device<T>(index: usize, devices: usize, work: impl FnOnce() -> T) -> Result<T> {
    // The batch is lost with the panic.
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        DataError::Device {
            place: index + 1,
            devices,
            problem: text.map_or("unknown reason".into(), |text| one_line(&text)),
        }
    })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A batch whose views are not normalized tensors yet.
pub(super) struct Filled<V> {
    pub(super) views: Vec<V>,
    pub(super) indices: Vec<usize>,
    pub(super) failures: Vec<FailedRead>,
    /// Whether an image and all of its replacements were unreadable.
    pub(super) incomplete: bool,
}

/// A batch in host memory: the values of each view, and its shape.
pub(super) type HostBatch = Filled<(Values, [usize; 4])>;
/// A batch on the devices: for each view, the share of each device.
pub(super) type DeviceBatch = Filled<Vec<Uploaded>>;

impl<V> Filled<V> {
    fn try_map<W>(self, change: impl FnMut(V) -> Result<W>) -> Result<Filled<W>> {
        Ok(Filled {
            views: self.views.into_iter().map(change).collect::<Result<_>>()?,
            indices: self.indices,
            failures: self.failures,
            incomplete: self.incomplete,
        })
    }
}

impl HostBatch {
    pub(super) fn upload(self, devices: &[Device]) -> Result<DeviceBatch> {
        self.try_map(|(values, shape)| values.upload(shape, devices))
    }
}

impl DeviceBatch {
    pub(super) fn normalize(self, normalization: &Normalization) -> Result<SplitBatch> {
        let mut shares: Vec<Vec<Tensor<4>>> = Vec::new();
        for view in self.views {
            let count = view.len();
            shares.resize_with(count, Vec::new);
            for (i, uploaded) in view.into_iter().enumerate() {
                shares[i].push(on_device(i, count, || uploaded.normalize(normalization))?);
            }
        }
        Ok(SplitBatch {
            shares,
            indices: self.indices,
            failures: self.failures,
        })
    }
}
