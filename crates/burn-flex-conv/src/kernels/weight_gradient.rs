//! The gradient of the weight: the transposed gradient of the output times the patch matrix.

use core::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::ConvShape;
use super::gather::{Gather, copy};
use super::memory::{Scratch, Shared, filled, share};
use super::taps::Tap;
use super::tile::{Columns, DEPTH, LEFT_STRIDE, Tile, most_rows, multiply, panel};

/// Positions per pass.
const POSITIONS: usize = 128;
/// Approximate number of tasks. Independent of the number of threads, so that the order of the sums
/// is, too.
const TASKS: usize = 16;
/// Fewest positions of a slice, so that summing the slices costs little.
const FEWEST_POSITIONS: usize = 512;
/// Values summed at a time.
const GROUP: usize = 16;
/// Fewest values of a summing task.
const FEWEST_SUMS: usize = 4096;
// A panel may end beyond the columns of a block, but not beyond its row.
const _: () = assert!(DEPTH.next_multiple_of(32) <= LEFT_STRIDE && DEPTH.is_multiple_of(32));

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
    let (depth, channels) = (patches.columns(), shape.channels_out);
    assert_eq!(gradient.len(), positions * channels);
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
                    channels,
                    positions: share(positions, slices, slice),
                    block: (task % blocks, blocks),
                    out: sums,
                    offset: slice * channels * depth,
                });
            });
    };
    // SAFETY: the tasks together set every column of every row of every slice.
    let sums = unsafe { filled(slices * channels * depth, work) };
    match (slices, shape.kernel) {
        (1, [1, 1]) => sums,
        _ => add_up(&sums, slices, shape, taps),
    }
}

/// Adds the slices in order, and reorders the sum like the weight.
fn add_up(sums: &[f32], slices: usize, shape: &ConvShape, taps: &[Tap]) -> Vec<f32> {
    let size = shape.kernel[0] * shape.kernel[1];
    let channels = shape.channels_in;
    let depth = taps.len() * channels;
    let work = |out: &mut [f32]| {
        let rows = out.par_chunks_exact_mut(channels * size).enumerate();
        rows.with_min_len((FEWEST_SUMS / depth).max(1))
            .for_each(|(row, out)| {
                if taps.len() < size {
                    out.fill(0.0);
                }
                let mut sum = [0.0; GROUP];
                for first in (0..channels).step_by(GROUP) {
                    for (slot, tap) in taps.iter().enumerate() {
                        let count = GROUP.min(channels - first);
                        let sum = &mut sum[..count];
                        let start = row * depth + slot * channels + first;
                        sum.copy_from_slice(&sums[start..start + count]);
                        for slice in 1..slices {
                            let start = slice * shape.channels_out * depth + start;
                            for (sum, part) in sum.iter_mut().zip(&sums[start..start + count]) {
                                *sum += part;
                            }
                        }
                        let out = &mut out[first * size..][..count * size];
                        for (out, sum) in out[tap.index..].iter_mut().step_by(size).zip(sum) {
                            *out = *sum;
                        }
                    }
                }
            });
    };
    // SAFETY: every tap of every row is set; a tap that only meets padding is 0.
    unsafe { filled(shape.weight_len(), work) }
}

/// Some columns of the product, over some positions.
struct Block<'a> {
    patches: &'a Gather<'a>,
    gradient: &'a [f32],
    /// Output channels: the rows of the product.
    channels: usize,
    positions: Range<usize>,
    /// The index of this block of columns, and the number of blocks.
    block: (usize, usize),
    out: Shared,
    /// The start of the slice in `out`.
    offset: usize,
}

impl WithSimd for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let width = panel::<S>();
        let (channels, depth) = (self.channels, self.patches.columns());
        // Whole panels, if there are enough of them.
        let panels = share(depth.div_ceil(width), self.block.1, self.block.0);
        let columns = panels.start * width..depth.min(panels.end * width);
        let count = columns.len();
        let starts: Vec<usize> = (0..channels)
            .map(|row| self.offset + row * depth + columns.start)
            .collect();
        for &start in &starts {
            // SAFETY: checks the bounds only. Only this task has these columns of this slice.
            unsafe { self.out.part(start..start + count) };
        }
        let length = POSITIONS * LEFT_STRIDE;
        let mut scratch = Scratch::take(2 * length);
        let (left, right) = scratch.values().split_at_mut(length);
        let steps = self.positions.len().div_ceil(POSITIONS);
        for step in 0..steps {
            let range = share(self.positions.len(), steps, step);
            let positions = self.positions.start + range.start..self.positions.start + range.end;
            self.patches
                .copy(simd, positions.clone(), columns.clone(), right, LEFT_STRIDE);
            let groups = channels.div_ceil(DEPTH);
            for group in 0..groups {
                let group = share(channels, groups, group);
                for (position, left) in positions.clone().zip(left.chunks_exact_mut(LEFT_STRIDE)) {
                    let row = &self.gradient[position * channels..][group.clone()];
                    copy(simd, row, &mut left[..group.len()]);
                }
                let tiles = group.len().div_ceil(most_rows::<S>());
                for column in (0..count).step_by(width) {
                    for tile in 0..tiles {
                        let rows = share(group.len(), tiles, tile);
                        let starts = &starts[group.start + rows.start..group.start + rows.end];
                        // SAFETY: `left` and `right` have a row of LEFT_STRIDE values for each
                        // position. These columns of all rows of `out` were checked above.
                        unsafe {
                            multiply::<S, 1, LEFT_STRIDE, LEFT_STRIDE>(
                                simd,
                                Tile {
                                    left: left.as_ptr().add(rows.start),
                                    left_columns: Columns::Together(positions.len()),
                                    right: right.as_ptr().add(column),
                                    out: self.out.as_mut_ptr().add(column),
                                    rows: starts,
                                    columns: width.min(count - column),
                                    add: step > 0,
                                },
                            );
                        }
                    }
                }
            }
        }
    }
}
