//! What a file holds, whatever its format.

use std::fmt;

use burn::store::burn_pack::Tensor as StoredTensor;

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

/// What a file has under a name.
pub(super) enum Value {
    Tensor(StoredTensor),
    /// A tensor of a kind that is not read, in words.
    Unsupported(String),
}

/// Everything in a file.
pub(super) struct Contents {
    /// In the file's order, under the names that the file has, which may repeat.
    pub tensors: Vec<(String, Value)>,
    pub facts: Facts,
    pub format: Format,
}

/// What stands beside the tensors.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub epoch: Option<u64>,
    pub arch: Option<String>,
    pub has_optimizer: bool,
    pub groups: Option<ParameterGroups>,
    pub stem: Option<StemShape>,
}

/// The stem's convolution, as this crate's exports state it, and PyTorch files with a dictionary `stem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct StemShape {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

/// The parameters of an optimiser's state, in the order in which the optimiser was given them.
#[derive(Debug, Clone)]
pub(super) struct ParameterGroups {
    /// Under which key the state lies.
    pub key: String,
    /// PyTorch's number of each parameter.
    pub parameters: Vec<u64>,
}
