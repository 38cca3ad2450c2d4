//! Opening a checkpoint.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::tensor::DType;

use super::contents::{Contents, Facts, Format};
use super::error::CheckpointError;
use super::layout::{Layout, Unwrapped, resnet_at, unwrap_names};
use super::{pytorch, safetensors};

/// Several names may share one storage (tied weights), so that all tensors together may be larger than the file.
const MAX_SHARING: u64 = 4;

/// An opened checkpoint: the names, shapes and layout of its tensors. Values are read from the file when
/// [loaded](Checkpoint::load_into).
pub struct Checkpoint {
    path: PathBuf,
    format: Format,
    layout: Layout,
    backbone_prefix: Option<String>,
    pub(super) facts: Facts,
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    /// The model's names in the file's order; some may lack.
    pub(super) order: Vec<String>,
    pub(super) outside: BTreeMap<String, StoredTensor>,
    outside_names: Vec<String>,
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
    /// Opens a file written by `torch.save` (zip, or the legacy format of PyTorch 0.1.10 to 1.5) or a safetensors file;
    /// the content decides, not the extension.
    ///
    /// Wrappers are taken off the names: the outer dictionary (`state_dict`, `model`, `model_state_dict`) and the
    /// `module.` of `DataParallel`.
    ///
    /// # Errors
    /// If the file is missing, empty, no checkpoint, truncated, or contradicts itself.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        let path = path.as_ref();
        let read = |source| CheckpointError::Read {
            path: path.to_path_buf(),
            source,
        };
        let mut file = File::open(path).map_err(read)?;
        let file_len = file.metadata().map_err(read)?.len();
        let mut start = [0; 9];
        let start_len = read_up_to(&mut file, &mut start).map_err(read)?;

        let not_a_checkpoint = |reason: String| CheckpointError::NotACheckpoint {
            path: path.to_path_buf(),
            reason,
        };
        let start = &start[..start_len];
        if start.is_empty() {
            return Err(not_a_checkpoint("the file is empty".into()));
        }
        // Safetensors begin with an eight-byte header length, then JSON.
        let contents = if start.len() == 9 && start.ends_with(b"{") {
            safetensors::read(path).map_err(|reason| CheckpointError::damaged(path, reason))?
        } else {
            pytorch::read(path).map_err(|reason| match starts_like_pytorch(start) {
                true => CheckpointError::damaged(path, reason),
                false => not_a_checkpoint(reason),
            })?
        };
        let Contents {
            tensors,
            order,
            facts,
            format,
        } = contents;
        if tensors.is_empty() {
            return Err(not_a_checkpoint("it holds no tensors".into()));
        }
        check_sizes(path, file_len, &tensors)?;

        let Unwrapped {
            model: tensors,
            order,
            outside,
        } = unwrap_names(tensors, |key| order.get(key).copied());
        let (layout, backbone_prefix) = Layout::recognise(&tensors);
        Ok(Self {
            path: path.to_path_buf(),
            format,
            layout,
            backbone_prefix,
            facts,
            tensors,
            order,
            outside_names: outside.keys().cloned().collect(),
            outside,
        })
    }

    /// Takes the checkpoint for one of this layout, whatever was recognised: for files that have the names of several.
    ///
    /// # Errors
    /// [`CheckpointError::WrongLayout`] if the names of that layout are not there.
    pub fn with_layout(mut self, layout: Layout) -> Result<Self, CheckpointError> {
        if layout == self.layout {
            return Ok(self);
        }
        let Some(prefix) = layout.prefix_in(&self.tensors) else {
            return Err(self.wrong_layout(layout.to_string()));
        };
        self.layout = layout;
        self.backbone_prefix = Some(prefix);
        Ok(self)
    }

    /// Takes the ResNet under `prefix`, such as `"model.encoder"`, for the backbone; empty for the root.
    ///
    /// # Errors
    /// [`CheckpointError::WrongLayout`] if no ResNet is there.
    pub fn with_backbone_prefix(mut self, prefix: &str) -> Result<Self, CheckpointError> {
        let prefix = prefix.trim_end_matches('.');
        let dotted = match prefix {
            "" => String::new(),
            prefix => format!("{prefix}."),
        };
        if !resnet_at(&self.tensors, &dotted) {
            return Err(self.wrong_layout(format!("of a ResNet under {prefix:?}")));
        }
        if self.backbone_prefix.as_deref() != Some(prefix) {
            self.layout = match prefix {
                "" => Layout::Backbone,
                _ => Layout::Prefixed,
            };
            self.backbone_prefix = Some(prefix.to_string());
        }
        Ok(self)
    }

    fn wrong_layout(&self, named: String) -> CheckpointError {
        CheckpointError::WrongLayout {
            path: self.path.clone(),
            named,
            recognised: self.layout.to_string(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How the file is made.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The number of epochs that the file states: what the script wrote under `epoch`, which some count from 0.
    pub fn epoch(&self) -> Option<u64> {
        self.facts.epoch
    }

    /// The architecture that the file states under `arch`, such as `resnet50`.
    pub fn arch(&self) -> Option<&str> {
        self.facts.arch.as_deref()
    }

    /// The layout that the tensor names show.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The prefix of the ResNet's names, to be given to [`load_into`](Self::load_into): empty for SwAV, `backbone`
    /// for VICReg, `encoder` for SimSiam.
    ///
    /// # Errors
    /// [`CheckpointError::NoResNet`] if there is none.
    pub fn backbone_prefix(&self) -> Result<&str, CheckpointError> {
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

    /// Names of the tensors beside the model, such as the optimiser's state.
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

/// Whether the file begins as `torch.save` makes it: a zip archive, or a pickle of protocol 2 or later.
fn starts_like_pytorch(start: &[u8]) -> bool {
    matches!(start, [b'P', b'K', 3, 4, ..] | [0x80, 2..=5, ..])
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read(&mut buffer[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// Refuses tensors that claim more bytes than the file holds, before any memory is taken for them.
fn check_sizes(
    path: &Path,
    file_len: u64,
    tensors: &BTreeMap<String, StoredTensor>,
) -> Result<(), CheckpointError> {
    let mut total = 0u64;
    for (name, tensor) in tensors {
        let bytes = tensor.byte_len() as u64;
        total = total.saturating_add(bytes);
        if bytes > file_len || total > file_len.saturating_mul(MAX_SHARING) {
            return Err(CheckpointError::damaged(
                path,
                format!("tensor {name} claims {bytes} bytes, but the file has {file_len}"),
            ));
        }
    }
    Ok(())
}
