//! A matrix product that reads its factors in place. They are stored in panels of 64 columns, so
//! that a tile reads contiguous memory and nothing is packed.
#![allow(unsafe_code)] // bounds checks would cost as much as the products
#![allow(clippy::needless_range_loop)] // loops over registers, not over a list

use core::ops::Range;

use pulp::{Simd, WithSimd};

/// Columns of a panel: a matrix is stored as panels one after the other, each row by row.
pub(super) const PANEL: usize = 64;
/// Inner indices per pass, so that as many rows of a panel stay in the first-level cache.
const DEPTH: usize = 2 * PANEL;
/// Rows of a tile.
const ROWS: usize = 6;

/// `out = left right`.
pub(super) struct Multiply<'a> {
    /// A panel.
    pub out: &'a mut [f32],
    pub left: &'a [f32],
    /// Elements from one row of `left`, one column, and one panel of columns, to the next.
    pub left_strides: [usize; 3],
    /// A panel.
    pub right: &'a [f32],
    pub rows: usize,
    /// Number of columns of `out` to compute. Columns beyond them, up to a whole vector, are
    /// overwritten.
    pub columns: usize,
    /// Columns of `left` and rows of `right`.
    pub depth: usize,
    /// Whether to add to what `out` holds.
    pub add: bool,
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // As many accumulators as there are registers for.
        if S::REGISTER_COUNT >= 32 {
            self.run::<S, 4>(simd);
        } else {
            self.run::<S, 2>(simd);
        }
    }
}

impl Multiply<'_> {
    #[inline(always)]
    fn run<S: Simd, const V: usize>(mut self, simd: S) {
        assert!(self.rows > 0 && self.depth > 0 && self.columns <= PANEL);
        assert!(self.rows * PANEL <= self.out.len() && self.depth * PANEL <= self.right.len());
        let [row, column, panel] = self.left_strides;
        let (last_panel, last) = ((self.depth - 1) / PANEL, (self.depth - 1) % PANEL);
        // So the last element read of the last row is the furthest.
        assert!(panel >= PANEL * column);
        assert!((self.rows - 1) * row + last_panel * panel + last * column < self.left.len());

        let vectors = self.columns.div_ceil(S::F32_LANES);
        assert!(PANEL.is_multiple_of(V * S::F32_LANES));
        for start in (0..self.depth).step_by(DEPTH) {
            let end = self.depth.min(start + DEPTH);
            let mut vector = 0;
            while vector < vectors {
                // SAFETY: the assertions above.
                unsafe {
                    if vector + V <= vectors {
                        self.columns::<S, V>(simd, vector, start..end);
                        vector += V;
                    } else {
                        self.columns::<S, 1>(simd, vector, start..end);
                        vector += 1;
                    }
                }
            }
        }
    }

    /// `V` vectors of columns, from the one numbered `vector`; all rows.
    ///
    /// # Safety
    ///
    /// The columns lie in a panel, the depth in the inner indices, and both factors and the product
    /// in their slices.
    #[inline(always)]
    unsafe fn columns<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        vector: usize,
        depth: Range<usize>,
    ) {
        let column = vector * S::F32_LANES;
        let mut row = 0;
        while row < self.rows {
            // SAFETY: by the contract of this function.
            unsafe {
                row += match self.rows - row {
                    ROWS.. => self.tile::<S, ROWS, V>(simd, row, column, depth.clone()),
                    4.. => self.tile::<S, 4, V>(simd, row, column, depth.clone()),
                    2.. => self.tile::<S, 2, V>(simd, row, column, depth.clone()),
                    _ => self.tile::<S, 1, V>(simd, row, column, depth.clone()),
                };
            }
        }
    }

    /// `R` rows by `V` vectors, in registers. Returns `R`.
    ///
    /// # Safety
    ///
    /// As [`columns`](Self::columns), and there are `R` rows.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        depth: Range<usize>,
    ) -> usize {
        let lanes = S::F32_LANES;
        let [left_row, left_column, left_panel] = self.left_strides;
        let mut sum = [[simd.splat_f32s(0.0); V]; R];
        // SAFETY: in bounds by the contract of this function; pointers past the last use are not
        // followed.
        unsafe {
            let mut right = (self.right.as_ptr()).add(depth.start * PANEL + column);
            for start in depth.clone().step_by(PANEL) {
                let mut left =
                    (self.left.as_ptr()).add(row * left_row + start / PANEL * left_panel);
                for _ in start..depth.end.min(start + PANEL) {
                    let b: [S::f32s; V] = core::array::from_fn(|v| {
                        right.add(v * lanes).cast::<S::f32s>().read_unaligned()
                    });
                    for r in 0..R {
                        let a = simd.splat_f32s(*left.add(r * left_row));
                        for v in 0..V {
                            sum[r][v] = simd.mul_add_e_f32s(a, b[v], sum[r][v]);
                        }
                    }
                    left = left.wrapping_add(left_column);
                    right = right.wrapping_add(PANEL);
                }
            }
            let out = (self.out.as_mut_ptr()).add(row * PANEL + column);
            for r in 0..R {
                for v in 0..V {
                    let target = out.add(r * PANEL + v * lanes).cast::<S::f32s>();
                    let mut value = sum[r][v];
                    if self.add || depth.start > 0 {
                        value = simd.add_f32s(value, target.read_unaligned());
                    }
                    target.write_unaligned(value);
                }
            }
        }
        R
    }
}
