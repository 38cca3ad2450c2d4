//! An opened checkpoint.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::tensor::DType;

use super::contents::{Facts, Format, Value};
use super::error::{CheckpointError, Result};
use super::layout::Layout;

/// An opened checkpoint: the names, shapes and layout of its tensors. Values are read from the file
/// when [loaded](Checkpoint::load_into).
pub struct Checkpoint {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) layout: Layout,
    pub(super) backbone_prefix: Option<String>,
    pub(super) facts: Facts,
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    /// The model's names in the file's order.
    pub(super) order: Vec<String>,
    pub(super) outside: BTreeMap<String, Value>,
    pub(super) outside_names: Vec<String>,
    /// Descriptions of the model's tensors whose kind is not supported, by name without wrappers.
    pub(super) unsupported: BTreeMap<String, String>,
    /// The prefix of the model's names in the file.
    pub(super) taken: String,
    /// Prefixes of other networks in the file.
    pub(super) others: Vec<String>,
    pub(super) numbered: bool,
    /// Tensors within the network's blocks that it does not have.
    pub(super) unused: Vec<String>,
    pub(super) allow_unused: bool,
}

/// Name, shape and element type of a tensor in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Name without wrappers (`state_dict.`, `module.`).
    pub name: String,
    /// Shape in PyTorch's order, empty for a scalar.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
}

impl Checkpoint {
    /// Whether to ignore tensors within the network's blocks that it does not have. Such a file is
    /// of a related architecture with other features, so [`load_into`](Self::load_into) rejects it
    /// by default.
    pub fn with_allow_unused(mut self, allow_unused: bool) -> Self {
        self.allow_unused = allow_unused;
        self
    }

    pub(super) fn allows_unused(&self) -> bool {
        self.allow_unused
    }

    /// The prefix that was removed from the model's names, without final dot; may be empty.
    pub fn prefix(&self) -> &str {
        &self.taken
    }

    /// The prefixes of the other networks in the file, for [`open_with`](Self::open_with).
    pub fn other_networks(&self) -> &[String] {
        &self.others
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format of the file.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The epoch that the file states under `epoch`. Some scripts count from 0.
    pub fn epoch(&self) -> Option<u64> {
        self.facts.epoch
    }

    /// Whether the file states kernel, stride and padding of the first convolution.
    pub fn states_stem(&self) -> bool {
        self.facts.stem.is_some()
    }

    /// The architecture that the file states under `arch`, such as `resnet50`.
    pub fn arch(&self) -> Option<&str> {
        self.facts.arch.as_deref()
    }

    /// The layout that the tensor names show.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The prefix of the ResNet's names, for [`load_into`](Self::load_into): empty for SwAV,
    /// `backbone` for VICReg, `encoder` for SimSiam.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NoResNet`] if there is none.
    pub fn backbone_prefix(&self) -> Result<&str> {
        self.backbone_prefix
            .as_deref()
            .ok_or_else(|| CheckpointError::NoResNet {
                path: self.path.clone(),
                reason: "no conv1.weight beside layer1".into(),
            })
    }

    /// The tensors of the model, by name, without wrappers.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo> + '_ {
        self.tensors.iter().map(|(name, tensor)| TensorInfo {
            name: name.clone(),
            shape: tensor.shape.to_vec(),
            dtype: tensor.dtype,
        })
    }

    /// The shape of one tensor, by its name without wrappers.
    pub fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|tensor| tensor.shape.to_vec())
    }

    /// Names of the tensors besides the model, such as the optimizer's state.
    pub fn outside(&self) -> &[String] {
        &self.outside_names
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("path", &self.path)
            .field("layout", &self.layout)
            .field("tensors", &self.tensors.len())
            .finish_non_exhaustive()
    }
}
