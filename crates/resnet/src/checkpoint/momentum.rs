//! The optimizer's momentum in a checkpoint.

use burn::store::bridge;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::tensor::TensorData;

use super::contents::{ParameterGroups, Value};
use super::error::{CheckpointError, Result};
use super::file::{Checkpoint, TensorInfo};

/// Names of the momentum in a parameter's state: `torch.optim.SGD`, and VICReg's LARS.
const MOMENTUM: [&str; 2] = ["momentum_buffer", "mu"];
/// Last parts of the names of tensors that are not optimized: those of batch normalization, and
/// MoCo's queue.
const BUFFERS: [&str; 5] = [
    "running_mean",
    "running_var",
    "num_batches_tracked",
    "queue",
    "queue_ptr",
];

impl Checkpoint {
    /// The optimizer's momentum: pairs of a parameter's name (without wrappers, as in
    /// [`tensors`](Self::tensors)) and a tensor of its shape in PyTorch's order, in the optimizer's
    /// order. Empty if the file has no such state. A parameter that never had a gradient has no
    /// momentum and is left out.
    ///
    /// PyTorch's state identifies parameters only by number, in the order of the parameter groups.
    /// We assume that this is the order of the model's parameters in the file. It is if the script
    /// passed `model.parameters()` to the optimizer, or the parts of the model in their order
    /// (VICReg, SwAV, SimSiam, MoCo, Barlow Twins). The shapes are checked.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Optimizer`] if numbers or shapes do not match the model's parameters, and
    /// [`CheckpointError::Damaged`] if the file lacks the values.
    pub fn optimizer_momentum(&self) -> Result<Vec<(String, TensorData)>> {
        let Some(groups) = &self.facts.groups else {
            return Ok(Vec::new());
        };
        let error = |reason: String| CheckpointError::Optimizer {
            path: self.path().to_path_buf(),
            reason,
        };
        if !self.has_momentum() {
            return Ok(Vec::new());
        }
        let parameters: Vec<&String> = self
            .order
            .iter()
            .filter(|name| is_parameter(name))
            .collect();
        if parameters.len() != groups.parameters.len() {
            return Err(error(format!(
                "it was given {} parameters, the model has {}",
                groups.parameters.len(),
                parameters.len()
            )));
        }
        let mut momentum = Vec::new();
        for (name, &number) in parameters.into_iter().zip(&groups.parameters) {
            let Some(stored) = self.momentum_of(groups, number) else {
                continue;
            };
            let (found, expected) = (stored.shape.to_vec(), self.shape(name).unwrap_or_default());
            if found != expected {
                return Err(error(format!(
                    "the state of parameter {number} is {found:?}, but {name} is {expected:?}"
                )));
            }
            let data = bridge::into_data(stored.clone()).map_err(|e| {
                CheckpointError::damaged(self.path(), format!("momentum of {name}: {e}"))
            })?;
            momentum.push((name.clone(), data));
        }
        Ok(momentum)
    }

    /// Whether the file has momentum for any parameter.
    pub(super) fn has_momentum(&self) -> bool {
        let groups = self.facts.groups.as_ref();
        groups.is_some_and(|groups| {
            let mut numbers = groups.parameters.iter();
            numbers.any(|&number| self.momentum_of(groups, number).is_some())
        })
    }

    fn momentum_of(&self, groups: &ParameterGroups, number: u64) -> Option<&StoredTensor> {
        let state = format!("{}.state.{number}", groups.key);
        MOMENTUM
            .iter()
            .find_map(
                |field| match self.outside.get(&format!("{state}.{field}")) {
                    Some(Value::Tensor(tensor)) => Some(tensor),
                    _ => None,
                },
            )
            .filter(|tensor| tensor.dtype.is_float())
    }
}

impl TensorInfo {
    /// Whether the tensor is trained, as its name shows: not a running statistic, counter or queue.
    pub fn is_parameter(&self) -> bool {
        is_parameter(&self.name)
    }
}

fn is_parameter(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    !BUFFERS.contains(&last)
}
