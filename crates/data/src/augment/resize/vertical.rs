use super::filter::{Filter, HALF, WEIGHT_BITS, to_pixel};
use crate::augment::lanes::{Column, LANES, Lanes, Pass, Rows};

/// Groups of sixteen values that are summed at once.
const GROUPS: usize = 4;

/// The pass over columns.
pub(super) struct VerticalPass<'a> {
    /// The source; its row 0 is position `first` of the filter.
    pub(super) from: Rows<'a>,
    pub(super) first: usize,
    pub(super) filter: &'a Filter,
    /// The weighted sums of rows, without gaps.
    pub(super) out: &'a mut [u8],
}

impl Pass for VerticalPass<'_> {
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let Rows {
            bytes,
            stride,
            width,
        } = self.from;
        for (out, (start, weights)) in self.out.chunks_exact_mut(width).zip(self.filter.taps()) {
            let bytes = &bytes[(start - self.first) * stride..];
            let mut x = 0;
            while x + GROUPS * LANES <= width {
                sum_rows::<GROUPS>(lanes, bytes, stride, x, weights, out);
                x += GROUPS * LANES;
            }
            while x + LANES <= width {
                sum_rows::<1>(lanes, bytes, stride, x, weights, out);
                x += LANES;
            }
            for (x, out) in out.iter_mut().enumerate().skip(x) {
                let pixels = bytes[x..].iter().step_by(stride);
                *out = to_pixel(
                    weights
                        .iter()
                        .zip(pixels)
                        .fold(HALF, |sum, (weight, pixel)| {
                            sum + weight * i32::from(*pixel)
                        }),
                );
            }
        }
    }
}

/// `N` groups of sixteen values of an output row, from column `x` on.
#[inline(always)]
fn sum_rows<const N: usize>(
    lanes: impl Lanes,
    bytes: &[u8],
    stride: usize,
    x: usize,
    weights: &[i32],
    out: &mut [u8],
) {
    let mut sums = [lanes.splat(HALF); N];
    let mut at = x;
    for weight in weights {
        let (groups, _) = bytes[at..at + N * LANES].as_chunks::<LANES>();
        let groups: &[Column; N] = groups.try_into().expect("N groups");
        let weight = lanes.splat(*weight);
        for (sum, pixels) in sums.iter_mut().zip(groups) {
            *sum = lanes.add(*sum, lanes.multiply(weight, lanes.widen(pixels)));
        }
        at += stride;
    }
    for (out, sum) in out[x..x + N * LANES].as_chunks_mut().0.iter_mut().zip(sums) {
        *out = lanes.clip(sum, WEIGHT_BITS);
    }
}
