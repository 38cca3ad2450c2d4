//! Time of two linear probes: `cargo bench -p e2mc-eval --bench linear_probe`.
//!
//! - small: 100 epochs on 10,000 images with 128 features and 10 classes, tested on 10,000 images
//!   after each epoch. The features are sent to the device once.
//! - large: 2 epochs on 40,000 images with 1024 features and 100 classes, tested on 4,000 images.
//!   The features stay in host memory.
//!
//! With `-- --imagenet EPOCHS FOLDER` instead: as many epochs on 1% of ImageNet, 12,811 images of
//! 2048 features and 1000 classes, with the settings of SwAV, tested on 10,000 images after each
//! epoch. The features look like a ResNet's: rectified, of a spectrum that falls. They are written
//! to the folder for PyTorch's side, `benches/peers/linear_probe.py`.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use e2mc_eval::{Features, LabelAmount, LinearProbeConfig, linear_probe};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

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

/// Rectified mixtures of falling directions, in which each class has its center.
fn rectified(images: [usize; 2], dims: usize, classes: usize) -> [Features; 2] {
    const LATENT: usize = 256;
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut normal = move || -> f32 { StandardNormal.sample(&mut rng) };
    let scale: Vec<f32> = (0..LATENT)
        .map(|i| (1.0 + i as f32).sqrt().recip())
        .collect();
    let centers: Vec<f32> = (0..classes * LATENT)
        .map(|i| 1.3 * normal() * scale[i % LATENT])
        .collect();
    let mixing: Vec<f32> = (0..dims * LATENT).map(|_| normal()).collect();
    images.map(|images| {
        let labels: Vec<u32> = (0..images).map(|i| (i % classes) as u32).collect();
        let mut values = Vec::with_capacity(images * dims);
        for &label in &labels {
            let center = &centers[label as usize * LATENT..][..LATENT];
            let latent: Vec<f32> = scale
                .iter()
                .zip(center)
                .map(|(s, c)| 3.0 * s * normal() + c)
                .collect();
            for row in mixing.chunks_exact(LATENT) {
                let x: f32 = row.iter().zip(&latent).map(|(a, z)| a * z).sum();
                values.push(0.3 * (x / 4.0 + 0.8 * normal() + 0.2).max(0.0));
            }
        }
        Features::new(values, dims, labels, classes).expect("the features are finite")
    })
}

fn write(folder: &Path, name: &str, features: &Features) {
    let values = features.values().iter();
    let bytes: Vec<u8> = values.flat_map(|x| x.to_le_bytes()).collect();
    std::fs::write(folder.join(name), bytes).expect("the folder can be written");
}

/// The paper's probe with 1% of the labels.
fn imagenet(epochs: usize, folder: &Path) {
    let [train, test] = rectified([12_811, 10_000], 2048, 1000);
    write(folder, "train.f32", &train);
    write(folder, "test.f32", &test);
    let config = LinearProbeConfig::swav(LabelAmount::ONE_PERCENT).with_epochs(epochs);
    let start = Instant::now();
    let result = linear_probe(&train, &test, &config, &Device::flex());
    let result = result.expect("the probe converges");
    println!(
        "{:.2} s for {epochs} epochs (last loss {:.4}, top-1 {:.2}%, best {:.2}%)",
        start.elapsed().as_secs_f64(),
        result.train_loss[epochs - 1],
        100.0 * result.accuracy,
        100.0 * result.best_accuracy,
    );
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments
        .iter()
        .position(|argument| argument == "--imagenet")
    {
        let epochs = arguments[at + 1].parse().expect("a number of epochs");
        return imagenet(epochs, Path::new(&arguments[at + 2]));
    }
    let small = |seed| features(10_000, 128, 10, seed);
    time("small", &small(1), &small(2), 100);
    let large = |images, seed| features(images, 1024, 100, seed);
    time("large", &large(40_000, 1), &large(4_000, 2), 2);
}
