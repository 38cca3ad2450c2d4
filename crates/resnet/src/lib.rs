//! The ResNet family for Burn, with PyTorch checkpoint import and export.
//!
//! [`ResNet`] is torchvision's network without the classifier, under torchvision's parameter names,
//! so that checkpoints pass between PyTorch and Burn unchanged. [`Checkpoint`] reads what PyTorch
//! wrote (`torch.save` in all its formats, and safetensors); [`save_backbone`] writes safetensors
//! that PyTorch loads with `strict=True`.
//!
//! ```no_run
//! use burn::prelude::*;
//! use e2mc_resnet::{Checkpoint, infer_resnet_config};
//!
//! # fn main() -> e2mc_resnet::Result<()> {
//! let device = Device::default();
//! let checkpoint = Checkpoint::open("swav_800ep_pretrain.pth.tar")?;
//! let mut backbone = infer_resnet_config(&checkpoint)?.init(&device);
//! let report = checkpoint.load_into(&mut backbone, "")?;
//! println!("{}: {report}", checkpoint.layout());
//! let features = backbone.forward(Tensor::zeros([1, 3, 224, 224], &device)); // [1, 2048]
//! # Ok(())
//! # }
//! ```

mod backbone;
mod batch_norm;
mod block;
pub mod checkpoint;
mod config;
mod conv;
mod invalid_option;
mod layer;
mod resnet;
mod sync;

pub use backbone::Backbone;
pub use batch_norm::{BatchNorm, BatchNormConfig};
pub use block::{Block, BlockKind};
pub use checkpoint::{
    Checkpoint, CheckpointError, Layout, LoadReport, Result, infer_resnet_config, save_backbone,
};
pub use config::{ResNetConfig, Stem};
pub use invalid_option::InvalidOption;
pub use resnet::ResNet;
pub use sync::{ReplicaLeft, SyncBatchNorm};

/// Runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
