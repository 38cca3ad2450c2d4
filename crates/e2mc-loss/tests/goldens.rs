//! Values and gradients against the f64 PyTorch reference, tests/reference/e2mc_loss.py.

mod common;

use burn::tensor::Tensor;
use common::golden::{self, GRADIENT, Gradient, VALUE, ZERO, value_error};
use common::inputs::{checksum, embeddings};
use common::{leaf, scalar, values, with_gradient};
use e2mc_loss::{E2mcLossConfig, marginal_entropy, off_diagonal_covariance};
use serde::Deserialize;

#[derive(Deserialize)]
struct Term {
    n: usize,
    d: usize,
    space: String,
    exponent: i32,
    shift: i64,
    seed: u64,
    checksum: String,
    m: usize,
    epsilon: f64,
    entropy: f64,
    entropy_gradient: Gradient,
    covariance: f64,
    covariance_gradient: Gradient,
}

/// Checks the two terms and their gradients on all cases of one shape.
///
/// Python (f64), for each space and each (std, mean) of about (0.144, 1), (1.155, 2), (4.62, -2):
/// `marginal_entropy(z, space, m, F32_EPSILON).mean()` and
/// `off_diagonal_covariance(lower(z, space))`, each with `.backward()`.
fn terms(n: usize, d: usize) {
    let mut cases = 0;
    for case in golden::read::<Term>("terms.json") {
        if (case.n, case.d) != (n, d) {
            continue;
        }
        cases += 1;
        let name = format!("{n}x{d} {} 2^-{}", case.space, case.exponent);
        let space = golden::space(&case.space);
        let z = embeddings(n, d, case.exponent, case.shift, case.seed);
        assert_eq!(checksum(&z).to_string(), case.checksum, "{name}: input");

        let (entropy, gradient) = with_gradient(&z, n, d, |z| {
            marginal_entropy(z, space, case.m, case.epsilon).mean()
        });
        let errors = (
            value_error(case.entropy, entropy),
            case.entropy_gradient.error(&gradient),
        );
        println!(
            "{name}: entropy {:.1e}, gradient {:.1e}",
            errors.0, errors.1
        );
        assert!(
            errors.0 <= VALUE && errors.1 <= GRADIENT,
            "{name}: entropy {errors:?}"
        );

        let (covariance, gradient) =
            with_gradient(&z, n, d, |z| off_diagonal_covariance(space.transform(z)));
        let errors = (
            value_error(case.covariance, covariance),
            case.covariance_gradient.error(&gradient),
        );
        println!(
            "{name}: covariance {:.1e}, gradient {:.1e}",
            errors.0, errors.1
        );
        assert!(
            errors.0 <= VALUE && errors.1 <= GRADIENT,
            "{name}: covariance {errors:?}"
        );
    }
    assert_eq!(cases, 6);
}

#[test]
fn terms_2x1() {
    terms(2, 1);
}

#[test]
fn terms_16x3() {
    terms(16, 3);
}

#[test]
fn terms_63x10() {
    terms(63, 10);
}

#[test]
fn terms_512x128() {
    terms(512, 128);
}

#[test]
fn terms_256x2048() {
    terms(256, 2048);
}

#[test]
fn terms_512x8192() {
    terms(512, 8192);
}

#[derive(Deserialize)]
struct Degenerate {
    name: String,
    space: String,
    n: usize,
    d: usize,
    m: usize,
    epsilon: f64,
    z: Vec<f32>,
    entropy: f64,
    entropy_gradient: Gradient,
    covariance: f64,
    covariance_gradient: Gradient,
}

