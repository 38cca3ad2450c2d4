//! Settings out of range, wrong shapes, and NaN.

mod common;

use burn::config::Config;
use burn::tensor::Tensor;
use common::{device, leaf, values};
use e2mc_loss::{CompactSpace, E2mcLossConfig, marginal_entropy, off_diagonal_covariance};

fn zeros(n: usize, d: usize) -> Tensor<2> {
    Tensor::zeros([n, d], &device())
}

#[test]
fn settings_out_of_range_are_errors_that_name_the_field() {
    let swav = E2mcLossConfig::swav;
    for bad in [-1.0, f64::NAN, f64::INFINITY, 1e39] {
        for (field, config) in [
            ("entropy_weight", swav().with_entropy_weight(bad)),
            ("covariance_weight", swav().with_covariance_weight(bad)),
        ] {
            let error = config.validate().expect_err(field);
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("{field} is {bad}, expected")),
                "{message}"
            );
            assert!(!message.contains('\n'));
        }
    }
    for bad in [0.0, -1e-7, f64::NAN, 1e-31, f64::INFINITY] {
        let error = swav().with_epsilon(bad).validate().expect_err("epsilon");
        assert!(error.to_string().starts_with("epsilon is"), "{error}");
    }
    let error = swav()
        .with_spacing(Some(0))
        .validate()
        .expect_err("spacing");
    assert!(error.to_string().starts_with("spacing is 0"), "{error}");
    let off = swav().with_entropy_weight(0.0).with_covariance_weight(0.0);
    assert_eq!(off.validate(), Ok(()));
}

#[test]
#[should_panic(expected = "covariance_weight is -2, expected a finite number, 0 or greater")]
fn init_panics_with_the_same_message() {
    E2mcLossConfig::vicreg().with_covariance_weight(-2.0).init();
}

#[test]
fn a_config_survives_its_file() {
    let config = E2mcLossConfig::vicreg().with_spacing(Some(7));
    let json = burn::config::config_to_json(&config);
    let read = E2mcLossConfig::load_binary(json.as_bytes()).expect("its own json");
    assert_eq!(read, config);
}

#[test]
#[should_panic(expected = "found m = 5 and n = 4")]
fn a_spacing_order_that_is_too_large_panics() {
    E2mcLossConfig::swav()
        .with_spacing(Some(5))
        .init()
        .forward(&[zeros(4, 2)]);
}

#[test]
#[should_panic(expected = "found [1, 3]")]
fn one_sample_panics() {
    E2mcLossConfig::swav().init().forward(&[zeros(1, 3)]);
}

#[test]
#[should_panic(expected = "found [1, 3]")]
fn covariance_of_one_sample_panics() {
    off_diagonal_covariance(zeros(1, 3));
}

#[test]
#[should_panic(expected = "[n, d] = [4, 2] and [4, 3]")]
fn views_of_different_dimension_panic() {
    E2mcLossConfig::swav()
        .init()
        .forward(&[zeros(4, 2), zeros(4, 3)]);
}

#[test]
#[should_panic(expected = "at least one view")]
fn no_view_panics() {
    E2mcLossConfig::swav().init().forward(&[]);
}

#[test]
fn a_loss_that_is_not_finite_is_an_error_that_says_why() {
    let criterion = E2mcLossConfig::swav().init();
    let mut z = [0.5, -1.0, 2.0, 0.25];
    assert_eq!(criterion.forward(&[leaf(&z, 4, 1)]).check_finite(), Ok(()));
    for bad in [f32::NAN, f32::INFINITY] {
        z[2] = bad;
        let error = criterion.forward(&[leaf(&z, 4, 1)]).check_finite();
        let message = error.expect_err("an embedding is not finite").to_string();
        assert!(
            message.starts_with("the E2MC loss is NaN: an embedding is NaN or infinite"),
            "{message}"
        );
    }
}

#[test]
fn functions_are_nan_where_embeddings_are_not_finite() {
    for space in [CompactSpace::Hypersphere, CompactSpace::Hypercube] {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for d in [1, 2, 9] {
                let mut z: Vec<f32> = (0..8 * d).map(|i| (i * i % 17) as f32 / 9.0).collect();
                z[3 * d] = bad;
                let h = values(marginal_entropy(leaf(&z, 8, d), space, 3, 1e-7));
                assert!(h[0].is_nan() && h[1..].iter().all(|h| h.is_finite()));
                let x = values(space.transform(leaf(&z, 8, d)));
                assert!(x[3 * d].is_nan() && x[..3 * d].iter().all(|x| x.is_finite()));
            }
        }
    }
}
