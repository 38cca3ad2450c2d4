//! Time of a linear probe of 100 epochs on 10,000 images of 128 features and 10 classes, judged
//! on 10,000 images after each epoch: `cargo bench -p e2mc-eval --bench linear_probe`.

use std::time::Instant;

use burn::tensor::Device;
use e2mc_eval::{Features, LinearProbeConfig, linear_probe};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

const IMAGES: usize = 10_000;
const DIMS: usize = 128;
const CLASSES: usize = 10;

/// Uniform noise in which every tenth dimension is a little higher for images of its class.
fn features(seed: u64) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..IMAGES).map(|i| (i % CLASSES) as u32).collect();
    let mut values = Vec::with_capacity(IMAGES * DIMS);
    for &label in &labels {
        for dim in 0..DIMS {
            let noise: f32 = rng.random_range(-1.0..1.0);
            let signal = dim % CLASSES == label as usize;
            values.push(noise + if signal { 0.3 } else { 0.0 });
        }
    }
    Features::new(values, DIMS, labels, CLASSES).expect("the features are finite")
}

fn main() {
    let (train, test) = (features(1), features(2));
    let config = LinearProbeConfig::small();
    for _ in 0..5 {
        let start = Instant::now();
        let result = linear_probe(&train, &test, &config, &Device::flex());
        let accuracy = result.expect("the probe converges").accuracy;
        println!(
            "{:.2} s (accuracy {accuracy:.4})",
            start.elapsed().as_secs_f64()
        );
    }
}
