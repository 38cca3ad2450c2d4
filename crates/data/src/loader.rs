use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use burn::tensor::{Device, Tensor, TensorData};
use rand::seq::SliceRandom;

use crate::normalization::normalize_into;
use crate::random::{Purpose, stream};
use crate::{DataError, ImageSet, MultiCropConfig};

/// Finished batches that each worker may hold ready; bounds the memory.
const PREFETCH: usize = 2;

/// One training batch: the same images under every view.
#[derive(Clone, Debug)]
pub struct Batch {
    /// One tensor per crop, `[n, channels, size, size]`, f32, normalised; in the order of
    /// [`MultiCropConfig::crops`], full-resolution crops first.
    pub views: Vec<Tensor<4>>,
    /// Which images of the set these are, length n.
    pub indices: Vec<usize>,
}

/// Shuffled, augmented batches of an [`ImageSet`], prepared by background threads while the model trains.
///
/// `(seed, epoch)` decide the order, `(seed, epoch, index of the image)` every random choice of its augmentation:
/// neither the number of workers nor the step at which an epoch starts changes a picture. The last, incomplete batch of an
/// epoch is dropped.
#[derive(Clone, Debug)]
pub struct MultiCropLoader {
    source: Arc<Source>,
    workers: usize,
}

/// What the background threads share.
#[derive(Debug)]
struct Source {
    images: Arc<ImageSet>,
    config: MultiCropConfig,
    tables: Vec<[f32; 256]>,
    batch_size: usize,
    seed: u64,
}

impl MultiCropLoader {
    /// A loader with one background thread.
    ///
    /// # Errors
    /// If the set is empty, `batch_size` is 0 or larger than the set, an option of `config` is outside its range, or its
    /// normalisation is for another number of channels.
    pub fn new(
        images: Arc<ImageSet>,
        config: MultiCropConfig,
        batch_size: usize,
        seed: u64,
    ) -> Result<Self, DataError> {
        config.validate()?;
        if images.is_empty() {
            return Err(DataError::Empty {
                what: images.name().into(),
            });
        }
        if batch_size == 0 {
            return Err(DataError::option("batch size", "at least 1", batch_size));
        }
        if batch_size > images.len() {
            return Err(DataError::BatchTooLarge {
                batch_size,
                available: images.len(),
                name: images.name().into(),
            });
        }
        if config.normalization.mean.len() != images.channels() {
            return Err(DataError::option(
                "normalization",
                format!(
                    "statistics of the {} channels of {}",
                    images.channels(),
                    images.name()
                ),
                &config.normalization,
            ));
        }
        let tables = config.normalization.tables();
        Ok(Self {
            source: Arc::new(Source {
                images,
                config,
                tables,
                batch_size,
                seed,
            }),
            workers: 1,
        })
    }

    /// The same loader with `workers` background threads. More than one helps only where the model is faster than
    /// one thread's augmentation. Memory grows by a few batches for each.
    ///
    /// # Panics
    /// If `workers` is 0.
    pub fn with_workers(mut self, workers: usize) -> Self {
        assert!(workers > 0, "0 workers: at least 1 is needed");
        self.workers = workers;
        self
    }

    /// The number of full batches in an epoch, at least 1.
    pub fn steps_per_epoch(&self) -> usize {
        self.source.images.len() / self.source.batch_size
    }

    /// The batches of epoch `epoch`, with tensors on `device`.
    pub fn epoch(&self, epoch: usize, device: &Device) -> Epoch {
        self.epoch_from(epoch, 0, device)
    }

