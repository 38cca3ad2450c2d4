//! Elementary functions on f32 without branches or calls, so that the compiler vectorizes loops
//! over them. The relative error is about 1e-7 on the stated ranges.

use core::f32::consts::{LN_2, LOG2_E};

/// Adding and subtracting it rounds to an integer, which is in the low bits of the sum.
const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
/// ln 2 in two parts; an integer below 2^9 times the first is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = (core::f64::consts::LN_2 - 0.693_359_375) as f32;
/// `P` in `ln(1 + f) = f - f^2/2 + f^3 P(f)`, lowest power first, for 1 + f from sqrt(1/2) to
/// sqrt(2). Our fit (tests/reference/e2mc_loss/fit_logarithm.py): relative error 2e-8. It needs no
/// division, which would cost more than the rest.
const LOGARITHM: [f32; 8] = [
    0.333_333_3,
    -0.250_003_07,
    0.200_010_45,
    -0.166_412_82,
    0.142_144_96,
    -0.129_981_83,
    0.126_223_19,
    -0.079_027_44,
];
/// The bits of sqrt(1/2).
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;

/// `a b + c`, fused if the target has the instruction. Otherwise fusing would take a function call.
#[inline(always)]
pub(super) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `exp(high + low)` for `high` in \[-87, 0\] and `low` small, exact as if the sum were not
/// rounded.
#[inline(always)]
pub(super) fn exp<const FMA: bool>(high: f32, low: f32) -> f32 {
    let shifted = mul_add::<FMA>(high, LOG2_E, ROUND);
    let exponent = shifted - ROUND;
    let r = mul_add::<FMA>(-exponent, LN_2_HIGH, high);
    let r = mul_add::<FMA>(-exponent, LN_2_LOW, r) + low;
    // Taylor's series: |r| <= 0.35, so the first term left out is below 6e-9.
    let mut series = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        series = mul_add::<FMA>(series, r, coefficient);
    }
    // ROUND's own bits are shifted out, and the exponent remains in its place.
    f32::from_bits((shifted.to_bits() << 23).wrapping_add(series.to_bits()))
}

/// `ln(x)` for normal, positive x.
#[inline(always)]
pub(super) fn ln<const FMA: bool>(x: f32) -> f32 {
    let bits = x.to_bits();
    let exponent = (bits.wrapping_sub(SQRT_HALF_BITS) as i32) >> 23;
    let mantissa = f32::from_bits(bits.wrapping_sub((exponent << 23) as u32));
    let f = mantissa - 1.0;
    let mut series = LOGARITHM[LOGARITHM.len() - 1];
    for coefficient in LOGARITHM[..LOGARITHM.len() - 1].iter().rev() {
        series = mul_add::<FMA>(series, f, *coefficient);
    }
    let f2 = f * f;
    let log = mul_add::<FMA>(f2, mul_add::<FMA>(series, f, -0.5), f);
    mul_add::<FMA>(exponent as f32, LN_2, log)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "millions of values, and nothing unsafe")]
    fn exp_and_ln_keep_relative_precision() {
        exp_and_ln::<false>();
        exp_and_ln::<true>();
    }

    fn exp_and_ln<const FMA: bool>() {
        for i in 0..=870_000 {
            let x = -(i as f32) * 1e-4;
            let error = f64::from(exp::<FMA>(x, 1e-6)) / libm::exp(f64::from(x) + 1e-6) - 1.0;
            assert!(error.abs() < 2e-7, "exp({x}) off by {error:.1e}");
        }
        for i in -300..=300 {
            for j in 0..997 {
                let x = 2f32.powf(i as f32 / 3.0) * (1.0 + j as f32 / 997.0);
                let exact = libm::log(f64::from(x));
                let error = (f64::from(ln::<FMA>(x)) - exact).abs();
                assert!(
                    error <= 2e-7 * exact.abs() + 1e-7,
                    "ln({x}) off by {error:.1e}"
                );
            }
        }
    }
}
