//! Opening a checkpoint.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use burn::store::burn_pack::Tensor as StoredTensor;
use burn::tensor::DType;

use super::contents::{Contents, Facts, Format, Value};
use super::error::{CheckpointError, Refusal};
use super::infer::unused_in_blocks;
use super::layout::{Layout, resnet_at};
use super::networks::{Arranged, arrange};
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
    /// The model's names in the file's order.
    pub(super) order: Vec<String>,
    pub(super) outside: BTreeMap<String, Value>,
    outside_names: Vec<String>,
    /// Tensors of the model that are of a kind that is not read, in words, by name without wrappers.
    pub(super) unsupported: BTreeMap<String, String>,
    /// What the model's names begin with in the file.
    pub(super) taken: String,
    /// Prefixes of other networks in the file.
    pub(super) others: Vec<String>,
    pub(super) numbered: bool,
    /// Tensors within the network's blocks that it has no place for.
    pub(super) unused: Vec<String>,
    allow_unused: bool,
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
    /// the content decides, not the extension. The file is read for its tensors: whatever else is in it is passed over,
    /// and nothing is executed.
    ///
    /// Wrappers are taken off the names: outer dictionaries (`state_dict`, `model`, ...), `module.` of `DataParallel`,
    /// `_orig_mod.` of `torch.compile`, and attributes such as `model.`, `net.`, `backbone.` or `encoder.`, for the whole
    /// method where its heads stand beside the backbone. Of several networks the one that was trained is taken rather
    /// than an average of it (`student`, `encoder_q`, `online`); [`decisions`](Self::decisions) says which.
    ///
    /// # Errors
    /// If the file is missing, empty, no checkpoint, truncated, not supported, or contradicts itself.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CheckpointError> {
        Self::open_within(path.as_ref(), None)
    }

    /// As [`open`](Self::open), but only the tensors whose names begin with `prefix` are the model: `"teacher"`, or
    /// `"encoder_k"`. Parts of the prefix are separated by dots; `module` and `_orig_mod` may be left out.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`CheckpointError::NoSuchPrefix`] if no name begins so.
    pub fn open_with(path: impl AsRef<Path>, prefix: &str) -> Result<Self, CheckpointError> {
        Self::open_within(path.as_ref(), Some(prefix))
    }

    fn open_within(path: &Path, prefix: Option<&str>) -> Result<Self, CheckpointError> {
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
            pytorch::read(path).map_err(|refusal| match refusal {
                Refusal::Damaged(reason) if starts_like_pytorch(start) => {
                    CheckpointError::damaged(path, reason)
                }
                Refusal::Damaged(reason) | Refusal::NotACheckpoint(reason) => {
                    not_a_checkpoint(reason)
                }
                Refusal::Unsupported { what, way_out } => CheckpointError::Unsupported {
                    path: path.to_path_buf(),
                    what,
                    way_out,
                },
            })?
        };
        let Contents {
            tensors,
            facts,
            format,
        } = contents;
        if tensors.is_empty() {
            return Err(not_a_checkpoint("it holds no tensors".into()));
        }
        let mut available: Vec<String> = tensors
            .iter()
            .map(|(name, _)| name.split('.').next().unwrap_or_default().to_string())
            .collect();
        let arranged = arrange(tensors, prefix).ok_or_else(|| {
            available.sort();
            available.dedup();
            CheckpointError::NoSuchPrefix {
                path: path.to_path_buf(),
                prefix: prefix.unwrap_or_default().to_string(),
                available,
            }
        })?;
        let Arranged {
            model,
            order,
            outside,
            layout,
            backbone,
            taken,
            others,
            numbered,
        } = arranged;
        let mut tensors = BTreeMap::new();
        let mut unsupported = BTreeMap::new();
        for (name, value) in model {
            match value {
                Value::Tensor(tensor) => drop(tensors.insert(name, tensor)),
                Value::Unsupported(kind) => drop(unsupported.insert(name, kind)),
            }
        }
        if tensors.is_empty()
            && let Some((name, kind)) = unsupported.pop_first()
        {
            return Err(CheckpointError::UnsupportedTensor {
                path: path.to_path_buf(),
                name,
                kind,
            });
        }
        check_sizes(path, file_len, &tensors)?;
        let mut checkpoint = Self {
            path: path.to_path_buf(),
            format,
            layout,
            backbone_prefix: backbone,
            facts,
            tensors,
            order,
            outside_names: outside.keys().cloned().collect(),
            outside,
            unsupported,
            taken,
            others,
            numbered,
            unused: Vec::new(),
            allow_unused: false,
        };
        checkpoint.unused = unused_in_blocks(&checkpoint);
        Ok(checkpoint)
    }

    /// Whether tensors within the network's blocks that it has no place for may be left out. Such a file is of a related
    /// architecture, whose features differ; without this, [`load_into`](Self::load_into) refuses it.
    pub fn with_allow_unused(mut self, allow_unused: bool) -> Self {
        self.allow_unused = allow_unused;
        self
    }

    pub(super) fn allows_unused(&self) -> bool {
        self.allow_unused
    }

    /// What the model's names begin with in the file, without final dot; empty if nothing was taken off.
    pub fn prefix(&self) -> &str {
        &self.taken
    }

    /// The prefixes of the other networks in the file, for [`open_with`](Self::open_with).
    pub fn other_networks(&self) -> &[String] {
        &self.others
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
        self.unused = unused_in_blocks(&self);
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
            self.unused = unused_in_blocks(&self);
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
