use std::arch::x86_64::{__m256i, __m512i};

use pulp::cast;
use pulp::x86::{V3, V4};

use super::{Column, LANES, Lanes};

impl Lanes for V4 {
    type Numbers = __m512i;

    #[inline(always)]
    fn splat(self, value: i32) -> Self::Numbers {
        self.avx512f._mm512_set1_epi32(value)
    }

    #[inline(always)]
    fn widen(self, bytes: &Column) -> Self::Numbers {
        self.avx512f._mm512_cvtepu8_epi32(cast(*bytes))
    }

    #[inline(always)]
    fn add(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        self.avx512f._mm512_add_epi32(a, b)
    }

    #[inline(always)]
    fn multiply(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        self.avx512f._mm512_mullo_epi32(a, b)
    }

    #[inline(always)]
    fn top_bytes(self, numbers: Self::Numbers) -> Self::Numbers {
        self.avx512f._mm512_srli_epi32::<24>(numbers)
    }

    #[inline(always)]
    fn narrow(self, numbers: Self::Numbers) -> Column {
        cast(self.avx512f._mm512_cvtepi32_epi8(numbers))
    }

    #[inline(always)]
    fn clip(self, numbers: Self::Numbers, bits: u32) -> Column {
        let simd = self.avx512f;
        let whole = simd._mm512_srav_epi32(numbers, self.splat(bits as i32));
        let whole = simd._mm512_max_epi32(whole, simd._mm512_setzero_si512());
        cast(simd._mm512_cvtusepi32_epi8(whole))
    }

    /// Each register holds every fourth row, four in all. Two shuffles within 16 bytes join the
    /// bytes of four neighboring rows. One shuffle across joins four such groups.
    #[inline(always)]
    fn transpose(self, rows: [&Column; LANES]) -> [Column; LANES] {
        let simd = self.avx512f;
        let four_rows = |first: usize| {
            let row = |i: usize| cast(*rows[first + 4 * i]);
            let four = simd._mm512_castsi128_si512(row(0));
            let four = simd._mm512_inserti32x4::<1>(four, row(1));
            let four = simd._mm512_inserti32x4::<2>(four, row(2));
            simd._mm512_inserti32x4::<3>(four, row(3))
        };
        let mut parts = [four_rows(0), four_rows(1), four_rows(2), four_rows(3)];
        for _ in 0..2 {
            let interleave = |a, b| {
                let simd = self.avx512bw;
                (
                    simd._mm512_unpacklo_epi8(a, b),
                    simd._mm512_unpackhi_epi8(a, b),
                )
            };
            let (first, second) = interleave(parts[0], parts[2]);
            let (third, fourth) = interleave(parts[1], parts[3]);
            parts = [first, second, third, fourth];
        }
        let order = cast([0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15_i32]);
        for part in &mut parts {
            *part = simd._mm512_permutexvar_epi32(order, *part);
        }
        cast(parts)
    }
}

impl Lanes for V3 {
    type Numbers = [__m256i; 2];

    #[inline(always)]
    fn splat(self, value: i32) -> Self::Numbers {
        [self.avx._mm256_set1_epi32(value); 2]
    }

    #[inline(always)]
    fn widen(self, bytes: &Column) -> Self::Numbers {
        let bytes: u128 = cast(*bytes);
        [
            self.avx2._mm256_cvtepu8_epi32(cast(bytes)),
            self.avx2._mm256_cvtepu8_epi32(cast(bytes >> 64)),
        ]
    }

    #[inline(always)]
    fn add(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        [
            self.avx2._mm256_add_epi32(a[0], b[0]),
            self.avx2._mm256_add_epi32(a[1], b[1]),
        ]
    }

    #[inline(always)]
    fn multiply(self, a: Self::Numbers, b: Self::Numbers) -> Self::Numbers {
        [
            self.avx2._mm256_mullo_epi32(a[0], b[0]),
            self.avx2._mm256_mullo_epi32(a[1], b[1]),
        ]
    }

    #[inline(always)]
    fn top_bytes(self, [low, high]: Self::Numbers) -> Self::Numbers {
        [
            self.avx2._mm256_srli_epi32::<24>(low),
            self.avx2._mm256_srli_epi32::<24>(high),
        ]
    }

    #[inline(always)]
    fn narrow(self, [low, high]: Self::Numbers) -> Column {
        // Packing works within halves of a register.
        let words = self.avx2._mm256_packus_epi32(low, high);
        let bytes = self.avx2._mm256_packus_epi16(words, words);
        let bytes: [[[u8; 4]; 4]; 2] = cast(bytes);
        cast([bytes[0][0], bytes[1][0], bytes[0][1], bytes[1][1]])
    }

    #[inline(always)]
    fn clip(self, [low, high]: Self::Numbers, bits: u32) -> Column {
        let [bits, _] = self.splat(bits as i32);
        // Narrowing clips.
        self.narrow([
            self.avx2._mm256_srav_epi32(low, bits),
            self.avx2._mm256_srav_epi32(high, bits),
        ])
    }

    /// As with 512 bits (see there), with two rows per register and three shuffles.
    #[inline(always)]
    fn transpose(self, rows: [&Column; LANES]) -> [Column; LANES] {
        let mut parts = [self.avx._mm256_setzero_si256(); 8];
        for (i, part) in parts.iter_mut().enumerate() {
            *part = self
                .avx
                ._mm256_set_m128i(cast(*rows[i + 8]), cast(*rows[i]));
        }
        for _ in 0..3 {
            let before = parts;
            for i in 0..4 {
                let (a, b) = (before[i], before[i + 4]);
                parts[2 * i] = self.avx2._mm256_unpacklo_epi8(a, b);
                parts[2 * i + 1] = self.avx2._mm256_unpackhi_epi8(a, b);
            }
        }
        for part in &mut parts {
            *part = self.avx2._mm256_permute4x64_epi64::<0b11_01_10_00>(*part);
        }
        cast(parts)
    }
}
