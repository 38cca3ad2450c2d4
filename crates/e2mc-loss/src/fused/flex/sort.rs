//! Sorts the columns of a tile, one column per SIMD lane, with the row each element came from.

use pulp::Simd;

/// The fewest rows a tile may have: the first step sorts eight rows in registers.
pub(super) const MIN_ROWS: usize = 8;

/// Some comparators on a few positions, done in registers.
trait Network {
    /// The number of positions.
    const WIDTH: usize;
    /// Loads the rows at the positions, compares, and stores them.
    fn apply<S: Simd>(
        simd: S,
        keys: &mut [S::f32s],
        rows: &mut [S::u32s],
        position: impl Fn(usize) -> usize,
    );
}

/// A network from the positions of each comparator's smaller and larger output. Written out, since the
/// compiler keeps arrays in registers only if every index is a constant.
macro_rules! network {
    ($(#[$doc:meta])* $name:ident, $width:literal, $(($low:literal, $high:literal))*) => {
        $(#[$doc])*
        struct $name;

        impl Network for $name {
            const WIDTH: usize = $width;

            #[inline(always)]
            fn apply<S: Simd>(
                simd: S,
                keys: &mut [S::f32s],
                rows: &mut [S::u32s],
                position: impl Fn(usize) -> usize,
            ) {
                let mut key: [S::f32s; $width] = core::array::from_fn(|k| keys[position(k)]);
                let mut row: [S::u32s; $width] = core::array::from_fn(|k| rows[position(k)]);
                $({
                    let swap = simd.greater_than_f32s(key[$low], key[$high]);
                    let (a, b) = (key[$low], key[$high]);
                    key[$low] = simd.select_f32s(swap, b, a);
                    key[$high] = simd.select_f32s(swap, a, b);
                    let (a, b) = (row[$low], row[$high]);
                    row[$low] = simd.select_u32s(swap, b, a);
                    row[$high] = simd.select_u32s(swap, a, b);
                })*
                for k in 0..$width {
                    keys[position(k)] = key[k];
                    rows[position(k)] = row[k];
                }
            }
        }
    };
}

network!(
    /// Batcher's odd-even merge sort of eight.
    Sort8, 8,
    (0, 1) (2, 3) (4, 5) (6, 7) (0, 2) (1, 3) (4, 6) (5, 7) (1, 2) (5, 6)
    (0, 4) (1, 5) (2, 6) (3, 7) (2, 4) (3, 5) (1, 2) (3, 4) (5, 6)
);
network!(
    /// Three bitonic steps, the first one between mirror images.
    Mirror8, 8,
    (0, 7) (1, 6) (2, 5) (3, 4) (0, 2) (1, 3) (4, 6) (5, 7) (0, 1) (2, 3) (4, 5) (6, 7)
);
network!(
    /// Three bitonic steps.
    Halve8, 8,
    (0, 4) (1, 5) (2, 6) (3, 7) (0, 2) (1, 3) (4, 6) (5, 7) (0, 1) (2, 3) (4, 5) (6, 7)
);
network!(
    /// Two bitonic steps.
    Halve4, 4,
    (0, 2) (1, 3) (0, 1) (2, 3)
);
network!(
    /// One bitonic step.
    Halve2, 2,
    (0, 1)
);

/// Sorts every lane of `keys` ascending and carries `rows` along: a bitonic network in which every
/// comparator points the same way. Several steps are done at once in registers.
///
/// `keys[occupied..]` must be +infinity, larger than all others; such rows stay where they are, and
/// work on them is skipped. Keys that are equal come out in any order.
///
/// # Panics
///
/// If the lengths differ or are not a power of two of at least [`MIN_ROWS`].
#[inline(always)]
pub(super) fn sort_columns<S: Simd>(
    simd: S,
    keys: &mut [S::f32s],
    rows: &mut [S::u32s],
    occupied: usize,
) {
    let padded = keys.len();
    assert!(padded.is_power_of_two() && padded >= MIN_ROWS && rows.len() == padded);
    for base in (0..occupied).step_by(8) {
        Sort8::apply(simd, keys, rows, |k| base + k);
    }
    let mut size = 16;
    while size <= padded {
        // Merges sorted blocks of size / 2: steps at distances size (mirrored), size / 4, ..., 1.
        let distance = size / 8;
        for base in (0..occupied).step_by(size) {
            for i in 0..distance {
                let position = |k: usize| {
                    if k < 4 {
                        base + i + k * distance
                    } else {
                        base + size - 1 - (i + (7 - k) * distance)
                    }
                };
                Mirror8::apply(simd, keys, rows, position);
            }
        }
        // As few passes over memory as there can be: three steps a pass, else two, else one.
        let mut block = distance;
        while block > 1 {
            let steps = block.ilog2();
            if steps == 1 {
                halve::<S, Halve2>(simd, keys, rows, occupied, block);
                block /= 2;
            } else if steps == 2 || steps % 3 == 1 {
                halve::<S, Halve4>(simd, keys, rows, occupied, block);
                block /= 4;
            } else {
                halve::<S, Halve8>(simd, keys, rows, occupied, block);
                block /= 8;
            }
        }
        size *= 2;
    }
}

/// Bitonic steps inside every block of `block` rows.
#[inline(always)]
fn halve<S: Simd, N: Network>(
    simd: S,
    keys: &mut [S::f32s],
    rows: &mut [S::u32s],
    occupied: usize,
    block: usize,
) {
    let distance = block / N::WIDTH;
    for base in (0..occupied).step_by(block) {
        for i in 0..distance {
            N::apply(simd, keys, rows, |k| base + i + k * distance);
        }
    }
}
