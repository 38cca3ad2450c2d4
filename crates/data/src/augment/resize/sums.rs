//! Weighted sums of sixteen pixels. Each instruction set has a form of its own, for the compiler keeps the sums of a loop over arrays
//! in memory, where every weight waits for the one before.

use pulp::Arch;

use super::filter::{HALF, to_pixels};
use super::transpose::{Column, LANES};

/// The sums of one instruction set.
pub(super) trait Sums: Copy {
    /// Sixteen sums in registers.
    type Sum: Copy;

    /// [`HALF`] in each.
    fn start(self) -> Self::Sum;

    /// Adds `weight` times the pixels.
    fn add(self, sum: Self::Sum, weight: i32, pixels: &Column) -> Self::Sum;

    /// Their pixels.
    fn pixels(self, sum: Self::Sum) -> Column;
}

/// What runs with the sums of any instruction set.
pub(super) trait Pass {
    fn run(self, sums: impl Sums);
}

/// Runs the pass with the sums of `arch`.
pub(super) fn dispatch(arch: Arch, pass: impl Pass) {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V3(simd) => arch.dispatch(
            #[inline(always)]
            || pass.run(simd),
        ),
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => arch.dispatch(
            #[inline(always)]
            || pass.run(simd),
        ),
        _ => arch.dispatch(
            #[inline(always)]
            || pass.run(Plain),
        ),
    }
}

/// The sums of every other instruction set.
#[derive(Clone, Copy)]
pub(super) struct Plain;

impl Sums for Plain {
    type Sum = [i32; LANES];

    #[inline(always)]
    fn start(self) -> Self::Sum {
        [HALF; LANES]
    }

    #[inline(always)]
    fn add(self, mut sum: Self::Sum, weight: i32, pixels: &Column) -> Self::Sum {
        for (sum, pixel) in sum.iter_mut().zip(pixels) {
            *sum += weight * i32::from(*pixel);
        }
        sum
    }

    #[inline(always)]
    fn pixels(self, sum: Self::Sum) -> Column {
        to_pixels(&sum)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::x86::{V3, V4};
    use pulp::{cast, i32x8, i32x16, u8x16};

    use super::super::filter::WEIGHT_BITS;
    use super::{Column, HALF, LANES, Sums, to_pixels};

    impl Sums for V4 {
        type Sum = i32x16;

        #[inline(always)]
        fn start(self) -> Self::Sum {
            self.splat_i32x16(HALF)
        }

        #[inline(always)]
        fn add(self, sum: Self::Sum, weight: i32, pixels: &Column) -> Self::Sum {
            let pixels = cast(self.convert_u8x16_to_i32x16(cast(*pixels)));
            let weight = cast(self.splat_i32x16(weight));
            let products = self.avx512f._mm512_mullo_epi32(pixels, weight);
            cast(self.avx512f._mm512_add_epi32(cast(sum), products))
        }

        #[inline(always)]
        fn pixels(self, sum: Self::Sum) -> Column {
            let simd = self.avx512f;
            let whole = simd._mm512_srai_epi32::<WEIGHT_BITS>(cast(sum));
            let whole = simd._mm512_max_epi32(whole, simd._mm512_setzero_si512());
            cast(simd._mm512_cvtusepi32_epi8(whole))
        }
    }

    impl Sums for V3 {
        type Sum = [i32x8; 2];

        #[inline(always)]
        fn start(self) -> Self::Sum {
            [self.splat_i32x8(HALF); 2]
        }

        #[inline(always)]
        fn add(self, [low, high]: Self::Sum, weight: i32, pixels: &Column) -> Self::Sum {
            let weight = self.splat_i32x8(weight);
            let pixels: u128 = cast(*pixels);
            [
                add_eight(self, low, weight, cast(pixels)),
                add_eight(self, high, weight, cast(pixels >> 64)),
            ]
        }

        #[inline(always)]
        fn pixels(self, sum: Self::Sum) -> Column {
            let sums: [i32; LANES] = cast(sum);
            to_pixels(&sums)
        }
    }

    /// Adds `weight` times the first eight pixels.
    #[inline(always)]
    fn add_eight(simd: V3, sum: i32x8, weight: i32x8, pixels: u8x16) -> i32x8 {
        let pixels = cast(simd.convert_u8x16_to_i32x8(pixels));
        let products = simd.avx2._mm256_mullo_epi32(pixels, cast(weight));
        cast(simd.avx2._mm256_add_epi32(cast(sum), products))
    }
}
