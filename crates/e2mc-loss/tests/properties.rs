//! Properties that hold for every input.

mod common;

use burn::tensor::{Tensor, TensorData};
use common::{Engine, device, engines, scalar, values, with_gradient};
use e2mc_loss::{CompactSpace, E2mcLossConfig, marginal_entropy, off_diagonal_covariance};
use proptest::prelude::*;

/// Sums of at most a few hundred f32 terms in another order.
const REORDERED: f32 = 2e-5;

fn space() -> impl Strategy<Value = CompactSpace> {
    prop_oneof![
        Just(CompactSpace::Hypersphere),
        Just(CompactSpace::Hypercube)
    ]
}

/// `(n, d, z)` with z of shape \[n, d\]. No column has equal values: there the entropy has several
/// subgradients, and which is taken depends on the order of the samples.
fn embeddings() -> impl Strategy<Value = (usize, usize, Vec<f32>)> {
    (2usize..24, 1usize..32)
        .prop_flat_map(|(n, d)| (Just(n), Just(d), prop::collection::vec(-6f32..6.0, n * d)))
        .prop_filter("equal values in a column", |(_, d, z)| {
            (0..*d).all(|column| {
                let mut values: Vec<f32> = z.iter().skip(column).step_by(*d).copied().collect();
                values.sort_by(f32::total_cmp);
                values.windows(2).all(|pair| pair[0] != pair[1])
            })
        })
}

fn tensor(z: &[f32], n: usize, d: usize) -> Tensor<2> {
    Tensor::from_data(TensorData::new(z.to_vec(), [n, d]), &device())
}

fn loss(engine: &Engine, z: &[f32], n: usize, d: usize, space: CompactSpace) -> (f32, Vec<f32>) {
    engine.loss(&E2mcLossConfig::new(space).init(), z, n, d)
}

/// The engines that run a case. A GPU compiles kernels for each shape, so it runs only some shapes.
fn takers(elements: usize) -> impl Iterator<Item = Engine> {
    engines()
        .into_iter()
        .filter(move |engine| engine.capacity == usize::MAX || elements.is_multiple_of(64))
}

