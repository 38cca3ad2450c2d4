//! Columns that do not fit into shared memory. Several launches sort them in global memory. Steps
//! with a short distance still run together in shared memory.

use cubecl::prelude::*;

use super::columns::{Spacings, center, ranks};
use super::math::{finite_or_zero, poison};
use super::sort::{PADDING, compare, lower_of_pair, merge};
use super::tile::Tile;
use crate::CompactSpace;

/// Fills the keys and rows, \[d, padded\], each column padded to a power of two.
#[cube(launch)]
pub(super) fn load_columns(
    z: &[f32],
    keys: &mut [f32],
    rows: &mut [u32],
    n: u32,
    d: u32,
    padded: u32,
) {
    let element = ABSOLUTE_POS;
    if element < keys.len() {
        let padded = padded as usize;
        let row = element & (padded - 1);
        let mut key = f32::new(PADDING);
        if row < n as usize {
            key = finite_or_zero(z[row * d as usize + element / padded]);
        }
        keys[element] = key;
        rows[element] = row as u32;
    }
}

/// One step at a distance larger than a tile.
#[cube(launch)]
pub(super) fn step(keys: &mut [f32], rows: &mut [u32], size: u32, distance: u32, padded: u32) {
    let low = lower_of_pair(ABSOLUTE_POS, distance as usize);
    let high = low + distance as usize;
    if high < keys.len() {
        let ascending = (low & (padded as usize - 1) & size as usize) == 0;
        compare(keys, rows, low, high, ascending);
    }
}

/// The merges from block size `first_size` to `last_size`, limited to steps within a tile.
#[cube(launch)]
pub(super) fn merge_tiles(
    keys: &mut [f32],
    rows: &mut [u32],
    first_size: u32,
    last_size: u32,
    padded: u32,
    #[comptime] tile: Tile,
) {
    let elements = comptime!(tile.rows);
    let threads = comptime!(tile.threads);
    let offset = CUBE_POS * elements;
    // A grid may have more cubes than there are tiles.
    let whole = offset < keys.len();
    let mut tile_keys = Shared::<[f32]>::new_slice(elements);
    let mut tile_rows = Shared::<[u32]>::new_slice(elements);
    let mut element = UNIT_POS as usize;
    while element < elements {
        if whole {
            tile_keys[element] = keys[offset + element];
            tile_rows[element] = rows[offset + element];
        }
        element += threads;
    }
    sync_cube();
    let mut size = first_size as usize;
    while size <= last_size as usize {
        let first = (size / 2).min(comptime!(elements / 2));
        let position = offset & (padded as usize - 1);
        merge(
            &mut tile_keys,
            &mut tile_rows,
            position,
            size,
            first,
            1usize,
            comptime!(elements / 2),
            threads,
        );
        size *= 2;
    }
    let mut element = UNIT_POS as usize;
    while element < elements {
        if whole {
            keys[offset + element] = tile_keys[element];
            rows[offset + element] = tile_rows[element];
        }
        element += threads;
    }
}

/// The steps of [`whole_columns`](super::columns::whole_columns) after the sort. One cube per
/// column.
#[cube(launch)]
pub(super) fn sorted_columns(
    z: &[f32],
    keys: &[f32],
    rows: &[u32],
    compact: &mut [f32],
    slope: &mut [f32],
    entropies: &mut [f32],
    squares: &mut [f32],
    spacings: Spacings,
    padded: u32,
    #[comptime] threads: usize,
    #[comptime] space: CompactSpace,
    #[comptime] want_slope: bool,
) {
    let n = spacings.n as usize;
    let d = spacings.d as usize;
    let mut scratch = Shared::<[f32]>::new_slice(threads);
    let column = CUBE_POS;
    let mut bad = 0.0f32;
    if column < d {
        let mut row = UNIT_POS as usize;
        while row < n {
            bad += poison(z[row * d + column]);
            row += threads;
        }
    }
    let first = column * padded as usize;
    let sums = ranks(
        keys, rows, slope, first, 1usize, column, &spacings, threads, 1usize, space, want_slope,
    );
    center(
        z,
        compact,
        entropies,
        squares,
        &mut scratch,
        sums,
        bad,
        column,
        &spacings,
        threads,
        1usize,
        space,
    );
}
