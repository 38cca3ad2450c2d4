//! Whether the loader keeps up with a fast GPU, on a machine without one:
//!
//!     cargo bench -p e2mc-data --bench synthetic_device -- FOLDER [--speed 3000] [--batch 256]
//!         [--seconds 20] [--workers N]
//!
//! A synthetic device takes each batch as the training loop does, and then sleeps for as long as a
//! device of that speed (images per second) would train. Meanwhile the loader has all cores, as
//! beside a GPU. The table shows the speed and the share of a step's time spent waiting for images,
//! `wait` in a run's metrics: of all steps, and the median and largest of a step. The first steps,
//! until the prefetched batches are used up, are left out.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{available_parallelism, sleep};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use e2mc_data::source::{ImageFolder, ImageSource, Prepared, ScanOptions};
use e2mc_data::{Loader, Recipe};

struct Settings {
    folder: PathBuf,
    speed: f64,
    batch: usize,
    seconds: f64,
    workers: usize,
}

impl Settings {
    fn from_arguments() -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        let mut settings = Self {
            folder: PathBuf::new(),
            speed: 3000.0,
            batch: 256,
            seconds: 20.0,
            workers: cores,
        };
        let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
        while let Some(argument) = arguments.next() {
            let mut number = || -> f64 {
                let value = arguments.next().and_then(|value| value.parse().ok());
                value.unwrap_or_else(|| panic!("{argument} needs a number"))
            };
            match argument.as_str() {
                "--speed" => settings.speed = number(),
                "--batch" => settings.batch = number() as usize,
                "--seconds" => settings.seconds = number(),
                "--workers" => settings.workers = number() as usize,
                folder => settings.folder = folder.into(),
            }
        }
        settings
    }
}

/// Times of the steps, in seconds: waiting, and in all.
fn steps(loader: &Loader, settings: &Settings) -> Vec<[f64; 2]> {
    let device = Device::flex();
    let training = Duration::from_secs_f64(settings.batch as f64 / settings.speed);
    let (mut steps, begin) = (Vec::new(), Instant::now());
    for epoch in 0.. {
        let mut start = Instant::now();
        for batch in loader.epoch(epoch, &device) {
            let batch = batch.expect("readable images");
            let waited = start.elapsed();
            sleep(training);
            drop(batch);
            steps.push([waited, start.elapsed()].map(|time| time.as_secs_f64()));
            if begin.elapsed().as_secs_f64() > settings.seconds {
                return steps;
            }
            start = Instant::now();
        }
    }
    unreachable!("epochs have no end")
}

fn main() {
    let settings = Settings::from_arguments();
    if settings.folder.as_os_str().is_empty() {
        // `cargo bench` runs every bench, and this one needs images.
        println!("no folder of images is given, so nothing is measured");
        return;
    }
    let options = ScanOptions::new();
    let jpegs = ImageFolder::open_flat(&settings.folder, &options).expect("images");
    let jpegs: Arc<dyn ImageSource> = Arc::new(jpegs);
    let file = std::env::temp_dir().join(format!("synthetic-device-{}", std::process::id()));
    let prepared =
        Prepared::create(&file, &jpegs, &|_| ()).expect("a file in the temporary folder");
    let prepared: Arc<dyn ImageSource> = Arc::new(prepared);
    println!(
        "{} images, {} workers, batches of {}, a device of {} images/s",
        jpegs.len(),
        settings.workers,
        settings.batch,
        settings.speed
    );
    println!("\n| recipe | source | batches | images/s | wait | median | largest |");
    println!("|---|---|---|---|---|---|---|");
    for (name, recipe) in [("VICReg", Recipe::vicreg()), ("SwAV", Recipe::swav())] {
        for (source_name, source) in [("JPEG", &jpegs), ("prepared", &prepared)] {
            for u8_batches in [false, true] {
                let loader = Loader::new(source.clone(), recipe.clone(), settings.batch, 0)
                    .expect("a batch is not larger than the folder")
                    .with_workers(settings.workers)
                    .with_u8_batches(u8_batches);
                let steps = steps(&loader, &settings);
                let steps = &steps[(Loader::BATCHES_IN_MEMORY).min(steps.len() - 1)..];
                let [waited, whole] = [0, 1].map(|i| steps.iter().map(|s| s[i]).sum::<f64>());
                let mut shares: Vec<f64> = steps.iter().map(|s| 100.0 * s[0] / s[1]).collect();
                shares.sort_by(f64::total_cmp);
                println!(
                    "| {name} | {source_name} | {} | {:.0} | {:.1}% | {:.1}% | {:.1}% |",
                    if u8_batches { "u8" } else { "f32" },
                    (steps.len() * settings.batch) as f64 / whole,
                    100.0 * waited / whole,
                    shares[shares.len() / 2],
                    shares[shares.len() - 1],
                );
            }
        }
    }
    drop(prepared);
    std::fs::remove_file(file).expect("the prepared file can be removed");
}
