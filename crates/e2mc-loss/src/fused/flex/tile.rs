//! A matrix product that reads its factors where they are stored: nothing is packed. Faster here than
//! a general product, since rows are never a power of two apart and every factor is used many times.
#![allow(unsafe_code)] // bounds checks would cost as much as the products

use pulp::{Simd, WithSimd};

/// Inner indices done at a time, so that as many rows of one panel of the right factor stay in the
/// nearest cache.
const DEPTH: usize = 128;
/// Columns that the right factor may have stored apart from others. Wherever a tile begins, it lies in one
/// such panel.
pub(super) const PANEL: usize = 64;
/// Rows of a tile of the product.
const ROWS: usize = 6;

/// `out = left right`, as [`WithSimd`].
///
/// Every row of `right` and `out` must have room for `columns` rounded up to a multiple of
/// [`MAX_LANES`](super::stripe::MAX_LANES); what lies there is read and overwritten.
pub(super) struct Multiply<'a> {
    pub out: &'a mut [f32],
    /// Elements from one row of `out` to the next; those of a row are neighbours.
    pub out_stride: usize,
    pub left: &'a [f32],
    /// Elements from one row of `left`, and from one column, to the next.
    pub left_strides: [usize; 2],
    pub right: &'a [f32],
    /// Elements from one row of `right`, and from one panel of [`PANEL`] columns, to the next; those of
    /// a row in a panel are neighbours.
    pub right_strides: [usize; 2],
    pub rows: usize,
    pub columns: usize,
    /// Columns of `left` and rows of `right`.
    pub depth: usize,
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
        if self.rows == 0 || self.columns == 0 || self.depth == 0 {
            self.out.fill(0.0);
            return;
        }
        let vectors = self.columns.div_ceil(S::F32_LANES);
        let width = vectors * S::F32_LANES;
        let (rows, depth) = (self.rows - 1, self.depth - 1);
        let [left_row, left_column] = self.left_strides;
        assert!(rows * left_row + depth * left_column < self.left.len());
        let [right_row, right_panel] = self.right_strides;
        assert!(PANEL % (V * S::F32_LANES) == 0);
        let (last_panel, last_width) = ((width - 1) / PANEL, (width - 1) % PANEL + 1);
        let last = last_panel * right_panel + depth * right_row;
        assert!(right_panel >= PANEL && last + last_width <= self.right.len());
        assert!(rows * self.out_stride + width <= self.out.len());

        for start in (0..self.depth).step_by(DEPTH) {
            let end = self.depth.min(start + DEPTH);
            let mut vector = 0;
            while vector < vectors {
                // SAFETY: the tiles of the product are in bounds by the assertions above.
                unsafe {
                    if vector + V <= vectors {
                        self.panel::<S, V>(simd, vector, start..end);
                        vector += V;
                    } else {
                        self.panel::<S, 1>(simd, vector, start..end);
                        vector += 1;
                    }
                }
            }
        }
    }

    /// `V` vectors of columns, from the one numbered `vector`; all rows.
    #[inline(always)]
    unsafe fn panel<S: Simd, const V: usize>(
        &mut self,
        simd: S,
        vector: usize,
        depth: core::ops::Range<usize>,
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
    /// The tile lies in the product and `depth` in the inner indices, and these in the slices.
    #[inline(always)]
    unsafe fn tile<S: Simd, const R: usize, const V: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        depth: core::ops::Range<usize>,
    ) -> usize {
        let lanes = S::F32_LANES;
        let [left_row, left_column] = self.left_strides;
        // SAFETY: all by the contract of this function. Vectors need no alignment beyond that of their
        // numbers where they are read and written unaligned.
        unsafe {
            let mut left = (self.left.as_ptr()).add(row * left_row + depth.start * left_column);
            let [right_row, right_panel] = self.right_strides;
            let right_column = column / PANEL * right_panel + column % PANEL;
            let mut right = (self.right.as_ptr()).add(depth.start * right_row + right_column);
            let out = (self.out.as_mut_ptr()).add(row * self.out_stride + column);
            let mut sum = [[simd.splat_f32s(0.0); V]; R];
            for _ in depth.clone() {
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
                right = right.wrapping_add(right_row);
            }
            for r in 0..R {
                for v in 0..V {
                    let target = out.add(r * self.out_stride + v * lanes).cast::<S::f32s>();
                    let mut value = sum[r][v];
                    if depth.start > 0 {
                        value = simd.add_f32s(value, target.read_unaligned());
                    }
                    target.write_unaligned(value);
                }
            }
        }
        R
    }
}
