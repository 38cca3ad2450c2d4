//! Bringing memory closer before it is needed.

/// Values of a cache line.
const LINE: usize = 16;

/// Asks for `count` values into the second cache. Any address will do: it is only a hint.
#[inline(always)]
pub(super) fn prefetch(start: *const f32, count: usize) {
    for first in (0..count).step_by(LINE) {
        let address = start.wrapping_add(first).cast::<i8>();
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch reads nothing that the program sees, wherever it points to.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(address);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = address;
    }
}
