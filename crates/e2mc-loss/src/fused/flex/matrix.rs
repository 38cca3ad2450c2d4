//! Matrices as the fused operation stores and multiplies them; the only place with raw pointers.
#![allow(unsafe_code)]

use core::marker::PhantomData;

use gemm::Parallelism;

/// A buffer to which several threads write, each its own columns of a matrix in it.
pub(super) struct Shared<'a> {
    start: *mut f32,
    length: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: `columns` demands that blocks used at the same time share no element.
unsafe impl Sync for Shared<'_> {}

impl<'a> Shared<'a> {
    pub(super) fn new(buffer: &'a mut [f32]) -> Self {
        Self {
            start: buffer.as_mut_ptr(),
            length: buffer.len(),
            borrow: PhantomData,
        }
    }

    /// Columns `first..first + width` of the row-major matrix that starts at `offset` and has
    /// `rows` rows of `stride` elements.
    ///
    /// # Safety
    ///
    /// No other block in use has an element of this one.
    ///
    /// # Panics
    ///
    /// If the matrix does not lie in the buffer, or the columns not in the matrix.
    pub(super) unsafe fn columns(
        &self,
        offset: usize,
        rows: usize,
        stride: usize,
        first: usize,
        width: usize,
    ) -> Columns<'a> {
        assert!(first + width <= stride && offset + rows * stride <= self.length);
        Columns {
            // SAFETY: in the buffer, or one past it, by the assertion.
            start: unsafe { self.start.add(offset + first) },
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
    borrow: PhantomData<&'a mut [f32]>,
}

impl Columns<'_> {
    #[inline(always)]
    pub(super) fn row_mut(&mut self, row: usize) -> &mut [f32] {
        assert!(row < self.rows);
        // SAFETY: in bounds by the assertions here and in `columns`, exclusive by its contract.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(row * self.stride), self.width) }
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
        assert!(columns <= stride && (rows == 0 || data.len() >= (rows - 1) * stride + columns));
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

    /// The elements of one row.
    ///
    /// # Panics
    ///
    /// If they are not neighbours in memory.
    #[inline(always)]
    pub(super) fn row(self, row: usize) -> &'a [f32] {
        assert!(row < self.rows && self.column_stride == 1);
        &self.data[row * self.row_stride..][..self.columns]
    }

    /// Columns `first..first + count`.
    pub(super) fn columns(self, first: usize, count: usize) -> Self {
        self.transposed().rows(first, count).transposed()
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

/// `out = left right`, or `out += left right`, on this thread. `out` is row-major with rows
/// `stride` apart.
///
/// # Panics
///
/// If the shapes do not fit or `out` is too short.
pub(super) fn multiply(out: &mut [f32], stride: usize, left: View, right: View, add: bool) {
    let (m, n, k) = (left.rows, right.columns, left.columns);
    assert_eq!(left.columns, right.rows, "inner dimensions");
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= stride && out.len() >= (m - 1) * stride + n);
    // SAFETY: both views were checked against their slices when made, and `out` above.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            stride as isize,
            add,
            left.data.as_ptr(),
            left.column_stride as isize,
            left.row_stride as isize,
            right.data.as_ptr(),
            right.column_stride as isize,
            right.row_stride as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}
