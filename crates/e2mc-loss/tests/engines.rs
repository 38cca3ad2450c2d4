//! Behavior that all engines share beyond the goldens: other dtypes and layouts, use inside a
//! graph, and shapes at which an engine switches its algorithm.

mod common;

use burn::tensor::{FloatDType, Tensor};
use common::inputs::{embeddings, mix};
use common::{Engine, engines, scalar, values};
use e2mc_loss::{CompactSpace, E2mcLoss, E2mcLossConfig};

const SPACES: [CompactSpace; 2] = [CompactSpace::Hypersphere, CompactSpace::Hypercube];

/// Norm-wise relative distance.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let square = |x: f64| x * x;
    let norm: f64 = a.iter().map(|&a| square(f64::from(a))).sum();
    let difference: f64 = (a.iter().zip(b))
        .map(|(&a, &b)| square(f64::from(a) - f64::from(b)))
        .sum();
    (difference / norm).sqrt()
}

/// Two f32 engines, each within the goldens' tolerance of the truth.
fn assert_agree(name: &str, (a, ga): &(f32, Vec<f32>), (b, gb): &(f32, Vec<f32>)) {
    assert!((a - b).abs() <= 4e-5 * a.abs().max(1e-3), "{name}: {a} {b}");
    let distance = distance(ga, gb);
    println!("{name}: loss {a} {b}, gradient {distance:.1e}");
    assert!(distance <= 3e-4, "{name}: gradient {distance:.1e}");
}

fn composed() -> Engine {
    engines().pop().expect("the composed form is always there")
}

/// The default criterion, both terms of about the same weight.
fn criterion(space: CompactSpace) -> E2mcLoss {
    E2mcLossConfig::new(space)
        .with_entropy_weight(1.0)
        .with_covariance_weight(25.0)
        .init()
}

/// Checks a shape against the composed form.
fn shape(n: usize, d: usize, z: &[f32]) {
    for space in SPACES {
        let criterion = criterion(space);
        let expected = composed().loss(&criterion, z, n, d);
        for engine in engines().iter().filter(|engine| engine.fused) {
            let name = format!("{} {n}x{d} {space:?}", engine.name);
            assert_agree(&name, &expected, &engine.loss(&criterion, z, n, d));
        }
    }
}

/// A GPU takes eight columns at a time here, and the last six are fewer.
#[test]
fn many_columns_of_few_samples() {
    shape(16, 1030, &embeddings(16, 1030, 20, 0, 1));
}

/// n = 4096 fills the shared memory that most devices have; beyond it a GPU sorts in several
/// passes.
#[test]
fn more_samples_than_shared_memory_holds() {
    for (n, d) in [(4096, 2), (5000, 3), (20_000, 2)] {
        // An odd multiplier permutes 2^15 numbers: values are distinct in each column.
        let z: Vec<f32> = (0..n * d)
            .map(|index| {
                let (row, column) = (index / d, index % d);
                let rank = (row * 20_083 + column * 77) % (1 << 15);
                let u = (rank as f64 + 0.5) / f64::from(1 << 15);
                (u / (1.0 - u)).ln() as f32 * (1.0 + column as f32)
            })
            .collect();
        shape(n, d, &z);
    }
}

#[test]
fn the_smallest_and_the_largest_spacing_order() {
    for (n, d, m) in [(2, 1, 1), (2, 3, 1), (9, 2, 8), (64, 2, 63), (65, 2, 1)] {
        let z = embeddings(n, d, 20, 0, 2);
        for space in SPACES {
            let mut criterion = criterion(space);
            criterion.spacing = Some(m);
            let expected = composed().loss(&criterion, &z, n, d);
            for engine in engines().iter().filter(|engine| engine.fused) {
                let name = format!("{} {n}x{d} m = {m} {space:?}", engine.name);
                assert_agree(&name, &expected, &engine.loss(&criterion, &z, n, d));
            }
        }
    }
}

