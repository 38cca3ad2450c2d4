//! Prefetching.

/// Values of a cache line.
const LINE: usize = 16;

/// Prefetches `count` values into the L2 cache. Any address is allowed, since this is only a hint.
#[inline(always)]
pub(super) fn prefetch(start: *const f32, count: usize) {
    for first in (0..count).step_by(LINE) {
        let address = start.wrapping_add(first).cast::<i8>();
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a prefetch accesses nothing, whatever the address.
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(address);
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = address;
    }
}
