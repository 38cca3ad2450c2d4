use core::marker::PhantomData;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::buffer::Buffer;
use super::matrix::{Columns, Shared};
use super::prefetch::prefetch;
use super::product::Product;
use super::space::Space;
use super::tile::{Multiply, PANEL};

/// Prefetch distance in rows.
const AHEAD: usize = 8;

/// Computes the gradient, \[n, d\] row by row: adds the slopes of the covariance and entropy terms,
/// and multiplies the sum by Psi'(z).
///
/// `compact` (Zbar below) and `slope` are stored in panels. The covariance term's slope is
/// `factor (Zbar Zbar^T Zbar - Zbar diag(squares))`, the same as `factor Zbar (Zbar^T Zbar, its
/// diagonal 0)`.
#[allow(unsafe_code)]
#[allow(clippy::too_many_arguments)] // all of different types
pub(super) fn finish<Psi: Space>(
    arch: Arch,
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
    let panels = compact
        .par_chunks(n * PANEL)
        .zip(slope.par_chunks(n * PANEL));
    panels.enumerate().for_each_init(
        || Buffer::take(n * PANEL),
        |covariance, (index, (compact_panel, slope))| {
            let first = index * PANEL;
            let width = PANEL.min(d - first);
            let (left, right) = if product.gram_form {
                (&*product.matrix, compact_panel)
            } else {
                let size = product.size;
                (compact, &product.matrix[first * size..])
            };
            arch.dispatch(Multiply {
                out: covariance,
                left,
                left_strides: [PANEL, 1, n * PANEL],
                right,
                rows: n,
                columns: width,
                depth: product.size,
                add: false,
            });
            let squares = &squares[first..first + width];
            arch.dispatch(Finish {
                z,
                d,
                first,
                covariance,
                compact: compact_panel,
                slope,
                factor,
                squares: product.gram_form.then_some(squares),
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

/// The elementwise part, on one panel.
struct Finish<'a, Psi> {
    z: &'a [f32],
    d: usize,
    first: usize,
    covariance: &'a [f32],
    compact: &'a [f32],
    slope: &'a [f32],
    factor: f32,
    /// The columns' sums of squares, if the slope of the covariance still includes the diagonal.
    squares: Option<&'a [f32]>,
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
        let width = PANEL.min(self.d - self.first);
        let mut squares = [0.0; PANEL];
        if let Some(values) = self.squares {
            squares[..width].copy_from_slice(values);
        }
        let rows = (self.covariance.as_chunks::<PANEL>().0.iter())
            .zip(self.compact.as_chunks::<PANEL>().0)
            .zip(self.slope.as_chunks::<PANEL>().0)
            .zip(self.z.chunks_exact(self.d));
        let mut row_of_z = [0.0; PANEL];
        for (i, (((covariance, x), slope), z)) in rows.enumerate() {
            let ahead = i + AHEAD;
            prefetch(
                self.z.as_ptr().wrapping_add(ahead * self.d + self.first),
                width,
            );
            self.gradient.prefetch_row(ahead);
            prefetch(self.slope.as_ptr().wrapping_add(ahead * PANEL), PANEL);
            // A whole row, whose length the compiler knows. Values beyond the columns are not used.
            row_of_z[..width].copy_from_slice(&z[self.first..][..width]);
            let gradient: [f32; PANEL] = core::array::from_fn(|j| {
                let slope = slope[j] + self.factor * (covariance[j] - squares[j] * x[j]);
                slope * Psi::density::<FMA>(row_of_z[j])
            });
            self.gradient.write_row(i, &gradient[..width]);
        }
    }
}