    /// The batches of epoch `epoch` from step `first_step` on: what [`epoch`](Self::epoch) gives after `first_step`
    /// batches, without preparing those. Empty if `first_step` is not below
    /// [`steps_per_epoch`](Self::steps_per_epoch).
    pub fn epoch_from(&self, epoch: usize, first_step: usize, device: &Device) -> Epoch {
        let order: Arc<[usize]> = self.source.order(epoch).into();
        let steps = first_step.min(self.steps_per_epoch())..self.steps_per_epoch();
        let workers = (0..self.workers.min(steps.len()))
            .map(|worker| {
                let (sender, batches) = sync_channel(PREFETCH);
                let (source, order) = (self.source.clone(), order.clone());
                let mine = (steps.start + worker..steps.end).step_by(self.workers);
                let thread = std::thread::spawn(move || source.work(epoch, &order, mine, &sender));
                Worker { batches, thread }
            })
            .collect();
        Epoch {
            workers,
            first: steps.start,
            steps,
            device: device.clone(),
        }
    }
}

impl Source {
    /// The order in which epoch `epoch` visits the images.
    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.images.len()).collect();
        order.shuffle(&mut stream(Purpose::Order, self.seed, epoch as u64, 0));
        order
    }

    /// A worker's life: prepares its steps in order until they are done or nobody wants them any more.
    fn work(
        &self,
        epoch: usize,
        order: &[usize],
        steps: impl Iterator<Item = usize>,
        batches: &SyncSender<HostBatch>,
    ) {
        for step in steps {
            let indices = &order[step * self.batch_size..(step + 1) * self.batch_size];
            if batches.send(self.batch(epoch, indices)).is_err() {
                return;
            }
        }
    }

    fn batch(&self, epoch: usize, indices: &[usize]) -> HostBatch {
        let channels = self.images.channels();
        let mut views: Vec<TensorBuffer> = self
            .config
            .view_sizes()
            .into_iter()
            .map(|size| TensorBuffer {
                values: vec![0.0; indices.len() * channels * size * size],
                shape: [indices.len(), channels, size, size],
            })
            .collect();
        for (position, &index) in indices.iter().enumerate() {
            let mut rng = stream(Purpose::Augment, self.seed, epoch as u64, index as u64);
            let crops = self.config.augment(self.images.image_ref(index), &mut rng);
            for (view, crop) in views.iter_mut().zip(&crops) {
                let size = crop.pixels().len();
                let target = &mut view.values[position * size..(position + 1) * size];
                normalize_into(crop.pixels(), &self.tables, target);
            }
        }
        HostBatch {
            views,
            indices: indices.to_vec(),
        }
    }
}

/// A batch in host memory.
struct HostBatch {
    views: Vec<TensorBuffer>,
    indices: Vec<usize>,
}

struct TensorBuffer {
    values: Vec<f32>,
    shape: [usize; 4],
}

#[derive(Debug)]
struct Worker {
    batches: Receiver<HostBatch>,
    thread: JoinHandle<()>,
}

/// The batches of one epoch in order, see [`MultiCropLoader::epoch`]. Dropping it early stops its threads.
#[derive(Debug)]
pub struct Epoch {
    workers: Vec<Worker>,
    first: usize,
    steps: Range<usize>,
    device: Device,
}

impl Iterator for Epoch {
    type Item = Batch;

    /// # Panics
    /// If a background thread panicked, with its message.
    fn next(&mut self) -> Option<Batch> {
        let step = self.steps.next()?;
        let worker = (step - self.first) % self.workers.len();
        let Ok(batch) = self.workers[worker].batches.recv() else {
            self.steps = 0..0;
            let failed = self.workers.swap_remove(worker).thread.join();
            resume_unwind(failed.expect_err("a worker stops early only by a panic"));
        };
        Some(Batch {
            views: batch
                .views
                .into_iter()
                .map(|view| {
                    Tensor::from_data(TensorData::new(view.values, view.shape), &self.device)
                })
                .collect(),
            indices: batch.indices,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.steps.size_hint()
    }
}

impl ExactSizeIterator for Epoch {}

impl Drop for Epoch {
    fn drop(&mut self) {
        for worker in self.workers.drain(..) {
            drop(worker.batches);
            // Its panic, if any, was either raised by `next` or concerns batches nobody asked for.
            let _ = worker.thread.join();
        }
    }
}
