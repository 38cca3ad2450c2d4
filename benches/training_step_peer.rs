//! One side of benches/peers/training_step.py. Reads lines and answers each with one line, in
//! milliseconds:
//!
//! - `train NETWORK BATCH SIZE ROUNDS`: training steps; for each, `forward:backward:optimizer`.
//! - `infer NETWORK BATCH SIZE ROUNDS`: forward passes with running statistics.
//! - `memory NETWORK BATCH SIZE`: two training steps; the peak of the resident set beyond what was
//!   there before, in MiB (Linux only).
//!
//! The network is `resnet50` or `small`, the study's.

mod common;

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

use burn::optim::GradientsParams;
use burn::tensor::{Device, Distribution, Tensor};
use common::resident;
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

fn images(name: &str, batch: usize, size: usize, device: &Device) -> Tensor<4> {
    let channels = if name == "small" { 1 } else { 3 };
    let shape = [batch, channels, size, size];
    Tensor::random(shape, Distribution::Normal(0.0, 1.0), device)
}

/// Training steps of the mean squared feature, with SGD; milliseconds of the three parts.
fn train(name: &str, batch: usize, size: usize, rounds: usize) -> Vec<[f64; 3]> {
    let device = Device::flex().autodiff();
    let mut network = network(name, &device);
    let images = images(name, batch, size, &device);
    let mut optimizer = SgdConfig::new()
        .with_momentum(0.9)
        .init()
        .expect("settings in range");
    (0..rounds)
        .map(|_| {
            let mut begin = Instant::now();
            let mut lap = || {
                let time = begin.elapsed().as_secs_f64() * 1e3;
                begin = Instant::now();
                time
            };
            let loss = network.forward(images.clone()).square().mean();
            let forward = lap();
            let gradients = loss.backward();
            let backward = lap();
            let gradients = GradientsParams::from_grads(gradients, &network);
            network = optimizer.step(1e-4, network.clone(), gradients);
            [forward, backward, lap()]
        })
        .collect()
}

fn infer(name: &str, batch: usize, size: usize, rounds: usize) -> Vec<f64> {
    let device = Device::flex();
    let network = network(name, &device);
    let images = images(name, batch, size, &device);
    (0..rounds)
        .map(|_| {
            let begin = Instant::now();
            network.forward(images.clone());
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect()
}

fn main() {
    for line in stdin().lock().lines() {
        let line = line.expect("text on standard input");
        let words: Vec<&str> = line.split_whitespace().collect();
        let number = |word: &str| word.parse::<usize>().expect("a number");
        let answer = match words[..] {
            ["train", name, batch, size, rounds] => {
                let times = train(name, number(batch), number(size), number(rounds));
                let times = times
                    .iter()
                    .map(|times| times.map(|time| format!("{time:.3}")).join(":"));
                times.collect::<Vec<_>>().join(" ")
            }
            ["infer", name, batch, size, rounds] => {
                let times = infer(name, number(batch), number(size), number(rounds));
                let times = times.iter().map(|time| format!("{time:.3}"));
                times.collect::<Vec<_>>().join(" ")
            }
            ["memory", name, batch, size] => {
                std::fs::write("/proc/self/clear_refs", "5").expect("resets VmHWM");
                let before = resident("VmRSS");
                train(name, number(batch), number(size), 2);
                (resident("VmHWM") - before).to_string()
            }
            _ => panic!("expected `train`, `infer` or `memory`, found {line:?}"),
        };
        println!("{answer}");
        stdout().flush().expect("standard output");
    }
}
