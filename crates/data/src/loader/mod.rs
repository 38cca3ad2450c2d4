//! Batches of augmented images, filled in the background.

mod background;
mod batch;
mod epoch;
mod order;
mod pool;
mod sample;
mod upload;

use std::sync::Arc;

use burn::tensor::Device;

use self::batch::Pools;
pub use self::batch::{Batch, SplitBatch};
pub use self::epoch::{Epoch, SplitEpoch};
pub use self::order::Shard;
pub use self::sample::FailedRead;
use crate::Photo;
use crate::normalization::Normalizer;
use crate::source::ImageSource;
use crate::{DataError, Recipe, Result};

/// Default share of an epoch's images that may be unreadable.
const FAILURE_LIMIT: f64 = 0.01;

/// Shuffled, augmented batches of the images of a source, filled by background threads while the
/// model trains.
///
/// `(seed, epoch)` decide the order. `(seed, epoch, index of the image)` decide every random choice
/// of its augmentation. So an image does not depend on the number of workers, the step at which an
/// epoch starts, or the device.
///
/// An unreadable image is named in [`Batch::failures`] and replaced by another, which
/// `(seed, epoch, index)` decide too. Too many unreadable images end the epoch with an error.
///
/// In memory at any time are four batches (one in training, two finished, one in preparation) and
/// one decoded image per worker. The memory of a batch is reused once its tensors are dropped.
#[derive(Clone, Debug)]
pub struct Loader {
    shared: Arc<Shared>,
}

/// State shared by the background threads.
#[derive(Clone)]
struct Shared {
    source: Arc<dyn ImageSource>,
    recipe: Recipe,
    normalizer: Normalizer,
    batch_size: usize,
    seed: u64,
    workers: usize,
    shuffle: bool,
    drop_last: bool,
    shard: Shard,
    failure_limit: f64,
    u8_batches: bool,
    upload_ahead: bool,
    pools: Pools,
}

impl Loader {
    /// Number of batches that an epoch holds in host memory, each of
    /// [`batch_bytes`](Self::batch_bytes): one in training, two finished, one in preparation. Two
    /// concurrent epochs hold twice as many.
    pub const BATCHES_IN_MEMORY: usize = batch::BATCHES;

