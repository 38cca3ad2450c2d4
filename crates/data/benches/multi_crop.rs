//! Samples per second of the small-image SwAV recipe, one thread: `cargo bench -p e2mc-data`.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use e2mc_data::{MultiCropConfig, MultiCropLoader, fashion_mnist};

const EPOCHS: usize = 9;

fn main() {
    let start = Instant::now();
    let images = Arc::new(fashion_mnist::embedded_train());
    println!(
        "decoding 10,000 embedded images: {:.3} s",
        start.elapsed().as_secs_f64()
    );

    let all = MultiCropConfig::swav_small();
    let mut without_blur = all.clone();
    without_blur.blur.probability = 0.0;
    let mut without_colour = without_blur.clone();
    without_colour.color_jitter.probability = 0.0;
    for (name, config) in [
        ("crop, flip, colour, blur", all),
        ("crop, flip, colour", without_blur),
        ("crop, flip", without_colour),
    ] {
        let loader = MultiCropLoader::new(images.clone(), config, 256, 0).expect("valid recipe");
        let mut rates: Vec<f64> = (0..EPOCHS)
            .map(|epoch| {
                let start = Instant::now();
                let samples: usize = loader
                    .epoch(epoch, &Device::flex())
                    .map(|batch| batch.indices.len())
                    .sum();
                samples as f64 / start.elapsed().as_secs_f64()
            })
            .collect();
        rates.sort_by(f64::total_cmp);
        println!(
            "{name}: {:.0} samples/s (median of {EPOCHS}; {:.0} to {:.0})",
            rates[EPOCHS / 2],
            rates[0],
            rates[EPOCHS - 1]
        );
    }
}
