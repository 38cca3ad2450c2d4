//! The state that SGD keeps for a parameter.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

use super::descent::Descent;

/// The momentum buffer of one parameter.
#[derive(Debug, Clone)]
pub struct MomentumState<const D: usize> {
    /// Decaying sum of past gradients, of the parameter's shape.
    pub buffer: Tensor<D>,
}

impl<const D: usize> MomentumState<D> {
    /// [`Descent::step`] with the buffer as an optimizer's state.
    pub(super) fn step(
        descent: &Descent,
        lr: f64,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<Self>,
    ) -> (Tensor<D>, Option<Self>) {
        let buffer = state.map(|state| state.buffer);
        let (tensor, buffer) = descent.step(lr, tensor, grad, buffer);
        (tensor, buffer.map(|buffer| Self { buffer }))
    }

    pub(super) fn moved(self, device: &Device) -> Self {
        Self {
            buffer: self.buffer.to_device(device),
        }
    }
}

const BUFFER: &str = "momentum_buffer";

// By hand: the derive names items at the root of the crate that uses it.
impl<const D: usize> RecordState for MomentumState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(prefix, BUFFER, self.buffer.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let data = src.take_tensor(prefix, BUFFER)?;
        Some(Self {
            buffer: Tensor::from_data(data, device),
        })
    }
}
