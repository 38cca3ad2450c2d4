//! Copying a checkpoint's tensors into a module.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, PyTorchToBurnAdapter, bridge};
use burn::tensor::DType;

use super::error::{CheckpointError, ShapeMismatch};
use super::file::Checkpoint;

/// What a load did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadReport {
    /// Names of the tensors copied into the module, without wrappers.
    pub loaded: Vec<String>,
    /// Names of the tensors under the same prefix that the module has no place for, without wrappers: heads, `fc`,
    /// `num_batches_tracked`.
    pub ignored: Vec<String>,
}

impl fmt::Display for LoadReport {
    /// For instance `267 tensors loaded, 55 ignored (53 num_batches_tracked, fc.bias, fc.weight)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const COUNTER: &str = "num_batches_tracked";
        const MAX_LISTED: usize = 8;
        write!(f, "{} tensors loaded", self.loaded.len())?;
        if self.ignored.is_empty() {
            return Ok(());
        }
        let (counters, others): (Vec<&String>, Vec<_>) = self
            .ignored
            .iter()
            .partition(|name| name.ends_with(COUNTER));
        let mut parts = Vec::new();
        if !counters.is_empty() {
            parts.push(format!("{} {COUNTER}", counters.len()));
        }
        parts.extend(others.iter().take(MAX_LISTED).map(|name| name.to_string()));
        if others.len() > MAX_LISTED {
            parts.push(format!("{} more", others.len() - MAX_LISTED));
        }
        write!(f, ", {} ignored ({})", self.ignored.len(), parts.join(", "))
    }
}

impl Checkpoint {
    /// Copies the tensors under `prefix` into `module`, whose parameter paths must be PyTorch's names.
    ///
    /// `prefix` is `""` for the root, [`backbone_prefix`](Self::backbone_prefix) for the ResNet, or a head's name such
    /// as `"projection_head"`. The weight of a `burn::nn::Linear` is transposed, the scale and shift of Burn's own
    /// normalisation layers are found as `weight` and `bias`, and every float is converted to the module's type.
    /// Running statistics are part of it. All of the module's parameters must be there; on an error the module is
    /// unchanged. Meant for a module that [`init`](crate::ResNetConfig::init) has just made: running statistics that
    /// a training step left pending would win over loaded ones.
    ///
    /// # Errors
    /// If tensors are missing, misshapen or not floating-point, or the file ends before their values do.
    pub fn load_into<M: Module>(
        &self,
        module: &mut M,
        prefix: &str,
    ) -> Result<LoadReport, CheckpointError> {
        let prefix = match prefix.trim_end_matches('.') {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        // What the module needs, in PyTorch's names and shapes.
        let expected: BTreeMap<String, StoredTensor> = module
            .collect(None, Some(Box::new(BurnToPyTorchAdapter)), true)
            .into_iter()
            .map(|tensor| (tensor.name.clone(), tensor))
            .collect();
        self.check(&expected, &prefix)?;

        // All values are read before the first is applied, so that a truncated file leaves the module as it was.
        let mut values = Vec::with_capacity(expected.len());
        for (name, wanted) in &expected {
            values.push(self.read_as(&format!("{prefix}{name}"), name, wanted.dtype)?);
        }
        let result = module.apply(values, None, Some(Box::new(PyTorchToBurnAdapter)), true);
        if let Some(error) = result.errors.first() {
            return Err(CheckpointError::damaged(self.path(), error));
        }

        let loaded: BTreeSet<String> = expected
            .keys()
            .map(|name| format!("{prefix}{name}"))
            .collect();
        let ignored = self
            .tensors
            .keys()
            .filter(|name| name.starts_with(&prefix) && !loaded.contains(*name))
            .cloned()
            .collect();
        Ok(LoadReport {
            loaded: loaded.into_iter().collect(),
            ignored,
        })
    }

    /// Checks names, element types and shapes without reading values.
    fn check(
        &self,
        expected: &BTreeMap<String, StoredTensor>,
        prefix: &str,
    ) -> Result<(), CheckpointError> {
        let mut missing = Vec::new();
        let mut misshapen = Vec::new();
        for (name, wanted) in expected {
            let name = format!("{prefix}{name}");
            let Some(found) = self.tensors.get(&name) else {
                missing.push(name);
                continue;
            };
            if !found.dtype.is_float() {
                return Err(CheckpointError::NotFloat {
                    path: self.path().to_path_buf(),
                    name,
                    found: format!("{:?}", found.dtype).to_lowercase(),
                });
            }
            if found.shape != wanted.shape {
                misshapen.push(ShapeMismatch {
                    name,
                    expected: wanted.shape.to_vec(),
                    found: found.shape.to_vec(),
                });
            }
        }
        if !missing.is_empty() {
            return Err(CheckpointError::MissingTensors {
                path: self.path().to_path_buf(),
                layout: self.layout().to_string(),
                names: missing,
                available: self.tensors.len(),
            });
        }
        if !misshapen.is_empty() {
            return Err(CheckpointError::MisshapenTensors {
                path: self.path().to_path_buf(),
                tensors: misshapen,
            });
        }
        Ok(())
    }

    /// Reads the values of the tensor `source`, to be applied under `target`.
    fn read_as(
        &self,
        source: &str,
        target: &str,
        dtype: DType,
    ) -> Result<StoredTensor, CheckpointError> {
        let stored = self.tensors[source].clone();
        let data = bridge::into_data(stored)
            .map_err(|e| CheckpointError::damaged(self.path(), format!("tensor {source}: {e}")))?;
        Ok(bridge::from_data(
            data.convert_dtype(dtype),
            target.to_string(),
            None,
        ))
    }
}
