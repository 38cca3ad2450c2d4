//! Sorts columns of integers, one column per SIMD lane.
#![allow(unsafe_code)] // bounds checks would cost as much as the comparisons

use pulp::Simd;

/// The fewest rows a tile may have: the first step sorts eight rows in registers.
pub(super) const MIN_ROWS: usize = 8;

/// Some comparators on a few positions, in registers.
trait Network {
    /// The number of positions.
    const WIDTH: usize;
    /// Loads the rows at the positions, compares, and stores them.
    ///
    /// # Safety
    ///
    /// Every position is less than the length.
    unsafe fn apply<S: Simd>(simd: S, rows: &mut [S::u32s], position: impl Fn(usize) -> usize);
}

/// Defines a network by the positions of each comparator's smaller and larger output. It is
/// unrolled because the compiler keeps arrays in registers only if every index is a constant.
macro_rules! network {
    ($(#[$doc:meta])* $name:ident, $width:literal, $(($low:literal, $high:literal))*) => {
        $(#[$doc])*
        struct $name;

        impl Network for $name {
            const WIDTH: usize = $width;

            #[inline(always)]
            unsafe fn apply<S: Simd>(
                simd: S,
                rows: &mut [S::u32s],
                position: impl Fn(usize) -> usize,
            ) {
                let mut row: [S::u32s; $width] = core::array::from_fn(|k| {
                    // SAFETY: by the contract; as below.
                    unsafe { *rows.get_unchecked(position(k)) }
                });
                $({
                    let (a, b) = (row[$low], row[$high]);
                    row[$low] = simd.min_u32s(a, b);
                    row[$high] = simd.max_u32s(a, b);
                })*
                for k in 0..$width {
                    unsafe { *rows.get_unchecked_mut(position(k)) = row[k] };
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

/// Sorts every lane ascending: a bitonic network in which every comparator points the same way.
/// Several steps run at once in registers.
///
/// `rows[occupied..]` must be `u32::MAX`; such rows stay where they are, and work on them is
/// skipped.
///
/// `begin` is called with the first of every eight rows while the sort runs.
///
/// # Panics
///
/// If the length is not a power of two of at least [`MIN_ROWS`].
#[inline(always)]
pub(super) fn sort_columns<S: Simd>(
    simd: S,
    rows: &mut [S::u32s],
    occupied: usize,
    mut begin: impl FnMut(usize),
) {
    let padded = rows.len();
    assert!(padded.is_power_of_two() && padded >= MIN_ROWS);
    // Blocks are merged as soon as both halves are sorted, so that most steps find their rows in
    // the first-level cache.
    for base in (0..padded).step_by(8) {
        if base < occupied {
            begin(base);
            // SAFETY: base is a multiple of 8 less than padded, and so is padded.
            unsafe { Sort8::apply(simd, rows, |k| base + k) };
        }
        let end = base + 8;
        let mut size = 16;
        while end % size == 0 && size <= padded {
            if end - size < occupied {
                merge(simd, rows, end - size, size);
            }
            size *= 2;
        }
    }
}

/// Merges the two sorted halves of the block of `size` rows at `base`: steps at the distances
/// `size` (mirrored), `size` / 4, ..., 1.
#[inline(always)]
fn merge<S: Simd>(simd: S, rows: &mut [S::u32s], base: usize, size: usize) {
    let part = size / 8;
    for i in 0..part {
        let position = |k: usize| {
            if k < 4 {
                base + i + k * part
            } else {
                base + size - 1 - (i + (7 - k) * part)
            }
        };
        // SAFETY: in base..base + size.
        unsafe { Mirror8::apply(simd, rows, position) };
    }
    // The other steps stay within parts, in as few passes as possible: three steps at a time, else
    // two, else one.
    for part_base in (base..base + size).step_by(part) {
        let mut block = part;
        while block > 1 {
            let steps = block.ilog2();
            if steps == 1 {
                halve::<S, Halve2>(simd, rows, part_base, part, block);
                block /= 2;
            } else if steps == 2 || steps % 3 == 1 {
                halve::<S, Halve4>(simd, rows, part_base, part, block);
                block /= 4;
            } else {
                halve::<S, Halve8>(simd, rows, part_base, part, block);
                block /= 8;
            }
        }
    }
}

/// Bitonic steps inside every block of `block` rows of the part at `base`.
#[inline(always)]
fn halve<S: Simd, N: Network>(
    simd: S,
    rows: &mut [S::u32s],
    base: usize,
    part: usize,
    block: usize,
) {
    assert!(base + part <= rows.len());
    assert!(part.is_multiple_of(block) && block.is_multiple_of(N::WIDTH));
    let distance = block / N::WIDTH;
    for base in (base..base + part).step_by(block) {
        for i in 0..distance {
            // SAFETY: in the block.
            unsafe { N::apply(simd, rows, |k| base + i + k * distance) };
        }
    }
}
