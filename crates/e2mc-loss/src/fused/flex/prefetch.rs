/// Prefetches numbers into the first-level cache. Rows of a wide matrix are too far apart for the
/// hardware prefetcher.
#[allow(unsafe_code)]
#[inline(always)]
pub(super) fn prefetch(numbers: *const f32, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in (0..count).step_by(16) {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch accesses nothing, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(numbers.wrapping_add(line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (numbers, count);
}
