//! The gradient of the weight: the transposed patch matrix times the gradient of the output.

use core::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::ConvShape;
use super::gather::{Gather, copy};
use super::memory::{Scratch, Shared, filled, share};
use super::taps::Tap;
use super::tile::{DEPTH, LEFT_STRIDE, Tile, most_rows, multiply, panel};

/// Positions done at a time.
const POSITIONS: usize = 256;
/// Tasks that are aimed at. It does not depend on the number of threads: the order of the sums
/// would.
const TASKS: usize = 16;
/// Fewest positions of a slice, so that adding slices up costs little.
const FEWEST_POSITIONS: usize = 512;

/// `[channels_out, channels_in, kernel]` from the patch matrix and the gradient of the output,
/// `[positions, channels_out]`.
pub(super) fn weight_gradient(
    arch: Arch,
    patches: &Gather<'_>,
    gradient: &[f32],
    shape: &ConvShape,
    taps: &[Tap],
) -> Vec<f32> {
    let positions = shape.positions();
    let (depth, columns) = (patches.columns(), shape.channels_out);
    assert_eq!(gradient.len(), positions * columns);
    if depth == 0 {
        // Every tap only meets the padding.
        return vec![0.0; shape.weight_len()];
    }
    let blocks = depth.div_ceil(DEPTH);
    let slices = (TASKS.div_ceil(blocks)).min(positions.div_ceil(FEWEST_POSITIONS));
    let work = |sums: &mut [f32]| {
        let sums = Shared::new(sums);
        (0..blocks * slices)
            .into_par_iter()
            .with_max_len(1)
            .for_each(|task| {
                let slice = task / blocks;
                arch.dispatch(Block {
                    patches,
                    gradient,
                    columns,
                    positions: share(positions, slices, slice),
                    rows: share(depth, blocks, task % blocks),
                    out: sums,
                    offset: slice * depth * columns,
                });
            });
    };
    // SAFETY: every row of every slice is set by its task.
    let sums = unsafe { filled(slices * depth * columns, work) };
    add_up(&sums, slices, shape, taps)
}

/// Adds the slices in order, and brings the sum into the order of the weight.
fn add_up(sums: &[f32], slices: usize, shape: &ConvShape, taps: &[Tap]) -> Vec<f32> {
    const GROUP: usize = 16;
    let size = shape.kernel[0] * shape.kernel[1];
    let (channels, columns) = (shape.channels_in, shape.channels_out);
    let depth = taps.len() * channels;
    let mut out = vec![0.0; shape.weight_len()];
    out.par_chunks_mut(GROUP * channels * size)
        .enumerate()
        .for_each(|(group, out)| {
            let first = group * GROUP;
            let width = GROUP.min(columns - first);
            for (slot, tap) in taps.iter().enumerate() {
                for channel in 0..channels {
                    let row = (slot * channels + channel) * columns + first;
                    let mut sum = [0.0; GROUP];
                    for slice in 0..slices {
                        let part = &sums[slice * depth * columns + row..][..width];
                        for (sum, part) in sum.iter_mut().zip(part) {
                            *sum += part;
                        }
                    }
                    for (column, sum) in sum[..width].iter().enumerate() {
                        out[(column * channels + channel) * size + tap.index] = *sum;
                    }
                }
            }
        });
    out
}

/// Some rows of the product, over some positions.
struct Block<'a> {
    patches: &'a Gather<'a>,
    gradient: &'a [f32],
    columns: usize,
    positions: Range<usize>,
    rows: Range<usize>,
    out: Shared,
    /// Where the slice begins in `out`.
    offset: usize,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (width, columns) = (panel::<S>(), self.columns);
        let count = self.rows.len();
        let tiles = count.div_ceil(most_rows::<S>());
        let first_row = self.offset + self.rows.start * columns;
        // SAFETY: this task alone has these rows of this slice.
        let out = unsafe { self.out.part(first_row..first_row + count * columns) };
        let starts: Vec<usize> = (0..count).map(|row| row * columns).collect();
        let left_length = POSITIONS * LEFT_STRIDE;
        let mut scratch = Scratch::take(left_length + POSITIONS * width);
        let (left, right) = scratch.values().split_at_mut(left_length);
        for first in self.positions.clone().step_by(POSITIONS) {
            let positions = first..self.positions.end.min(first + POSITIONS);
            let rows = self.rows.clone();
            self.patches
                .copy(simd, positions.clone(), rows, left, LEFT_STRIDE);
            for column in (0..columns).step_by(width) {
                let wanted = width.min(columns - column);
                for (position, right) in (positions.clone()).zip(right.chunks_exact_mut(width)) {
                    let row = &self.gradient[position * columns + column..][..wanted];
                    copy(simd, row, &mut right[..wanted]);
                    right[wanted..].fill(0.0);
                }
                for tile in 0..tiles {
                    let rows = share(count, tiles, tile);
                    // SAFETY: `left` and `right` have a row for each position, `left` as many
                    // columns as this task has rows; `out` has these rows of all columns.
                    unsafe {
                        multiply::<S, 1, LEFT_STRIDE>(
                            simd,
                            Tile {
                                left: left.as_ptr().add(rows.start),
                                right: right.as_ptr(),
                                depth: positions.len(),
                                out: out.as_mut_ptr().add(column),
                                rows: &starts[rows],
                                columns: wanted,
                                add: first > self.positions.start,
                            },
                        );
                    }
                }
            }
        }
    }
}
