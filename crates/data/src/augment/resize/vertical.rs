use pulp::{Simd, WithSimd};

use super::filter::{Filter, HALF, to_pixels};

/// Values of a row that are summed in registers.
const CHUNK: usize = 64;

/// Rows of `width` bytes at a distance of `stride` bytes.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl<'a> Rows<'a> {
    #[inline(always)]
    pub(super) fn row(&self, y: usize) -> &'a [u8] {
        &self.bytes[y * self.stride..][..self.width]
    }
}

/// The pass over columns.
pub(super) struct VerticalPass<'a> {
    /// The source; its row 0 is position `first` of the filter.
    pub(super) from: Rows<'a>,
    pub(super) first: usize,
    pub(super) filter: &'a Filter,
    /// The weighted sums of rows, without gaps.
    pub(super) out: &'a mut [u8],
}

impl WithSimd for VerticalPass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Rows {
            bytes,
            stride,
            width,
        } = self.from;
        for (out, (start, weights)) in self.out.chunks_exact_mut(width).zip(self.filter.taps()) {
            let bytes = &bytes[(start - self.first) * stride..];
            let mut x = 0;
            while x + CHUNK <= width {
                sum_rows::<CHUNK>(bytes, stride, x, weights, out);
                x += CHUNK;
            }
            while x + 16 <= width {
                sum_rows::<16>(bytes, stride, x, weights, out);
                x += 16;
            }
            while x < width {
                sum_rows::<1>(bytes, stride, x, weights, out);
                x += 1;
            }
        }
    }
}

/// `N` values of an output row, from column `x` on.
#[inline(always)]
fn sum_rows<const N: usize>(
    bytes: &[u8],
    stride: usize,
    x: usize,
    weights: &[i32],
    out: &mut [u8],
) {
    let mut sums = [HALF; N];
    let mut at = x;
    for weight in weights {
        let row: &[u8; N] = bytes[at..at + N].try_into().expect("N bytes");
        for (sum, pixel) in sums.iter_mut().zip(row) {
            *sum += weight * i32::from(*pixel);
        }
        at += stride;
    }
    let out: &mut [u8; N] = (&mut out[x..x + N]).try_into().expect("N bytes");
    *out = to_pixels(&sums);
}
