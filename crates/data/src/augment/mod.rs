//! The single image operations, on u8 pixels, with the results of torchvision on Pillow to the last bit.
//!
//! An [`Image`] is planar: `[channels, height, width]`, one channel for grey (Pillow's mode "L") or three for RGB.
//! Each operation has its random parameters drawn by a `sample` function following torchvision's procedure, and applied
//! by a function of [`Image`] that draws nothing; tests/reference/augment.py holds the second to Pillow.

mod blend;
mod blur;
mod color_jitter;
mod grayscale;
mod hue;
mod image;
mod resize;
mod resized_crop;

pub use blur::BlurConfig;
pub use color_jitter::{ColorJitter, ColorJitterConfig, ColorOperation};
pub use image::{Image, ImageRef};
pub use resize::{Interpolation, PassOrder};
pub use resized_crop::{CropBox, RandomResizedCrop};
