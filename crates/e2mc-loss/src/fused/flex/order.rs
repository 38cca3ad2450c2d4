//! The order of each column's values, one column per SIMD lane.
//!
//! The network sorts integers: the value's place between its column's smallest and largest value,
//! with the row in the low bits. A comparator is then one minimum and one maximum, half as many
//! bytes move, and ties keep the order of their rows. Values with equal places (rarely two in a
//! column of 512 normal values) are compared directly afterwards.

use pulp::Simd;

use super::sort::{MIN_ROWS, sort_columns};

/// Bits of the place of a value: an f32 holds this many exactly.
const PLACE_BITS: u32 = 23;
/// Adding it to a number from 0 to below 2^23 leaves the rounded number in the low bits.
const ROUND: f32 = 8_388_608.0; // 2^23
/// Sweeps over neighbors before columns that are still out of order are sorted one by one. This
/// happens only if the range is so wide that many values share a place.
const SWEEPS: usize = 24;

/// Rows of working memory for columns of `n` values.
pub(super) fn padded(n: usize) -> usize {
    n.next_power_of_two().max(MIN_ROWS)
}

/// Sorts the columns of `values` (finite, `W` per row) into `sorted`, ascending, with equal values
/// in the order of their rows. `sources` receives the index of each value in `values`; the rest of
/// it, [`padded`] rows in all, is working memory.
///
/// `begin` is called with the first of every eight rows while the sort runs.
#[inline(always)]
pub(super) fn order_columns<S: Simd, const W: usize>(
    simd: S,
    values: &[f32],
    sorted: &mut [f32],
    sources: &mut [u32],
    begin: impl FnMut(usize),
) {
    let n = values.len() / W;
    assert!(sorted.len() == values.len() && sources.len() == padded(n) * W);
    let row_bits = padded(n).ilog2();
    pack(simd, S::as_simd_f32s(values).0, sources, row_bits);
    sort_columns(simd, S::as_mut_simd_u32s(sources).0, n, begin);

    let sources = &mut sources[..n * W];
    unpack::<S, W>(simd, values, sorted, sources, row_bits);
    let (keys, rows) = (
        S::as_mut_simd_f32s(sorted).0,
        S::as_mut_simd_u32s(sources).0,
    );
    let mut sweeps = 0;
    while !ascending(simd, keys) {
        if sweeps == SWEEPS {
            return sort_each::<W>(sorted, sources);
        }
        sweep(simd, keys, rows);
        sweeps += 1;
    }
}

/// The integers to be sorted, with `u32::MAX` in the padding rows.
#[inline(always)]
fn pack<S: Simd>(simd: S, values: &[S::f32s], packed: &mut [u32], row_bits: u32) {
    let (mut low, mut high) = (values[0], values[0]);
    for value in values {
        low = simd.min_f32s(low, *value);
        high = simd.max_f32s(high, *value);
    }
    // Halves, so that no difference overflows.
    let half = simd.splat_f32s(0.5);
    let low = simd.mul_f32s(half, low);
    let range = simd.sub_f32s(simd.mul_f32s(half, high), low);
    // A range of 0 would give 0 times infinity. The largest place is a few below the limit, since
    // it may be rounded up.
    let range = simd.max_f32s(range, simd.splat_f32s(1e-30));
    let places = (1u64 << PLACE_BITS.min(u32::BITS - row_bits)) as f32 - 4.0;
    let scale = simd.div_f32s(simd.splat_f32s(places), range);

    let (round, place_bits) = (
        simd.splat_f32s(ROUND),
        simd.splat_u32s((1 << PLACE_BITS) - 1),
    );
    let shift = simd.splat_u32s(row_bits);
    let (packed, padding) = S::as_mut_simd_u32s(packed).0.split_at_mut(values.len());
    for (row, (packed, value)) in (0..).zip(packed.iter_mut().zip(values)) {
        // Every step is monotone: a larger value never has a smaller place.
        let place = simd.mul_f32s(simd.sub_f32s(simd.mul_f32s(half, *value), low), scale);
        let place = simd.transmute_u32s_f32s(simd.add_f32s(place, round));
        let place = simd.wrapping_dyn_shl_u32s(simd.and_u32s(place, place_bits), shift);
        *packed = simd.or_u32s(place, simd.splat_u32s(row));
    }
    padding.fill(simd.splat_u32s(u32::MAX));
}

/// Unpacks the sorted integers: the index of each value in `values`, and the value.
#[allow(unsafe_code)] // the bounds check would cost as much as the move
#[inline(always)]
fn unpack<S: Simd, const W: usize>(
    simd: S,
    values: &[f32],
    sorted: &mut [f32],
    sources: &mut [u32],
    row_bits: u32,
) {
    let lane: [u32; W] = core::array::from_fn(|lane| lane as u32);
    let lane = S::as_simd_u32s(&lane).0[0];
    let row = simd.splat_u32s((1 << row_bits) - 1);
    let shift = simd.splat_u32s(W.ilog2());
    for source in S::as_mut_simd_u32s(sources).0 {
        let start = simd.wrapping_dyn_shl_u32s(simd.and_u32s(*source, row), shift);
        *source = simd.or_u32s(start, lane);
    }
    for (value, source) in sorted.iter_mut().zip(sources) {
        debug_assert!((*source as usize) < values.len());
        // SAFETY: the network has permuted each lane, so the rows are those below n.
        *value = unsafe { *values.get_unchecked(*source as usize) };
    }
}

