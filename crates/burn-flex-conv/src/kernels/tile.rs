//! The innermost product: a few rows by a few vectors, held in registers.
#![allow(clippy::needless_range_loop)] // loops over registers, not over a list

use pulp::Simd;

/// Columns of the left factor per pass.
pub(super) const DEPTH: usize = 192;
/// Distance between rows of a block of the left factor. Not a power of two, so that rows do not
/// compete for the same cache lines.
pub(super) const LEFT_STRIDE: usize = DEPTH + 16;
/// Rows of the largest tile with 32 registers.
const MOST_ROWS: usize = 14;
/// Half of them.
const HALF: usize = MOST_ROWS / 2;
/// Rows of the largest tile with 16 registers.
const FEWER_ROWS: usize = 6;

/// Columns of a panel of the right factor.
#[inline(always)]
pub(super) const fn panel<S: Simd>() -> usize {
    2 * S::F32_LANES
}

/// Most rows of a tile.
#[inline(always)]
pub(super) const fn most_rows<S: Simd>() -> usize {
    if S::REGISTER_COUNT >= 32 {
        MOST_ROWS
    } else {
        FEWER_ROWS
    }
}

/// Contiguous columns of the left factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// From the start of a row.
    pub offset: usize,
    /// How many, at least 1.
    pub depth: usize,
}

/// The columns of a left factor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Columns<'a> {
    /// This many contiguous columns; rows are `ROW` values apart.
    Together(usize),
    /// Segments, and the distance from one row to the next.
    Apart(&'a [Segment], usize),
}

/// A product of a few rows with a panel.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// The first row of the left factor.
    pub left: *const f32,
    /// The columns of the left factor, in order.
    pub left_columns: Columns<'a>,
    /// The first row of a panel: `columns` values, rounded up to whole vectors.
    pub right: *const f32,
    /// The product.
    pub out: *mut f32,
    /// Where each row of the product begins.
    pub rows: &'a [usize],
    /// Columns of the product, at most those of a panel.
    pub columns: usize,
    /// Whether to add to the values in `out`.
    pub add: bool,
}

/// Distances between values: `ROW` from one row of the left factor to the next (if its columns are
/// together), `COLUMN` from one column of the left factor to the next, and `RIGHT` from one row of
/// the right factor to the next (0: a [`panel`]).
///
/// # Safety
///
/// The left factor must have all of its columns in `rows.len()` rows, at most [`most_rows`]. The
/// right factor must have a row for each of these columns. `out` must have `columns` values from
/// each of `rows` on.
#[inline(always)]
pub(super) unsafe fn multiply<
    S: Simd,
    const ROW: usize,
    const COLUMN: usize,
    const RIGHT: usize,
>(
    simd: S,
    tile: Tile<'_>,
) {
    // SAFETY: by the contract of this function.
    unsafe {
        if tile.columns > S::F32_LANES {
            by_rows::<S, ROW, COLUMN, RIGHT, 2>(simd, tile);
        } else {
            by_rows::<S, ROW, COLUMN, RIGHT, 1>(simd, tile);
        }
    }
}

/// # Safety
///
/// As [`multiply`].
#[inline(always)]
unsafe fn by_rows<
    S: Simd,
    const ROW: usize,
    const COLUMN: usize,
    const RIGHT: usize,
    const V: usize,
>(
    simd: S,
    tile: Tile<'_>,
) {
    macro_rules! cases {
        ($($rows:literal)*) => {
            match tile.rows.len() {
                $($rows => in_registers::<S, ROW, COLUMN, RIGHT, V, $rows>(simd, tile),)*
                rows => unreachable!("a tile of {rows} rows"),
            }
        };
    }
    // SAFETY: by the contract of this function.
    unsafe {
        if S::REGISTER_COUNT >= 32 {
            cases!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
        } else {
            cases!(1 2 3 4 5 6);
        }
    }
}

/// # Safety
///
/// As [`multiply`], with `R` rows and at most `V` vectors of columns.
#[inline(always)]
unsafe fn in_registers<
    S: Simd,
    const ROW: usize,
    const COLUMN: usize,
    const RIGHT: usize,
    const V: usize,
    const R: usize,
>(
    simd: S,
    tile: Tile<'_>,
) {
    let lanes = S::F32_LANES;
    let mut sum = [[simd.splat_f32s(0.0); V]; R];
    // SAFETY: by the contract; pointers past the last use are not followed.
    unsafe {
        let mut right = tile.right;
        let next = if RIGHT == 0 { panel::<S>() } else { RIGHT };
        let load = |right: *const f32| -> [S::f32s; V] {
            core::array::from_fn(|v| right.add(v * lanes).cast::<S::f32s>().read_unaligned())
        };
        match tile.left_columns {
            Columns::Together(depth) => {
                let mut left = tile.left;
                for _ in 0..depth {
                    let b = load(right);
                    for r in 0..R {
                        let a = simd.splat_f32s(*left.add(r * ROW));
                        for v in 0..V {
                            sum[r][v] = simd.mul_add_e_f32s(a, b[v], sum[r][v]);
                        }
                    }
                    left = left.wrapping_add(COLUMN);
                    right = right.wrapping_add(next);
                }
            }
            Columns::Apart(segments, row) => {
                let depth = segments.iter().map(|segment| segment.depth).sum();
                let (mut segments, mut rest) = (segments.iter(), 0);
                // Two pointers: addressing all rows from one needs more registers than there are.
                let (mut upper, mut lower) = (tile.left, tile.left);
                // One loop for all segments: with nested loops, the sums would be spilled from
                // registers.
                for _ in 0..depth {
                    if rest == 0 {
                        let segment = segments.next().expect("as many columns as their sum");
                        rest = segment.depth;
                        upper = tile.left.wrapping_add(segment.offset * COLUMN);
                        lower = upper.wrapping_add(HALF * row);
                    }
                    let b = load(right);
                    for r in 0..R.min(HALF) {
                        let a = simd.splat_f32s(*upper.wrapping_add(r * row));
                        for v in 0..V {
                            sum[r][v] = simd.mul_add_e_f32s(a, b[v], sum[r][v]);
                        }
                    }
                    for r in HALF..R {
                        let a = simd.splat_f32s(*lower.wrapping_add((r - HALF) * row));
                        for v in 0..V {
                            sum[r][v] = simd.mul_add_e_f32s(a, b[v], sum[r][v]);
                        }
                    }
                    rest -= 1;
                    upper = upper.wrapping_add(COLUMN);
                    lower = lower.wrapping_add(COLUMN);
                    right = right.wrapping_add(next);
                }
            }
        }
        if tile.columns == V * lanes {
            for r in 0..R {
                let out = tile.out.add(*tile.rows.get_unchecked(r));
                for v in 0..V {
                    let target = out.add(v * lanes).cast::<S::f32s>();
                    let value = match tile.add {
                        true => simd.add_f32s(sum[r][v], target.read_unaligned()),
                        false => sum[r][v],
                    };
                    target.write_unaligned(value);
                }
            }
        } else {
            // A copy, so that the sums themselves stay in registers.
            let ragged = sum;
            for r in 0..R {
                let out = tile.out.add(*tile.rows.get_unchecked(r));
                let values = ragged.as_ptr().add(r).cast::<f32>();
                for column in 0..tile.columns {
                    let value = *values.add(column);
                    *out.add(column) = match tile.add {
                        true => value + *out.add(column),
                        false => value,
                    };
                }
            }
        }
    }
}
