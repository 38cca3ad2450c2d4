//! Checkpoint import and export.
//!
//! [`Checkpoint::open`] reads any file that `torch.save` wrote (zip, legacy, tar) and safetensors, recognises the
//! [`Layout`] from the tensor names, and [`Checkpoint::load_into`] copies tensors into any Burn module whose parameter
//! paths are PyTorch's. [`save_module`] and [`save_backbone`] write safetensors under PyTorch's names.
//!
//! A checkpoint is untrusted input: nothing in it is executed, no tensor may claim more bytes than the file has, and
//! a file that is damaged or lies about itself gives a [`CheckpointError`].

mod error;
mod export;
mod file;
mod infer;
mod layout;
mod load;

pub use error::{CheckpointError, ShapeMismatch};
pub use export::{save_backbone, save_module};
pub use file::{Checkpoint, TensorInfo};
pub use infer::infer_resnet_config;
pub use layout::Layout;
pub use load::LoadReport;
