//! The state of a method besides its parameters.

use std::collections::BTreeMap;

use burn::store::burn_pack::{Reader, Tensor as StoredTensor, Writer};
use burn::tensor::{Bytes, TensorData};

use crate::{MethodError, Result};

/// Named tensors that a method keeps besides its parameters, such as SwAV's queue. Created by
/// [`BaseMethod::state`](crate::BaseMethod::state).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MethodState {
    tensors: BTreeMap<String, TensorData>,
}

impl MethodState {
    /// Whether there are no tensors.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Adds a tensor.
    pub fn with_tensor(mut self, name: impl Into<String>, data: TensorData) -> Self {
        self.tensors.insert(name.into(), data);
        self
    }

    /// Removes and returns a tensor.
    pub fn take(&mut self, name: &str) -> Option<TensorData> {
        self.tensors.remove(name)
    }

    /// Names of the tensors.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Serializes the tensors, in Burn's own format.
    ///
    /// # Errors
    ///
    /// [`MethodError::State`] if the format cannot hold them.
    pub fn into_bytes(self) -> Result<Bytes> {
        let tensors = self
            .tensors
            .into_iter()
            .map(|(name, data)| {
                let (bytes, shape, dtype) = data.into_parts();
                StoredTensor::new(name, dtype, shape, None, bytes)
            })
            .collect();
        Writer::new(tensors)
            .into_bytes()
            .map_err(MethodError::state)
    }

    /// Reads what [`into_bytes`](Self::into_bytes) wrote.
    ///
    /// # Errors
    ///
    /// [`MethodError::State`] if the bytes are damaged.
    pub fn from_bytes(bytes: Bytes) -> Result<Self> {
        let stored = Reader::from_bytes(bytes)
            .and_then(Reader::into_tensors)
            .map_err(MethodError::state)?;
        let mut tensors = BTreeMap::new();
        for tensor in stored {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(MethodError::state)?;
            tensors.insert(name, TensorData::from_bytes(bytes, shape, dtype));
        }
        Ok(Self { tensors })
    }
}