#[test]
fn a_spacing_order_of_n_panics_everywhere() {
    for engine in engines() {
        let z = engine.leaf(&[1.0, 2.0, 3.0], 3, 1);
        let criterion = E2mcLossConfig::swav().with_spacing(Some(3)).init();
        let panic = std::panic::catch_unwind(|| engine.forward(&criterion, &[z]));
        let message = panic.expect_err(engine.name);
        let message = message.downcast_ref::<String>().expect("a message");
        assert!(
            message.contains("found m = 3 and n = 3"),
            "{}: {message}",
            engine.name
        );
    }
}

#[test]
fn checkpointing_changes_no_gradient() {
    let z = embeddings(16, 3, 20, 0, 3);
    for engine in engines() {
        let checkpointed = Engine {
            device: engine.device.clone().gradient_checkpointing(),
            ..engine.clone()
        };
        let criterion = criterion(CompactSpace::Hypersphere);
        // The operation within a graph whose other operations are recomputed.
        let gradient = |engine: &Engine| {
            let leaf = engine.leaf(&z, 16, 3);
            let loss = engine
                .forward(&criterion, &[leaf.clone().tanh() * 2.0])
                .loss;
            let gradients = (loss.clone() * loss).sqrt().backward();
            values(leaf.grad(&gradients).expect("the loss depends on z"))
        };
        assert_eq!(
            gradient(&engine),
            gradient(&checkpointed),
            "{}",
            engine.name
        );
    }
}

#[test]
fn a_multiple_of_the_loss_has_a_multiple_of_the_gradient() {
    let z = embeddings(16, 3, 20, 0, 4);
    for engine in engines() {
        let criterion = criterion(CompactSpace::Hypercube);
        let (_, once) = engine.loss(&criterion, &z, 16, 3);
        let leaf = engine.leaf(&z, 16, 3);
        let loss = engine.forward(&criterion, std::slice::from_ref(&leaf)).loss;
        let gradients = (loss * 2.0).backward();
        let twice = values(leaf.grad(&gradients).expect("the loss depends on z"));
        let once: Vec<f32> = once.iter().map(|g| 2.0 * g).collect();
        assert!(distance(&once, &twice) < 1e-6, "{}", engine.name);
    }
}

#[test]
fn only_views_that_ask_get_gradients() {
    for engine in engines() {
        let views: Vec<Tensor<2>> = (0..3)
            .map(|seed| {
                let view = engine.tensor(&embeddings(16, 3, 20, 0, 5 + seed), 16, 3);
                if seed == 1 { view.require_grad() } else { view }
            })
            .collect();
        let criterion = criterion(CompactSpace::Hypersphere);
        let all = engine.forward(&criterion, &views);
        let gradients = all.loss.backward();
        let found: Vec<Option<Vec<f32>>> = (views.iter())
            .map(|view| view.grad(&gradients).map(values))
            .collect();
        assert!(found[0].is_none() && found[2].is_none(), "{}", engine.name);
        // The covariance sums over views, the entropy averages.
        let mut third = criterion.clone();
        third.entropy_weight /= 3.0;
        let alone = engine.leaf(&values(views[1].clone()), 16, 3);
        let gradients = engine
            .forward(&third, std::slice::from_ref(&alone))
            .loss
            .backward();
        let alone = values(alone.grad(&gradients).expect("a leaf"));
        let found = found[1].as_ref().expect("it asked for gradients");
        assert!(distance(&alone, found) < 1e-6, "{}", engine.name);
    }
}

#[test]
fn embeddings_that_are_not_finite_make_the_loss_nan() {
    for engine in engines() {
        for space in SPACES {
            for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                for d in [1, 2, 9] {
                    let mut z: Vec<f32> = (0..8 * d).map(|i| (i * i % 17) as f32 / 9.0).collect();
                    z[3 * d] = bad;
                    let name = format!("{} {space:?} {bad} d = {d}", engine.name);
                    let leaf = engine.leaf(&z, 8, d);
                    let output = engine.forward(&E2mcLossConfig::new(space).init(), &[leaf]);
                    assert!(scalar(output.entropy).is_nan(), "{name}");
                    output.loss.clone().backward();
                    assert!(scalar(output.loss).is_nan(), "{name}");
                }
            }
        }
    }
}

