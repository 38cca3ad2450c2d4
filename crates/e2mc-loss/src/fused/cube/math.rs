//! Elementary functions in f32 with a relative error of about 1e-7. Shading languages guarantee far
//! less. The series are the same as on the CPU, in operations that compilers may not reassociate.

use core::f32::consts::{LN_2, LOG2_E};

use cubecl::prelude::*;

/// ln 2 in two parts; an integer below 2^9 times the first is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = (core::f64::consts::LN_2 - 0.693_359_375) as f32;
/// The bits of sqrt(1/2).
const SQRT_HALF_BITS: u32 = 0x3f35_04f3;
/// The bits of 1.
const ONE_BITS: u32 = 0x3f80_0000;
/// All exponent bits set: infinity or NaN.
const EXPONENT_BITS: u32 = 0x7f80_0000;
/// The bit that turns infinity into a quiet NaN.
const QUIET_BIT: u32 = 0x0040_0000;

/// `exp(high + low)` for `high` in \[-87, 0\] and `low` small, exact as if the sum were not
/// rounded.
#[cube]
pub(super) fn exp(high: f32, low: f32) -> f32 {
    let exponent = (high * LOG2_E).round();
    let r = fma(-exponent, LN_2_LOW, fma(-exponent, LN_2_HIGH, high)) + low;
    // Taylor's series: |r| <= 0.35, so the first term left out is below 6e-9.
    let series = polynomial(
        r,
        comptime!(
            [
                1.0 / 5040.0,
                1.0 / 720.0,
                1.0 / 120.0,
                1.0 / 24.0,
                1.0 / 6.0,
                0.5,
                1.0,
                1.0
            ]
            .to_vec()
        ),
    );
    f32::from_bits(series.to_bits() - (u32::cast_from(-exponent) << 23))
}

/// `ln(x)` for normal, positive x.
#[cube]
pub(super) fn ln(x: f32) -> f32 {
    let bits = x.to_bits() + ONE_BITS;
    // The exponent plus 127, for a mantissa from sqrt(1/2) to sqrt(2).
    let exponent = (bits - SQRT_HALF_BITS) >> 23;
    let mantissa = f32::from_bits(bits - (exponent << 23));
    // 2 artanh(s), s = (mantissa - 1)/(mantissa + 1): |s| <= 0.172, the next term is below 4e-10.
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let s2 = s * s;
    let series = polynomial(
        s2,
        comptime!([1.0 / 9.0, 1.0 / 7.0, 1.0 / 5.0, 1.0 / 3.0].to_vec()),
    );
    (f32::cast_from(exponent) - 127.0) * LN_2 + (2.0 * s + 2.0 * s * s2 * series)
}

/// By Horner's rule; the coefficient of the highest power comes first.
#[cube]
pub(super) fn polynomial(x: f32, #[comptime] coefficients: Vec<f64>) -> f32 {
    let mut sum = f32::new(comptime!(coefficients[0] as f32));
    #[unroll]
    for power in 1..comptime!(coefficients.len()) {
        sum = sum * x + comptime!(coefficients[power] as f32);
    }
    sum
}

/// Whether x is finite. Tests its bits: compilers may assume that every number is finite.
#[cube]
pub(super) fn is_finite(x: f32) -> bool {
    (x.to_bits() & EXPONENT_BITS) != EXPONENT_BITS
}

/// x if it is finite, else 0.
#[cube]
pub(super) fn finite_or_zero(x: f32) -> f32 {
    select(is_finite(x), x, 0.0)
}

/// 0 for a finite x, else NaN.
#[cube]
pub(super) fn poison(x: f32) -> f32 {
    let bits = select(is_finite(x), 0, x.to_bits() | QUIET_BIT);
    f32::from_bits(bits)
}
