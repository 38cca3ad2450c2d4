//! Opening a checkpoint.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use burn::store::burn_pack::Tensor as StoredTensor;

use super::contents::{Contents, Value};
use super::error::{CheckpointError, Rejection, Result};
use super::file::Checkpoint;
use super::infer::unused_in_blocks;
use super::networks::{Arranged, arrange};
use super::{pytorch, safetensors};

/// Several names may share one storage (tied weights), so the tensors together may exceed the file.
const MAX_SHARING: u64 = 4;

impl Checkpoint {
    /// Opens a file written by `torch.save` (zip, or the legacy format of PyTorch 0.1.10 to 1.5) or
    /// a safetensors file; the content decides the format, not the extension. Only tensors are
    /// read. Other objects are skipped, and nothing is executed.
    ///
    /// Wrappers are removed from the names: outer dictionaries (`state_dict`, `model`, ...),
    /// `module.` of `DataParallel`, `_orig_mod.` of `torch.compile`, and attributes such as
    /// `model.`, `net.`, `backbone.` or `encoder.`. If a method's heads are next to the backbone,
    /// the model is the whole method. Of several networks, the trained one (`student`, `encoder_q`,
    /// `online`) is used rather than an average of it; [`decisions`](Self::decisions) says which.
    ///
    /// # Errors
    ///
    /// If the file is missing, empty, not a checkpoint, truncated, not supported, or inconsistent.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_within(path.as_ref(), None)
    }

    /// As [`open`](Self::open), but only the tensors whose names begin with `prefix` are the model:
    /// `"teacher"`, or `"encoder_k"`. Parts of the prefix are separated by dots; `module` and
    /// `_orig_mod` may be left out.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`CheckpointError::NoSuchPrefix`] if no name begins with
    /// `prefix`.
    pub fn open_with(path: impl AsRef<Path>, prefix: &str) -> Result<Self> {
        Self::open_within(path.as_ref(), Some(prefix))
    }

    fn open_within(path: &Path, prefix: Option<&str>) -> Result<Self> {
        let read = |cause| CheckpointError::Read {
            path: path.to_path_buf(),
            cause,
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
            pytorch::read(path).map_err(|rejection| match rejection {
                Rejection::Damaged(reason) if starts_like_pytorch(start) => {
                    CheckpointError::damaged(path, reason)
                }
                Rejection::Damaged(reason) | Rejection::NotACheckpoint(reason) => {
                    not_a_checkpoint(reason)
                }
                Rejection::Unsupported { what, way_out } => CheckpointError::Unsupported {
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
}

/// Whether the file begins like one of `torch.save`: a zip archive, or a pickle of protocol 2 or
/// later.
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

/// Rejects tensors that claim more bytes than the file holds, before memory is allocated for them.
fn check_sizes(path: &Path, file_len: u64, tensors: &BTreeMap<String, StoredTensor>) -> Result<()> {
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
