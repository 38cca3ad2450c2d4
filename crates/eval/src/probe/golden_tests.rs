//! Probes against PyTorch in f64, with the same features, initial weights and order of images.
//! Reference values: `tests/reference/eval.py` and, for maps, `tests/reference/eval_map_probe.py`.

use burn::tensor::TensorData;
use serde::Deserialize;

use super::*;
use crate::{Features, MapProbeConfig, ProbeOptimizer, pooled_map};

#[derive(Deserialize)]
struct Golden {
    dims: usize,
    classes: usize,
    train: Set,
    test: Set,
    start: Vec<f32>,
    orders: Vec<Vec<usize>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Set {
    values: Vec<f32>,
    labels: Vec<u32>,
}

#[derive(Deserialize)]
struct Run {
    optimizer: ProbeOptimizer,
    learning_rate: f64,
    momentum: f64,
    weight_decay: f64,
    batch_size: usize,
    standardize: bool,
    weight: Vec<f64>,
    bias: Vec<f64>,
    train_loss: Vec<f64>,
    test_accuracy: Vec<f64>,
    predictions: Vec<u32>,
}

/// f32 steps against f64 steps: some hundred roundings of 6e-8.
const TOLERANCE: f64 = 2e-5;

fn assert_close(what: &str, got: impl IntoIterator<Item = f64>, want: &[f64]) {
    let scale = want.iter().fold(0.0f64, |scale, x| scale.max(x.abs()));
    for (i, (got, want)) in got.into_iter().zip(want).enumerate() {
        assert!(
            (got - want).abs() <= TOLERANCE * scale,
            "{what}[{i}]: {got} instead of {want}"
        );
    }
}

#[test]
fn equals_pytorch() {
    let golden = include_str!("../../golden/probe.json");
    let golden: Golden = serde_json::from_str(golden).unwrap();
    let device = Device::flex();
    let features =
        |set: Set| Features::new(set.values, golden.dims, set.labels, golden.classes).unwrap();
    let (train, test) = (features(golden.train), features(golden.test));

    for run in golden.runs {
        let config = LinearProbeConfig::new(run.learning_rate)
            .with_epochs(golden.orders.len())
            .with_batch_size(run.batch_size)
            .with_momentum(run.momentum)
            .with_weight_decay(run.weight_decay)
            .with_optimizer(run.optimizer);
        let standardizer = run.standardize.then(|| Standardizer::fit(&train));
        let rows =
            |features| Rows::new(FeaturesPart::from(features), standardizer.as_ref(), &device);
        let (training, testing) = (rows(&train), rows(&test));

        let start = TensorData::new(golden.start.clone(), [golden.dims, golden.classes]);
        let mut classifier = Classifier::new(Tensor::from_data(start, &device).transpose());
        let mut predictions = Vec::new();
        for (epoch, order) in golden.orders.iter().enumerate() {
            let rate = config.learning_rate_at(epoch);
            let loss = train_epoch(&mut classifier, &training, order, rate, &config);
            assert_close("train_loss", [loss], &run.train_loss[epoch..=epoch]);
            (predictions, _) = predict(&mut classifier, &testing);
            let accuracy = accuracy(&correct(&predictions, &FeaturesPart::from(&test)));
            assert_close(
                "test_accuracy",
                [accuracy],
                &run.test_accuracy[epoch..=epoch],
            );
        }
        assert_eq!(predictions, run.predictions);
        assert_close(
            "weight",
            classifier.weight.value.transpose().into_data().iter(),
            &run.weight,
        );
        assert_close("bias", classifier.bias.value.into_data().iter(), &run.bias);
    }
}

#[derive(Deserialize)]
struct MapGolden {
    shape: [usize; 3],
    classes: usize,
    train: Set,
    test: Set,
    start: Vec<f32>,
    orders: Vec<Vec<usize>>,
    config: MapProbeConfig,
    weight: Vec<f64>,
    bias: Vec<f64>,
    train_loss: Vec<f64>,
    predictions: Vec<u32>,
}

#[test]
fn map_probe_equals_pytorch() {
    let golden = include_str!("../../golden/map_probe.json");
    let golden: MapGolden = serde_json::from_str(golden).unwrap();
    let device = Device::flex();
    let [channels, height, width] = golden.shape;
    let features = |set: Set| {
        let shape = [set.labels.len(), channels, height, width];
        let map = Tensor::<4>::from_data(TensorData::new(set.values, shape), &device);
        let pooled = pooled_map(map);
        let dims = pooled.dims()[1];
        let values = pooled.into_data().iter().collect();
        Features::new(values, dims, set.labels, golden.classes).unwrap()
    };
    let (train, test) = (features(golden.train), features(golden.test));
    let rows = |features| Rows::new(FeaturesPart::from(features), None, &device);
    let (training, testing) = (rows(&train), rows(&test));
    let start = TensorData::new(golden.start, [train.dims(), golden.classes]);
    let mut classifier =
        Classifier::new(Tensor::from_data(start, &device).transpose()).with_norm(channels);
    let config = golden.config.optimization();
    for (epoch, order) in golden.orders.iter().enumerate() {
        let rate = golden.config.learning_rate_at(epoch);
        let loss = train_epoch(&mut classifier, &training, order, rate, &config);
        assert_close("train_loss", [loss], &golden.train_loss[epoch..=epoch]);
    }
    assert_eq!(predict(&mut classifier, &testing).0, golden.predictions);
    assert_close(
        "weight",
        classifier.weight.value.transpose().into_data().iter(),
        &golden.weight,
    );
    assert_close(
        "bias",
        classifier.bias.value.into_data().iter(),
        &golden.bias,
    );
}
