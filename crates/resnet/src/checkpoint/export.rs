//! Writing safetensors under PyTorch's names.

use std::path::Path;

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};

use super::error::{CheckpointError, one_line};
use crate::ResNet;

/// Writes a backbone as safetensors with torchvision's names, which PyTorch loads with
/// `model.load_state_dict(safetensors.torch.load_file(path), strict=True)` into a torchvision ResNet whose `fc` is
/// `torch.nn.Identity()`.
///
/// The pending update of the running statistics is included, also for a network in training. The file is written under
/// a temporary name and renamed, so that it is never half-written; an existing one is replaced.
///
/// # Errors
/// [`CheckpointError::Write`] if the file cannot be written.
pub fn save_backbone(backbone: &ResNet, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
    save_module(backbone, path)
}

/// Writes any module as [`save_backbone`] does; names are the module's parameter paths, with PyTorch's names and
/// transposition for Burn's linear and normalisation layers.
///
/// # Errors
/// [`CheckpointError::Write`] if the file cannot be written.
pub fn save_module<M: Module>(module: &M, path: impl AsRef<Path>) -> Result<(), CheckpointError> {
    let path = path.as_ref();
    let mut store = SafetensorsStore::from_file(path)
        .metadata("format", "pt")
        .skip_enum_variants(true)
        .map_indices_contiguous(false)
        .with_to_adapter(BurnToPyTorchAdapter)
        .overwrite(true);
    // The inference copy has the pending update of the running statistics.
    module
        .valid()
        .save_into(&mut store)
        .map_err(|e| CheckpointError::Write {
            path: path.to_path_buf(),
            reason: one_line(e),
        })
}
