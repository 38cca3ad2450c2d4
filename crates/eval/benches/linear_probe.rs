//! Time of two linear probes: `cargo bench -p e2mc-eval --bench linear_probe`.
//!
//! - small: 100 epochs on 10,000 images with 128 features and 10 classes, tested on 10,000 images
//!   after each epoch. The features are sent to the device once.
//! - large: 2 epochs on 40,000 images with 1024 features and 100 classes, tested on 4,000 images.
//!   The features stay in host memory.
//!
//! `-- --imagenet EPOCHS` instead runs that many epochs with SwAV's settings on the size of 1% of
//! ImageNet: 12,811 images with 2048 features and 1000 classes, tested on 2,000 images after each
//! epoch. PyTorch's side: `benches/peers/linear_probe.py`.

use std::time::Instant;

use burn::tensor::Device;
use e2mc_eval::{Features, LabelAmount, LinearProbeConfig, linear_probe};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Uniform noise. A share of the dimensions is slightly higher for images of its class.
fn features(images: usize, dims: usize, classes: usize, seed: u64) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..images).map(|i| (i % classes) as u32).collect();
    let mut values = Vec::with_capacity(images * dims);
    for &label in &labels {
        for dim in 0..dims {
            let noise: f32 = rng.random_range(-1.0..1.0);
            let signal = dim % classes == label as usize;
            values.push(noise + if signal { 0.3 } else { 0.0 });
        }
    }
    Features::new(values, dims, labels, classes).expect("the features are finite")
}

fn time(name: &str, train: &Features, test: &Features, epochs: usize) {
    let config = LinearProbeConfig::small().with_epochs(epochs);
    for _ in 0..5 {
        let start = Instant::now();
        let result = linear_probe(train, test, &config, &Device::flex());
        let accuracy = result.expect("the probe converges").accuracy;
        println!(
            "{name}: {:.2} s (accuracy {accuracy:.4})",
            start.elapsed().as_secs_f64()
        );
    }
}

/// The paper's probe with 1% of the labels.
fn imagenet(epochs: usize) {
    let (train, test) = (
        features(12_811, 2048, 1000, 1),
        features(2_000, 2048, 1000, 2),
    );
    let config = LinearProbeConfig::swav(LabelAmount::ONE_PERCENT).with_epochs(epochs);
    let start = Instant::now();
    let result = linear_probe(&train, &test, &config, &Device::flex());
    let result = result.expect("the probe converges");
    let (seconds, losses) = (start.elapsed().as_secs_f64(), &result.train_loss);
    println!(
        "{seconds:.2} s for {epochs} epochs (last loss {:.4})",
        losses[epochs - 1]
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--imagenet")
    {
        return imagenet(arguments[at + 1].parse().expect("a number of epochs"));
    }
    let small = |seed| features(10_000, 128, 10, seed);
    time("small", &small(1), &small(2), 100);
    let large = |images, seed| features(images, 1024, 100, seed);
    time("large", &large(40_000, 1), &large(4_000, 2), 2);
}
