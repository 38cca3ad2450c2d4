//! Batch normalization over the replicas of a network, in threads of one process.

#[cfg_attr(
    not(any(feature = "flex", feature = "cubecl", feature = "remote")),
    allow(dead_code, reason = "nothing is exchanged without a backend")
)]
mod gather;
mod rendezvous;

use std::cell::RefCell;

use burn::tensor::Tensor;

pub use gather::ReplicaLeft;
use gather::{Place, all_gather, covers};

thread_local! {
    /// The place of the replica that this thread runs.
    static CURRENT: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// One replica's membership in synchronized batch normalization, PyTorch's `SyncBatchNorm`: every
/// [`BatchNorm`](crate::BatchNorm) takes its statistics over the inputs of all replicas together,
/// and so do its gradients. What the replicas compute is then what one network computes for all
/// their inputs at once, up to rounding.
///
/// Each replica runs in a thread of its own, forward and backward, on a network with the same
/// layers and inputs of the same shape. In each layer, forward and backward, the replicas wait for
/// each other and exchange two values per channel. Only layers that normalize with batch statistics
/// do so.
///
/// Supports devices of the CPU (feature `flex`), GPUs (`cuda`, `wgpu`, ...) and other machines
/// (`remote`), also mixed.
///
/// ```
/// use burn::prelude::*;
/// use e2mc_resnet::{BatchNormConfig, SyncBatchNorm};
///
/// # #[cfg(feature = "flex")] {
/// let device = Device::flex().autodiff();
/// let halves = [[[1.0], [2.0]], [[3.0], [6.0]]].map(|rows| Tensor::from_floats(rows, &device));
/// let replicas = SyncBatchNorm::replicas(2);
/// let outputs: Vec<Tensor<2>> = std::thread::scope(|scope| {
///     let threads = replicas.into_iter().zip(halves).map(|(replica, rows)| {
///         let norm = BatchNormConfig::new(1).init(&device);
///         scope.spawn(move || replica.run(|| norm.forward(rows)))
///     });
///     let threads: Vec<_> = threads.collect();
///     threads.into_iter().map(|thread| thread.join().unwrap()).collect()
/// });
/// // The mean of all four values is 3.
/// let sum = (outputs[0].clone() + outputs[1].clone()).sum();
/// assert!(sum.into_scalar::<f32>().abs() < 1e-6);
/// # }
/// ```
#[derive(Debug)]
pub struct SyncBatchNorm {
    place: Place,
}

impl SyncBatchNorm {
    /// A membership for each of so many replicas, in order.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    pub fn replicas(count: usize) -> Vec<Self> {
        assert!(count > 0, "SyncBatchNorm: there must be a replica");
        let places = Place::among(count).into_iter();
        places.map(|place| Self { place }).collect()
    }

    /// Runs `f` as this replica, in the calling thread. Graphs that it builds must also be
    /// differentiated in this thread, with the membership alive.
    ///
    /// A membership that is dropped leaves: a replica that still needs its values panics, without a
    /// message, with [`ReplicaLeft`].
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        /// Ends the replica's part also if it panics.
        struct Restore(Option<Place>);
        impl Drop for Restore {
            fn drop(&mut self) {
                CURRENT.set(self.0.take());
            }
        }
        let _restore = Restore(CURRENT.replace(Some(self.place.clone())));
        f()
    }
}

impl Drop for SyncBatchNorm {
    fn drop(&mut self) {
        self.place.leave();
    }
}

/// Whether this thread runs a replica whose statistics are synchronized.
pub(crate) fn active() -> bool {
    CURRENT.with_borrow(Option::is_some)
}

/// Mean and variance of the inputs of all replicas, and the number of values per channel, given
/// those of this one; as they are if it is not [`active`]. Means are relative to `center`, which
/// may differ between replicas.
///
/// # Shapes
///
/// - center, mean and var `[1, channels, 1]`; mean and var with gradient
///
/// # Panics
///
/// If the build has no exchange for the device, or if the replicas differ in channels. With
/// [`ReplicaLeft`] if another has ended.
pub(crate) fn statistics_of_all(
    center: &Tensor<3>,
    mean: Tensor<3>,
    var: Tensor<3>,
    count: usize,
) -> (Tensor<3>, Tensor<3>, usize) {
    let Some(place) = CURRENT.with_borrow(Clone::clone) else {
        return (mean, var, count);
    };
    let device = mean.device();
    assert!(
        covers(&device),
        "SyncBatchNorm: e2mc-resnet was built without the feature for {device:?}"
    );
    let per_channel = mean.dims();
    let row = Tensor::cat(vec![mean + center.clone(), var], 1);
    let all = all_gather(row.reshape([1, -1]), place).reshape([-1, 2, per_channel[1] as i32]);
    let [replicas, ..] = all.dims();
    let [means, vars] = [0, 1].map(|i| all.clone().slice_dim(1, i..i + 1));
    let mean = means.clone().mean_dim(0);
    // The mean of the replicas' variances, and the variance of their means.
    let var = vars.mean_dim(0) + (means - mean.clone()).square().mean_dim(0);
    let [mean, var] = [mean, var].map(|values| values.reshape(per_channel));
    (mean - center.clone(), var, replicas * count)
}
