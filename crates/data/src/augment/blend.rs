//! Pillow's blend, the arithmetic below brightness, contrast and saturation.

/// `from + factor * (to - from)` in f32, clipped and truncated. The multiplication and the addition
/// round separately.
#[inline(always)]
pub(super) fn blend(from: u8, to: u8, factor: f32) -> u8 {
    let from = f32::from(from);
    truncate(from + factor * (f32::from(to) - from))
}

/// `value as u8` for a number. The clipped, rounded-down value is the low byte of its sum with
/// 2^23. This compiles to a few vector instructions; the cast would check the range.
#[inline(always)]
fn truncate(value: f32) -> u8 {
    (value.clamp(0.0, 255.0).floor() + 8_388_608.0).to_bits() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_is_the_cast() {
        for eighths in -10_000_i16..10_000 {
            for nudge in [0.0, f32::EPSILON, -f32::EPSILON] {
                let value = f32::from(eighths) / 8.0 * (1.0 + nudge);
                assert_eq!(truncate(value), value as u8, "{value}");
            }
        }
    }
}
