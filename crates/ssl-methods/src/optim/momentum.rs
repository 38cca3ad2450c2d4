//! The state that SGD keeps for a parameter, and how to start from a checkpoint's momentum.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer, RecordState, StateSink, StateSource};
use burn::tensor::{Device, Tensor, TensorData};

use super::descent::Descent;
use super::sgd::SgdConfig;
use crate::MethodError;

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

/// Gives an optimizer the momentum of a checkpoint, as in the released VICReg continuation.
/// `buffers` is the result of
/// [`Checkpoint::optimizer_momentum`](e2mc_resnet::Checkpoint::optimizer_momentum): buffers under
/// PyTorch's parameter names, in PyTorch's layout. Parameters without an entry start without
/// momentum. Returns the optimizer and the names that match no parameter of `method`.
///
/// `optimizer` must be of [`Sgd`](super::Sgd), [`Larc`](super::Larc) or [`Lars`](super::Lars), with
/// nonzero momentum.
///
/// # Errors
/// [`MethodError::Momentum`] if a buffer has another shape than its parameter.
pub fn continue_momentum<M: Module>(
    optimizer: ModuleOptimizer,
    method: &M,
    buffers: impl IntoIterator<Item = (String, TensorData)>,
) -> Result<(ModuleOptimizer, Vec<String>), MethodError> {
    let mut collect = Buffers {
        path: Vec::new(),
        buffers: buffers.into_iter().collect(),
        gradients: GradientsParams::new(),
        error: None,
    };
    method.visit(&mut collect);
    if let Some(error) = collect.error {
        return Err(error);
    }
    // The first step of plain SGD stores the gradient as the buffer, and at rate 0 it moves
    // nothing. The optimizer can load this record, since the state has the same form.
    let mut plain: ModuleOptimizer = SgdConfig::new().with_momentum(0.9).init();
    plain.step(0.0, method.clone(), collect.gradients);
    let record = plain.to_record();
    Ok((
        optimizer.load_record(record),
        collect.buffers.into_keys().collect(),
    ))
}

/// Takes the buffers of the visited parameters, as gradients.
struct Buffers {
    path: Vec<String>,
    buffers: BTreeMap<String, TensorData>,
    gradients: GradientsParams,
    error: Option<MethodError>,
}

impl ModuleVisitor for Buffers {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let name = self.path.join(".");
        let Some(data) = self.buffers.remove(&name) else {
            return;
        };
        let value = param.val().without_autodiff();
        // Burn stores linear layers, the only matrices in a method, transposed.
        let mut expected = value.dims();
        if D == 2 {
            expected.reverse();
        }
        if data.shape()[..] != expected {
            self.error = Some(MethodError::Momentum {
                name,
                expected: expected.to_vec(),
                found: data.shape().to_vec(),
            });
            return;
        }
        let buffer = Tensor::<D>::from_data(data.convert_dtype(value.dtype()), &value.device());
        let buffer = if D == 2 {
            buffer.swap_dims(0, 1)
        } else {
            buffer
        };
        self.gradients.register(param.id, buffer);
    }

    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }
}
