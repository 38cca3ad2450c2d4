//! Rows of every replica, with their gradient, through Burn's backend extension.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::autodiff::Autodiff;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, Dispatch, DispatchDevice, TensorMetadata, backend_extension, read_sync,
};
use burn::tensor::{Device, Shape, Slice, Tensor, TensorData};

use super::rendezvous::Rendezvous;

/// One replica's place among those that exchange values.
#[derive(Debug, Clone)]
pub(super) struct Place {
    meeting: Arc<Rendezvous<Brought>>,
    place: usize,
    replicas: usize,
    /// Exchanges so far. A replica's thread makes them in the order of its graph, forward and
    /// backward, which is that of the other replicas.
    round: Arc<AtomicU64>,
}

impl Place {
    /// A place for each of so many replicas.
    pub fn among(replicas: usize) -> Vec<Self> {
        let meeting = Arc::new(Rendezvous::new(replicas));
        (0..replicas)
            .map(|place| Self {
                meeting: meeting.clone(),
                place,
                replicas,
                round: Arc::default(),
            })
            .collect()
    }

    /// Says that this replica exchanges no more.
    pub fn leave(&self) {
        self.meeting.leave();
    }
}

/// The panic of a replica that needs the values of one that has ended.
#[derive(Debug)]
pub struct ReplicaLeft;

/// A tensor that a replica brings, of a backend that the others may not have.
#[derive(Debug, Clone)]
struct Brought {
    tensor: Arc<dyn Any + Send + Sync>,
    read: fn(&dyn Any) -> TensorData,
    dims: Vec<usize>,
}

fn read<B: Backend>(tensor: &dyn Any) -> TensorData {
    let tensor = tensor.downcast_ref::<FloatTensor<B>>();
    let tensor = tensor.expect("the tensor was brought with this function");
    let data = read_sync(B::float_into_data(tensor.clone()));
    data.unwrap_or_else(|error| panic!("statistics of batch normalization: {error}"))
}

#[backend_extension(
    Autodiff,
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cubecl"),
    Remote: cfg(feature = "remote")
)]
pub trait Gather: Backend {
    /// The rows of all replicas in the order of their places: `[n, d]` of each to
    /// `[replicas * n, d]`. Every replica gets the same. The gradient of a row is the sum of its
    /// gradients in all replicas.
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self>;
}

#[cfg(feature = "flex")]
impl Gather for burn::backend::Flex {
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self> {
        exchange::<Self>(rows, &place, true)
    }
}

#[cfg(feature = "cubecl")]
impl Gather for burn::backend::Cube {
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self> {
        exchange::<Self>(rows, &place, true)
    }
}

#[cfg(feature = "remote")]
impl Gather for burn::backend::Remote {
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self> {
        // Servers need not reach each other.
        exchange::<Self>(rows, &place, false)
    }
}

/// From device to device if `direct` and the other has the same backend; through the host's memory
/// else.
fn exchange<B: Backend>(rows: FloatTensor<B>, place: &Place, direct: bool) -> FloatTensor<B> {
    let device = rows.device();
    let dims = rows.shape().to_vec();
    let brought = Brought {
        tensor: Arc::new(rows.clone()),
        read: read::<B>,
        dims: dims.clone(),
    };
    let round = place.round.fetch_add(1, Ordering::Relaxed);
    let Some(all) = place.meeting.exchange(place.place, round, brought) else {
        // Not `panic!`: what ended the other replica is the news.
        std::panic::resume_unwind(Box::new(ReplicaLeft));
    };
    let moved = all.iter().enumerate().map(|(i, brought)| {
        assert!(
            brought.dims == dims,
            "synchronized batch normalization: replicas exchange {dims:?} and {:?}",
            brought.dims
        );
        if i == place.place {
            return rows.clone();
        }
        match brought.tensor.downcast_ref::<FloatTensor<B>>() {
            Some(tensor) if direct => B::float_to_device(tensor.clone(), &device),
            _ => B::float_from_data((brought.read)(&*brought.tensor), &device),
        }
    });
    B::float_cat(moved.collect(), 0)
}

#[derive(Debug)]
struct GatherRows;

impl<B: Gather> Backward<B, 1> for GatherRows {
    type State = Place;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let [parent] = ops.parents;
        let place = ops.state;
        let gradient = grads.consume::<B>(&ops.node);
        let [rows, d] = gradient.shape().dims();
        let n = rows / place.replicas;
        let own = Slice::from(place.place * n..(place.place + 1) * n);
        // [replica that has the gradient, row, d]
        let all = B::all_gather(gradient, place.clone());
        let all = B::float_reshape(all, Shape::new([place.replicas, rows, d]));
        let own = B::float_slice(all, &[Slice::full(), own, Slice::full()]);
        let sum = B::float_reshape(B::float_sum_dim(own, 0), Shape::new([n, d]));
        if let Some(node) = parent {
            grads.register::<B>(node.id, sum);
        }
    }
}

impl<B: Gather, C: CheckpointStrategy> Gather for Autodiff<B, C> {
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self> {
        let prepared = GatherRows.prepare::<C>([rows.node()]);
        let rows = rows.into_primitive();
        match prepared.compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let all = B::all_gather(rows, place.clone());
                prep.finish(place, all)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::all_gather(rows, place)),
        }
    }
}

/// Whether this build can exchange tensors of the device.
pub(super) fn covers(device: &Device) -> bool {
    fn covered(device: &DispatchDevice) -> bool {
        match device {
            #[cfg(feature = "flex")]
            DispatchDevice::Flex(_) => true,
            #[cfg(feature = "cubecl")]
            DispatchDevice::Cube(_) => true,
            #[cfg(feature = "remote")]
            DispatchDevice::Remote(_) => true,
            DispatchDevice::Autodiff(inner) => covered(inner),
            #[allow(unreachable_patterns)] // which others there are depends on Burn's features
            _ => false,
        }
    }
    covered(device.as_dispatch())
}

/// [`Gather::all_gather`], `[n, d]` to `[replicas * n, d]`, on a device that [`covers`] accepts.
pub(super) fn all_gather(rows: Tensor<2>, place: Place) -> Tensor<2> {
    Tensor::from_dispatch(<Dispatch as Gather>::all_gather(
        rows.into_dispatch(),
        place,
    ))
}
