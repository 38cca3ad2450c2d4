//! The properties that training relies on: images that do not depend on threads, complete epochs,
//! cheap resuming, clear errors.

use std::collections::HashSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::tensor::Device;
use e2mc_data::Photo;
use e2mc_data::augment::PassOrder;
use e2mc_data::source::ImageSource;
use e2mc_data::{Batch, DataError, ImageSet, Loader, Normalization, Recipe, Shard};

/// `n` gray images of 28 x 28 with a pattern that differs from image to image.
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

fn loader(n: usize, batch_size: usize, seed: u64) -> Loader {
    Loader::new(images(n), Recipe::swav_small(), batch_size, seed).unwrap()
}

/// The values of each view of a batch, and its indices.
fn values(batch: Result<Batch, DataError>) -> (Vec<Vec<f32>>, Vec<usize>) {
    let batch = batch.unwrap();
    let views = batch
        .views
        .into_iter()
        .map(|view| view.into_data().try_into_vec::<f32>().unwrap())
        .collect();
    (views, batch.indices)
}

fn epoch(loader: &Loader, epoch: usize) -> Vec<(Vec<Vec<f32>>, Vec<usize>)> {
    loader.epoch(epoch, &Device::flex()).map(values).collect()
}

#[test]
fn batches_have_the_documented_shapes() {
    let loader = loader(50, 8, 0);
    assert_eq!(loader.steps_per_epoch(), 6);
    let batches = loader.epoch(0, &Device::flex());
    let mut seen = HashSet::new();
    for batch in batches {
        let batch = batch.unwrap();
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
    // Joins the threads. Dropping must not wait for 10,000 prepared steps.
    drop(batches);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn without_augmentation_a_view_is_the_normalized_image() {
    let set = images(6);
    let recipe = Recipe::eval_small();
    let loader = Loader::new(set.clone(), recipe.clone(), 3, 0).unwrap();
    for loader in [loader.clone(), loader.with_u8_batches(true)] {
        for batch in loader.epoch(0, &Device::flex()) {
            let batch = batch.unwrap();
            let plain = set.tensor(&batch.indices, &recipe.normalization, &Device::flex());
            for view in batch.views {
                // Exact, though the second loader's batches are normalized on the device.
                view.into_data().assert_eq(&plain.to_data(), true);
            }
        }
    }
}

#[test]
fn batches_normalized_on_the_device_hold_the_same_pictures() {
    let exact = epoch(&loader(16, 8, 2), 1);
    let on_device = epoch(&loader(16, 8, 2).with_u8_batches(true), 1);
    for ((exact, indices), (found, same_indices)) in exact.iter().zip(&on_device) {
        assert_eq!(indices, same_indices);
        for (exact, found) in exact.iter().flatten().zip(found.iter().flatten()) {
            // The device may replace a division by a multiplication.
            assert!(
                (exact - found).abs() <= 1e-6 * exact.abs().max(1.0),
                "{exact} {found}"
            );
        }
    }
}

#[test]
fn batches_sent_ahead_are_the_same() {
    for loader in [loader(16, 4, 2), loader(16, 4, 2).with_u8_batches(true)] {
        let ahead = loader.clone().with_upload_ahead(true);
        assert_eq!(epoch(&ahead, 1), epoch(&loader, 1));
    }
    // Threads that wait for their batch to be taken end with the epoch.
    let ahead = loader(20_000, 2, 1).with_upload_ahead(true);
    let start = Instant::now();
    let mut batches = ahead.epoch(0, &Device::flex());
    assert!(batches.next().is_some());
    drop(batches);
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_shares_of_several_devices_are_the_batch_in_order() {
    for (u8_batches, upload_ahead) in [(false, false), (true, false), (false, true), (true, true)] {
        let loader = loader(26, 6, 2)
            .with_u8_batches(u8_batches)
            .with_upload_ahead(upload_ahead);
        let expected = loader.epoch_from(1, 1, &Device::flex()).map(values);
        let split = loader.split_epoch_from(1, 1, &vec![Device::flex(); 3]);
        assert_eq!(split.size_hint().1, Some(3));
        let mut count = 0;
        for (split, (expected, indices)) in split.zip(expected) {
            let split = split.unwrap();
            assert_eq!((split.shares.len(), &split.indices), (3, &indices));
            let view = |i: usize| -> Vec<f32> {
                let shares = split.shares.iter().map(|views| {
                    assert_eq!(views[i].dims()[0], 2);
                    views[i].to_data().try_into_vec::<f32>().unwrap()
                });
                shares.flatten().collect()
            };
            let found: Vec<_> = (0..expected.len()).map(view).collect();
            assert_eq!(found, expected);
            count += 1;
        }
        assert_eq!(count, 3);
    }
}

#[test]
#[should_panic(expected = "a batch of 8 images cannot be shared equally by 3 devices")]
fn a_batch_that_devices_cannot_share_panics() {
    loader(16, 8, 0).split_epoch_from(0, 0, &vec![Device::flex(); 3]);
}

#[test]
#[should_panic(expected = "2 devices cannot share an incomplete batch")]
fn an_incomplete_batch_for_several_devices_panics() {
    let loader = loader(9, 4, 0).with_drop_last(false);
    loader.split_epoch_from(0, 0, &vec![Device::flex(); 2]);
}

#[test]
fn the_last_batch_can_be_kept_and_the_order_the_sources() {
    let loader = loader(10, 4, 0).with_drop_last(false).with_shuffle(false);
    assert_eq!(loader.steps_per_epoch(), 3);
    let batches = epoch(&loader, 5);
    let indices: Vec<_> = batches.iter().map(|(_, indices)| indices.clone()).collect();
    assert_eq!(indices, [vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9]]);
    assert_eq!(batches[2].0[0].len(), 2 * 784);
}

#[test]
fn devices_share_an_epoch() {
    let whole = loader(22, 2, 3);
    let shard = |rank, drop_last| {
        let shard = Shard {
            rank,
            world_size: 4,
            drop_last,
        };
        epoch(
            &whole
                .clone()
                .with_shard(shard)
                .unwrap()
                .with_drop_last(false),
            7,
        )
    };
    let all = epoch(&whole.clone().with_drop_last(false), 7);
    let all: Vec<usize> = all.into_iter().flat_map(|(_, indices)| indices).collect();
    for (drop_last, images) in [(false, 6), (true, 5)] {
        let mut seen = vec![Vec::new(); 4];
        for (rank, seen) in seen.iter_mut().enumerate() {
            seen.extend(
                shard(rank, drop_last)
                    .into_iter()
                    .flat_map(|(_, indices)| indices),
            );
            assert_eq!(seen.len(), images);
        }
        // Distributed in turn. The first ones are repeated if they do not divide evenly.
        let dealt: Vec<usize> = (0..4 * images).map(|i| seen[i % 4][i / 4]).collect();
        let expected: Vec<usize> = all.iter().cycle().take(4 * images).copied().collect();
        assert_eq!(dealt, expected);
    }
    // A device sees an image exactly as a single device would.
    let (views, indices) = &shard(1, false)[0];
    let (alone, _) = epoch(&whole, 7)
        .into_iter()
        .find(|(_, i)| i.contains(&indices[0]))
        .unwrap();
    assert!(alone[0].chunks(784).any(|image| image == &views[0][..784]));

    let rejected = |rank, world_size| {
        let shard = Shard {
            rank,
            world_size,
            drop_last: true,
        };
        whole.clone().with_shard(shard).unwrap_err().to_string()
    };
    assert!(rejected(4, 4).contains("rank"), "{}", rejected(4, 4));
    assert!(
        rejected(0, 12).contains("batch size 2"),
        "{}",
        rejected(0, 12)
    );
}

/// Color images of varied sizes. Some cannot be read.
struct Damaged {
    images: usize,
    bad: fn(usize) -> bool,
}

impl ImageSource for Damaged {
    fn name(&self) -> &str {
        "damaged"
    }

    fn len(&self) -> usize {
        self.images
    }

    fn read(&self, index: usize, photo: &mut Photo) -> Result<(), DataError> {
        if (self.bad)(index) {
            return Err(DataError::Format {
                path: self.image_name(index).into(),
                expected: "a JPEG".into(),
                found: "text".into(),
            });
        }
        let shape = [20 + index % 7, 30 + index % 11, 3];
        let value = |i: usize| (i * (index + 1) % 251) as u8;
        *photo = Photo::new((0..shape.iter().product()).map(value).collect(), shape);
        Ok(())
    }

    fn image_name(&self, index: usize) -> String {
        format!("class/{index}.jpg")
    }

    fn labels(&self) -> Option<&[u32]> {
        None
    }

    fn classes(&self) -> &[String] {
        &[]
    }
}

fn color_recipe() -> Recipe {
    let mut recipe = Recipe::swav_small();
    recipe.normalization = Normalization::imagenet();
    recipe.pass_order = PassOrder::Shorter;
    recipe
}

fn damaged(images: usize, bad: fn(usize) -> bool) -> Loader {
    let source = Arc::new(Damaged { images, bad });
    Loader::new(source, color_recipe(), 20, 0).unwrap()
}

#[test]
fn unreadable_images_are_named_and_replaced() {
    let run = |loader: &Loader| {
        let mut batches = loader.epoch(2, &Device::flex());
        let mut found = Vec::new();
        for batch in batches.by_ref() {
            let batch = batch.unwrap();
            assert_eq!(batch.indices.len(), 20);
            assert!(
                batch.indices.iter().all(|index| index % 100 != 3),
                "replaced"
            );
            let failures = batch.failures.clone();
            found.push((values(Ok(batch)), failures));
        }
        assert_eq!(batches.failed().collect::<Vec<_>>(), [3, 103]);
        found
    };
    let loader = damaged(200, |index| index % 100 == 3);
    let reference = run(&loader);
    assert_eq!(reference, run(&loader.clone().with_workers(5)));
    let named: Vec<_> = reference
        .iter()
        .flat_map(|(_, failures)| failures)
        .collect();
    assert!(named.iter().any(|failure| {
        failure.to_string()
            == "image 103 (class/103.jpg) left out: class/103.jpg: expected a JPEG, found text; \
                copy the original file again"
    }));
}

#[test]
fn too_many_unreadable_images_stop_the_epoch() {
    let loader = damaged(200, |index| index % 50 == 3);
    let mut batches = loader.epoch(0, &Device::flex());
    let error = batches
        .by_ref()
        .find_map(Result::err)
        .expect("2% are unreadable");
    assert!(batches.next().is_none());
    let message = error.to_string();
    assert!(
        matches!(
            error,
            DataError::TooManyFailedReads {
                failed: 3,
                samples: 200,
                ..
            }
        ),
        "{message}"
    );
    assert!(
        message.contains("more than 1%") && message.contains(".jpg"),
        "{message}"
    );

    let lenient = loader.with_failure_limit(0.02).unwrap();
    assert!(lenient.epoch(0, &Device::flex()).all(|batch| batch.is_ok()));
    assert!(lenient.with_failure_limit(1.5).is_err());

    let nothing = damaged(200, |_| true).with_failure_limit(1.0).unwrap();
    let error = nothing
        .epoch(0, &Device::flex())
        .next()
        .unwrap()
        .unwrap_err();
    assert!(
        matches!(error, DataError::TooManyFailedReads { .. }),
        "{error}"
    );
}

#[test]
fn a_gray_image_among_colors_is_an_error() {
    struct OneGray;
    impl ImageSource for OneGray {
        fn name(&self) -> &str {
            "one gray"
        }
        fn len(&self) -> usize {
            4
        }
        fn read(&self, index: usize, photo: &mut Photo) -> Result<(), DataError> {
            let channels = if index == 2 { 1 } else { 3 };
            *photo = Photo::new(vec![0; 64 * channels], [8, 8, channels]);
            Ok(())
        }
        fn image_name(&self, index: usize) -> String {
            index.to_string()
        }
        fn labels(&self) -> Option<&[u32]> {
            None
        }
        fn classes(&self) -> &[String] {
            &[]
        }
    }
    let loader = Loader::new(Arc::new(OneGray), color_recipe(), 4, 0).unwrap();
    let results: Vec<_> = loader.epoch(0, &Device::flex()).collect();
    assert_eq!(results.len(), 1);
    let message = results[0].as_ref().unwrap_err().to_string();
    assert!(
        message.contains("1-channel images, such as image 2 of one gray"),
        "{message}"
    );
}

#[test]
fn a_panic_of_the_source_reaches_the_caller() {
    let loader = damaged(40, |index| {
        assert_ne!(index, 17, "the disk is on fire");
        false
    });
    for loader in [loader.clone(), loader.with_upload_ahead(true)] {
        let count = AssertUnwindSafe(|| loader.epoch(0, &Device::flex()).count());
        let panic = std::panic::catch_unwind(count).unwrap_err();
        let message = panic.downcast_ref::<String>().unwrap();
        assert!(message.contains("the disk is on fire"), "{message}");
    }
}

#[test]
fn bad_requests_are_one_line_errors() {
    let config = Recipe::swav_small;
    let error = |set, config, batch_size| -> DataError {
        let error = Loader::new(set, config, batch_size, 0).unwrap_err();
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
        DataError::InvalidOption {
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
            .contains("1-channel images, such as image 0 of pattern")
    );
}
