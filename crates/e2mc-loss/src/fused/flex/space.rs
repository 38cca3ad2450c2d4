//! The two compact spaces on single numbers, in the tail-stable forms of [`crate::space`], free of
//! branches.

use super::math::{exp, mul_add};
use crate::space::hypercube::NARROW as NARROW_EXP;
use crate::space::hypersphere::{HEAD, NARROW as NARROW_SERIES, TAIL};

/// A compact space: the map Psi and its functions that the criterion needs.
pub(super) trait Space {
    /// The mass beyond z, `Psi(-|z|)`, and a number from which [`spacing`](Self::spacing) computes
    /// the density.
    fn tail<const FMA: bool>(z: f32) -> (f32, f32);
    /// `Psi(high.z) - Psi(low.z)` for low.z <= high.z, with full relative precision.
    fn spacing<const FMA: bool>(low: End, high: End) -> f32;
    /// `Psi'(z)`.
    fn density<const FMA: bool>(z: f32) -> f32;
}

/// One end of a spacing: z and its [`Space::tail`].
#[derive(Clone, Copy)]
pub(super) struct End {
    pub z: f32,
    pub mass: f32,
    pub root: f32,
}

/// `Psi(z)` from the mass beyond it.
#[inline(always)]
pub(super) fn psi(z: f32, mass: f32) -> f32 {
    if z < 0.0 { mass } else { 1.0 - mass }
}

/// `x` bounded to \[-far, far\].
#[inline(always)]
fn clamp(x: f32, far: f32) -> f32 {
    let x = if x < far { x } else { far };
    if x > -far { x } else { -far }
}

/// Psi is the normal distribution function.
pub(super) struct Hypersphere;

impl Hypersphere {
    /// Beyond it the mass is below 1e-38, the smallest normal f32.
    const FAR: f32 = 13.0;
    /// 1 / sqrt(2 pi).
    const PEAK: f32 = 0.398_942_3;

    /// `exp(-x^2/4)` for x in \[0, FAR\]: x^2 is split into an exact square and a small rest. The
    /// series for narrow spacings needs this root of the density; its square is cheaper than a
    /// root.
    #[inline(always)]
    fn root_gaussian<const FMA: bool>(x: f32) -> f32 {
        // Adding and subtracting rounds to a multiple of HEAD, 2^-6.
        const ROUND: f32 = HEAD as f32 * 12_582_912.0;
        let head = (x + ROUND) - ROUND;
        exp::<FMA>(-0.25 * (head * head), -0.25 * ((x - head) * (x + head)))
    }
}

impl Space for Hypersphere {
    #[inline(always)]
    fn tail<const FMA: bool>(z: f32) -> (f32, f32) {
        let x = clamp(z.abs(), Self::FAR);
        let root = Self::root_gaussian::<FMA>(x);
        let t = 1.0 / mul_add::<FMA>(0.25, x, 1.0);
        let mut polynomial = 0.0;
        for coefficient in TAIL.into_iter().rev() {
            polynomial = mul_add::<FMA>(polynomial, t, coefficient as f32);
        }
        (root * root * t * polynomial, root)
    }

    #[inline(always)]
    fn spacing<const FMA: bool>(low: End, high: End) -> f32 {
        // Psi on the left of 0, Psi - 1 on the right.
        let signed = |end: End| if end.z < 0.0 { end.mass } else { -end.mass };
        let difference = signed(high) - signed(low);
        let wide = if low.z < 0.0 && high.z >= 0.0 {
            difference + 1.0
        } else {
            difference
        };
        let h = high.z - low.z;
        // Bounded like the tails, so that the series stays finite.
        let c = clamp(0.5 * low.z + 0.5 * high.z, Self::FAR);
        let (c2, h2) = (c * c, h * h);
        let he2 = c2 - 1.0;
        let he4 = mul_add::<FMA>(c2, c2 - 6.0, 3.0);
        let integral = mul_add::<FMA>(he4 * h2, 1.0 / 80.0, he2);
        let integral = mul_add::<FMA>(integral * h2, 1.0 / 24.0, 1.0);
        let midpoint = mul_add::<FMA>(h2, 1.0 / 16.0, 1.0);
        let midpoint = mul_add::<FMA>(midpoint * h2, 0.125, 1.0);
        let series = (low.root * high.root * Self::PEAK) * midpoint * integral * h;
        if (c.abs() + 1.0) * h < NARROW_SERIES as f32 {
            series
        } else {
            wide
        }
    }

    #[inline(always)]
    fn density<const FMA: bool>(z: f32) -> f32 {
        let root = Self::root_gaussian::<FMA>(clamp(z.abs(), Self::FAR));
        root * root * Self::PEAK
    }
}

/// Psi is the sigmoid.
pub(super) struct Hypercube;

impl Hypercube {
    /// Beyond it `exp(-|z|)` is below 1e-38, the smallest normal f32.
    const FAR: f32 = 87.0;

    /// `exp(-x)` for x >= 0.
    #[inline(always)]
    fn exp_neg<const FMA: bool>(x: f32) -> f32 {
        exp::<FMA>(-clamp(x, Self::FAR), 0.0)
    }
}

impl Space for Hypercube {
    #[inline(always)]
    fn tail<const FMA: bool>(z: f32) -> (f32, f32) {
        let e = Self::exp_neg::<FMA>(z.abs());
        (e / (1.0 + e), 0.0)
    }

    #[inline(always)]
    fn spacing<const FMA: bool>(low: End, high: End) -> f32 {
        let h = high.z - low.z;
        let wide = 1.0 - Self::exp_neg::<FMA>(h);
        let mut series = -1.0 / 720.0;
        for coefficient in [1.0 / 120.0, -1.0 / 24.0, 1.0 / 6.0, -0.5, 1.0] {
            series = mul_add::<FMA>(series, h, coefficient);
        }
        let one_minus_exp = if h < NARROW_EXP as f32 {
            series * h
        } else {
            wide
        };
        psi(high.z, high.mass) * psi(-low.z, low.mass) * one_minus_exp
    }

    #[inline(always)]
    fn density<const FMA: bool>(z: f32) -> f32 {
        let (mass, _) = Self::tail::<FMA>(z);
        mass * (1.0 - mass)
    }
}
