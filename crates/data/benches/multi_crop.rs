//! Samples per second of the small-image SwAV recipe, one thread: `cargo bench -p e2mc-data`.

use std::sync::Arc;
use std::time::Instant;

use burn::tensor::Device;
use e2mc_data::{Loader, Recipe, Transform, fashion_mnist};

const EPOCHS: usize = 9;

fn main() {
    let start = Instant::now();
    let images = Arc::new(fashion_mnist::embedded_train());
    println!(
        "decoding 10,000 embedded images: {:.3} s",
        start.elapsed().as_secs_f64()
    );

    let all = Recipe::swav_small();
    let without = |recipe: &Recipe, unwanted: fn(&Transform) -> bool| {
        let mut recipe = recipe.clone();
        for view in &mut recipe.views {
            view.transforms.retain(|transform| !unwanted(transform));
        }
        recipe
    };
    let without_color = without(&all, |t| matches!(t, Transform::ColorJitter(_)));
    let crop_only = without(&without_color, |_| true);
    for (name, recipe) in [
        ("crop, flip, color", all),
        ("crop, flip", without_color),
        ("crop", crop_only),
    ] {
        let loader = Loader::new(images.clone(), recipe, 256, 0).expect("valid recipe");
        let mut rates: Vec<f64> = (0..EPOCHS)
            .map(|epoch| {
                let start = Instant::now();
                let samples: usize = loader
                    .epoch(epoch, &Device::flex())
                    .map(|batch| batch.expect("readable images").indices.len())
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
