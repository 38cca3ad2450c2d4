//! A matrix that several threads write.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use super::prefetch::prefetch;

/// Uninitialized memory of a matrix. Several threads write to it, each to its own columns.
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

    /// Columns `first..first + width` of the row-major matrix in the buffer, which has `rows` rows
    /// of `stride` elements.
    ///
    /// # Safety
    ///
    /// No other block in use shares an element with this one.
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
    /// Prefetches a row for writing. The row need not exist.
    #[inline(always)]
    pub(super) fn prefetch_row(&self, row: usize) {
        prefetch(self.start.wrapping_add(row * self.stride), self.width);
    }

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
