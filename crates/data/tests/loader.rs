//! What a training run relies on: the same pictures whatever the threads, complete epochs, cheap resuming, clear errors.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use e2mc_data::{Batch, DataError, ImageSet, MultiCropConfig, MultiCropLoader};

/// `n` grey images of 28 x 28 with a pattern that differs from image to image.
fn images(n: usize) -> Arc<ImageSet> {
    let pixels = (0..n * 784)
        .map(|i| ((i / 784 * 37 + i % 784 * (i / 784 + 3)) % 256) as u8)
        .collect();
    let set = ImageSet::new(
        "pattern",
        pixels,
        [1, 28, 28],
        vec![0; n],
        vec!["any".into()],
    );
    Arc::new(set.unwrap())
}

fn loader(n: usize, batch_size: usize, seed: u64) -> MultiCropLoader {
    MultiCropLoader::new(images(n), MultiCropConfig::swav_small(), batch_size, seed).unwrap()
}

/// The values of each view of a batch, and its indices.
fn values(batch: Batch) -> (Vec<Vec<f32>>, Vec<usize>) {
    let views = batch
        .views
        .into_iter()
        .map(|view| view.into_data().try_into_vec::<f32>().unwrap())
        .collect();
    (views, batch.indices)
}

fn epoch(loader: &MultiCropLoader, epoch: usize) -> Vec<(Vec<Vec<f32>>, Vec<usize>)> {
    loader.epoch(epoch, &Device::flex()).map(values).collect()
}

#[test]
fn batches_have_the_documented_shapes() {
    let loader = loader(50, 8, 0);
    assert_eq!(loader.steps_per_epoch(), 6);
    let batches = loader.epoch(0, &Device::flex());
    assert_eq!(batches.len(), 6);
    let mut seen = HashSet::new();
    for batch in batches {
        let shapes: Vec<_> = batch.views.iter().map(|view| view.dims()).collect();
        assert_eq!(shapes[..2], [[8, 1, 28, 28]; 2]);
        assert_eq!(shapes[2..], [[8, 1, 14, 14]; 4]);
        assert!(
            batch.indices.iter().all(|index| seen.insert(*index)),
            "an image occurs twice"
        );
    }
    // Two of the 50 are in the dropped, incomplete batch.
    assert_eq!(seen.len(), 48);
}

#[test]
fn seed_epoch_and_index_decide_everything() {
    let reference = loader(40, 8, 7);
    let first = epoch(&reference, 3);
    assert_eq!(first, epoch(&reference, 3));
    for workers in [2, 3, 16] {
        assert_eq!(
            first,
            epoch(&reference.clone().with_workers(workers), 3),
            "{workers} workers"
        );
    }
    assert_ne!(first, epoch(&reference, 4));
    assert_ne!(first, epoch(&loader(40, 8, 8), 3));

    // Another batch size groups the same augmented pictures differently.
    let by_image = |batches: &[(Vec<Vec<f32>>, Vec<usize>)], index| {
        let (views, indices) = batches
            .iter()
            .find(|(_, indices)| indices.contains(&index))
            .unwrap();
        let position = indices.iter().position(|i| *i == index).unwrap();
        views[0][position * 784..(position + 1) * 784].to_vec()
    };
    let other = epoch(&loader(40, 10, 7), 3);
    for index in 0..40 {
        assert_eq!(
            by_image(&first, index),
            by_image(&other, index),
            "image {index}"
        );
    }
}

#[test]
fn views_of_an_image_and_epochs_differ() {
    let loader = loader(16, 16, 0);
    let (views, _) = values(loader.epoch(0, &Device::flex()).next().unwrap());
    assert_ne!(views[0], views[1]);
    let orders: HashSet<Vec<usize>> = (0..10).map(|e| epoch(&loader, e)[0].1.clone()).collect();
    assert_eq!(orders.len(), 10);
}

#[test]
fn an_epoch_resumes_at_any_step() {
    let loader = loader(40, 8, 1).with_workers(2);
    let whole = epoch(&loader, 2);
    for first_step in 0..=6 {
        let rest: Vec<_> = loader
            .epoch_from(2, first_step, &Device::flex())
            .map(values)
            .collect();
        assert_eq!(rest, whole[first_step.min(5)..], "from step {first_step}");
    }
}

#[test]
fn leaving_an_epoch_early_stops_its_threads() {
    let loader = loader(20_000, 2, 1).with_workers(4);
    let start = Instant::now();
    let mut batches = loader.epoch(0, &Device::flex());
    assert!(batches.next().is_some());
    // Joins the threads: 10,000 steps are not prepared first.
    drop(batches);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn without_augmentation_a_view_is_the_normalised_image() {
    let mut config = MultiCropConfig::swav_small();
    config.crops.truncate(1);
    config.crops[0].scale = (1.0, 1.0);
    config.ratio = (1.0, 1.0);
    config.flip_probability = 0.0;
    config.color_jitter.probability = 0.0;
    config.blur.probability = 0.0;
    let set = images(6);
    let loader = MultiCropLoader::new(set.clone(), config.clone(), 3, 0).unwrap();
    for batch in loader.epoch(0, &Device::flex()) {
        let plain = set.tensor(&batch.indices, &config.normalization, &Device::flex());
        for view in batch.views {
            view.into_data().assert_eq(&plain.to_data(), true);
        }
    }
}

#[test]
fn bad_requests_are_one_line_errors() {
    let config = MultiCropConfig::swav_small;
    let error = |set, config, batch_size| -> DataError {
        let error = MultiCropLoader::new(set, config, batch_size, 0).unwrap_err();
        assert!(!error.to_string().contains('\n'), "{error}");
        error
    };
    let too_large = error(images(10), config(), 11).to_string();
    assert!(
        too_large.contains("batch size 11") && too_large.contains("10 images"),
        "{too_large}"
    );
    assert!(matches!(
        error(images(0), config(), 1),
        DataError::Empty { .. }
    ));
    assert!(matches!(
        error(images(3), config(), 0),
        DataError::Option {
            option: "batch size",
            ..
        }
    ));
    let mut three_channels = config();
    three_channels.normalization.mean = vec![0.5; 3];
    three_channels.normalization.std = vec![0.5; 3];
    assert!(
        error(images(3), three_channels, 2)
            .to_string()
            .contains("1 channels")
    );
}
