//! Opening a checkpoint.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{ModuleStore, PytorchStore, SafetensorsStore};
use burn::tensor::DType;

use super::error::{CheckpointError, one_line};
use super::layout::{Layout, unwrap_names};

/// Several names may share one storage (tied weights), so that all tensors together may be larger than the file.
const MAX_SHARING: u64 = 4;

/// An opened checkpoint: the names, shapes and layout of its tensors. Values are read from the file when
/// [loaded](Checkpoint::load_into).
pub struct Checkpoint {
    path: PathBuf,
    layout: Layout,
    backbone_prefix: Option<String>,
    pub(super) tensors: BTreeMap<String, StoredTensor>,
    outside: Vec<String>,
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
    /// Opens a file written by `torch.save` (any format since 2016) or a safetensors file; the content decides, not
    /// the extension.
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

        let tensors = match Format::of(&start[..start_len]) {
            Format::Empty => {
                return Err(CheckpointError::NotACheckpoint {
                    path: path.to_path_buf(),
                    reason: "the file is empty".into(),
                });
            }
            Format::Safetensors => SafetensorsStore::from_file(path)
                .map_indices_contiguous(false)
                .get_all_tensors()
                .cloned()
                .map_err(|e| CheckpointError::damaged(path, e))?,
            Format::Zip => read_pytorch(path).map_err(|e| CheckpointError::damaged(path, e))?,
            Format::Other => {
                read_pytorch(path).map_err(|reason| match starts_like_pickle(&start) {
                    true => CheckpointError::damaged(path, reason),
                    false => CheckpointError::NotACheckpoint {
                        path: path.to_path_buf(),
                        reason,
                    },
                })?
            }
        };
        if tensors.is_empty() {
            return Err(CheckpointError::NotACheckpoint {
                path: path.to_path_buf(),
                reason: "it holds no tensors".into(),
            });
        }
        check_sizes(path, file_len, &tensors)?;

        let (tensors, outside) = unwrap_names(tensors);
        let (layout, backbone_prefix) = Layout::recognise(&tensors);
        Ok(Self {
            path: path.to_path_buf(),
            layout,
            backbone_prefix,
            tensors,
            outside,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
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
        &self.outside
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

/// What the first bytes of a file say.
enum Format {
    Empty,
    Zip,
    Safetensors,
    /// Legacy pickle, tar, or no checkpoint at all: the reader tells.
    Other,
}

impl Format {
    fn of(start: &[u8]) -> Self {
        match start {
            [] => Format::Empty,
            [b'P', b'K', 3, 4, ..] => Format::Zip,
            // An eight-byte header length, then JSON.
            [.., b'{'] if start.len() == 9 => Format::Safetensors,
            _ => Format::Other,
        }
    }
}

/// Whether the file begins with a pickle of protocol 2 or later, as `torch.save` writes before version 1.6.
fn starts_like_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..])
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

fn read_pytorch(path: &Path) -> Result<BTreeMap<String, StoredTensor>, String> {
    PytorchStore::from_file(path)
        // By default the store renumbers `projection_head.3` to `.2`.
        .map_indices_contiguous(false)
        .get_all_tensors()
        .cloned()
        .map_err(one_line)
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
