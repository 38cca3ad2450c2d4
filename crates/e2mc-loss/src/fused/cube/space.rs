//! The two compact spaces on single numbers, in the tail-stable forms of [`crate::space`].

use cubecl::prelude::*;

use super::math::{exp, polynomial};
use crate::CompactSpace;
use crate::space::hypercube::NARROW as NARROW_EXP;
use crate::space::hypersphere::{HEAD, NARROW as NARROW_SERIES, TAIL};

/// Beyond it the normal tail mass is below 1e-38, the smallest normal f32.
const FAR_NORMAL: f32 = 13.0;
/// Beyond it `exp(-|z|)` is below 1e-38.
const FAR_SIGMOID: f32 = 87.0;
/// 1 / sqrt(2 pi).
const PEAK: f32 = 0.398_942_3;

/// A number z and the values that its spacings need.
#[derive(CubeType, Clone, Copy)]
pub(super) struct End {
    pub z: f32,
    /// The mass beyond z, `Psi(-|z|)`.
    pub mass: f32,
    /// `exp(-z^2/4)`, on the hypersphere.
    pub root: f32,
}

#[cube]
pub(super) fn end(z: f32, #[comptime] space: CompactSpace) -> End {
    if comptime!(space == CompactSpace::Hypersphere) {
        let x = z.abs().min(FAR_NORMAL);
        let gaussian = gaussian(x);
        let t = 1.0 / (x * 0.25 + 1.0);
        let tail = polynomial(t, comptime!(TAIL.into_iter().rev().collect::<Vec<f64>>()));
        End {
            z,
            mass: gaussian * (tail * t),
            root: gaussian.sqrt(),
        }
    } else {
        let e = exp_neg(z.abs());
        End {
            z,
            mass: e / (e + 1.0),
            root: f32::new(0.0),
        }
    }
}

/// `Psi(z)`.
#[cube]
pub(super) fn psi(end: &End) -> f32 {
    select(end.z < 0.0, end.mass, 1.0 - end.mass)
}

/// `Psi'(z)`.
#[cube]
pub(super) fn density(z: f32, #[comptime] space: CompactSpace) -> f32 {
    if comptime!(space == CompactSpace::Hypersphere) {
        gaussian(z.abs().min(FAR_NORMAL)) * PEAK
    } else {
        let mass = end(z, space).mass;
        mass * (1.0 - mass)
    }
}

/// `Psi(high.z) - Psi(low.z)` for low.z <= high.z, with full relative precision.
#[cube]
pub(super) fn spacing(low: &End, high: &End, #[comptime] space: CompactSpace) -> f32 {
    let h = high.z - low.z;
    if comptime!(space == CompactSpace::Hypersphere) {
        // Psi on the left of 0, Psi - 1 on the right.
        let signed_low = select(low.z < 0.0, low.mass, -low.mass);
        let signed_high = select(high.z < 0.0, high.mass, -high.mass);
        let holds_zero = low.z < 0.0 && high.z >= 0.0;
        let wide = (signed_high - signed_low) + select(holds_zero, 1.0, 0.0);
        // Bounded like the tails, so that the series stays finite.
        let c = (low.z * 0.5 + high.z * 0.5).clamp(-FAR_NORMAL, FAR_NORMAL);
        let narrow = (c.abs() + 1.0) * h < comptime!(NARROW_SERIES as f32);
        let c2 = c * c;
        let h2 = select(narrow, h * h, 0.0);
        let he2 = c2 - 1.0;
        let he4 = c2 * (c2 - 6.0) + 3.0;
        let integral =
            (he4 * h2 * comptime!(1.0f32 / 80.0) + he2) * h2 * comptime!(1.0f32 / 24.0) + 1.0;
        let midpoint = (h2 * 0.0625 + 1.0) * h2 * 0.125 + 1.0;
        let series = (low.root * high.root * PEAK) * midpoint * integral * h;
        select(narrow, series, wide)
    } else {
        let wide = 1.0 - exp_neg(h);
        let series = polynomial(
            h,
            comptime!([-1.0 / 720.0, 1.0 / 120.0, -1.0 / 24.0, 1.0 / 6.0, -0.5, 1.0].to_vec()),
        );
        let narrow = h < comptime!(NARROW_EXP as f32);
        let one_minus_exp = select(narrow, series * h, wide);
        let below_high = select(high.z < 0.0, high.mass, 1.0 - high.mass);
        let above_low = select(low.z > 0.0, low.mass, 1.0 - low.mass);
        below_high * above_low * one_minus_exp
    }
}

/// `exp(-x^2/2)` for x in \[0, FAR_NORMAL\]: x^2 is split into an exact square and a small rest.
#[cube]
fn gaussian(x: f32) -> f32 {
    let head = (x * comptime!((1.0 / HEAD) as f32)).round() * comptime!(HEAD as f32);
    exp(-(head * head) * 0.5, (head - x) * (head + x) * 0.5)
}

/// `exp(-x)` for x >= 0.
#[cube]
fn exp_neg(x: f32) -> f32 {
    exp(-x.min(FAR_SIGMOID), 0.0)
}
