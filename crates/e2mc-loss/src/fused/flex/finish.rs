use core::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::layout::Layout;
use super::matrix::{Columns, Shared, View, multiply};
use super::product::Product;
use super::space::Space;

/// Adds the slope of the covariance term to that of the entropy term, which `gradient` holds, and
/// multiplies both by Psi'(z).
///
/// With Zbar = `compact` the slope is `factor (Zbar Zbar^T Zbar - Zbar diag(squares))`, which is
/// `factor Zbar (Zbar^T Zbar, its diagonal 0)`.
#[allow(unsafe_code)]
pub(super) fn finish<Psi: Space>(
    z: &[f32],
    layout: Layout,
    compact: &[f32],
    squares: &[f32],
    product: &Product,
    factor: f32,
    gradient: &mut [f32],
) {
    let Layout { n, d } = layout;
    let width = layout.task_width();
    let size = product.size;
    let matrix = View::row_major(&product.matrix, size, size, size);
    let gradient = Shared::new(gradient);
    let tasks: Vec<usize> = (0..d).step_by(width).collect();
    tasks.into_par_iter().for_each_init(
        || vec![0.0; n * width],
        |slope, first| {
            let width = width.min(d - first);
            let panel = layout.panel_at(first);
            let data = &compact[panel.offset..];
            let panel_view = View::row_major(data, n, panel.width, panel.width);
            let columns = panel_view.columns(first - panel.first, width);
            let slope = &mut slope[..n * width];
            if layout.gram_form() {
                multiply(slope, width, matrix, columns, false);
            } else {
                multiply(
                    slope,
                    width,
                    panel_view,
                    matrix.columns(first, width),
                    false,
                );
            }
            Arch::new().dispatch(Finish {
                z,
                n,
                d,
                first,
                width,
                slope,
                diagonal: layout
                    .gram_form()
                    .then_some((columns, &squares[first..][..width])),
                factor,
                // SAFETY: every task has its own columns.
                gradient: unsafe { gradient.columns(0, n, d, first, width) },
                space: PhantomData::<Psi>,
            });
        },
    );
}

/// The elementwise part, on some columns.
struct Finish<'a, Psi> {
    z: &'a [f32],
    n: usize,
    d: usize,
    first: usize,
    width: usize,
    slope: &'a [f32],
    /// Zbar and its columns' sums of squares, if these are still in the slope.
    diagonal: Option<(View<'a>, &'a [f32])>,
    factor: f32,
    gradient: Columns<'a>,
    space: PhantomData<Psi>,
}

impl<Psi: Space> WithSimd for Finish<'_, Psi> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        for i in 0..self.n {
            let z = &self.z[i * self.d + self.first..][..self.width];
            let slope = &self.slope[i * self.width..][..self.width];
            let out = self.gradient.row_mut(i);
            match self.diagonal {
                Some((compact, squares)) => {
                    let compact = compact.row(i);
                    for ((((out, z), slope), x), square) in
                        out.iter_mut().zip(z).zip(slope).zip(compact).zip(squares)
                    {
                        *out = (*out + self.factor * (slope - square * x)) * Psi::density(*z);
                    }
                }
                None => {
                    for ((out, z), slope) in out.iter_mut().zip(z).zip(slope) {
                        *out = (*out + self.factor * slope) * Psi::density(*z);
                    }
                }
            }
        }
    }
}