#[inline(always)]
fn ascending<S: Simd>(simd: S, keys: &[S::f32s]) -> bool {
    let none = simd.greater_than_f32s(simd.splat_f32s(0.0), simd.splat_f32s(0.0));
    let wrong = (keys.iter().zip(&keys[1..])).fold(none, |wrong, (a, b)| {
        simd.or_m32s(wrong, simd.greater_than_f32s(*a, *b))
    });
    simd.first_true_m32s(wrong) >= S::F32_LANES
}

/// Moves the larger of each two neighbors up.
#[inline(always)]
fn sweep<S: Simd>(simd: S, keys: &mut [S::f32s], rows: &mut [S::u32s]) {
    let (mut key, mut row) = (keys[0], rows[0]);
    for i in 1..keys.len() {
        let (next_key, next_row) = (keys[i], rows[i]);
        let swap = simd.greater_than_f32s(key, next_key);
        keys[i - 1] = simd.select_f32s(swap, next_key, key);
        rows[i - 1] = simd.select_u32s(swap, next_row, row);
        key = simd.select_f32s(swap, key, next_key);
        row = simd.select_u32s(swap, row, next_row);
    }
    *keys.last_mut().expect("not empty") = key;
    *rows.last_mut().expect("not empty") = row;
}

/// Sorts one lane after the other.
fn sort_each<const W: usize>(sorted: &mut [f32], sources: &mut [u32]) {
    let mut column = Vec::with_capacity(sorted.len() / W);
    for lane in 0..W {
        column.clear();
        let keys = sorted.iter().skip(lane).step_by(W);
        column.extend(
            keys.copied()
                .zip(sources.iter().skip(lane).step_by(W).copied()),
        );
        column.sort_unstable_by(|a: &(f32, u32), b| {
            let by_key = a.0.partial_cmp(&b.0).expect("finite");
            by_key.then(a.1.cmp(&b.1))
        });
        for (row, (key, source)) in column.iter().enumerate() {
            (sorted[row * W + lane], sources[row * W + lane]) = (*key, *source);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fused::flex::tests::instruction_sets;
    use pulp::WithSimd;

    struct Order<'a>(&'a [f32]);

    impl WithSimd for Order<'_> {
        type Output = (Vec<f32>, Vec<u32>);

        /// Sorts the same column in every lane, and returns that of the last.
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> Self::Output {
            match S::F32_LANES {
                16 => self.run::<S, 16>(simd),
                8 => self.run::<S, 8>(simd),
                4 => self.run::<S, 4>(simd),
                _ => self.run::<S, 1>(simd),
            }
        }
    }

    impl Order<'_> {
        #[inline(always)]
        fn run<S: Simd, const W: usize>(self, simd: S) -> (Vec<f32>, Vec<u32>) {
            let values: Vec<f32> = (self.0.iter()).flat_map(|&value| [value; W]).collect();
            let mut sorted = vec![0.0; values.len()];
            let mut sources = vec![0; padded(self.0.len()) * W];
            order_columns::<S, W>(simd, &values, &mut sorted, &mut sources, |_| ());
            let last = |index: usize| index * W + W - 1;
            (0..self.0.len())
                .map(|i| (sorted[last(i)], sources[last(i)] / W as u32))
                .unzip()
        }
    }

    #[test]
    fn orders_as_a_stable_sort_does() {
        type Column = fn(usize) -> f32;
        let columns: [(&str, Column); 9] = [
            ("distinct", |i| (i as f32 * 0.7).sin()),
            ("tied", |i| (i * 7_919 % 10) as f32 - 5.0),
            ("constant", |_| 3.0),
            (
                "zeros of both signs",
                |i| if i % 3 == 0 { -0.0 } else { 0.0 },
            ),
            ("close together", |i| {
                1000.0 + (i * 7_919 % 100) as f32 * 1e-4
            }),
            ("one far out", |i| {
                if i == 1 { 1e30 } else { (i as f32 * 0.7).sin() }
            }),
            ("the whole range", |i| [f32::MAX, f32::MIN, 1.0][i % 3]),
            ("subnormal", |i| f32::from_bits((i * 7_919 % 1_000) as u32)),
            ("of all sizes", |i| (i as f32 * 0.7).sin().powi(41)),
        ];
        let counts = [1, 2, 7, 8, 9, 100, 512, 3000, 20_000];
        // Miri takes minutes for the others.
        let counts = if cfg!(miri) {
            &counts[..6]
        } else {
            &counts[..]
        };
        for &n in counts {
            for (name, column) in columns {
                let column: Vec<f32> = (0..n).map(column).collect();
                let mut expected: Vec<(f32, u32)> = column.iter().copied().zip(0..).collect();
                expected.sort_by(|a, b| a.0.partial_cmp(&b.0).expect("no NaN"));
                let expected: (Vec<f32>, Vec<u32>) = expected.into_iter().unzip();
                for (set, arch) in instruction_sets() {
                    let found = arch.dispatch(Order(&column));
                    assert!(found == expected, "{name}, {n} values, {set}");
                }
            }
        }
    }
}
