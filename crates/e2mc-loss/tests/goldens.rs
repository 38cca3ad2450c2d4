//! Values and gradients of every engine against the f64 PyTorch reference,
//! tests/reference/e2mc_loss.py.

mod common;

use burn::tensor::Tensor;
use common::golden::{self, GRADIENT, Gradient, VALUE, ZERO, value_error};
use common::inputs::{checksum, embeddings};
use common::{Engine, engines, scalar, values, with_gradient};
use e2mc_loss::{
    CompactSpace, E2mcLoss, E2mcLossConfig, marginal_entropy, off_diagonal_covariance,
};
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

/// The entropy, or the covariance, of the whole criterion and its gradient.
fn term_alone(
    engine: &Engine,
    space: CompactSpace,
    weights: (f64, f64),
    (m, epsilon): (usize, f64),
    z: &[f32],
    (n, d): (usize, usize),
) -> (f32, Vec<f32>) {
    let criterion: E2mcLoss = E2mcLossConfig::new(space)
        .with_entropy_weight(weights.0)
        .with_covariance_weight(weights.1)
        .with_spacing(Some(m))
        .with_epsilon(epsilon)
        .init();
    engine.loss(&criterion, z, n, d)
}

fn negated((value, gradient): (f32, Vec<f32>)) -> (f32, Vec<f32>) {
    (-value, gradient.into_iter().map(|g| -g).collect())
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

        let check = |what: &str, golden, of: &Gradient, (value, gradient): (f32, Vec<f32>)| {
            let errors = (value_error(golden, value), of.error(&gradient));
            println!("{name}: {what} {:.1e}, gradient {:.1e}", errors.0, errors.1);
            assert!(
                errors.0 <= VALUE && errors.1 <= GRADIENT,
                "{name}: {what} {errors:?}"
            );
        };
        let entropy = |what: &str, found| {
            let what = format!("{what} entropy");
            check(&what, case.entropy, &case.entropy_gradient, found);
        };
        let covariance = |what: &str, found| {
            let what = format!("{what} covariance");
            check(&what, case.covariance, &case.covariance_gradient, found);
        };
        entropy(
            "function",
            with_gradient(&z, n, d, |z| {
                marginal_entropy(z, space, case.m, case.epsilon).mean()
            }),
        );
        covariance(
            "function",
            with_gradient(&z, n, d, |z| off_diagonal_covariance(space.transform(z))),
        );
        for engine in engines() {
            // The functions above are the composed form: one run at large shapes is enough.
            if n * d > engine.capacity || (!engine.fused && n * d > 1 << 20) {
                continue;
            }
            let alone = |weights| {
                let order = (case.m, case.epsilon);
                term_alone(&engine, space, weights, order, &z, (n, d))
            };
            entropy(engine.name, negated(alone((1.0, 0.0))));
            covariance(engine.name, alone((0.0, 1.0)));
        }
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

/// Python: as above on tied, constant and saturated (|z| = 40) columns. The fused operation orders
/// tied samples by their rows, as the reference does. The composed form determines only the sum of
/// their gradients, so gradients are summed over ties before the comparison.
#[test]
fn ties_constant_columns_and_saturation() {
    for case in golden::read::<Degenerate>("degenerate.json") {
        for engine in engines() {
            let name = format!("{} {} {}", engine.name, case.name, case.space);
            let (n, d, z) = (case.n, case.d, &case.z);
            let alone = |weights| {
                let (space, order) = (golden::space(&case.space), (case.m, case.epsilon));
                term_alone(&engine, space, weights, order, z, (n, d))
            };
            let (entropy, gradient) = negated(alone((1.0, 0.0)));
            let error = value_error(case.entropy, entropy);
            assert!(
                error <= VALUE,
                "{name}: entropy {entropy}, golden {}",
                case.entropy
            );
            let golden = &case.entropy_gradient;
            if engine.fused {
                let error = golden.error(&gradient);
                println!("{name}: gradient {error:.1e}");
                assert!(error <= GRADIENT, "{name}: entropy gradient {error:.1e}");
            }
            sums_over_ties_agree(&name, z, d, golden, &gradient);

            let (covariance, gradient) = alone((0.0, 1.0));
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
}

fn sums_over_ties_agree(name: &str, z: &[f32], d: usize, golden: &Gradient, found: &[f32]) {
    assert!(found.iter().all(|g| g.is_finite()), "{name}: gradient");
    let full = golden.full.as_ref().expect("630 elements, stored in full");
    let found: Vec<f64> = found.iter().map(|&g| f64::from(g)).collect();
    let (found, full) = (over_ties(z, d, &found), over_ties(z, d, full));
    let length = |g: &[f64]| g.iter().map(|g| g * g).sum::<f64>().sqrt();
    let difference: Vec<f64> = found.iter().zip(&full).map(|(a, b)| a - b).collect();
    // A spacing of 0 gives its two ends gradients of n/(m epsilon), which cancel in the sum over
    // the tie; the second part is what f32 rounding leaves of them.
    let allowed = GRADIENT * length(&full) + 1e-7 * golden.norm + ZERO;
    let distance = length(&difference);
    assert!(
        distance <= allowed,
        "{name}: gradient off by {distance:.1e}, allowed {allowed:.1e}"
    );
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
        for engine in engines() {
            let name = format!("{} {name}", engine.name);
            let views: Vec<Tensor<2>> = (case.views.iter())
                .map(|v| {
                    let z = embeddings(v.n, case.d, case.exponent, case.shift, v.seed);
                    engine.leaf(&z, v.n, case.d)
                })
                .collect();
            let output = engine.forward(&config.init(), &views);
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
}
