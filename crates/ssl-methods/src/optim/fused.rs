//! The step on the CPU in one pass, or two with an adaptation, through Burn's backend extension.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, DispatchDevice, Flex, backend_extension};
use burn::tensor::{DType, Tensor};
use rayon::prelude::*;

use super::descent::{Adaptation, Descent};

type FlexTensor = FloatTensor<Flex>;

/// Values per task.
const TASK: usize = 1 << 15;
/// Squares are summed in f32 within a block, and in f64 over blocks.
const BLOCK: usize = 1 << 10;
/// Parallel sums within a block, one for each lane of a vector.
const LANES: usize = 16;

/// The step of a parameter that has a momentum buffer.
#[backend_extension(Flex)]
pub trait FlexDescent: Backend {
    /// Parameter and momentum buffer after a step; all three tensors of one shape, f32.
    fn flex_descend(
        tensor: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        buffer: FloatTensor<Self>,
        descent: Step,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// A step at a learning rate.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    lr: f64,
    descent: Descent,
}

/// Whether the parameter is f32 on Flex, without autodiff.
pub(super) fn covers<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.dtype() == DType::F32 && matches!(tensor.device().as_dispatch(), DispatchDevice::Flex(_))
}

/// As [`Descent::step`], if [`covers`] is true.
pub(super) fn step<const D: usize>(
    descent: &Descent,
    lr: f64,
    tensor: Tensor<D>,
    grad: Tensor<D>,
    buffer: Tensor<D>,
) -> (Tensor<D>, Tensor<D>) {
    let (shape, found) = (tensor.dims(), [grad.dims(), buffer.dims()]);
    assert!(
        found == [shape; 2],
        "optimizer: a parameter {shape:?}, but gradient {:?} and momentum {:?}",
        found[0],
        found[1]
    );
    let (tensor, buffer) = <Dispatch as FlexDescent>::flex_descend(
        tensor.into_dispatch(),
        grad.into_dispatch(),
        buffer.into_dispatch(),
        Step {
            lr,
            descent: *descent,
        },
    );
    (Tensor::from_dispatch(tensor), Tensor::from_dispatch(buffer))
}

impl FlexDescent for Flex {
    fn flex_descend(
        tensor: FlexTensor,
        grad: FlexTensor,
        buffer: FlexTensor,
        step: Step,
    ) -> (FlexTensor, FlexTensor) {
        let (mut tensor, mut buffer) = (contiguous(tensor), contiguous(buffer));
        let grad = contiguous(grad);
        step.run(
            values_mut(&mut tensor),
            values(&grad),
            values_mut(&mut buffer),
        );
        (tensor, buffer)
    }
}

impl Step {
    fn run(&self, tensor: &mut [f32], grad: &[f32], buffer: &mut [f32]) {
        let factor = match self.descent.adaptation {
            Adaptation::None => 1.0,
            _ => {
                let [tensor, grad, decayed] = norms(tensor, grad, self.descent.weight_decay as f32);
                self.descent.factor(tensor, grad, decayed)
            }
        };
        let (momentum, lr) = (self.descent.momentum as f32, self.lr as f32);
        let (decay, factor) = (self.descent.weight_decay as f32, factor as f32);
        let descend = |((tensor, grad), buffer): ((&mut [f32], &[f32]), &mut [f32])| {
            for ((p, g), b) in tensor.iter_mut().zip(grad).zip(buffer) {
                *b = momentum * *b + (g + decay * *p) * factor;
                *p -= lr * *b;
            }
        };
        // For a small parameter, waking other threads costs more than the step.
        if tensor.len() <= TASK {
            return descend(((tensor, grad), buffer));
        }
        (tensor.par_chunks_mut(TASK))
            .zip(grad.par_chunks(TASK))
            .zip(buffer.par_chunks_mut(TASK))
            .for_each(descend);
    }
}

/// The norms of a parameter, of its gradient, and of the gradient with decay. They do not depend on
/// the number of threads.
fn norms(tensor: &[f32], grad: &[f32], decay: f32) -> [f64; 3] {
    let squares = |(tensor, grad): (&[f32], &[f32])| {
        let mut sums = [0.0; 3];
        for (tensor, grad) in tensor.chunks(BLOCK).zip(grad.chunks(BLOCK)) {
            let mut lanes = [[0.0f32; LANES]; 3];
            for (tensor, grad) in tensor.chunks(LANES).zip(grad.chunks(LANES)) {
                for (lane, (&p, &g)) in tensor.iter().zip(grad).enumerate() {
                    let decayed = g + decay * p;
                    lanes[0][lane] += p * p;
                    lanes[1][lane] += g * g;
                    lanes[2][lane] += decayed * decayed;
                }
            }
            for (sum, lanes) in sums.iter_mut().zip(lanes) {
                *sum += lanes.into_iter().map(f64::from).sum::<f64>();
            }
        }
        sums
    };
    if tensor.len() <= TASK {
        return squares((tensor, grad)).map(f64::sqrt);
    }
    let tasks: Vec<[f64; 3]> = (tensor.par_chunks(TASK))
        .zip(grad.par_chunks(TASK))
        .map(squares)
        .collect();
    let mut sums = [0.0; 3];
    for task in tasks {
        for (sum, part) in sums.iter_mut().zip(task) {
            *sum += part;
        }
    }
    sums.map(f64::sqrt)
}

/// The tensor itself if it is contiguous, so that it stays the only owner of its memory.
fn contiguous(tensor: FlexTensor) -> FlexTensor {
    match tensor.layout().contiguous_offsets() {
        Some(_) => tensor,
        None => tensor.to_contiguous(),
    }
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("a contiguous tensor")
}

fn values_mut(tensor: &mut FlexTensor) -> &mut [f32] {
    let (start, end) = (tensor.layout().contiguous_offsets()).expect("a contiguous tensor");
    &mut tensor.storage_mut::<f32>()[start..end]
}