    /// Creates a loader of shuffled, full batches with one background thread.
    ///
    /// # Errors
    ///
    /// If the source is empty, `batch_size` is 0 or larger than the source, an option of `recipe`
    /// is out of range, or the recipe's number of channels differs from the first image's.
    pub fn new(
        source: Arc<dyn ImageSource>,
        recipe: Recipe,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self> {
        recipe.validate()?;
        if source.is_empty() {
            return Err(DataError::Empty {
                what: source.name().into(),
            });
        }
        let pools = Pools::new(recipe.view_sizes().len());
        let shared = Shared {
            normalizer: Normalizer::new(&recipe.normalization),
            source,
            recipe,
            batch_size,
            seed,
            workers: 1,
            shuffle: true,
            drop_last: true,
            shard: Shard::WHOLE,
            failure_limit: FAILURE_LIMIT,
            u8_batches: false,
            upload_ahead: false,
            pools,
        };
        shared.check_batch_size()?;
        let mut first = Photo::default();
        // The epoch handles unreadable images.
        if shared.source.read(0, &mut first).is_ok() {
            shared.check_channels(&first, 0)?;
        }
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Sets the number of background threads, which work on one batch together. If the model is
    /// faster than one thread's decoding and augmentation, use as many as there are spare cores.
    ///
    /// # Panics
    ///
    /// If `workers` is 0.
    pub fn with_workers(self, workers: usize) -> Self {
        assert!(workers > 0, "0 workers: at least 1 is needed");
        self.with(|shared| shared.workers = workers)
    }

    /// Restricts the loader to one of several devices. `batch_size` counts the images of this
    /// device.
    ///
    /// # Errors
    ///
    /// If the rank is not below the world size, or the batch size is larger than the device's part
    /// of the source.
    pub fn with_shard(self, shard: Shard) -> Result<Self> {
        shard.validate()?;
        let loader = self.with(|shared| shared.shard = shard);
        loader.shared.check_batch_size()?;
        Ok(loader)
    }

    /// Sets whether each epoch has another random order (the default) or the source's order.
    pub fn with_shuffle(self, shuffle: bool) -> Self {
        self.with(|shared| shared.shuffle = shuffle)
    }

    /// Sets whether to drop the last, incomplete batch of an epoch; the default is true.
    pub fn with_drop_last(self, drop_last: bool) -> Self {
        self.with(|shared| shared.drop_last = drop_last)
    }

    /// Sets the share of an epoch's images that may be unreadable; the default is 0.01.
    ///
    /// # Errors
    ///
    /// If it is not between 0 and 1.
    pub fn with_failure_limit(self, limit: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&limit) {
            return Err(DataError::option("failure limit", "0 to 1", limit));
        }
        Ok(self.with(|shared| shared.failure_limit = limit))
    }

    /// Sets whether batches are sent to their device as u8 and normalized there. This takes a
    /// quarter of the memory and transfers. The values may differ by the rounding of the device's
    /// division. Every device must have u8, which Burn's `supports_dtype` tells; `wgpu` does not.
    pub fn with_u8_batches(self, u8_batches: bool) -> Self {
        self.with(|shared| shared.u8_batches = u8_batches)
    }

    /// Sets whether the next batch is sent to its device while the device computes on this one. It
    /// then takes memory there twice. Without effect on the values.
    pub fn with_upload_ahead(self, upload_ahead: bool) -> Self {
        self.with(|shared| shared.upload_ahead = upload_ahead)
    }

    /// The number of batches in an epoch, at least 1.
    pub fn steps_per_epoch(&self) -> usize {
        self.shared.steps_per_epoch()
    }

    /// The bytes of one full batch in host memory: all views of its images, as f32 or, with
    /// [`with_u8_batches`](Self::with_u8_batches), as u8.
    pub fn batch_bytes(&self) -> u64 {
        let shared = &self.shared;
        let value = if shared.u8_batches {
            1
        } else {
            size_of::<f32>()
        };
        let pixels: u64 = (shared.recipe.view_sizes().iter())
            .map(|&size| (size as u64).pow(2))
            .sum();
        (shared.batch_size * shared.recipe.channels() * value) as u64 * pixels
    }

    /// The source of the images.
    pub fn source(&self) -> &dyn ImageSource {
        &*self.shared.source
    }

    /// The recipe of the views.
    pub fn recipe(&self) -> &Recipe {
        &self.shared.recipe
    }

    /// The batches of epoch `epoch`, with tensors on `device`.
    pub fn epoch(&self, epoch: usize, device: &Device) -> Epoch {
        self.epoch_from(epoch, 0, device)
    }

    /// The batches of epoch `epoch` from step `first_step` on. They equal those of
    /// [`epoch`](Self::epoch), but the batches before are not filled. Empty if `first_step` is
    /// not below [`steps_per_epoch`](Self::steps_per_epoch).
    pub fn epoch_from(&self, epoch: usize, first_step: usize, device: &Device) -> Epoch {
        Epoch::start(self.shared.clone(), epoch, first_step, device.clone())
    }

    /// As [`epoch_from`](Self::epoch_from), with each batch split between several devices: each has
    /// an equal share of the images, in order. The images are the same as on one device.
    ///
    /// # Panics
    ///
    /// If there is no device, or if a batch cannot be shared equally: the batch size must be a
    /// multiple of the number of devices and, with several, incomplete batches dropped.
    pub fn split_epoch_from(
        &self,
        epoch: usize,
        first_step: usize,
        devices: &[Device],
    ) -> SplitEpoch {
        let (size, count) = (self.shared.batch_size, devices.len());
        assert!(
            count > 0 && size.is_multiple_of(count),
            "split_epoch_from: a batch of {size} images cannot be shared equally by {count} devices"
        );
        assert!(
            count == 1 || self.shared.drop_last,
            "split_epoch_from: {count} devices cannot share an incomplete batch"
        );
        SplitEpoch::start(self.shared.clone(), epoch, first_step, devices.to_vec())
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }
}

impl Shared {
    /// The images of an epoch on this device, in order.
    fn order(&self, epoch: usize) -> Vec<usize> {
        order::order(
            self.source.len(),
            self.shuffle,
            self.seed,
            epoch,
            self.shard,
        )
    }

    fn steps_per_epoch(&self) -> usize {
        let images = self.shard.len_of(self.source.len());
        if self.drop_last {
            images / self.batch_size
        } else {
            images.div_ceil(self.batch_size)
        }
    }

    fn check_batch_size(&self) -> Result<()> {
        let available = self.shard.len_of(self.source.len());
        if self.batch_size == 0 {
            return Err(DataError::option(
                "batch size",
                "at least 1",
                self.batch_size,
            ));
        }
        if self.batch_size > available {
            return Err(DataError::BatchTooLarge {
                batch_size: self.batch_size,
                available,
                name: self.source.name().into(),
            });
        }
        Ok(())
    }

    fn check_channels(&self, photo: &Photo, index: usize) -> Result<()> {
        let (channels, expected) = (photo.shape()[2], self.recipe.channels());
        if channels != expected {
            return Err(DataError::option(
                "normalization",
                format!(
                    "statistics for {channels}-channel images, such as image {} of {}",
                    self.source.image_name(index),
                    self.source.name()
                ),
                &self.recipe.normalization,
            ));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("source", &self.source.name())
            .field("recipe", &self.recipe)
            .field("batch_size", &self.batch_size)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}
