#![cfg_attr(feature = "burn", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "burn"),
    doc = "Fast training convolutions for the CPU, on slices."
)]

pub mod kernels;
#[cfg(feature = "burn")]
mod ops;

#[cfg(feature = "burn")]
pub use ops::{
    BatchNormOutput, ConvOptions, FlexConv, JointInput, MaxPoolOptions, NormOptions, batch_norm,
    batch_norm_joint, conv2d, conv2d_affine, conv2d_joint, covers, covers_device, max_pool2d,
    mean_pool2d,
};
