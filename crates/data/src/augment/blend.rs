//! Pillow's blend, the arithmetic below brightness, contrast and saturation.

/// `from + factor * (to - from)` in f32, clipped and truncated. The multiplication and the addition round separately.
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let from = f32::from(from);
    // `as` truncates towards zero and clips to 0..=255.
    (from + factor * (f32::from(to) - from)) as u8
}
