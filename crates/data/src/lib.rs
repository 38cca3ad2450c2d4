//! Image sources, augmentations and loaders for self-supervised vision.
//!
//! This crate turns images into views. It knows no model.
//!
//! - [`source`]: images that are decoded one at a time from folders, ImageNet, iNaturalist, Pascal
//!   VOC, a prepared file.
//! - [`decode`](mod@decode): from a file's bytes to a [`Photo`], equal to Pillow's.
//! - [`ImageSet`]: images of one size in memory, with labels. [`fashion_mnist`] makes two of them,
//!   from the subset embedded in this crate or from the IDX files of the full data set.
//! - [`class_balanced_subset`]: the labeled fraction of a set for a probe;
//!   [`class_balanced_count`]: a number of images of each class. [`derived_seed`]: one seed for
//!   each of several draws.
//! - [`Recipe`]: from an image to its views. There are recipes of VICReg, SwAV, SimSiam, probes and
//!   evaluation, for ImageNet and for small images. You can write your own.
//! - [`Loader`]: a source's images under a recipe, as batches filled ahead of the training step.
//!   `(seed, epoch, index)` decide every random choice, independent of the number of threads.
//! - [`augment`]: the single operations, equal to Pillow's to the last bit.
//!
//! ```
//! use std::sync::Arc;
//! use burn::tensor::Device;
//! use e2mc_data::{Loader, Recipe, fashion_mnist};
//!
//! # fn main() -> e2mc_data::Result<()> {
//! let images = Arc::new(fashion_mnist::embedded_train());
//! let loader = Loader::new(images, Recipe::swav_small(), 64, 0)?;
//! for batch in loader.epoch(0, &Device::flex()).take(2) {
//!     assert_eq!(batch?.views[0].dims(), [64, 1, 28, 28]);
//! }
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod augment;
mod class_balanced;
pub mod decode;
mod error;
pub mod fashion_mnist;
mod image_set;
mod loader;
mod normalization;
mod photo;
mod pixels;
mod random;
mod recipe;
pub mod source;

pub use class_balanced::{class_balanced_count, class_balanced_subset};
pub use error::{DataError, Result};
pub use image_set::ImageSet;
pub use loader::{Batch, Epoch, FailedRead, Loader, Shard, SplitBatch, SplitEpoch};
pub use normalization::Normalization;
pub use photo::Photo;
pub use random::derived_seed;
pub use recipe::{Crop, Operation, Recipe, SampledView, Transform, View};

/// Runs the README's examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
