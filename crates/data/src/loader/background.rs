//! The background side: fills batches, all threads working on one batch at a time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

use rayon::prelude::*;

use super::batch::{Filled, HostBatch, Value};
use super::pool::Buffer;
use super::sample::read_or_replace;
use super::{FailedRead, Shared};
use crate::Photo;
use crate::Result;
use crate::augment::Image;
use crate::random::{Purpose, stream};
use crate::recipe::ViewScratch;

/// One thread's memory, reused from image to image.
#[derive(Default)]
struct Scratch {
    photo: Photo,
    view: Image,
    views: ViewScratch,
}

/// An image of the batch and the places of its views.
struct Slot<'a, T> {
    index: &'a mut usize,
    targets: Vec<&'a mut [T]>,
}

/// Fills the batches of `chunks` in order and sends them, until all are sent or `stop` is set.
/// An error is sent last.
pub(super) fn send_batches<'a, T: Value>(
    shared: &Shared,
    epoch: usize,
    chunks: impl Iterator<Item = &'a [usize]>,
    stop: &AtomicBool,
    batches: &SyncSender<Result<HostBatch>>,
) {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(shared.workers);
    let threads = threads.build().expect("the system can start threads");
    let scratch: Vec<_> = (0..shared.workers)
        .map(|_| Mutex::new(Scratch::default()))
        .collect();
    for indices in chunks {
        let batch = threads.install(|| batch::<T>(shared, epoch, indices, stop, &scratch));
        let failed = batch.is_err();
        if stop.load(Ordering::Relaxed) || batches.send(batch).is_err() || failed {
            return;
        }
    }
}

fn batch<T: Value>(
    shared: &Shared,
    epoch: usize,
    indices: &[usize],
    stop: &AtomicBool,
    scratch: &[Mutex<Scratch>],
) -> Result<HostBatch> {
    let n = indices.len();
    let mut indices = indices.to_vec();
    let shape = |size| [n, shared.recipe.channels(), size, size];
    let shapes: Vec<_> = shared.recipe.view_sizes().into_iter().map(shape).collect();
    let buffer = |shape: &[usize; 4]| T::pool(&shared.pools).take(shape.iter().product());
    let mut views: Vec<Buffer<T>> = shapes.iter().map(buffer).collect();

    let mut slots: Vec<_> = indices
        .iter_mut()
        .map(|index| Slot {
            index,
            targets: Vec::with_capacity(shapes.len()),
        })
        .collect();
    for values in &mut views {
        let values = values.values();
        let size = values.len() / n;
        for (slot, target) in slots.iter_mut().zip(values.chunks_exact_mut(size)) {
            slot.targets.push(target);
        }
    }
    let fill = |slot| {
        if stop.load(Ordering::Relaxed) {
            return Ok((true, Vec::new()));
        }
        let thread = rayon::current_thread_index().expect("a thread of the pool");
        let mut scratch = scratch[thread].lock().expect("no other thread has it");
        fill(shared, epoch, slot, &mut scratch)
    };
    let outcomes = slots.into_par_iter().with_max_len(1).map(fill);
    let outcomes = outcomes.collect::<Result<Vec<_>>>()?;
    Ok(Filled {
        views: views.into_iter().map(T::wrap).zip(shapes).collect(),
        indices,
        incomplete: outcomes.iter().any(|(complete, _)| !complete),
        failures: outcomes.into_iter().flat_map(|(_, f)| f).collect(),
    })
}

/// Reads an image and writes its views. Returns whether one could be read, and the failures.
fn fill<T: Value>(
    shared: &Shared,
    epoch: usize,
    slot: Slot<'_, T>,
    scratch: &mut Scratch,
) -> Result<(bool, Vec<FailedRead>)> {
    let Scratch { photo, view, views } = scratch;
    let Shared { source, seed, .. } = shared;
    let index = *slot.index;
    let mut failures = Vec::new();
    let found = read_or_replace(&**source, *seed, epoch, index, photo, &mut failures);
    let Some(found) = found else {
        return Ok((false, failures));
    };
    *slot.index = found;
    shared.check_channels(photo, found)?;
    // Uses the original index's stream, so that a replacement is not augmented like its own
    // occurrence.
    let mut rng = stream(Purpose::Augment, *seed, epoch as u64, index as u64);
    let [height, width, _] = photo.shape();
    let sampled = shared.recipe.sample(height, width, &mut rng);
    for (sampled, target) in sampled.iter().zip(slot.targets) {
        sampled.apply_into(photo, views, view);
        T::write(view.pixels(), &shared.normalizer, target);
    }
    Ok((true, failures))
}
