use cubecl::prelude::*;

/// Sums `value` over all units of a cube with the same number modulo `width`. It is a tree sum, so
/// that rounding hardly grows with the number of units. The cube's size and `width` are powers of
/// two. Every unit gets its sum.
#[cube]
pub(super) fn cube_sum(
    scratch: &mut Shared<[f32]>,
    value: f32,
    #[comptime] threads: usize,
    #[comptime] width: usize,
) -> f32 {
    let unit = UNIT_POS as usize;
    scratch[unit] = value;
    sync_cube();
    let mut half = comptime!(threads / 2).runtime();
    while half >= width {
        if unit < half {
            let other = scratch[unit + half];
            scratch[unit] += other;
        }
        sync_cube();
        half /= 2;
    }
    let sum = scratch[unit % width];
    // The scratch may be used again at once.
    sync_cube();
    sum
}