fn close(a: f32, b: f32) -> bool {
    (a - b).abs() <= REORDERED * (1.0 + a.abs().max(b.abs()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn permuting_samples_permutes_the_gradient(
        (n, d, z) in embeddings(), space in space(), turn in 1usize..24,
    ) {
        let source = |i: usize| (i + turn) % n;
        let permuted: Vec<f32> =
            (0..n).flat_map(|i| z[source(i) * d..][..d].to_vec()).collect();
        for engine in takers(z.len()) {
            let (a, ga) = loss(&engine, &z, n, d, space);
            let (b, gb) = loss(&engine, &permuted, n, d, space);
            prop_assert!(close(a, b), "{} {a} {b}", engine.name);
            for i in 0..n {
                for j in 0..d {
                    prop_assert!(close(ga[source(i) * d + j], gb[i * d + j]), "{}", engine.name);
                }
            }
        }
    }

    #[test]
    fn permuting_dimensions_permutes_the_gradient(
        (n, d, z) in embeddings(), space in space(), turn in 1usize..32,
    ) {
        let source = |j: usize| (j + turn) % d;
        let at = |z: &[f32], i: usize, j: usize| z[i * d + source(j)];
        let permuted: Vec<f32> =
            (0..n * d).map(|index| at(&z, index / d, index % d)).collect();
        for engine in takers(z.len()) {
            let (a, ga) = loss(&engine, &z, n, d, space);
            let (b, gb) = loss(&engine, &permuted, n, d, space);
            prop_assert!(close(a, b), "{} {a} {b}", engine.name);
            for (index, b) in gb.iter().enumerate() {
                prop_assert!(close(at(&ga, index / d, index % d), *b), "{}", engine.name);
            }
        }
    }

    /// Both maps satisfy Psi(-z) = 1 - Psi(z).
    #[test]
    fn reflecting_embeddings_changes_nothing((n, d, z) in embeddings(), space in space()) {
        let reflected: Vec<f32> = z.iter().map(|x| -x).collect();
        for engine in takers(z.len()) {
            let (a, ga) = loss(&engine, &z, n, d, space);
            let (b, gb) = loss(&engine, &reflected, n, d, space);
            prop_assert!(close(a, b), "{} {a} {b}", engine.name);
            for (a, b) in ga.iter().zip(&gb) {
                prop_assert!(close(*a, -b), "{}", engine.name);
            }
        }
    }

    #[test]
    fn entropy_and_covariance_keep_their_documented_range(
        (n, d, z) in embeddings(), space in space(), m in 1usize..24, scale in 0f32..20.0,
    ) {
        let m = 1 + m % (n - 1).max(1);
        let m = m.min(n - 1);
        let z: Vec<f32> = z.iter().map(|x| x * scale).collect();
        let epsilon = 1e-7f64;
        let (floor, top) = (epsilon.ln(), ((n + 1) as f64 / (n - m) as f64 + epsilon).ln());
        for h in values(marginal_entropy(tensor(&z, n, d), space, m, epsilon)) {
            let h = f64::from(h);
            prop_assert!(h >= floor - 1e-5 && h <= top + 1e-5, "{floor} {h} {top}");
        }
        let compact = space.transform(tensor(&z, n, d));
        let covariance = f64::from(scalar(off_diagonal_covariance(compact)));
        let variance = n as f64 / (4 * (n - 1)) as f64;
        let most = (d - 1) as f64 * variance.powi(2);
        // The Gram form rounds relative to the sum of squared variances, at most variance^2 a
        // column.
        let rounding = 1e-6 * (most + variance.powi(2));
        let range = -rounding..=most + rounding;
        prop_assert!(range.contains(&covariance), "{covariance} {most}");
    }

    #[test]
    fn covariance_ignores_shifts_of_columns((n, d, x) in embeddings(), shift in -8i32..8) {
        let shifted: Vec<f32> = (x.iter().enumerate())
            .map(|(index, x)| x + (shift * (index % d) as i32 % 5) as f32)
            .collect();
        let a = scalar(off_diagonal_covariance(tensor(&x, n, d)));
        let b = scalar(off_diagonal_covariance(tensor(&shifted, n, d)));
        // A shift rounds x: to 2e-6 of a value of up to 26, against a covariance of tens.
        prop_assert!((a - b).abs() <= 1e-4 * (1.0 + a.max(b)), "{a} {b}");
    }

    #[test]
    fn any_finite_embedding_gives_finite_values_and_gradients(
        (n, d, space, z) in (2usize..12, 1usize..16, space()).prop_flat_map(|(n, d, space)| {
            let any = prop_oneof![
                -1f32..1.0, -1e3f32..1e3, Just(0.0), Just(-0.0), Just(40.0), Just(-40.0),
                Just(f32::MAX), Just(f32::MIN), Just(f32::MIN_POSITIVE),
            ];
            (Just(n), Just(d), Just(space), prop::collection::vec(any, n * d))
        }),
    ) {
        for engine in takers(z.len()) {
            let (value, gradient) = loss(&engine, &z, n, d, space);
            prop_assert!(value.is_finite(), "{} {value}", engine.name);
            prop_assert!(gradient.iter().all(|g| g.is_finite()), "{} {gradient:?}", engine.name);
        }
    }
}

/// z such that Psi(z) is evenly spaced at i/(n+1): every scaled m-spacing is 1, the entropy 0.
#[test]
fn entropy_of_a_uniform_grid_is_zero() {
    let n = 512;
    let logit = |i: usize| (i as f32 / (n + 1 - i) as f32).ln();
    let z: Vec<f32> = (1..=n).map(logit).collect();
    for m in [1, 23, 511] {
        let h = marginal_entropy(tensor(&z, n, 1), CompactSpace::Hypercube, m, 1e-7);
        let h = values(h)[0];
        // The logit rounds to 4e-7 at most, and a spacing with m = 1 is 1/513.
        assert!(h.abs() < 1e-5, "m = {m}: {h}");
    }
}

/// The average of ln((n+1)/m Beta(m, n+1-m)) is ln((n+1)/m) + digamma(m) - digamma(n+1).
#[test]
fn entropy_of_uniform_samples_is_as_documented() {
    let (n, d, m) = (512usize, 400, 23usize);
    let z: Vec<f32> = (0..n * d)
        .map(|index| {
            // 24 bits from the middle of a cell, so that 0 and 1 never occur.
            let u = ((common::inputs::mix(index as u64) >> 40) as f64 + 0.5) / f64::from(1 << 24);
            (u / (1.0 - u)).ln() as f32
        })
        .collect();
    let h = marginal_entropy(tensor(&z, n, d), CompactSpace::Hypercube, m, 1e-7).mean();
    // digamma(n+1) - digamma(m) is the sum of 1/k for k from m to n.
    let harmonic: f64 = (m..=n).map(|k| 1.0 / k as f64).sum();
    let expected = ((n + 1) as f64 / m as f64).ln() - harmonic;
    assert!((-0.025..-0.018).contains(&expected), "{expected}");
    let found = f64::from(scalar(h));
    // 400 columns, each of standard deviation about 0.02: three standard errors.
    assert!(
        (found - expected).abs() < 0.003,
        "{found}, expected {expected}"
    );
}

#[test]
fn entropy_of_a_constant_column_is_the_logarithm_of_epsilon() {
    for space in [CompactSpace::Hypersphere, CompactSpace::Hypercube] {
        for epsilon in [1e-7, 1e-30, 1.0] {
            let h = values(marginal_entropy(tensor(&[0.7; 8], 8, 1), space, 3, epsilon))[0];
            assert!((f64::from(h) - epsilon.ln()).abs() < 1e-4, "{h}");
            let criterion = E2mcLossConfig::new(space).with_epsilon(epsilon).init();
            for engine in engines() {
                let (_, gradient) = engine.loss(&criterion, &[0.7; 8], 8, 1);
                assert!(gradient.iter().all(|g| g.is_finite()), "{gradient:?}");
            }
        }
    }
}

/// Columns of a 2^k full factorial design are exactly uncorrelated; d < n and, with one column
/// repeated as constants, d > n.
#[test]
fn covariance_of_independent_columns_is_zero() {
    let (n, k) = (64usize, 6usize);
    let design: Vec<f32> = (0..n)
        .flat_map(|i| (0..k).map(move |j| ((i >> j) & 1) as f32))
        .collect();
    assert_eq!(scalar(off_diagonal_covariance(tensor(&design, n, k))), 0.0);
    let d = 100;
    let wide: Vec<f32> = (0..n)
        .flat_map(|i| (0..d).map(move |j| if j < k { ((i >> j) & 1) as f32 } else { 0.5 }))
        .collect();
    // The Gram form: rounding of a difference of two sums of 6 squared variances of 1/4.
    assert!(scalar(off_diagonal_covariance(tensor(&wide, n, d))).abs() < 1e-7);
}

#[test]
fn covariance_of_one_dimension_is_zero() {
    let (value, gradient) = with_gradient(&[1.0, -2.0, 5.0], 3, 1, off_diagonal_covariance);
    assert_eq!(value, 0.0);
    assert_eq!(gradient, [0.0; 3]);
}

#[test]
fn terms_of_one_view_do_not_depend_on_the_other() {
    let criterion = E2mcLossConfig::swav().init();
    for engine in engines() {
        let a = engine.tensor(&[0.1, 0.9, -0.4, 0.3], 4, 1);
        let b = engine.tensor(&[0.5, -1.5, 2.0], 3, 1);
        let both = engine.forward(&criterion, &[a.clone(), b.clone()]);
        let (alone_a, alone_b) = (
            engine.forward(&criterion, &[a]),
            engine.forward(&criterion, &[b]),
        );
        let mean = (scalar(alone_a.entropy) + scalar(alone_b.entropy)) / 2.0;
        assert!(close(scalar(both.entropy), mean), "{}", engine.name);
    }
}
