//! Checkpoint import and export.
//!
//! [`Checkpoint::open`] reads files of `torch.save` (zip and legacy) and safetensors, and
//! recognizes the [`Layout`] by the tensor names. Its [`decisions`](Checkpoint::decisions) and
//! [`Summary`] say what it found. [`Checkpoint::load_into`] copies tensors into any Burn module
//! whose parameter paths are PyTorch's, [`Checkpoint::import_backbone`] creates the right ResNet
//! first, and [`Checkpoint::optimizer_momentum`] returns the optimizer's momentum under the
//! parameters' names. [`save_module`], [`save_method`] and [`save_backbone`] write safetensors
//! under PyTorch's names.
//!
//! A checkpoint is untrusted input. Nothing in it is executed, no tensor may claim more bytes than
//! the file has, and memory is proportional to the file. A damaged or inconsistent file gives a
//! [`CheckpointError`].

mod archive;
mod bytes;
mod choice;
mod contents;
mod decisions;
mod error;
mod export;
mod facts;
mod file;
mod infer;
mod layout;
mod load;
mod momentum;
mod networks;
mod open;
mod pickle;
mod pytorch;
mod safetensors;
mod source;
mod stem;
mod storages;
mod summary;
mod targets;
mod transpose;

pub use contents::Format;
pub use error::{CheckpointError, Result, ShapeMismatch};
pub use export::{save_backbone, save_method, save_module};
pub use file::{Checkpoint, TensorInfo};
pub use infer::infer_resnet_config;
pub use layout::Layout;
pub use load::{IgnoreReason, Ignored, LoadReport};
pub(crate) use stem::stem_metadata;
pub use summary::{Import, Part, Summary};
