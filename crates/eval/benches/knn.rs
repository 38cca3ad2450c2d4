//! Time to classify 10,000 images by their 20 and 200 nearest of 60,000, with 512 features and 10
//! classes: `cargo bench -p e2mc-eval --bench knn`. scikit-learn's side: `benches/peers/knn.py`.

use std::time::Instant;

use burn::tensor::Device;
use e2mc_eval::{Features, knn_for_each};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Uniform noise. Every tenth dimension is slightly higher for images of its class.
fn features(images: usize, seed: u64) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..images as u32).map(|i| i % 10).collect();
    let mut values = Vec::with_capacity(images * 512);
    for &label in &labels {
        for dim in 0..512 {
            let noise: f32 = rng.random_range(-1.0..1.0);
            values.push(noise + if dim % 10 == label { 0.1 } else { 0.0 });
        }
    }
    Features::new(values, 512, labels, 10).expect("the features are finite")
}

fn main() {
    let (train, test) = (features(60_000, 1), features(10_000, 2));
    for _ in 0..3 {
        let start = Instant::now();
        let results = knn_for_each(&train, &test, &[20, 200], 0.07, &Device::flex());
        let results = results.expect("the sets belong together");
        println!(
            "{:.2} s (accuracies {:.4}, {:.4})",
            start.elapsed().as_secs_f64(),
            results[0].accuracy,
            results[1].accuracy
        );
    }
}
