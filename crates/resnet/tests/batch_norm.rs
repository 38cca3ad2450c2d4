//! Batch normalization against PyTorch's.

mod common;

use burn::module::Module;
use burn::prelude::*;
use common::{Golden, values};
use e2mc_resnet::{BatchNorm, BatchNormConfig, Checkpoint};

/// f32 against f64.
const TOLERANCE: f64 = 1e-5;
/// The mean is a hundred times the deviation: the f32 input itself carries only that many digits.
const OFFSET_TOLERANCE: f64 = 1e-4;

fn load(name: &str, affine: bool, channels: usize, device: &Device) -> BatchNorm {
    let mut norm = BatchNormConfig::new(channels)
        .with_affine(affine)
        .init(device);
    Checkpoint::open(common::reference("batch_norm.safetensors"))
        .unwrap()
        .load_into(&mut norm, &format!("{name}.before"))
        .unwrap();
    norm
}

fn compare<const D: usize>(name: &str, affine: bool, tolerance: f64) {
    let golden = Golden::open("batch_norm.safetensors");
    let device = Device::flex();
    let input = golden.tensor::<D>(&format!("{name}.input"), &device);
    let channels = input.dims()[1];
    let norm = load(name, affine, channels, &device);
    golden.assert_close(&format!("{name}.eval"), norm.forward(input), tolerance);

    let device = device.autodiff();
    let norm = load(name, affine, channels, &device);
    let input = golden
        .tensor::<D>(&format!("{name}.input"), &device)
        .require_grad();
    let output = norm.forward(input.clone());
    golden.assert_close(&format!("{name}.train"), output.clone(), tolerance);
    let cotangent = golden.tensor::<D>(&format!("{name}.cotangent"), &device);
    let grads = (output * cotangent).sum().backward();
    golden.assert_close(
        &format!("{name}.grad.input"),
        input.grad(&grads).unwrap(),
        tolerance,
    );
    for (field, param) in [("weight", &norm.weight), ("bias", &norm.bias)] {
        if let Some(param) = param {
            let grad = param.val().grad(&grads).unwrap();
            golden.assert_close(&format!("{name}.grad.{field}"), grad, tolerance);
        }
    }
    for (field, running) in [
        ("running_mean", &norm.running_mean),
        ("running_var", &norm.running_var),
    ] {
        golden.assert_close(
            &format!("{name}.after.{field}"),
            running.value_sync(),
            tolerance,
        );
    }
}

#[test]
fn equals_pytorch_on_rank_2() {
    compare::<2>("rank2", true, TOLERANCE);
}

#[test]
fn equals_pytorch_on_rank_4() {
    compare::<4>("rank4", true, TOLERANCE);
}

#[test]
fn equals_pytorch_without_scale_and_shift() {
    compare::<2>("plain", false, TOLERANCE);
}

#[test]
fn keeps_its_digits_far_from_zero() {
    compare::<4>("offset", true, OFFSET_TOLERANCE);
}

#[test]
fn a_frozen_layer_uses_and_keeps_its_running_statistics() {
    let device = Device::flex().autodiff();
    let norm = BatchNormConfig::new(2).init(&device).freeze();
    let input = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 8.0]], &device);
    let output = norm.forward(input.clone());
    (output - input)
        .abs()
        .max()
        .into_scalar::<f32>()
        .lt(&1e-4)
        .then_some(())
        .unwrap();
    let values = values(&norm.valid());
    assert_eq!(values["running_mean"], [0.0, 0.0]);
    assert_eq!(values["running_var"], [1.0, 1.0]);
}

#[test]
#[should_panic(expected = "expected an input [n, 3, ...], got [4, 2]")]
fn wrong_channels_panic() {
    let device = Device::flex();
    BatchNormConfig::new(3)
        .init(&device)
        .forward(Tensor::<2>::zeros([4, 2], &device));
}

#[test]
#[should_panic(expected = "more than one value per channel")]
fn one_value_per_channel_panics_in_training() {
    let device = Device::flex().autodiff();
    BatchNormConfig::new(3)
        .init(&device)
        .forward(Tensor::<2>::zeros([1, 3], &device));
}
