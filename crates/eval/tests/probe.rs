//! Linear probes as a user calls them.

use burn::tensor::Device;
use e2mc_eval::{
    CachedCrops, EvalError, Features, FeaturesPart, LinearProbeConfig, MapProbeConfig,
    TrainingFeatures, linear_probe, linear_probe_per_epoch, map_probe,
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Gaussian-like classes around centers that depend only on the class.
fn features(n: usize, dims: usize, classes: u32, noise: f32, seed: u64) -> Features {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<u32> = (0..n as u32).map(|i| i % classes).collect();
    let mut values = Vec::with_capacity(n * dims);
    for &label in &labels {
        let mut centre = ChaCha8Rng::seed_from_u64(1000 + u64::from(label));
        for _ in 0..dims {
            let own: f32 = (0..3).map(|_| rng.random_range(-noise..noise)).sum();
            values.push(centre.random_range(-1.0..1.0) + own);
        }
    }
    Features::new(values, dims, labels, classes as usize).unwrap()
}

#[test]
fn learns_classes_that_can_be_separated() {
    let (train, test) = (features(300, 16, 5, 0.4, 1), features(200, 16, 5, 0.4, 2));
    let config = LinearProbeConfig::small().with_epochs(20);
    let result = linear_probe(&train, &test, &config, &Device::flex()).unwrap();
    assert!(result.accuracy > 0.98, "{}", result.accuracy);
    assert!(result.best_accuracy >= result.accuracy);
    assert_eq!(
        result.test_accuracy[result.best_epoch - 1],
        result.best_accuracy
    );
    assert!(result.train_loss[19] < 0.2 * result.train_loss[0]);
    let hits = result.correct.iter().filter(|&&hit| hit).count();
    assert_eq!(hits as f64 / 200.0, result.accuracy);
    for (i, &class) in result.predictions.iter().enumerate() {
        assert_eq!(result.correct[i], class == test.labels()[i]);
    }
}

#[test]
fn a_seed_gives_one_result_on_any_kind_of_device() {
    let (train, test) = (features(100, 8, 4, 1.0, 1), features(100, 8, 4, 1.0, 2));
    let probe = |seed, device: &Device| {
        let config = LinearProbeConfig::small().with_epochs(5).with_seed(seed);
        linear_probe(&train, &test, &config, device).unwrap()
    };
    let plain = Device::flex();
    assert_eq!(probe(1, &plain), probe(1, &plain));
    assert_eq!(probe(1, &plain), probe(1, &plain.clone().autodiff()));
    assert_ne!(probe(1, &plain).train_loss, probe(2, &plain).train_loss);
}

#[test]
fn standardised_features_have_no_scale() {
    let (train, test) = (features(100, 8, 4, 1.0, 1), features(100, 8, 4, 1.0, 2));
    // A power of two changes no digit, so the result is the same to the last bit.
    let scaled = |features: &Features| {
        let values = features.values().iter().map(|x| x * 4096.0).collect();
        Features::new(values, 8, features.labels().to_vec(), 4).unwrap()
    };
    let config = LinearProbeConfig::small().with_epochs(5);
    let device = Device::flex();
    assert_eq!(
        linear_probe(&train, &test, &config, &device),
        linear_probe(&scaled(&train), &scaled(&test), &config, &device)
    );
}

#[test]
fn a_part_gives_what_its_rows_alone_give() {
    let (train, test) = (features(100, 8, 4, 1.0, 1), features(90, 8, 4, 1.0, 2));
    let alone = |features: &Features, rows: &[usize]| {
        let values = rows.iter().flat_map(|&row| features.row(row)).copied();
        let labels = rows.iter().map(|&row| features.labels()[row]).collect();
        Features::new(values.collect(), 8, labels, 4).unwrap()
    };
    let (some, others): (Vec<_>, Vec<_>) = ((0..99).step_by(2).rev().collect(), (3..50).collect());
    let config = LinearProbeConfig::small().with_epochs(5);
    let device = Device::flex();
    let (part, test_part) = (train.part(&some).unwrap(), test.part(&others).unwrap());
    let (rows, test_rows) = (alone(&train, &some), alone(&test, &others));
    assert_eq!(
        linear_probe(part, test_part, &config, &device),
        linear_probe(&rows, &test_rows, &config, &device)
    );
}

#[test]
fn constant_features_do_no_harm() {
    let widen = |features: &Features| {
        let rows = features.values().chunks(8);
        let values = rows.flat_map(|row| [row, &[0.3, -7e8]].concat()).collect();
        Features::new(values, 10, features.labels().to_vec(), 4).unwrap()
    };
    let (train, test) = (features(100, 8, 4, 0.3, 1), features(100, 8, 4, 0.3, 2));
    let config = LinearProbeConfig::small().with_epochs(10);
    let result = linear_probe(&widen(&train), &widen(&test), &config, &Device::flex()).unwrap();
    assert!(result.accuracy > 0.95, "{}", result.accuracy);
    assert!(result.train_loss.iter().all(|loss| loss.is_finite()));
}

#[test]
fn bad_input_is_an_error() {
    let device = Device::flex();
    let config = LinearProbeConfig::small().with_epochs(2);
    let train = features(40, 8, 4, 1.0, 1);
    let probe = |train: &Features, test: &Features, config: &LinearProbeConfig| {
        linear_probe(train, test, config, &device).unwrap_err()
    };
    assert_eq!(
        probe(&train, &features(40, 9, 4, 1.0, 2), &config),
        EvalError::DimensionMismatch { train: 8, test: 9 }
    );
    assert_eq!(
        probe(&train, &features(40, 8, 5, 1.0, 2), &config),
        EvalError::ClassMismatch { train: 4, test: 5 }
    );
    let three = train.part(&[0, 1, 3]).unwrap();
    assert_eq!(
        linear_probe(three, &train, &config, &device).unwrap_err(),
        EvalError::MissingClass {
            class: 2,
            classes: 4
        }
    );
    assert!(linear_probe(three, three, &config, &device).is_ok());
    let message = probe(&train, &train, &config.clone().with_epochs(0)).to_string();
    assert!(message.starts_with("epochs is 0"), "{message}");
    // Weight decay times learning rate is 1000: the weights grow a thousandfold per step.
    let wild = LinearProbeConfig::new(1e3).with_weight_decay(1.0);
    let message = probe(&train, &train, &wild).to_string();
    assert!(message.contains("lower learning_rate"), "{message}");
}

#[test]
fn cached_crops_are_seen_in_turn() {
    let (crop, other) = (features(60, 8, 4, 1.0, 1), features(60, 8, 4, 1.0, 3));
    let test = features(40, 8, 4, 1.0, 2);
    let config = LinearProbeConfig::small()
        .with_epochs(4)
        .with_standardize(false);
    let probe = |crops: &[&Features]| {
        let parts = crops.iter().map(|&crop| crop.into()).collect();
        let mut crops = CachedCrops::new(parts).unwrap();
        linear_probe_per_epoch(&mut crops, &test, &config, &Device::flex()).unwrap()
    };
    let plain = linear_probe(&crop, &test, &config, &Device::flex()).unwrap();
    assert_eq!(probe(&[&crop]), plain);
    assert_eq!(probe(&[&crop, &crop]), plain);
    let two = probe(&[&crop, &other]);
    assert_eq!(two.train_loss[0], plain.train_loss[0]);
    assert_ne!(two.train_loss[1], plain.train_loss[1]);
    assert_eq!(two, probe(&[&crop, &other, &crop, &other]));
}

#[test]
fn epochs_over_other_images_are_rejected() {
    let (crop, fewer) = (features(60, 8, 4, 1.0, 1), features(56, 8, 4, 1.0, 3));
    let reordered: Vec<usize> = (0..60).rev().collect();
    let reordered = crop.part(&reordered).unwrap();
    for (other, problem) in [
        ((&fewer).into(), "crop 1 has 56"),
        (reordered, "the label of image 0 is 0 in crop 0"),
    ] {
        let error = CachedCrops::new(vec![(&crop).into(), other]).unwrap_err();
        assert!(error.to_string().contains(problem), "{error}");
    }
    assert!(CachedCrops::new(vec![]).is_err());

    /// Fresh features, of fewer images from epoch 1 on.
    struct Shrinking(Features);
    impl TrainingFeatures for Shrinking {
        type Error = EvalError;
        fn epoch(&mut self, epoch: usize) -> Result<FeaturesPart<'_>, EvalError> {
            self.0 = features(if epoch == 0 { 60 } else { 56 }, 8, 4, 1.0, epoch as u64);
            Ok((&self.0).into())
        }
    }
    let config = LinearProbeConfig::small().with_epochs(2);
    let mut source = Shrinking(crop);
    let error = linear_probe_per_epoch(&mut source, &fewer, &config, &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("labels of epoch 1"), "{error}");
}

