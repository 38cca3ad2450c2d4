//! Fast training convolutions for the CPU.

pub mod kernels;
#[cfg(feature = "burn")]
mod ops;

#[cfg(feature = "burn")]
pub use ops::{
    BatchNormOutput, ConvOptions, FlexConv, MaxPoolOptions, NormOptions, batch_norm, conv2d,
    conv2d_affine, covers, covers_device, max_pool2d, mean_pool2d,
};
