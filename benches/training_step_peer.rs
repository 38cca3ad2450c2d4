//! One side of benches/peers/training_step.py and gpu.py, on the device of its argument. Reads
//! lines and answers each with one line, in milliseconds:
//!
//! - `train NETWORK PRECISION BATCH SIZE ROUNDS`: training steps, each answered with
//!   `forward:backward:optimizer`. PRECISION is `f32` or `bf16`.
//! - `infer NETWORK BATCH SIZE ROUNDS`: forward passes with running statistics.
//! - `memory NETWORK PRECISION BATCH SIZE`: two training steps, answered with the MiB they took.
//! - `layer BATCH CHANNELS_IN CHANNELS_OUT SIZE KERNEL STRIDE ROUNDS`: a convolution. Each round is
//!   answered with `output:input gradient:weight gradient:all three:all three by Burn's own`.
//!
//! The network is `resnet50`, or `small`, the network of the study.

mod common;

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::module::conv2d as burn_conv2d;
use burn::tensor::ops::ConvOptions as BurnOptions;
use burn::tensor::{DType, Device, Distribution, Tensor};
use burn_flex_conv::ConvOptions;
use burn_flex_conv::kernels::{
    Arch, ConvShape, conv2d, conv2d_input_gradient, conv2d_weight_gradient,
};
use common::{device, memory, wait};
use e2mc::methods::optim::SgdConfig;
use e2mc::resnet::{BlockKind, ResNet, ResNetConfig, Stem};

fn network(name: &str, device: &Device) -> ResNet {
    match name {
        "resnet50" => ResNetConfig::resnet50().init(device),
        "small" => ResNetConfig::new(BlockKind::Basic, [1, 1, 1, 1])
            .with_width(16)
            .with_in_channels(1)
            .with_stem(Stem::Small {
                kernel: 3,
                stride: 2,
            })
            .init(device),
        other => panic!("the network is resnet50 or small, found {other}"),
    }
}

fn images(name: &str, [batch, size]: [usize; 2], device: &Device) -> Tensor<4> {
    let channels = if name == "small" { 1 } else { 3 };
    let shape = [batch, channels, size, size];
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Training steps on the mean squared feature with SGD. Returns the milliseconds of the three
/// parts.
fn train(
    device: &Device,
    name: &str,
    precision: &str,
    sizes: [usize; 2],
    rounds: usize,
) -> Vec<[f64; 3]> {
    let device = device.clone().autodiff();
    let mut network = network(name, &device);
    let images = images(name, sizes, &device);
    let images = match precision {
        "f32" => images,
        "bf16" => images.cast(DType::BF16),
        other => panic!("the precision is f32 or bf16, found {other}"),
    };
    let mut optimizer = SgdConfig::new().with_momentum(0.9).init();
    let mut times = Vec::new();
    for _ in 0..rounds {
        wait(&device);
        let mut begin = Instant::now();
        let mut lap = || {
            wait(&device);
            let time = begin.elapsed().as_secs_f64() * 1e3;
            begin = Instant::now();
            time
        };
        let loss = network.forward(images.clone()).square().mean();
        let forward = lap();
        let gradients = loss.backward();
        let backward = lap();
        let gradients = GradientsParams::from_grads(gradients, &network);
        network = optimizer.step(1e-4, network, gradients);
        times.push([forward, backward, lap()]);
    }
    times
}

fn infer(device: &Device, name: &str, sizes: [usize; 2], rounds: usize) -> Vec<f64> {
    let network = network(name, device);
    let images = images(name, sizes, device);
    (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            network.forward(images.clone());
            wait(device);
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

/// One convolution: its three kernels, and forward and backward by burn-flex-conv and by Burn.
fn layer(
    [batch, channels_in, channels_out, size, kernel, stride]: [usize; 6],
    rounds: usize,
) -> Vec<[f64; 5]> {
    let shape = ConvShape {
        batch,
        channels_in,
        channels_out,
        input: [size; 2],
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
    };
    let [height, width] = shape.output();
    let (input, weight) = (vec![0.5; shape.input_len()], vec![0.5; shape.weight_len()]);
    let gradient = vec![0.5; shape.output_len()];
    let arch = Arch::new();
    fn time<T>(work: impl FnOnce() -> T) -> f64 {
        let begin = Instant::now();
        std::hint::black_box(work());
        begin.elapsed().as_secs_f64() * 1e3
    }
    let device = Device::flex().autodiff();
    let map = |channels, [height, width]: [usize; 2]| {
        let shape = [batch, height, width, channels];
        Tensor::<4>::ones(shape, &device).permute([0, 3, 1, 2])
    };
    let input_map = map(channels_in, [size; 2]).require_grad();
    let slope = map(channels_out, [height, width]);
    let weight_shape = [channels_out, channels_in, kernel, kernel];
    let weights = Tensor::<4>::ones(weight_shape, &device).require_grad();
    let options = ConvOptions {
        stride: shape.stride,
        padding: shape.padding,
        dilation: shape.dilation,
    };
    let burn = BurnOptions::new(shape.stride, shape.padding, shape.dilation, 1);
    let round = || {
        [
            time(|| conv2d(arch, &input, &weight, &shape, None)),
            time(|| conv2d_input_gradient(arch, &gradient, &weight, &shape)),
            time(|| conv2d_weight_gradient(arch, &input, &gradient, &shape)),
            time(|| {
                let output = burn_flex_conv::conv2d(input_map.clone(), weights.clone(), options);
                (output * slope.clone()).sum().backward()
            }),
            time(|| {
                let output = burn_conv2d(input_map.clone(), weights.clone(), None, burn.clone());
                (output * slope.clone()).sum().backward()
            }),
        ]
    };
    (0..rounds).map(|_| round()).collect()
}

fn main() {
    let device = device();
    for line in stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let answer = match words[..] {
            ["train", name, precision, batch, size, rounds] => {
                let sizes = [number(batch), number(size)];
                let times = train(&device, name, precision, sizes, number(rounds));
                let times = times
                    .iter()
                    .map(|times| times.map(|time| format!("{time:.3}")).join(":"));
                times.collect::<Vec<_>>().join(" ")
            }
            ["infer", name, batch, size, rounds] => {
                let sizes = [number(batch), number(size)];
                let times = infer(&device, name, sizes, number(rounds));
                let times = times.iter().map(|time| format!("{time:.3}"));
                times.collect::<Vec<_>>().join(" ")
            }
            ["memory", name, precision, batch, size] => {
                let sizes = [number(batch), number(size)];
                let steps = || drop(train(&device, name, precision, sizes, 2));
                memory(&device, steps).to_string()
            }
            ["layer", ref sizes @ .., rounds] => {
                let sizes: Vec<usize> = sizes.iter().map(|size| number(size)).collect();
                let sizes = sizes.try_into().expect("six sizes");
                let times = layer(sizes, number(rounds)).into_iter();
                let times = times.map(|times| times.map(|time| format!("{time:.3}")).join(":"));
                times.collect::<Vec<_>>().join(" ")
            }
            _ => panic!("expected `train`, `infer`, `memory` or `layer`, found {line:?}"),
        };
        println!("{answer}");
        stdout().flush().expect("standard output");
    }
}
