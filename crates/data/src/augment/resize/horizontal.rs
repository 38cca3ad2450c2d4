//! The pass over rows. A weighted sum along a row does not vectorize, so sixteen rows are
//! transposed, resized as columns of sixteen bytes, and transposed back. On the way, the channels
//! are separated and the image is mirrored.

use super::filter::{Filter, HALF, WEIGHT_BITS};
use crate::augment::lanes::{Column, LANES, Lanes, Pass, Rows, read_columns, write_rows};

/// Memory of the pass.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The source columns of sixteen rows; channels interleaved.
    source: Vec<Column>,
    /// The target columns of the same rows, `[channels, width]`, each plane with room for whole
    /// blocks.
    target: Vec<Column>,
}

/// The pass over rows, for `C` channels.
pub(super) struct HorizontalPass<'a, const C: usize> {
    /// The source, channels interleaved; its first pixel is position 0 of the filter.
    pub(super) from: Rows<'a>,
    /// The number of rows.
    pub(super) height: usize,
    pub(super) filter: &'a Filter,
    /// Whether the result is mirrored.
    pub(super) flip: bool,
    pub(super) scratch: &'a mut Scratch,
    /// `[C, height, filter.len()]`.
    pub(super) out: &'a mut [u8],
}

impl<const C: usize> Pass for HorizontalPass<'_, C> {
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let Self {
            from,
            height,
            filter,
            ..
        } = self;
        let width = filter.len();
        let padded = width.next_multiple_of(LANES);
        let Scratch { source, target } = self.scratch;
        source.resize(from.width.max(LANES), [0; LANES]);
        target.resize(C * padded, [0; LANES]);
        for top in (0..height).step_by(LANES) {
            let rows = LANES.min(height - top);
            // The last row is repeated below, and these extra results are dropped.
            read_columns(lanes, &from, top, top + rows - 1, source);
            resize_columns::<C>(lanes, source, filter, self.flip, target);
            for (channel, target) in target.chunks_exact(padded).enumerate() {
                let plane = &mut self.out[channel * height * width..][..height * width];
                write_rows(
                    lanes,
                    target,
                    &mut plane[top * width..][..rows * width],
                    width,
                );
            }
        }
    }
}

/// Computes the target columns of each of `C` channels, from right to left if `flip`.
#[inline(always)]
fn resize_columns<const C: usize>(
    lanes: impl Lanes,
    source: &[Column],
    filter: &Filter,
    flip: bool,
    target: &mut [Column],
) {
    let padded = target.len() / C;
    let width = filter.len();
    for (x, (start, weights)) in filter.taps().enumerate() {
        let mut sums = [lanes.splat(HALF); C];
        let (pixels, _) = source[start * C..].as_chunks::<C>();
        for (weight, pixel) in weights.iter().zip(pixels) {
            let weight = lanes.splat(*weight);
            for (sum, column) in sums.iter_mut().zip(pixel) {
                *sum = lanes.add(*sum, lanes.multiply(weight, lanes.widen(column)));
            }
        }
        let x = if flip { width - 1 - x } else { x };
        for (channel, sum) in sums.into_iter().enumerate() {
            target[channel * padded + x] = lanes.clip(sum, WEIGHT_BITS);
        }
    }
}

/// Without resizing: separates the channels of `height` rows, and mirrors them if `flip`.
pub(super) fn copy(from: Rows<'_>, channels: usize, height: usize, flip: bool, out: &mut [u8]) {
    let width = from.width / channels;
    for (channel, plane) in out.chunks_exact_mut(height * width).enumerate() {
        for (y, out) in plane.chunks_exact_mut(width).enumerate() {
            let row = from.row(y);
            for (x, out) in out.iter_mut().enumerate() {
                let x = if flip { width - 1 - x } else { x };
                *out = row[x * channels + channel];
            }
        }
    }
}
