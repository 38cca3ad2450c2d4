//! Losses and criteria on small inputs against PyTorch: values and gradients.

use burn::prelude::*;
use e2mc_resnet::BatchNormConfig;
use serde_json::Value;
use ssl_methods::barlow_twins::cross_correlation_terms;
use ssl_methods::criterion::{CriterionConfig, MmcrConfig, UniformityConfig, VcRegConfig};
use ssl_methods::simsiam::negative_cosine;
use ssl_methods::vicreg::{invariance, off_diagonal_covariance, variance};

use crate::golden::{METHODS, distance, json, numbers, scalar, tensor, values};

/// The term of a case, from its inputs and options.
fn term(case: &Value, z: &[Tensor<2>]) -> Tensor<1> {
    let option = |name: &str| case["options"][name].as_f64().unwrap();
    let view = |i: usize| z[i].clone();
    let criterion = |config: CriterionConfig| {
        let criterion = config.init();
        // MMCR uses all crops, full-resolution or not.
        let (full, small) = z.split_at(z.len().min(2));
        let (full, small) = match config {
            CriterionConfig::Mmcr(_) => (full, small),
            _ => (z, &z[..0]),
        };
        criterion.forward(full, small).unwrap().loss
    };
    match case["term"].as_str().unwrap() {
        "vicreg_invariance" => invariance(view(0), view(1)),
        "vicreg_variance" => variance(view(0)),
        "vicreg_covariance" => off_diagonal_covariance(view(0)),
        "vicreg" => {
            invariance(view(0), view(1)) * option("invariance_weight")
                + (variance(view(0)) + variance(view(1))) * (option("variance_weight") / 2.0)
                + (off_diagonal_covariance(view(0)) + off_diagonal_covariance(view(1)))
                    * option("covariance_weight")
        }
        "simsiam" => (negative_cosine(view(0), view(3)) + negative_cosine(view(1), view(2))) / 2.0,
        "barlow_twins" => {
            let norm = BatchNormConfig::new(z[0].dims()[1])
                .with_affine(false)
                .init(&z[0].device());
            let [on, off] = cross_correlation_terms(norm.forward(view(0)), norm.forward(view(1)));
            on + off * option("off_diagonal_weight")
        }
        "vcreg" => criterion(CriterionConfig::VcReg(VcRegConfig {
            variance_weight: option("variance_weight"),
            covariance_weight: option("covariance_weight"),
        })),
        "auh" => criterion(CriterionConfig::Uniformity(UniformityConfig {
            weight: option("weight"),
            sharpness: option("t"),
        })),
        "mmcr" => criterion(CriterionConfig::Mmcr(MmcrConfig {
            weight: option("weight"),
        })),
        other => panic!("{other}"),
    }
}

#[test]
fn values_and_gradients_equal_pytorch() {
    let device = Device::default().autodiff();
    let mut seen = std::collections::BTreeSet::new();
    for case in json(METHODS, "terms.json").as_array().unwrap() {
        let name = format!("{} {}", case["term"], case["name"]);
        seen.insert(case["term"].to_string());
        let z: Vec<Tensor<2>> = case["inputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|z| tensor::<2>(z, &device).require_grad())
            .collect();
        let loss = term(case, &z);
        let value = case["value"].as_f64().unwrap();
        let found = scalar(loss.clone());
        // Sums of some hundred f32 products; 1e-6 where terms of size 1 cancel.
        let tolerance = 1e-5 * value.abs() + 1e-6;
        assert!(
            (found - value).abs() < tolerance,
            "{name}: {found}, expected {value}"
        );

        let gradients = loss.backward();
        let found = z
            .iter()
            .map(|z| z.grad(&gradients).map(values).unwrap_or_default());
        let Some(expected) = case["gradients"].as_array() else {
            // The gradient is not unique: any finite one is correct.
            assert!(found.flatten().all(|g| g.is_finite()), "{name}");
            continue;
        };
        let largest = numbers(&case["gradients"])
            .into_iter()
            .fold(0f64, |a, g| a.max(g.abs()));
        for (i, (found, expected)) in found.zip(expected).enumerate() {
            let expected = numbers(expected);
            if found.is_empty() {
                assert!(
                    expected.iter().all(|&g| g == 0.0),
                    "{name}: no gradient of input {i}"
                );
                continue;
            }
            let error = distance(&found, &expected);
            let norm = expected.iter().map(|g| g * g).sum::<f64>().sqrt();
            // Norm-wise; if an input's own gradient nearly cancels, the error is relative to the
            // largest gradient. Batch normalization of a few samples removes nearly all of Barlow
            // Twins' gradient and leaves differences of numbers of the loss's size. A gradient of
            // 0, as of a cosine at its extreme, may be one rounding error.
            let canceled = match case["term"] == "barlow_twins" {
                true => 1e-6 * value,
                false => 1e-8,
            };
            assert!(
                error * norm.max(f64::MIN_POSITIVE) < 2e-5 * norm + 1e-6 * largest + canceled,
                "{name}: gradient of input {i} is off by {error:e}, {found:?}, expected \
                 {expected:?}"
            );
        }
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[test]
fn mmcr_takes_equal_and_missing_directions() {
    let device = Device::default().autodiff();
    let mmcr = CriterionConfig::Mmcr(MmcrConfig::new().with_weight(1.0)).init();
    let gradient_of = |rows: Tensor<2>| {
        let rows = rows.require_grad();
        let loss = mmcr.forward(std::slice::from_ref(&rows), &[]).unwrap().loss;
        (
            scalar(loss.clone()),
            values(rows.grad(&loss.backward()).unwrap()),
        )
    };
    // All rows equal: one singular value of sqrt(n), all others 0.
    let (loss, gradient) = gradient_of(Tensor::ones([6, 4], &device));
    assert!((loss + 6f64.sqrt()).abs() < 1e-5, "{loss}");
    assert!(gradient.iter().all(|g| g.abs() < 1e-5), "{gradient:?}");
    // All singular values are 0.
    let (loss, gradient) = gradient_of(Tensor::zeros([6, 4], &device));
    assert_eq!(loss, 0.0);
    assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
    // Not finite: the loss is NaN, and nothing hangs.
    let (loss, _) = gradient_of(Tensor::full([6, 4], f32::NAN, &device));
    assert!(loss.is_nan());
}
