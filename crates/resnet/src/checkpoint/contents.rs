//! The content of a file, independent of its format.

use std::fmt;

use burn::store::burn_pack::Tensor as StoredTensor;

/// The file format of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `torch.save` since PyTorch 1.6: a zip archive.
    Zip,
    /// `torch.save` before PyTorch 1.6: pickles, then the values.
    Legacy,
    /// A single pickle, which cannot hold tensors.
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

/// The value of a name in a file.
pub(super) enum Value {
    Tensor(StoredTensor),
    /// A description of a tensor whose kind is not supported.
    Unsupported(String),
}

/// Everything in a file.
pub(super) struct Contents {
    /// In the file's order and under its names, which may repeat.
    pub tensors: Vec<(String, Value)>,
    pub facts: Facts,
    pub format: Format,
}

/// Information besides the tensors.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub epoch: Option<u64>,
    pub arch: Option<String>,
    pub has_optimizer: bool,
    pub groups: Option<ParameterGroups>,
    pub stem: Option<StemShape>,
}

/// The stem's convolution, as stated by this crate's exports, and by PyTorch files with a
/// dictionary `stem`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct StemShape {
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
}

/// The parameters of an optimizer's state, in the order in which they were passed to the optimizer.
#[derive(Debug, Clone)]
pub(super) struct ParameterGroups {
    /// The key of the state.
    pub key: String,
    /// PyTorch's number of each parameter.
    pub parameters: Vec<u64>,
}
