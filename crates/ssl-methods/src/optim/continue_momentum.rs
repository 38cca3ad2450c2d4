//! How to start from a checkpoint's momentum.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Tensor, TensorData};

use super::sgd::SgdConfig;
use crate::{MethodError, Result};

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
///
/// [`MethodError::Momentum`] if a buffer has another shape than its parameter.
pub fn continue_momentum<M: Module>(
    optimizer: ModuleOptimizer,
    method: &M,
    buffers: impl IntoIterator<Item = (String, TensorData)>,
) -> Result<(ModuleOptimizer, Vec<String>)> {
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
