//! The state that SGD keeps for a parameter.

use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor};

/// The momentum buffer of one parameter.
#[derive(Debug, Clone)]
pub struct MomentumState<const D: usize> {
    /// Decaying sum of past gradients, of the parameter's shape.
    pub buffer: Tensor<D>,
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
