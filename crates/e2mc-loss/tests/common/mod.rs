//! Shared by the test files: the engines, inputs rebuilt from a hash, golden files, and gradients.

// Each test file uses a part of this module.
#![allow(dead_code, unused_imports)]

pub mod engine;
pub mod golden;
pub mod inputs;

use burn::tensor::{Device, Tensor, TensorData};
pub use engine::{Engine, engines};

/// The device for functions with one form only.
pub fn device() -> Device {
    Device::flex().autodiff()
}

/// An autodiff leaf of shape \[n, d\].
pub fn leaf(z: &[f32], n: usize, d: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(z.to_vec(), [n, d]), &device()).require_grad()
}

/// The elements of a tensor, which must be f32.
pub fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("an f32 tensor")
}

/// The element of a tensor of shape \[1\].
pub fn scalar(x: Tensor<1>) -> f32 {
    assert_eq!(x.dims(), [1]);
    values(x)[0]
}

/// A function of one view, [1], and its gradient.
pub fn with_gradient(
    z: &[f32],
    n: usize,
    d: usize,
    f: impl Fn(Tensor<2>) -> Tensor<1>,
) -> (f32, Vec<f32>) {
    let z = leaf(z, n, d);
    let value = f(z.clone());
    let gradients = value.backward();
    let gradient = z.grad(&gradients).expect("the value depends on z");
    (scalar(value), values(gradient))
}
