use burn::prelude::*;
use ssl_methods::swav::{sinkhorn, swapped_prediction_loss};

use crate::golden::{SWAV, distance, json, numbers, scalar, tensor, values};

#[test]
fn sinkhorn_equals_the_plain_form_in_f64() {
    let device = Device::default();
    for case in json(SWAV, "terms.json")["sinkhorn"].as_array().unwrap() {
        let codes = sinkhorn(
            tensor(&case["scores"], &device),
            case["epsilon"].as_f64().unwrap(),
            case["iterations"].as_u64().unwrap() as usize,
        );
        let [n, _] = codes.dims();
        assert!(
            values(codes.clone().sum_dim(1))
                .iter()
                .all(|sum| (sum - 1.0).abs() < 1e-5)
        );
        // exp(score / epsilon) multiplies the rounding of a score in f32, 2^-25 of it, by up to
        // 1/epsilon: for the largest scores here, about 30 at epsilon 0.05, that is 2e-5.
        let error = distance(&values(codes), &numbers(&case["codes"]));
        assert!(error < 4e-5, "{n} samples: relative error {error:e}");
    }
}

#[test]
fn sinkhorn_survives_scores_whose_exponentials_overflow_and_vanish() {
    let scores = Tensor::<2>::from_floats(
        [
            [1e4, -1e4, 0.0],
            [-1e4, -1e4, -1e4],
            [3e3, 0.0, 1e4],
            [-1e4, 1e4, 1e4],
        ],
        &Device::default(),
    );
    let codes = values(sinkhorn(scores, 1e-3, 3));
    assert!(codes.iter().all(|q| (0.0..=1.0).contains(q)), "{codes:?}");
}

#[test]
fn equal_scores_give_even_codes() {
    let codes = values(sinkhorn(
        Tensor::<2>::ones([6, 4], &Device::default()),
        0.05,
        3,
    ));
    assert!(codes.iter().all(|q| (q - 0.25).abs() < 1e-6), "{codes:?}");
}

#[test]
fn nan_in_one_score_is_not_hidden() {
    let device = Device::default();
    let scores = Tensor::<2>::from_floats([[f32::NAN, 0.1], [0.2, 0.3]], &device);
    assert!(
        values(sinkhorn(scores.clone(), 0.05, 3))
            .iter()
            .all(|q| q.is_nan())
    );

    let codes = Tensor::<2>::full([2, 2], 0.5, &device).unsqueeze::<3>();
    let scores = Tensor::stack::<3>(vec![scores, Tensor::ones([2, 2], &device)], 0);
    assert!(scalar(swapped_prediction_loss(scores, codes, 0.1)).is_nan());
}

#[test]
fn swapped_prediction_loss_and_gradient_equal_pytorch() {
    let device = Device::default().autodiff();
    let golden = &json(SWAV, "terms.json")["swapped_prediction"];
    let scores = tensor::<3>(&golden["scores"], &device).require_grad();
    let loss = swapped_prediction_loss(
        scores.clone(),
        tensor(&golden["codes"], &device),
        golden["temperature"].as_f64().unwrap(),
    );
    let gradient = scores.grad(&loss.backward()).unwrap();
    // A few roundings of f32 each.
    let expected = golden["loss"].as_f64().unwrap();
    assert!((scalar(loss) / expected - 1.0).abs() < 1e-6);
    assert!(distance(&values(gradient), &numbers(&golden["gradient"])) < 2e-6);
}

#[test]
fn uniform_predictions_cost_the_logarithm_of_the_prototypes() {
    let device = Device::default();
    let scores = Tensor::<3>::zeros([4, 3, 10], &device);
    let codes = Tensor::<3>::full([2, 3, 10], 0.1, &device);
    let loss = scalar(swapped_prediction_loss(scores, codes, 0.1));
    assert!((loss - 10f64.ln()).abs() < 1e-6);
}

#[test]
fn all_crops_may_have_codes() {
    let device = Device::default();
    let scores = Tensor::<3>::from_floats([[[2.0, 0.0]], [[0.0, 1.0]]], &device);
    let codes = Tensor::<3>::from_floats([[[1.0, 0.0]], [[0.0, 1.0]]], &device);
    // Each crop predicts the other's code: the softmax of (0, 1) against class 0, of (2, 0) against
    // class 1.
    let expected = ((1f64.exp() + 1.0).ln() + (2f64.exp() + 1.0).ln()) / 2.0;
    let loss = scalar(swapped_prediction_loss(scores, codes, 1.0));
    assert!((loss - expected).abs() < 1e-6, "{loss} {expected}");
}
