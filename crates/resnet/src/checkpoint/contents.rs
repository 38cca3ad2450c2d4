//! What a file holds, whatever its format.

use std::collections::BTreeMap;
use std::fmt;

use burn::store::burn_pack::Tensor as StoredTensor;

use super::pickle::KeyOrder;

/// How a checkpoint's file is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `torch.save` since PyTorch 1.6: a zip archive.
    Zip,
    /// `torch.save` before: pickles, then the values.
    Legacy,
    /// A pickle alone; it can hold no tensors.
    Pickle,
    /// Safetensors.
    Safetensors,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Zip => "torch.save, zip",
            Format::Legacy => "torch.save, legacy",
            Format::Pickle => "pickle",
            Format::Safetensors => "safetensors",
        })
    }
}

/// Names as in the file, before wrappers are taken off.
pub(super) struct Contents {
    pub tensors: BTreeMap<String, StoredTensor>,
    /// Empty where the format keeps none.
    pub order: KeyOrder,
    pub facts: Facts,
    pub format: Format,
}

/// What stands beside the tensors.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub epoch: Option<u64>,
    pub arch: Option<String>,
    pub groups: Option<ParameterGroups>,
}

/// The parameters of an optimiser's state, in the order in which the optimiser was given them.
#[derive(Debug, Clone)]
pub(super) struct ParameterGroups {
    /// Under which key the state lies.
    pub key: String,
    /// PyTorch's number of each parameter.
    pub parameters: Vec<u64>,
}
