//! Time of the VOC07 grid: 20 classes, 23 values of C and 3 folds on 5,011 images with 2,048
//! features, then one fit per class on all images: `cargo bench -p e2mc-eval --bench svm`.
//!
//! The features resemble a ResNet's: rectified, with a falling spectrum. The classes are as
//! frequent as in VOC07. A folder as argument receives the features, for `benches/peers/svm.py`.
//! `--classes N` times the first N classes.

use std::path::PathBuf;
use std::time::Instant;

use e2mc_eval::Features;
use e2mc_eval::svm::{ObjectLabels, Presence, SvmConfig, svm};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};

const IMAGES: usize = 5011;
const DIMS: usize = 2048;
const LATENT: usize = 256;

/// Share of VOC07's training images that show each class.
const SHARES: [f64; 20] = [
    0.048, 0.049, 0.066, 0.036, 0.049, 0.037, 0.142, 0.067, 0.089, 0.028, 0.040, 0.084, 0.057,
    0.049, 0.400, 0.049, 0.019, 0.046, 0.052, 0.051,
];

fn normal(rng: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(rng)
}

fn data() -> (Vec<f32>, Vec<bool>) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let scale: Vec<f32> = (0..LATENT).map(|i| 1.0 / (1.0 + i as f32).sqrt()).collect();
    let classes: Vec<f32> = (0..SHARES.len() * LATENT)
        .map(|i| 0.9 * normal(&mut rng) * scale[i % LATENT])
        .collect();
    let mixing: Vec<f32> = (0..DIMS * LATENT).map(|_| normal(&mut rng)).collect();
    let (mut values, mut shown) = (Vec::with_capacity(IMAGES * DIMS), Vec::new());
    for _ in 0..IMAGES {
        let mut latent: Vec<f32> = scale.iter().map(|s| 3.0 * s * normal(&mut rng)).collect();
        for (class, &share) in SHARES.iter().enumerate() {
            let present = rng.random_bool(share);
            shown.push(present);
            if present {
                let centre = &classes[class * LATENT..][..LATENT];
                latent.iter_mut().zip(centre).for_each(|(z, c)| *z += c);
            }
        }
        for row in mixing.chunks_exact(LATENT) {
            let x: f32 = row.iter().zip(&latent).map(|(a, z)| a * z).sum();
            values.push((x / 4.0 + 0.8 * normal(&mut rng) + 0.2).max(0.0));
        }
    }
    (values, shown)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let option = arguments
        .iter()
        .position(|argument| argument == "--classes");
    let classes = option.map_or(SHARES.len(), |at| {
        arguments[at + 1].parse().expect("a number")
    });
    let (values, shown) = data();
    if let Some(folder) = arguments.iter().find(|argument| argument.starts_with('/')) {
        let folder = PathBuf::from(folder);
        let bytes: Vec<u8> = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        std::fs::write(folder.join("features.f32"), bytes).expect("the folder can be written");
        let bytes: Vec<u8> = shown.iter().map(|&shown| u8::from(shown)).collect();
        std::fs::write(folder.join("labels.u8"), bytes).expect("the folder can be written");
    }
    let presence = shown.chunks_exact(SHARES.len()).flat_map(|row| {
        row[..classes].iter().map(|&shown| match shown {
            true => Presence::Present,
            false => Presence::Absent,
        })
    });
    let labels = ObjectLabels::new(presence.collect(), classes).expect("there are images");
    let features = Features::new(values, DIMS, vec![0; IMAGES], 1).expect("finite features");

    let start = Instant::now();
    let result = svm(&features, &labels, &features, &labels, &SvmConfig::new());
    let result = result.expect("the classes are large enough");
    println!(
        "{:.2} s for {classes} classes",
        start.elapsed().as_secs_f64()
    );
    for (class, found) in result.classes.iter().enumerate() {
        let best = found.validation.iter().copied().fold(0.0, f64::max);
        println!("class {class}: C {} (validation {best:.4})", found.cost);
    }
}