/// On the path for columns that do not fit into shared memory.
#[test]
fn a_long_column_that_is_not_finite_makes_the_loss_nan() {
    let mut z: Vec<f32> = (0..5000).map(|i| mix(i) as f32 / 1e19).collect();
    z[4321] = f32::INFINITY;
    for engine in engines() {
        let (loss, _) = engine.loss(&criterion(CompactSpace::Hypersphere), &z, 5000, 1);
        assert!(loss.is_nan(), "{}", engine.name);
    }
}

#[test]
fn every_float_dtype_is_computed_in_f32_and_gets_its_own_gradient() {
    let z: Vec<f32> = (0..40)
        .map(|i| ((i * 29 % 40) as f32 - 20.0) / 16.0)
        .collect();
    let criterion = E2mcLossConfig::swav().init();
    for engine in engines() {
        // Every entry is exact in all four dtypes.
        let (expected, _) = engine.loss(&criterion, &z, 8, 5);
        for dtype in [
            FloatDType::F64,
            FloatDType::F32,
            FloatDType::F16,
            FloatDType::BF16,
        ] {
            if !engine.device.supports_dtype(dtype) {
                println!("{} has no {dtype:?}", engine.name);
                continue;
            }
            let z = Tensor::from_inner(engine.leaf(&z, 8, 5).inner().cast(dtype)).require_grad();
            let loss = engine.forward(&criterion, std::slice::from_ref(&z)).loss;
            let gradients = loss.backward();
            assert_eq!(scalar(loss), expected, "{} {dtype:?}", engine.name);
            let gradient = z.grad(&gradients).expect("the loss depends on z");
            assert_eq!(FloatDType::from(gradient.dtype()), dtype);
        }
    }
}

#[test]
fn logged_terms_are_detached_and_devices_without_autodiff_work() {
    let z: Vec<f32> = (0..40).map(|i| (i * 29 % 40) as f32 / 16.0).collect();
    let criterion = E2mcLossConfig::swav().init();
    for engine in engines() {
        let z = engine.leaf(&z, 8, 5);
        let output = engine.forward(&criterion, std::slice::from_ref(&z));
        let gradients = (output.entropy + output.covariance + z.clone().sum()).backward();
        let gradient = values(z.grad(&gradients).expect("the sum depends on z"));
        assert_eq!(gradient, [1.0; 40]);
        let plain = z.inner();
        assert!(!plain.device().is_autodiff());
        assert_eq!(
            scalar(engine.forward(&criterion, &[plain]).loss),
            scalar(output.loss)
        );
    }
}

/// A slice and a transpose, which are not contiguous in memory.
#[test]
fn views_into_larger_tensors_are_read_and_written_correctly() {
    let z: Vec<f32> = (0..48).map(|i| (i * 29 % 48) as f32 / 16.0).collect();
    let criterion = E2mcLossConfig::vicreg().init();
    for engine in engines() {
        let name = engine.name;
        let whole = engine.leaf(&z, 8, 6);
        let view = whole.clone().slice([1..7, 2..5]);
        let (expected, gradient) = engine.loss(&criterion, &values(view.clone()), 6, 3);
        let loss = engine.forward(&criterion, &[view]).loss;
        let found = values(whole.grad(&loss.backward()).expect("a leaf"));
        assert_eq!(scalar(loss), expected, "{name}");
        for (index, g) in found.into_iter().enumerate() {
            let (i, j) = (index / 6, index % 6);
            let inside = (1..7).contains(&i) && (2..5).contains(&j);
            let expected = if inside {
                gradient[(i - 1) * 3 + j - 2]
            } else {
                0.0
            };
            assert_eq!(g, expected, "{name} [{i}, {j}]");
        }

        let turned = whole.clone().transpose();
        let (expected, gradient) = engine.loss(&criterion, &values(turned.clone()), 6, 8);
        let loss = engine.forward(&criterion, &[turned]).loss;
        let found = values(whole.grad(&loss.backward()).expect("a leaf"));
        assert_eq!(scalar(loss), expected, "{name}");
        for (index, g) in found.into_iter().enumerate() {
            assert_eq!(g, gradient[index % 6 * 8 + index / 6], "{name} {index}");
        }
    }
}
