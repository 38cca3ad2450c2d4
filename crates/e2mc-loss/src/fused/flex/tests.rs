//! The instruction sets against each other. The tests in tests/ use only the widest one of the
//! machine.

use super::*;

/// The instruction sets of this machine by name, the scalar one first.
pub(super) fn instruction_sets() -> Vec<(&'static str, Arch)> {
    let mut sets = vec![("scalar", Arch::Scalar)];
    #[cfg(target_arch = "x86_64")]
    sets.extend(pulp::x86::V3::try_new().map(|v3| ("AVX2", Arch::V3(v3))));
    #[cfg(target_arch = "x86_64")]
    sets.extend(pulp::x86::V4::try_new().map(|v4| ("AVX-512", Arch::V4(v4))));
    // Miri has only the scalar one.
    if !cfg!(miri) {
        sets.push(("the widest", Arch::new()));
    }
    sets
}

/// Roughly normal numbers with a few ties in each column.
fn embeddings(count: usize, scale: f32) -> Vec<f32> {
    let mut state = 1u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 50) as f32 / (1 << 14) as f32 - 0.5
    };
    (0..count)
        .map(|_| scale * (0..4).map(|_| uniform()).sum::<f32>())
        .collect()
}

fn criterion(arch: Arch, space: CompactSpace, z: &[f32], shape: [usize; 2]) -> (Value, Vec<f32>) {
    let view = ViewCriterion {
        space,
        spacing: (shape[0] as f64).sqrt().round() as usize,
        epsilon: f32::EPSILON,
        entropy_weight: 1.0,
        covariance_weight: 25.0,
    };
    match space {
        CompactSpace::Hypersphere => evaluate_in::<Hypersphere>(arch, z, shape, view, true),
        CompactSpace::Hypercube => evaluate_in::<Hypercube>(arch, z, shape, view, true),
    }
}

/// Each is within about 2e-6 of the truth on the goldens, so two are within twice that; 1e-5 leaves
/// room for other roundings on other machines.
const TOLERANCE: f64 = 1e-5;

#[test]
fn instruction_sets_agree() {
    // Under Miri, more would take minutes. The second shape has two stripes, and more columns than
    // rows.
    let (shapes, scales): (&[[usize; 2]], &[f32]) = match cfg!(miri) {
        true => (&[[5, 2], [3, 70]], &[4.0]),
        false => (
            &[[2, 1], [16, 3], [63, 10], [70, 200], [200, 70], [512, 130]],
            &[0.5, 4.0],
        ),
    };
    for &shape @ [n, d] in shapes {
        for space in [CompactSpace::Hypersphere, CompactSpace::Hypercube] {
            for &scale in scales {
                let z = embeddings(n * d, scale);
                let (expected, gradient) = criterion(Arch::Scalar, space, &z, shape);
                let norm = gradient
                    .iter()
                    .map(|&g| f64::from(g).powi(2))
                    .sum::<f64>()
                    .sqrt();
                for (set, arch) in instruction_sets() {
                    let name = format!("{n}x{d} {space:?} x {scale}, {set}");
                    let (found, other) = criterion(arch, space, &z, shape);
                    for (a, b) in [
                        (expected.entropy, found.entropy),
                        (expected.covariance, found.covariance),
                    ] {
                        let error = f64::from((a - b).abs());
                        assert!(error <= TOLERANCE * f64::from(a.abs()), "{name}: {a} {b}");
                    }
                    let squares = gradient
                        .iter()
                        .zip(&other)
                        .map(|(&a, &b)| f64::from(a - b).powi(2));
                    let error = squares.sum::<f64>().sqrt() / norm;
                    println!("{name}: gradient {error:.1e}");
                    assert!(error <= TOLERANCE, "{name}: gradient {error:.1e}");
                }
            }
        }
    }
}
