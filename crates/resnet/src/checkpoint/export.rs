//! Writing safetensors under PyTorch's names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::burn_pack::Tensor as StoredTensor;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, bridge};
use burn::tensor::DType;
use serde_json::json;

use super::error::{CheckpointError, Result, one_line};
use crate::Backbone;

/// The header's length is a multiple of this, for readers that map the file into memory.
const ALIGNMENT: usize = 8;

/// Writes a backbone as safetensors with torchvision's names, which PyTorch loads with
/// `model.load_state_dict(safetensors.torch.load_file(path), strict=True)` into a torchvision
/// ResNet whose `fc` is `torch.nn.Identity()`.
///
/// The pending update of the running statistics is included, also for a network in training.
/// [`Backbone::metadata`] is in the metadata: for a [`ResNet`](crate::ResNet), the stem, which
/// [`infer_resnet_config`](crate::infer_resnet_config) reads. Equal networks give equal bytes. The
/// file is written under a temporary name, synced and renamed, so that it is never incomplete. An
/// existing file is replaced.
///
/// # Errors
///
/// [`CheckpointError::Write`] if the file cannot be written.
pub fn save_backbone(backbone: &impl Backbone, path: impl AsRef<Path>) -> Result<()> {
    save_method(backbone, backbone, path)
}

/// Writes a module as [`save_backbone`] does, with the metadata of its `backbone`. Names are the
/// module's parameter paths, with PyTorch's names and transposition for Burn's linear and
/// normalization layers.
///
/// # Errors
///
/// [`CheckpointError::Write`] if the file cannot be written.
pub fn save_method<M: Module>(
    module: &M,
    backbone: &impl Backbone,
    path: impl AsRef<Path>,
) -> Result<()> {
    write(module, backbone.metadata(), path.as_ref())
}

/// Writes any module as [`save_method`] does, without the metadata of a backbone.
///
/// # Errors
///
/// [`CheckpointError::Write`] if the file cannot be written.
pub fn save_module<M: Module>(module: &M, path: impl AsRef<Path>) -> Result<()> {
    write(module, Vec::new(), path.as_ref())
}

fn write<M: Module>(module: &M, metadata: Vec<(&'static str, String)>, path: &Path) -> Result<()> {
    // The inference copy has the pending update of the running statistics.
    let module = module.valid();
    let tensors = module.collect(None, Some(Box::new(BurnToPyTorchAdapter)), true);
    let partial = partial_name(path);
    let written = write_to(&partial, tensors, metadata).and_then(|()| {
        fs::rename(&partial, path)?;
        sync_folder(path)
    });
    written.map_err(|e| {
        // A failed write leaves nothing useful.
        let _ = fs::remove_file(&partial);
        CheckpointError::Write {
            path: path.to_path_buf(),
            reason: one_line(e),
        }
    })
}

/// The same name for every process, so that the next one overwrites what a killed one left.
fn partial_name(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.partial"))
}

#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Header and values, the widest types first so that each value is aligned, then by name.
fn write_to(
    path: &Path,
    mut tensors: Vec<StoredTensor>,
    metadata: Vec<(&'static str, String)>,
) -> io::Result<()> {
    tensors.sort_by_key(|tensor| (std::cmp::Reverse(tensor.dtype.size()), tensor.name.clone()));
    // What PyTorch's own writer states, and the backbone's entries.
    let format = ("format", "pt".to_string());
    let metadata: BTreeMap<_, _> = metadata.into_iter().chain([format]).collect();
    let mut header = BTreeMap::from([("__metadata__".to_string(), json!(metadata))]);
    let mut end = 0;
    for tensor in &tensors {
        let start = end;
        end += tensor.byte_len();
        let entry = json!({
            "dtype": type_name(tensor.dtype)?,
            "shape": tensor.shape.to_vec(),
            "data_offsets": [start, end],
        });
        header.insert(tensor.name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');

    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for tensor in tensors {
        let data = bridge::into_data(tensor).map_err(io::Error::other)?;
        file.write_all(data.as_bytes())?;
    }
    file.into_inner()?.sync_all()
}

fn type_name(dtype: DType) -> io::Result<&'static str> {
    Ok(match dtype {
        DType::F64 => "F64",
        DType::F32 | DType::Flex32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U64 => "U64",
        DType::U32 => "U32",
        DType::U16 => "U16",
        DType::U8 => "U8",
        other => {
            return Err(io::Error::other(format!(
                "{other:?} values cannot be saved"
            )));
        }
    })
}
