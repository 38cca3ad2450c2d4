//! Times linear probes on random features:
//! `cargo run --release -p e2mc-eval --example probe_time -- 10000 128 10 100`
//! (images, dimensions, classes, epochs; 10,000 test images).

use std::time::Instant;

use burn::tensor::Device;
use e2mc_eval::{Features, LinearProbeConfig, linear_probe};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

fn features(n: usize, dims: usize, classes: usize, seed: u64) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..n).map(|i| (i % classes) as u32).collect();
    let values = (0..n * dims)
        .map(|i| {
            let own: f32 = rng.random_range(-1.0..1.0);
            own + if (i / dims) % classes == i % dims % classes {
                0.3
            } else {
                0.0
            }
        })
        .collect();
    Features::new(values, dims, labels, classes).unwrap()
}

fn main() {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse().unwrap())
        .collect();
    let &[n, dims, classes, epochs] = arguments.as_slice() else {
        panic!("expected: images, dimensions, classes, epochs");
    };
    let (train, test) = (
        features(n, dims, classes, 1),
        features(10_000, dims, classes, 2),
    );
    let config = LinearProbeConfig::small().with_epochs(epochs);
    for _ in 0..3 {
        let start = Instant::now();
        let result = linear_probe(&train, &test, &config, &Device::flex()).unwrap();
        println!(
            "{:.2} s, accuracy {:.4}",
            start.elapsed().as_secs_f64(),
            result.accuracy
        );
    }
}