#[test]
fn top_5_counts_the_five_highest_scores() {
    let (train, test) = (features(400, 6, 20, 0.7, 1), features(400, 6, 20, 0.7, 2));
    let config = LinearProbeConfig::small().with_epochs(3);
    let result = linear_probe(&train, &test, &config, &Device::flex()).unwrap();
    let top5 = result.top5_accuracy().unwrap();
    assert!(
        result.accuracy < top5 && top5 < 1.0,
        "{} {top5}",
        result.accuracy
    );
    assert_eq!(result.test_top5_accuracy.len(), 3);
    assert_eq!(
        result.best_top5_accuracy(),
        Some(result.test_top5_accuracy[result.best_epoch - 1])
    );
    let few = linear_probe(
        &features(50, 6, 5, 0.7, 1),
        &features(50, 6, 5, 0.7, 2),
        &config,
        &Device::flex(),
    );
    assert_eq!(few.unwrap().top5_accuracy(), Some(1.0));
}

#[test]
fn map_probes_learn_and_name_bad_settings() {
    let (train, test) = (features(300, 16, 5, 0.4, 1), features(200, 16, 5, 0.4, 2));
    let run = |channels, config: &MapProbeConfig| {
        let mut train = FeaturesPart::from(&train);
        map_probe(&mut train, &test, channels, config, &Device::flex())
    };
    let config = MapProbeConfig::new()
        .with_learning_rate(0.1)
        .with_batch_size(32)
        .with_epochs(10);
    let result = run(4, &config).unwrap();
    assert!(result.accuracy > 0.98, "{}", result.accuracy);
    let message = run(5, &config).unwrap_err().to_string();
    assert!(
        message.starts_with("channels is 5 with features of 16"),
        "{message}"
    );
    let message = run(4, &config.with_factor(0.0)).unwrap_err().to_string();
    assert!(message.starts_with("factor is 0"), "{message}");
}

#[test]
fn a_single_class_is_never_wrong() {
    let (train, test) = (features(20, 4, 1, 1.0, 1), features(10, 4, 1, 1.0, 2));
    let config = LinearProbeConfig::small().with_epochs(3);
    let result = linear_probe(&train, &test, &config, &Device::flex()).unwrap();
    assert_eq!((result.accuracy, result.top5_accuracy()), (1.0, Some(1.0)));
    assert_eq!(result.train_loss, [0.0; 3]);
}
