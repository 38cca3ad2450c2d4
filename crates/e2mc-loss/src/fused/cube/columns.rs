//! All work on single columns, in one launch: sort, Psi, spacings, entropy and its slope,
//! centering. A cube processes a few neighboring columns, whose rows are adjacent in global memory.

use cubecl::prelude::*;

use super::math::{finite_or_zero, ln, poison};
use super::reduce::cube_sum;
use super::sort::{PADDING, merge};
use super::space::{end, psi, spacing};
use super::tile::Tile;
use crate::CompactSpace;

/// Constants of the entropy estimate.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Spacings {
    pub n: u32,
    pub d: u32,
    /// Spacing order m.
    pub order: u32,
    /// (n + 1) / m.
    pub scale: f32,
    pub epsilon: f32,
    /// Factor on the derivative of each logarithm.
    pub slope_factor: f32,
}

/// Writes Psi(z) minus its column means to `compact`, each column's entropy and sum of squares of
/// `compact`, and, if requested, the derivative of the entropy term with respect to Psi(z) to
/// `slope`.
#[cube(launch)]
pub(super) fn whole_columns(
    z: &[f32],
    compact: &mut [f32],
    slope: &mut [f32],
    entropies: &mut [f32],
    squares: &mut [f32],
    spacings: Spacings,
    #[comptime] tile: Tile,
    #[comptime] space: CompactSpace,
    #[comptime] want_slope: bool,
) {
    let elements = comptime!(tile.rows * tile.width);
    let width = comptime!(tile.width);
    let threads = comptime!(tile.threads);
    let n = spacings.n as usize;
    let d = spacings.d as usize;
    let mut keys = Shared::<[f32]>::new_slice(elements);
    let mut rows = Shared::<[u32]>::new_slice(elements);

    // `threads` is a multiple of `width`: a unit stays in its column.
    let lane = UNIT_POS as usize % width;
    let column = CUBE_POS * width + lane;
    let mut bad = 0.0f32;
    let mut element = UNIT_POS as usize;
    while element < elements {
        let row = element / width;
        let mut key = f32::new(PADDING);
        if row < n {
            key = f32::new(0.0);
            if column < d {
                let value = z[row * d + column];
                bad += poison(value);
                key = finite_or_zero(value);
            }
        }
        keys[element] = key;
        rows[element] = row as u32;
        element += threads;
    }
    sync_cube();

    let mut size = comptime!(2 * tile.width).runtime();
    while size <= elements {
        merge(
            &mut keys,
            &mut rows,
            0,
            size,
            size / 2,
            width,
            comptime!(elements / 2),
            threads,
        );
        size *= 2;
    }

    let sums = ranks(
        &keys, &rows, slope, lane, width, column, &spacings, threads, width, space, want_slope,
    );
    // All units have read the keys: their memory is reused for sums.
    sync_cube();
    center(
        z, compact, entropies, squares, &mut keys, sums, bad, column, &spacings, threads, width,
        space,
    );
}

/// A unit's share of its column's sums.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Sums {
    /// Of Psi(z).
    pub psi: f32,
    /// Of the logarithms of the scaled spacings.
    pub log: f32,
}

/// Visits a sorted column, whose elements are at `first`, `first + stride`, ...
#[cube]
pub(super) fn ranks(
    keys: &[f32],
    rows: &[u32],
    slope: &mut [f32],
    first: usize,
    #[comptime] stride: usize,
    column: usize,
    spacings: &Spacings,
    #[comptime] threads: usize,
    #[comptime] width: usize,
    #[comptime] space: CompactSpace,
    #[comptime] want_slope: bool,
) -> Sums {
    let n = spacings.n as usize;
    let d = spacings.d as usize;
    let m = spacings.order as usize;
    let mut psi_sum = 0.0f32;
    let mut log_sum = 0.0f32;
    if column < d {
        let mut rank = UNIT_POS as usize / width;
        while rank < n {
            let here = end(keys[first + rank * stride], space);
            psi_sum += psi(&here);
            let mut gradient = 0.0f32;
            if rank + m < n {
                let high = end(keys[first + (rank + m) * stride], space);
                let scaled = spacing(&here, &high, space) * spacings.scale + spacings.epsilon;
                log_sum += ln(scaled);
                gradient -= spacings.slope_factor / scaled;
            }
            if comptime!(want_slope) {
                if rank >= m {
                    let low = end(keys[first + (rank - m) * stride], space);
                    let scaled = spacing(&low, &here, space) * spacings.scale + spacings.epsilon;
                    gradient += spacings.slope_factor / scaled;
                }
                let row = rows[first + rank * stride] as usize;
                slope[row * d + column] = gradient;
            }
            rank += comptime!(threads / width);
        }
    }
    Sums {
        psi: psi_sum,
        log: log_sum,
    }
}

/// Adds up the sums, then visits the column again in the order of its rows. If the column holds a
/// value that is not finite, `bad` is NaN in at least one unit.
#[cube]
pub(super) fn center(
    z: &[f32],
    compact: &mut [f32],
    entropies: &mut [f32],
    squares: &mut [f32],
    scratch: &mut Shared<[f32]>,
    sums: Sums,
    bad: f32,
    column: usize,
    spacings: &Spacings,
    #[comptime] threads: usize,
    #[comptime] width: usize,
    #[comptime] space: CompactSpace,
) {
    let n = spacings.n as usize;
    let d = spacings.d as usize;
    let mean = cube_sum(scratch, sums.psi + bad, threads, width) / f32::cast_from(spacings.n);
    let log = cube_sum(scratch, sums.log + bad, threads, width);
    let mut square_sum = 0.0f32;
    if column < d {
        let mut row = UNIT_POS as usize / width;
        while row < n {
            let index = row * d + column;
            let x = psi(&end(finite_or_zero(z[index]), space)) - mean;
            compact[index] = x;
            square_sum += x * x;
            row += comptime!(threads / width);
        }
    }
    let square = cube_sum(scratch, square_sum, threads, width);
    if column < d && (UNIT_POS as usize) < width {
        entropies[column] = log / f32::cast_from(spacings.n - spacings.order);
        squares[column] = square;
    }
}
