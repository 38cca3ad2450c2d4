//! A bitonic sort of keys and rows. A comparator only exchanges two elements or leaves them, so no
//! row is lost or doubled, whatever the keys.

use cubecl::prelude::*;

/// No key is larger. Its row is at least n, so it sorts after an equal key.
pub(super) const PADDING: f32 = f32::MAX;

/// Puts two elements in order. Equal keys are in order if their rows are.
#[cube]
pub(super) fn compare(
    keys: &mut [f32],
    rows: &mut [u32],
    low: usize,
    high: usize,
    ascending: bool,
) {
    let (a, b) = (keys[low], keys[high]);
    let (row_a, row_b) = (rows[low], rows[high]);
    let greater = a > b || (a == b && row_a > row_b);
    if greater == ascending {
        keys[low] = b;
        keys[high] = a;
        rows[low] = row_b;
        rows[high] = row_a;
    }
}

/// The lower element of the pair number `pair` at this distance, a power of two.
#[cube]
pub(super) fn lower_of_pair(pair: usize, distance: usize) -> usize {
    2 * pair - (pair & (distance - 1))
}

/// One merge in shared memory: steps at distances from `first` down to `last`. The elements are
/// `2 * pairs` neighbors from `position` on. In the whole sequence, blocks of `size` are sorted
/// ascending and descending in turn.
#[cube]
pub(super) fn merge(
    keys: &mut Shared<[f32]>,
    rows: &mut Shared<[u32]>,
    position: usize,
    size: usize,
    first: usize,
    #[comptime] last: usize,
    #[comptime] pairs: usize,
    #[comptime] threads: usize,
) {
    let mut distance = first;
    while distance >= last {
        let mut pair = UNIT_POS as usize;
        while pair < pairs {
            let low = lower_of_pair(pair, distance);
            let ascending = ((position + low) & size) == 0;
            compare(keys, rows, low, low + distance, ascending);
            pair += threads;
        }
        sync_cube();
        distance /= 2;
    }
}
