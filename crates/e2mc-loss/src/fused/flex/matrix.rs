//! Matrices as the fused operation stores and multiplies them; the only place with raw pointers.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use gemm::Parallelism;

use super::stripe::MAX_LANES;

/// Memory, not yet initialised, to which several threads write, each its own columns of a matrix.
pub(super) struct Shared<'a> {
    start: *mut f32,
    length: usize,
    borrow: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

// SAFETY: `columns` demands that blocks used at the same time share no element.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(buffer: &'a mut [MaybeUninit<f32>]) -> Self {
        Self {
            start: buffer.as_mut_ptr().cast(),
            length: buffer.len(),
            borrow: PhantomData,
        }
    }

    /// Columns `first..first + width` of the row-major matrix in the buffer, which has `rows` rows of
    /// `stride` elements.
    ///
    /// # Safety
    ///
    /// No other block in use has an element of this one.
    ///
    /// # Panics
    ///
    /// If the buffer is too short for the matrix, or the columns do not lie in it.
    pub(super) unsafe fn columns(
        &self,
        rows: usize,
        stride: usize,
        first: usize,
        width: usize,
    ) -> Columns<'a> {
        assert!(first + width <= stride && rows * stride <= self.length);
        Columns {
            // SAFETY: in the buffer, or one past it, by the assertion.
            start: unsafe { self.start.add(first) },
            rows,
            stride,
            width,
            borrow: PhantomData,
        }
    }
}

/// Some columns of a matrix in a [`Shared`] buffer.
pub(super) struct Columns<'a> {
    start: *mut f32,
    rows: usize,
    stride: usize,
    width: usize,
    borrow: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

impl Columns<'_> {
    /// # Panics
    ///
    /// If there is no such row, or `values` has another length.
    #[inline(always)]
    pub(super) fn write_row(&mut self, row: usize, values: &[f32]) {
        assert!(row < self.rows && values.len() == self.width);
        // SAFETY: in bounds by the assertions here and in `columns`, exclusive by its contract.
        unsafe {
            let target = self.start.add(row * self.stride);
            core::ptr::copy_nonoverlapping(values.as_ptr(), target, values.len());
        }
    }
}

/// Elements from one column to the next where columns of n numbers are stored one after the other: never
/// a large power of two, since then the caches would hold few columns, and always whole vectors.
pub(super) fn column_stride(n: usize) -> usize {
    if n < 64 {
        n.next_multiple_of(MAX_LANES)
    } else {
        n.next_multiple_of(MAX_LANES) + MAX_LANES
    }
}

/// A matrix that is read, with any strides.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> View<'a> {
    /// A row-major matrix whose rows are `stride` elements apart.
    pub(super) fn row_major(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(columns <= stride && data.len() >= rows * stride);
        Self {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Rows `first..first + count`.
    pub(super) fn rows(self, first: usize, count: usize) -> Self {
        assert!(first + count <= self.rows);
        Self {
            data: &self.data[(first * self.row_stride).min(self.data.len())..],
            rows: count,
            ..self
        }
    }
}

/// `out = left right`, on this thread. `out` is row-major, its rows `stride` elements apart.
///
/// # Panics
///
/// If the shapes do not fit.
pub(super) fn multiply(out: &mut [f32], stride: usize, left: View, right: View) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(left.columns, right.rows, "inner dimensions");
    assert!(
        n <= stride && m * stride <= out.len(),
        "the shape of the product"
    );
    // SAFETY: both views were checked against their slices when made, and `out` above.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            false,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
