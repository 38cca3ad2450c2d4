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

/// With it, one replica exchanges values with the others.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// Each brings the dims of its rows with them.
    meeting: Arc<Rendezvous<(Vec<usize>, Brought)>>,
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

/// The rows that a replica brings.
#[derive(Debug, Clone)]
enum Brought {
    /// On its device, of a backend that the others may not have, and how to read them then.
    Tensor(Arc<dyn Any + Send + Sync>, fn(&dyn Any) -> TensorData),
    /// In the host's memory.
    #[cfg(feature = "remote")]
    Data(TensorData),
}

impl Brought {
    fn tensor<B: Backend>(rows: FloatTensor<B>) -> Self {
        Self::Tensor(Arc::new(rows), |tensor| {
            let tensor = tensor.downcast_ref::<FloatTensor<B>>();
            data::<B>(tensor.expect("it was brought so").clone())
        })
    }

    /// The rows on a device of another replica.
    fn on<B: Backend>(self, device: &B::Device) -> FloatTensor<B> {
        let data = match self {
            Self::Tensor(tensor, read) => match tensor.downcast_ref::<FloatTensor<B>>() {
                Some(tensor) => return B::float_to_device(tensor.clone(), device),
                None => read(&*tensor),
            },
            #[cfg(feature = "remote")]
            Self::Data(data) => data,
        };
        B::float_from_data(data, device)
    }
}

fn data<B: Backend>(rows: FloatTensor<B>) -> TensorData {
    let data = read_sync(B::float_into_data(rows));
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
        exchange::<Self>(rows, &place, Brought::tensor::<Self>)
    }
}

#[cfg(feature = "cubecl")]
impl Gather for burn::backend::Cube {
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self> {
        exchange::<Self>(rows, &place, Brought::tensor::<Self>)
    }
}

#[cfg(feature = "remote")]
impl Gather for burn::backend::Remote {
    fn all_gather(rows: FloatTensor<Self>, place: Place) -> FloatTensor<Self> {
        // Servers need not reach each other.
        exchange::<Self>(rows, &place, |rows| Brought::Data(data::<Self>(rows)))
    }
}

/// The rows of all replicas on the device of this one, which brings its own.
fn exchange<B: Backend>(
    rows: FloatTensor<B>,
    place: &Place,
    bring: impl FnOnce(FloatTensor<B>) -> Brought,
) -> FloatTensor<B> {
    let (device, shape) = (rows.device(), rows.shape());
    let round = place.round.fetch_add(1, Ordering::Relaxed);
    let brought = (shape.to_vec(), bring(rows.clone()));
    let Some(all) = place.meeting.exchange(place.place, round, brought) else {
        // Not `panic!`: what ended the other replica is the news.
        std::panic::resume_unwind(Box::new(ReplicaLeft));
    };
    let moved = all.into_iter().enumerate().map(|(i, (dims, brought))| {
        assert!(
            dims == shape.to_vec(),
            "SyncBatchNorm: replicas exchange {shape:?} and {dims:?}"
        );
        match i == place.place {
            true => rows.clone(),
            false => brought.on::<B>(&device),
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
