//! Weighted nearest neighbors against scikit-learn and, at the paper's settings, PyTorch. Reference
//! values: `tests/reference/embeddings_and_draws.py`, `tests/reference/eval_knn.py`.

use burn::tensor::Device;
use e2mc_eval::{EvalError, Features, KnnConfig, knn, knn_for_each};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    dims: usize,
    classes: usize,
    temperature: f64,
    train: Set,
    test: Set,
    ks: Vec<usize>,
    predictions: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Set {
    values: Vec<f32>,
    labels: Vec<u32>,
}

#[test]
fn predictions_equal_scikit_learn() {
    predictions_equal(include_str!("../../../tests/reference/eval/knn.json"));
}

#[test]
fn predictions_of_20_and_200_neighbors_equal_pytorch() {
    predictions_equal(include_str!("../../../tests/reference/eval/knn_torch.json"));
}

fn predictions_equal(golden: &str) {
    let golden: Golden = serde_json::from_str(golden).expect("the reference file is JSON");
    let features =
        |set: Set| Features::new(set.values, golden.dims, set.labels, golden.classes).unwrap();
    let (train, test) = (features(golden.train), features(golden.test));
    let device = Device::flex();
    let together = knn_for_each(&train, &test, &golden.ks, golden.temperature, &device).unwrap();
    for ((&k, predictions), result) in golden.ks.iter().zip(&golden.predictions).zip(&together) {
        assert_eq!(&result.predictions, predictions, "k = {k}");
        let config = KnnConfig::new()
            .with_k(k)
            .with_temperature(golden.temperature);
        assert_eq!(&knn(&train, &test, &config, &device).unwrap(), result);
        let hits = predictions
            .iter()
            .zip(test.labels())
            .filter(|(p, y)| p == y);
        assert_eq!(result.accuracy, hits.count() as f64 / test.len() as f64);
    }
}

/// Points on a circle, one class per quarter.
fn circle(n: usize, scale: f32) -> Features {
    let angle = |i: usize| 2.0 * std::f32::consts::PI * (i as f32 + 0.5) / n as f32;
    let values = (0..n).flat_map(|i| [scale * angle(i).cos(), scale * angle(i).sin()]);
    let labels = (0..n).map(|i| (4 * i / n) as u32).collect();
    Features::new(values.collect(), 2, labels, 4).unwrap()
}

#[test]
fn sets_of_several_blocks_are_classified() {
    let (train, test) = (circle(9000, 1.0), circle(4500, 1e-30));
    let config = KnnConfig::new().with_k(1);
    let result = knn(&train, &test, &config, &Device::flex()).unwrap();
    assert_eq!(result.accuracy, 1.0);
    // Every second training point with its class, in reverse order.
    let rows: Vec<usize> = (0..9000).step_by(2).rev().collect();
    let result = knn(train.part(&rows).unwrap(), &test, &config, &Device::flex()).unwrap();
    assert_eq!(result.accuracy, 1.0);
}

#[test]
fn features_of_zeros_are_near_to_nothing() {
    let train = Features::new(vec![0.0, 0.0, 1.0, 0.0], 2, vec![0, 1], 2).unwrap();
    let test = Features::new(vec![5.0, 1.0, 0.0, 0.0], 2, vec![1, 0], 2).unwrap();
    let config = KnnConfig::new().with_k(1);
    let result = knn(&train, &test, &config, &Device::flex()).unwrap();
    assert_eq!(result.predictions, [1, 0]);
}

#[test]
fn features_that_are_not_numbers_never_reach_a_classifier() {
    let error = Features::new(vec![0.0, f32::NAN], 2, vec![0], 1).unwrap_err();
    assert!(error.to_string().starts_with("feature 1 of image 0 is NaN"));
}

#[test]
fn bad_input_is_an_error() {
    let (train, device) = (circle(8, 1.0), Device::flex());
    let message = |config: KnnConfig| {
        knn(&train, &train, &config, &device)
            .unwrap_err()
            .to_string()
    };
    let config = KnnConfig::new();
    assert_eq!((config.k, config.temperature), (20, 0.07));
    assert!(message(config.clone()).contains("k is 20 with 8 training images"));
    assert!(message(config.clone().with_k(0)).starts_with("k is 0"));
    let cold = config.clone().with_k(2).with_temperature(0.0);
    assert!(message(cold).starts_with("temperature is 0"));
    let wide = Features::new(vec![0.0; 3], 3, vec![0], 4).unwrap();
    assert_eq!(
        knn(&train, &wide, &config, &device),
        Err(EvalError::DimensionMismatch { train: 2, test: 3 })
    );
    let more = Features::new(vec![0.0; 2], 2, vec![0], 5).unwrap();
    assert_eq!(
        knn(&train, &more, &config, &device),
        Err(EvalError::ClassMismatch { train: 4, test: 5 })
    );
    assert_eq!(knn_for_each(&train, &train, &[], 0.07, &device), Ok(vec![]));
}