/// Python: as above on tied, constant and saturated (|z| = 40) columns. The gradient of tied
/// samples is determined in sum only, so gradients are summed over ties before they are compared.
#[test]
fn ties_constant_columns_and_saturation() {
    for case in golden::read::<Degenerate>("degenerate.json") {
        let name = format!("{} {}", case.name, case.space);
        let (n, d, z) = (case.n, case.d, &case.z);
        let space = golden::space(&case.space);

        let (entropy, gradient) = with_gradient(z, n, d, |z| {
            marginal_entropy(z, space, case.m, case.epsilon).mean()
        });
        let error = value_error(case.entropy, entropy);
        assert!(
            error <= VALUE,
            "{name}: entropy {entropy}, golden {}",
            case.entropy
        );
        assert!(gradient.iter().all(|g| g.is_finite()), "{name}: gradient");
        let golden = case
            .entropy_gradient
            .full
            .expect("630 elements are stored in full");
        let gradient: Vec<f64> = gradient.into_iter().map(f64::from).collect();
        let (found, golden) = (over_ties(z, d, &gradient), over_ties(z, d, &golden));
        let length = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>().sqrt();
        let difference: Vec<f64> = found.iter().zip(&golden).map(|(a, b)| a - b).collect();
        // A spacing of 0 gives its two ends gradients of n/(m epsilon), which cancel in the sum over
        // the tie; the second part is what f32 rounding leaves of them.
        let allowed = GRADIENT * length(&golden) + 1e-7 * case.entropy_gradient.norm + ZERO;
        let distance = length(&difference);
        assert!(
            distance <= allowed,
            "{name}: gradient off by {distance:.1e}, allowed {allowed:.1e}"
        );

        let (covariance, gradient) =
            with_gradient(z, n, d, |z| off_diagonal_covariance(space.transform(z)));
        let error = value_error(case.covariance, covariance);
        assert!(
            error <= VALUE,
            "{name}: covariance {covariance}, golden {}",
            case.covariance
        );
        let error = case.covariance_gradient.error(&gradient);
        assert!(error <= GRADIENT, "{name}: covariance gradient {error:.1e}");
    }
}

/// Every element replaced by the sum over the samples that have the same value in its column.
fn over_ties(z: &[f32], d: usize, gradient: &[f64]) -> Vec<f64> {
    let n = z.len() / d;
    let tied = |i: usize, j: usize| (0..n).filter(move |&k| z[k * d + j] == z[i * d + j]);
    (0..n * d)
        .map(|index| {
            let (i, j) = (index / d, index % d);
            tied(i, j).map(|k| gradient[k * d + j]).sum()
        })
        .collect()
}

#[derive(Deserialize)]
struct Criterion {
    name: String,
    space: String,
    entropy_weight: f64,
    covariance_weight: f64,
    m: Option<usize>,
    epsilon: f64,
    d: usize,
    exponent: i32,
    shift: i64,
    loss: f64,
    entropy: f64,
    covariance: f64,
    views: Vec<View>,
}

#[derive(Deserialize)]
struct View {
    n: usize,
    seed: u64,
    gradient: Gradient,
}

/// Python: `criterion(views, space, beta, gamma, m, epsilon)` for the three presets on two views,
/// and for one and three views, the extreme spacing orders, and each term alone.
#[test]
fn criterion_and_presets() {
    for case in golden::read::<Criterion>("criterion.json") {
        let name = &case.name;
        let config = E2mcLossConfig::new(golden::space(&case.space))
            .with_entropy_weight(case.entropy_weight)
            .with_covariance_weight(case.covariance_weight)
            .with_spacing(case.m)
            .with_epsilon(case.epsilon);
        match name.as_str() {
            "vicreg" => assert_eq!(E2mcLossConfig::vicreg(), config),
            "swav" => assert_eq!(E2mcLossConfig::swav(), config),
            "simsiam" => assert_eq!(E2mcLossConfig::simsiam(), config),
            _ => (),
        }
        let views: Vec<Tensor<2>> = (case.views.iter())
            .map(|v| {
                let z = embeddings(v.n, case.d, case.exponent, case.shift, v.seed);
                leaf(&z, v.n, case.d)
            })
            .collect();
        let output = config.init().forward(&views);
        let gradients = output.loss.backward();
        for (golden, found) in [
            (case.loss, output.loss),
            (case.entropy, output.entropy),
            (case.covariance, output.covariance),
        ] {
            let found = scalar(found);
            let error = value_error(golden, found);
            assert!(error <= VALUE, "{name}: {found}, golden {golden}");
        }
        for (view, golden) in views.iter().zip(&case.views) {
            let gradient = view
                .grad(&gradients)
                .expect("the loss depends on every view");
            let error = golden.gradient.error(&values(gradient));
            assert!(error <= GRADIENT, "{name}: gradient {error:.1e}");
        }
    }
}
