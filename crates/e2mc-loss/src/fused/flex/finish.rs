use core::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::buffer::Buffer;
use super::matrix::{Columns, Shared, column_stride};
use super::product::Product;
use super::space::Space;
use super::stripe::MAX_LANES;
use super::tile::{Multiply, PANEL};

/// The most columns that one task does.
const WIDTH: usize = 384;
/// Samples that are turned from columns into rows at a time.
const ROWS: usize = 16;

/// Makes the gradient, \[n, d\] row by row: adds the slope of the covariance term to that of the
/// entropy term, and multiplies both by Psi'(z).
///
/// `compact` (Zbar below) and `slope` are stored column by column. The covariance term's slope is
/// `factor (Zbar Zbar^T Zbar - Zbar diag(squares))`, the same as `factor Zbar (Zbar^T Zbar, its
/// diagonal 0)`.
#[allow(unsafe_code)]
pub(super) fn finish<Psi: Space>(
    z: &[f32],
    [n, d]: [usize; 2],
    compact: &[f32],
    slope: &[f32],
    squares: &[f32],
    product: &Product,
    factor: f32,
) -> Vec<f32> {
    let mut gradient = Vec::with_capacity(n * d);
    let shared = Shared::new(gradient.spare_capacity_mut());
    let stride = column_stride(n);
    let size = product.size;
    // A product goes through the whole matrix, so tasks are wide; but there are some for every thread.
    let count = d.div_ceil(WIDTH).max(4 * rayon::current_num_threads());
    let task = if product.gram_form {
        d.div_ceil(count).next_multiple_of(MAX_LANES)
    } else {
        PANEL
    };
    let tasks: Vec<usize> = (0..d).step_by(task).collect();
    tasks.into_par_iter().for_each_init(
        || {
            (
                Buffer::take(stride * task),
                vec![0.0; ROWS * task],
                vec![0.0; ROWS * task],
            )
        },
        |(covariance, slope_rows, z_rows), first| {
            let width = task.min(d - first);
            let columns = first * stride..(first + width) * stride;
            let covariance = &mut covariance[..width * stride];
            // Either is a symmetric matrix times one of columns.
            let matrix = &product.matrix;
            Arch::new().dispatch(if product.gram_form {
                Multiply {
                    out: covariance,
                    out_stride: stride,
                    left: &compact[columns.clone()],
                    left_strides: [stride, 1],
                    right: matrix,
                    right_strides: [PANEL, size * PANEL],
                    rows: width,
                    columns: n,
                    depth: n,
                }
            } else {
                Multiply {
                    out: covariance,
                    out_stride: stride,
                    left: &matrix[first * size..],
                    left_strides: [1, PANEL],
                    right: compact,
                    right_strides: [stride, PANEL],
                    rows: width,
                    columns: n,
                    depth: d,
                }
            });
            Arch::new().dispatch(Finish {
                z,
                n,
                d,
                first,
                width,
                covariance,
                compact: &compact[columns.clone()],
                slope: &slope[columns],
                squares: product.gram_form.then_some(&squares[first..]),
                factor,
                slope_rows: &mut slope_rows[..ROWS * width],
                z_rows: &mut z_rows[..ROWS * width],
                // SAFETY: every task has its own columns.
                gradient: unsafe { shared.columns(n, d, first, width) },
                space: PhantomData::<Psi>,
            });
        },
    );
    // SAFETY: the tasks have written every column.
    unsafe { gradient.set_len(n * d) };
    gradient
}

/// The elementwise part, on some columns.
struct Finish<'a, Psi> {
    z: &'a [f32],
    n: usize,
    d: usize,
    first: usize,
    width: usize,
    covariance: &'a mut [f32],
    compact: &'a [f32],
    slope: &'a [f32],
    /// The columns' sums of squares, if the slope of the covariance still holds the diagonal.
    squares: Option<&'a [f32]>,
    factor: f32,
    /// Working memory for [`ROWS`] rows.
    slope_rows: &'a mut [f32],
    z_rows: &'a mut [f32],
    gradient: Columns<'a>,
    space: PhantomData<Psi>,
}

impl<Psi: Space> WithSimd for Finish<'_, Psi> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        match S::F32_LANES {
            16 | 8 => self.run::<true>(),
            4 => self.run::<{ cfg!(target_arch = "aarch64") }>(),
            _ => self.run::<false>(),
        }
    }
}

impl<Psi: Space> Finish<'_, Psi> {
    #[inline(always)]
    fn run<const FMA: bool>(mut self) {
        let n = self.n;
        let width = self.width;
        let stride = column_stride(n);
        for j in 0..width {
            let stored = j * stride..j * stride + n;
            let square = self.squares.map_or(0.0, |squares| squares[j]);
            let (slope, x) = (&self.slope[stored.clone()], &self.compact[stored.clone()]);
            for ((sum, slope), x) in self.covariance[stored.clone()].iter_mut().zip(slope).zip(x) {
                *sum = slope + self.factor * (*sum - square * x);
            }
        }
        for start in (0..n).step_by(ROWS) {
            let count = ROWS.min(n - start);
            for (j, column) in self.covariance.chunks_exact(stride).enumerate() {
                if let Ok(values) = <&[f32; ROWS]>::try_from(&column[start..start + count]) {
                    for (i, value) in values.iter().enumerate() {
                        self.slope_rows[i * width + j] = *value;
                    }
                } else {
                    for (i, value) in column[start..n].iter().enumerate() {
                        self.slope_rows[i * width + j] = *value;
                    }
                }
            }
            for (i, row) in (start..start + count).zip(self.z_rows.chunks_exact_mut(width)) {
                row.copy_from_slice(&self.z[i * self.d + self.first..][..width]);
            }
            for (slope, z) in self.slope_rows.iter_mut().zip(&*self.z_rows) {
                *slope *= Psi::density::<FMA>(*z);
            }
            for (i, row) in (start..start + count).zip(self.slope_rows.chunks_exact(width)) {
                self.gradient.write_row(i, row);
            }
        }
    }
}
