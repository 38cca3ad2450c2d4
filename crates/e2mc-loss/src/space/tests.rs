//! Tails and spacings against f64, where f32 differences of Psi have no digit left.

use burn::tensor::{Device, Tensor, TensorData};

use super::CompactSpace;

const SPACES: [CompactSpace; 2] = [CompactSpace::Hypersphere, CompactSpace::Hypercube];

/// `Psi(x)` in f64, with full relative precision for x < 0.
fn lower(space: CompactSpace, x: f64) -> f64 {
    match space {
        CompactSpace::Hypersphere => 0.5 * libm::erfc(-x / 2f64.sqrt()),
        CompactSpace::Hypercube => 1.0 / (1.0 + libm::exp(-x)),
    }
}

/// `Psi'(x)` in f64.
fn density(space: CompactSpace, x: f64) -> f64 {
    match space {
        CompactSpace::Hypersphere => libm::exp(-x * x / 2.0) / (2.0 * core::f64::consts::PI).sqrt(),
        CompactSpace::Hypercube => lower(space, x) * lower(space, -x),
    }
}

fn row(x: &[f32]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(x.to_vec(), [1, x.len()]), &Device::flex())
}

fn list(x: Tensor<2>) -> Vec<f32> {
    x.into_data().try_into_vec().expect("an f32 tensor")
}

#[test]
fn tails_keep_their_relative_precision() {
    let z: Vec<f32> = (-12_000..=12_000).map(|i| i as f32 / 1000.0).collect();
    for space in SPACES {
        let tails = space.tails(row(&z));
        for ((z, mass), found) in z.iter().zip(list(tails.mass)).zip(list(tails.density)) {
            let x = f64::from(*z);
            // Ten polynomial steps, two exponentials and a quotient, each within 6e-8.
            let error = f64::from(mass) / lower(space, -x.abs()) - 1.0;
            assert!(
                error.abs() < 8e-7,
                "{space:?}({z}): mass off by {error:.1e}"
            );
            let error = f64::from(found) / density(space, x) - 1.0;
            assert!(
                error.abs() < 8e-7,
                "{space:?}({z}): density off by {error:.1e}"
            );
        }
    }
}

#[test]
fn spacings_keep_their_relative_precision_at_any_place_and_width() {
    for space in SPACES {
        let mut worst = 0f64;
        for place in -110..=110 {
            let low = place as f32 / 10.0;
            for exponent in -60..=12 {
                let high = low + 2f32.powf(exponent as f32 / 3.0);
                if high <= low {
                    continue;
                }
                let (spacings, _) = space.spacings(row(&[low, high]), 1);
                let found = f64::from(list(spacings)[0]);
                let (a, b) = (f64::from(low), f64::from(high));
                // A narrow f64 difference loses digits too: there, the midpoint rule is better.
                let (h, c) = (b - a, (a + b) / 2.0);
                let exact = if h * (1.0 + c.abs()) < 1e-4 {
                    density(space, c) * h
                } else if c > 0.0 {
                    lower(space, -a) - lower(space, -b)
                } else {
                    lower(space, b) - lower(space, a)
                };
                worst = worst.max((found / exact - 1.0).abs());
            }
        }
        // The rounding of the tail masses, three bits of which a wide spacing's subtraction loses.
        assert!(worst < 4e-6, "{space:?}: {worst:.1e}");
    }
}

#[test]
fn saturated_spacings_are_exact() {
    for space in SPACES {
        let (spacings, density) = space.spacings(row(&[-40.0, -40.0, 0.0, 40.0, 40.0]), 1);
        for (found, exact) in list(spacings).into_iter().zip([0.0, 0.5, 0.5, 0.0]) {
            assert!(
                (found - exact).abs() < 1e-6,
                "{space:?}: {found}, not {exact}"
            );
        }
        assert!(list(density).iter().all(|x| x.is_finite()));
        let (spacings, _) = space.spacings(row(&[-3e38, 3e38]), 1);
        assert_eq!(list(spacings), [1.0], "{space:?}");
    }
}
