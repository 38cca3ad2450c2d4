use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvError, sync_channel};
use std::thread::JoinHandle;

use burn::tensor::Device;

use super::background::send_batches;
use super::batch::{Batch, DeviceBatch, HostBatch, PREFETCH, SplitBatch};
use super::upload::upload_batches;
use super::{FailedRead, Shared};
use crate::{DataError, Result};

/// The batches of one epoch in order, see [`Loader::epoch`](super::Loader::epoch). Dropping it
/// early stops its threads.
///
/// An error is the last item: too many unreadable images, an image that does not match the recipe,
/// or a device that fails.
#[derive(Debug)]
pub struct Epoch {
    split: SplitEpoch,
}

/// As [`Epoch`], with the batches split between several devices, see
/// [`Loader::split_epoch_from`](super::Loader::split_epoch_from).
#[derive(Debug)]
pub struct SplitEpoch {
    background: Option<Background>,
    shared: Arc<Shared>,
    devices: Vec<Device>,
    steps_left: usize,
    samples: usize,
    failed: BTreeSet<usize>,
}

/// The threads that fill the batches and, if asked for, send them to the devices.
#[derive(Debug)]
struct Background {
    batches: Batches,
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

/// Where the next batch comes from.
#[derive(Debug)]
enum Batches {
    Host(Receiver<Result<HostBatch>>),
    Device(Receiver<Result<DeviceBatch>>),
}

impl Batches {
    fn next(&self, devices: &[Device]) -> Result<Result<DeviceBatch>, RecvError> {
        match self {
            Self::Host(batches) => batches
                .recv()
                .map(|batch| batch.and_then(|batch| batch.upload(devices))),
            Self::Device(batches) => batches.recv(),
        }
    }
}

impl Epoch {
    pub(super) fn start(
        shared: Arc<Shared>,
        epoch: usize,
        first_step: usize,
        device: Device,
    ) -> Self {
        Self {
            split: SplitEpoch::start(shared, epoch, first_step, vec![device]),
        }
    }

    /// Adds images, by index, that could not be read before the first step, such as before a run
    /// was interrupted. They count toward the failure limit.
    pub fn with_failed(self, failed: impl IntoIterator<Item = usize>) -> Self {
        Self {
            split: self.split.with_failed(failed),
        }
    }

    /// The images that could not be read so far in this epoch.
    pub fn failed(&self) -> impl ExactSizeIterator<Item = usize> {
        self.split.failed()
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch>;

    /// # Panics
    ///
    /// If a background thread panicked, with its message.
    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.split.next()?;
        Some(batch.map(|batch| Batch {
            views: batch.shares.into_iter().flatten().collect(),
            indices: batch.indices,
            failures: batch.failures,
        }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.split.size_hint()
    }
}

impl SplitEpoch {
    pub(super) fn start(
        shared: Arc<Shared>,
        epoch: usize,
        first_step: usize,
        devices: Vec<Device>,
    ) -> Self {
        let order = shared.order(epoch);
        let samples = order.len();
        let steps_left = shared.steps_per_epoch().saturating_sub(first_step);
        let background = (steps_left > 0)
            .then(|| Background::start(&shared, epoch, order, first_step, steps_left, &devices));
        Self {
            background,
            shared,
            devices,
            steps_left,
            samples,
            failed: BTreeSet::new(),
        }
    }

    /// As [`Epoch::with_failed`].
    pub fn with_failed(mut self, failed: impl IntoIterator<Item = usize>) -> Self {
        self.failed.extend(failed);
        self
    }

    /// As [`Epoch::failed`].
    pub fn failed(&self) -> impl ExactSizeIterator<Item = usize> {
        self.failed.iter().copied()
    }

    fn check_failures(&mut self, batch: &DeviceBatch) -> Result<()> {
        self.failed.extend(batch.failures.iter().map(|f| f.index));
        let allowed = self.shared.failure_limit * self.samples as f64;
        if !batch.incomplete && self.failed.len() as f64 <= allowed {
            return Ok(());
        }
        let last = batch.failures.last().map(FailedRead::to_string);
        Err(DataError::TooManyFailedReads {
            name: self.shared.source.name().into(),
            failed: self.failed.len(),
            samples: self.samples,
            limit: self.shared.failure_limit,
            last: last.unwrap_or_default(),
        })
    }
}

impl Background {
    fn start(
        shared: &Arc<Shared>,
        epoch: usize,
        order: Vec<usize>,
        first_step: usize,
        steps: usize,
        devices: &[Device],
    ) -> Self {
        let (sender, batches) = sync_channel(PREFETCH);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, shared) = (stop.clone(), shared.clone());
        let upload_ahead = shared.upload_ahead;
        let thread = std::thread::spawn(move || {
            let chunks = order.chunks(shared.batch_size).skip(first_step).take(steps);
            if shared.u8_batches {
                send_batches::<u8>(&shared, epoch, chunks, &stopped, &sender);
            } else {
                send_batches::<f32>(&shared, epoch, chunks, &stopped, &sender);
            }
        });
        let mut threads = vec![thread];
        let batches = match upload_ahead {
            false => Batches::Host(batches),
            true => {
                // Without room, so that the thread keeps one batch on the devices.
                let (sender, uploaded) = sync_channel(0);
                let devices = devices.to_vec();
                threads.push(std::thread::spawn(move || {
                    upload_batches(batches, &devices, &sender);
                }));
                Batches::Device(uploaded)
            }
        };
        Self {
            batches,
            threads,
            stop,
        }
    }

    /// Stops the threads; the first panic of one, if any.
    fn end(self) -> std::thread::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.batches);
        let joined: Vec<_> = self.threads.into_iter().map(JoinHandle::join).collect();
        joined.into_iter().collect()
    }
}

impl Iterator for SplitEpoch {
    type Item = Result<SplitBatch>;

    /// # Panics
    ///
    /// If a background thread panicked, with its message.
    fn next(&mut self) -> Option<Self::Item> {
        let background = self.background.as_ref()?;
        let Ok(batch) = background.batches.next(&self.devices) else {
            let ended = self.background.take()?.end();
            resume_unwind(ended.expect_err("batches are missing only after a panic"));
        };
        self.steps_left -= 1;
        let batch = batch.and_then(|batch| self.check_failures(&batch).map(|()| batch));
        let batch = batch.and_then(|batch| batch.normalize(&self.shared.recipe.normalization));
        if batch.is_err() {
            self.steps_left = 0;
        }
        if self.steps_left == 0
            && let Some(background) = self.background.take()
        {
            // A panic here concerns only batches that nobody requested.
            let _ = background.end();
        }
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.steps_left.min(1), Some(self.steps_left))
    }
}

impl Drop for SplitEpoch {
    fn drop(&mut self) {
        if let Some(background) = self.background.take() {
            // Its panic, if any, concerns batches that nobody requested.
            let _ = background.end();
        }
    }
}
