//! One step on several devices.

use std::ops::Range;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ScopedJoinHandle};

use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::{Device, Tensor};
use e2mc_resnet::{ReplicaLeft, SyncBatchNorm};

use crate::pieces::{backward_from, backward_pieces, embed_pieces, image_count, pieces_of};
use crate::running::{mean_statistics, running_statistics, with_running_statistics};
use crate::whole_loss::WholeLoss;
use crate::{
    BaseMethod, MethodError, MethodOutput, Result, RunPosition, Step, accumulated_gradients,
    leaves_single_image,
};

/// The devices of [`replicated_gradients`], and how a batch passes them.
#[derive(Debug, Clone, Copy)]
pub struct Replicas<'a> {
    /// The devices. The first one holds the method.
    pub devices: &'a [Device],
    /// Images that pass a device at once, at least 2, as in [`accumulated_gradients`].
    pub micro_batch: usize,
    /// Whether batch normalization takes its statistics from the images that pass all devices at
    /// the same time, by [`SyncBatchNorm`]. If false, each device has those of its own. Without
    /// effect on one device.
    pub sync_batch_norm: bool,
}

/// A [step](BaseMethod::step) on several devices of one machine, with the gradients of the whole
/// batch's loss.
///
/// The first device holds the method. Each device gets a replica of it and an equal share of the
/// images, in order:
///
/// 1. Each device embeds its share and keeps the graph.
/// 2. The embeddings Z come to the first device. The loss of all Z is computed there once and
///    differentiated, as in [`accumulated_gradients`]: covariance, entropy and codes see the whole
///    batch.
/// 3. Each device gets its part of dLoss/dZ and backpropagates it.
/// 4. The gradients are summed on the first device, in the devices' order.
///
/// So the result is that of one device that passes the shares in pieces, up to rounding. Replicas
/// are made from the method in each step: parameters travel to the devices, gradients back.
///
/// **Batch normalization in backbone and projector takes its statistics from a device's share**, or
/// from a piece of it. With [`sync_batch_norm`](Replicas::sync_batch_norm), it takes them from the
/// shares of all devices, or from a piece of each: the result is that of one device that passes
/// these images at once. Then the devices wait for each other in each normalization, forward and
/// backward, and exchange two values per channel.
///
/// Every device starts from the method's running statistics, and the method gets the mean of
/// theirs. What belongs to the loss (SimSiam's predictor, Barlow Twins' last normalization) sees
/// the whole batch.
///
/// `shares` are the views of each device's share, as [`split_views`](crate::split_views) cuts them
/// and e2mc-data's `SplitBatch` has them. They may be on any device. With one device, this is
/// [`accumulated_gradients`].
///
/// # Errors
///
/// [`MethodError::Device`] if the work on a share panics, as it does when a device is lost or its
/// memory is exhausted. The running statistics may have changed by then.
///
/// # Panics
///
/// If there is no device; if there are more or fewer shares than devices, or unequal ones; if the
/// micro-batch is below 2, or a share or its last piece would hold a single image; and as
/// [`BaseMethod::loss`].
pub fn replicated_gradients<M: BaseMethod>(
    method: &mut M,
    shares: Vec<Vec<Tensor<4>>>,
    replicas: &Replicas,
    position: RunPosition,
    loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
) -> Result<Step> {
    let Replicas {
        devices,
        micro_batch,
        sync_batch_norm,
    } = *replicas;
    let count = devices.len();
    assert!(
        count > 0 && shares.len() == count,
        "replicated_gradients: {} shares for {count} devices",
        shares.len()
    );
    let images: Vec<usize> = shares.iter().map(|views| image_count(views)).collect();
    let share = images[0];
    assert!(
        images.iter().all(|&n| n == share),
        "replicated_gradients: the shares have different numbers of images: {images:?}"
    );
    assert!(
        micro_batch >= 2 && share >= 2 && !leaves_single_image(share, micro_batch),
        "replicated_gradients: every piece needs at least 2 images, but shares of {share} in \
         pieces of {micro_batch} leave one"
    );
    if let [device] = devices {
        let views = on(device, shares.into_iter().flatten().collect());
        return Ok(accumulated_gradients(
            method,
            views,
            micro_batch,
            position,
            loss,
        ));
    }

    method.before_step();
    let pieces = &pieces_of(share, micro_batch);
    let members = sync_batch_norm.then(|| SyncBatchNorm::replicas(count));
    let mut members = members.into_iter().flatten();
    thread::scope(|scope| {
        let mut workers: Vec<Worker> = devices
            .iter()
            .zip(shares)
            .enumerate()
            .map(|(i, (device, views))| {
                let member = members.next();
                // With running statistics of its own.
                let replica = method.valid();
                let (first, embedded) = channel();
                let (directions, second) = channel();
                let work = move || {
                    let views = on(device, views);
                    let replica = replica.to_device(device).train();
                    let work = || work(&replica, &views, pieces, &devices[0], &first, &second);
                    match &member {
                        Some(member) => member.run(work),
                        None => work(),
                    }
                };
                let thread = thread::Builder::new().name(format!("replica {}", i + 1));
                Worker {
                    thread: thread
                        .spawn_scoped(scope, work)
                        .expect("the system can start threads"),
                    embedded,
                    directions,
                }
            })
            .collect();

        let whole = coordinate(method, &mut workers, &devices[0], share, position, loss);
        // A failed thread is found when it is joined.
        let joined: Vec<_> = workers.into_iter().map(Worker::join).collect();
        let gradients = of_all(joined)?;
        let whole = whole.expect("every thread sent its embeddings");

        let mut sum = GradientsAccumulator::new();
        sum.accumulate(method, whole.gradients);
        for gradients in gradients.into_iter().flatten() {
            sum.accumulate(method, gradients);
        }
        let mut gradients = sum.grads();
        method.after_gradients(&mut gradients, position);
        Ok(Step::new(whole.output, whole.loss, gradients))
    })
}

