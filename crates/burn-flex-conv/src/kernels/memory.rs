//! Memory that several threads write.

use core::cell::RefCell;
use core::ops::Range;

thread_local! {
    static KEPT: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Working memory of a thread, kept for its next task. Its initial content is not specified.
pub(super) struct Scratch(Vec<f32>);

impl Scratch {
    pub(super) fn take(length: usize) -> Self {
        let mut memory = Self(KEPT.take());
        memory.reserve(length);
        memory
    }

    /// Makes room for `length` values. The old content is lost.
    pub(super) fn reserve(&mut self, length: usize) {
        if self.0.len() < length {
            self.0 = vec![0.0; length];
        }
    }

    /// The whole of it.
    pub(super) fn values(&mut self) -> &mut [f32] {
        &mut self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        KEPT.set(core::mem::take(&mut self.0));
    }
}

/// A slice of which threads write disjoint parts.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    start: *mut f32,
    length: usize,
}

// SAFETY: by the contract of `part`, threads write disjoint parts.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    pub(super) fn new(slice: &mut [f32]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            length: slice.len(),
        }
    }

    /// The start of the whole slice.
    pub(super) fn as_mut_ptr(self) -> *mut f32 {
        self.start
    }

    /// # Safety
    ///
    /// The slice must still be borrowed, and no other thread may use this part of it meanwhile.
    ///
    /// # Panics
    ///
    /// If the part ends beyond the slice.
    pub(super) unsafe fn part<'a>(self, part: Range<usize>) -> &'a mut [f32] {
        assert!(part.start <= part.end && part.end <= self.length);
        // SAFETY: in bounds by the assertion, exclusive by the contract.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(part.start), part.len()) }
    }
}

/// A new vector of `length` values that `fill` sets. It is not set to 0 first.
///
/// # Safety
///
/// `fill` must set every value, and read none before it is set.
pub(super) unsafe fn filled(length: usize, fill: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(length);
    // SAFETY: there is room for `length` values, and `fill` sets them all.
    unsafe {
        fill(core::slice::from_raw_parts_mut(values.as_mut_ptr(), length));
        values.set_len(length);
    }
    values
}

/// The `index`-th of `count` parts of `length`, as even as possible.
pub(super) fn share(length: usize, count: usize, index: usize) -> Range<usize> {
    index * length / count..(index + 1) * length / count
}
