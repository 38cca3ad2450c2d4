//! The kernels, on slices. Feature maps have the channels last: `[batch, height, width, channels]`.
//!
//! A convolution is the product of the patch matrix (im2col) with the weight. The patch matrix is
//! never stored whole: blocks that fit into the L2 cache are gathered just before they are
//! multiplied. Results do not depend on the number of threads.
#![allow(unsafe_code)] // bounds checks would cost as much as the products

mod batch_norm;
mod columns;
mod convolution;
mod gather;
mod layout;
mod lines;
mod memory;
mod pack;
mod pool;
mod prefetch;
mod product;
mod shape;
mod taps;
mod tile;
mod weight_gradient;

pub use batch_norm::{
    Affine, Forward, Gradients, Statistics, normalize, normalize_backward, statistics,
};
pub use convolution::{
    add_conv2d_input_gradient, conv2d, conv2d_input_gradient, conv2d_weight_gradient,
};
pub use layout::transpose;
pub use pool::{MaxPoolShape, max_pool, max_pool_backward, mean_pool, mean_pool_backward};
pub use product::Epilogue;
pub use pulp::Arch;
pub use shape::ConvShape;