/// What a device sends first: its share's embeddings, and its running statistics after that pass.
type Embedded = (Vec<Tensor<2>>, Vec<Tensor<1>>);
/// dLoss/dZ of a share.
type Directions = Vec<Option<Tensor<2>>>;

/// The thread of one device.
struct Worker<'scope> {
    thread: ScopedJoinHandle<'scope, Option<GradientsParams>>,
    embedded: Receiver<Embedded>,
    directions: Sender<Directions>,
}

impl Worker<'_> {
    /// The gradients; none if there is no loss to backpropagate.
    fn join(self) -> thread::Result<Option<GradientsParams>> {
        // A thread that still waits for them ends.
        drop(self.directions);
        self.thread.join()
    }
}

/// The gradients of all devices, or the error of the first that failed. One that only needed the
/// values of another is named last.
fn of_all(
    joined: Vec<thread::Result<Option<GradientsParams>>>,
) -> Result<Vec<Option<GradientsParams>>> {
    let devices = joined.len();
    let failures = joined.iter().enumerate().filter_map(|(i, joined)| {
        let panic = joined.as_ref().err()?;
        Some((panic.is::<ReplicaLeft>(), i, panic))
    });
    if let Some((_, i, panic)) = failures.min_by_key(|(left, i, _)| (*left, *i)) {
        return Err(MethodError::of_panic(i + 1, devices, &**panic));
    }
    Ok(joined.into_iter().flatten().collect())
}

/// The two halves of a device's work; ends early if the other threads failed. Results are brought
/// to the device `home` here, so that a lost device fails its own thread.
fn work<M: BaseMethod>(
    replica: &M,
    views: &[Tensor<4>],
    pieces: &[Range<usize>],
    home: &Device,
    embedded: &Sender<Embedded>,
    directions: &Receiver<Directions>,
) -> Option<GradientsParams> {
    let device = views[0].device();
    let received = || {
        let directions = directions.recv().ok()?.into_iter();
        let moved = directions.map(|direction| Some(direction?.to_device(&device)));
        Some(moved.collect::<Vec<_>>())
    };
    let send = |values: Vec<Tensor<2>>, passed: &M| {
        let values = values.into_iter().map(|z| z.to_device(home)).collect();
        let statistics = running_statistics(passed).into_iter();
        let statistics = statistics.map(|value| value.to_device(home)).collect();
        embedded.send((values, statistics)).ok()
    };
    if let [_] = pieces {
        let embeddings = replica.embed(views.to_vec());
        let values = embeddings.iter().map(|z| z.clone().without_autodiff());
        send(values.collect(), replica)?;
        let gradients = backward_from(replica, embeddings, &received()?)?;
        return Some(gradients.to_device(home, replica));
    }
    let copy = replica.valid().train().no_grad();
    let values = embed_pieces(&copy, views, pieces);
    send(values, &copy)?;
    let mut sum = GradientsAccumulator::new();
    backward_pieces(replica, views, pieces, &received()?, &mut sum);
    Some(sum.grads().to_device(home, replica))
}

/// Collects the embeddings, computes the loss of all, and sends each device its part of dLoss/dZ.
/// None if a device failed.
fn coordinate<M: BaseMethod>(
    method: &mut M,
    workers: &mut [Worker],
    device: &Device,
    share: usize,
    position: RunPosition,
    loss: impl FnOnce(&MethodOutput) -> Tensor<1>,
) -> Option<WholeLoss> {
    let mut by_view: Vec<Vec<Tensor<2>>> = Vec::new();
    let mut statistics = Vec::new();
    for worker in workers.iter() {
        let (embeddings, running) = worker.embedded.recv().ok()?;
        by_view.resize_with(embeddings.len(), Vec::new);
        for (view, z) in by_view.iter_mut().zip(embeddings) {
            view.push(z);
        }
        statistics.push(running);
    }
    // Before the loss, whose normalizations update the method's own.
    let statistics = mean_statistics(statistics, device);
    *method = with_running_statistics(method.clone(), statistics);
    let embeddings = by_view.into_iter().map(|shares| Tensor::cat(shares, 0));
    let whole = WholeLoss::of(method, embeddings.collect(), position, loss);
    for (i, worker) in workers.iter().enumerate() {
        let rows = i * share..(i + 1) * share;
        let part = |z: &Tensor<2>| z.clone().slice_dim(0, rows.clone());
        let directions = whole.directions.iter().map(|z| z.as_ref().map(part));
        worker.directions.send(directions.collect()).ok()?;
    }
    Some(whole)
}

/// Views on a device, for a graph there.
fn on(device: &Device, views: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
    views
        .into_iter()
        .map(|view| view.without_autodiff().to_device(device).autodiff())
        .collect()
}
