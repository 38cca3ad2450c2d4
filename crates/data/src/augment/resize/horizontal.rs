//! The pass over rows. A weighted sum along a row does not vectorise, so sixteen rows are transposed, resized as columns of
//! sixteen bytes, and transposed back; on the way the channels part and the picture is mirrored.

use pulp::{Simd, WithSimd};

use super::filter::{Filter, HALF, to_pixels};
use super::transpose::{Column, LANES, transpose};
use super::vertical::Rows;

/// Memory of the pass.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The source columns of sixteen rows; channels interleaved.
    source: Vec<Column>,
    /// The target columns of the same rows, `[channels, width]`, each plane with room for whole blocks.
    target: Vec<Column>,
}

/// The pass over rows, for `C` channels; `N` is `C * LANES`.
pub(super) struct HorizontalPass<'a, const C: usize, const N: usize> {
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

impl<const C: usize, const N: usize> WithSimd for HorizontalPass<'_, C, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
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
            // Below the last row it is repeated, and its results are dropped.
            read_columns(&from, top, top + rows - 1, source);
            // A function of its own: within this one the compiler does not keep the sums in registers.
            simd.vectorize(ResizeColumns::<C, N> {
                source,
                filter,
                flip: self.flip,
                target,
            });
            for (channel, target) in target.chunks_exact(padded).enumerate() {
                let plane = &mut self.out[channel * height * width..][..height * width];
                write_rows(target, &mut plane[top * width..][..rows * width], width);
            }
        }
    }
}

/// The columns of the sixteen rows from `top` on; none is below `last`.
#[inline(always)]
fn read_columns(from: &Rows<'_>, top: usize, last: usize, columns: &mut [Column]) {
    let width = from.width;
    let mut rows = [from.row(top); LANES];
    for (lane, row) in rows.iter_mut().enumerate() {
        *row = from.row((top + lane).min(last));
    }
    if width < LANES {
        for (x, column) in columns[..width].iter_mut().enumerate() {
            *column = rows.map(|row| row[x]);
        }
        return;
    }
    for x in (0..width).step_by(LANES) {
        // The last block ends with the row, over columns that were read before.
        let x = x.min(width - LANES);
        let mut block = [[0; LANES]; LANES];
        for (block, row) in block.iter_mut().zip(&rows) {
            *block = row[x..x + LANES].try_into().expect("sixteen bytes");
        }
        columns[x..x + LANES].copy_from_slice(&transpose(block));
    }
}

/// Makes the target columns of each channel, from right to left if `flip`. `N` is `C * LANES`.
struct ResizeColumns<'a, const C: usize, const N: usize> {
    source: &'a [Column],
    filter: &'a Filter,
    flip: bool,
    target: &'a mut [Column],
}

impl<const C: usize, const N: usize> WithSimd for ResizeColumns<'_, C, N> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let padded = self.target.len() / C;
        let width = self.filter.len();
        for (x, (start, weights)) in self.filter.taps().enumerate() {
            let source = &self.source.as_flattened()[start * N..];
            let sums = weigh_columns::<N>(source, weights);
            let x = if self.flip { width - 1 - x } else { x };
            for (channel, column) in sums.as_chunks().0.iter().enumerate() {
                self.target[channel * padded + x] = *column;
            }
        }
    }
}

/// The weighted sum of groups of `N` bytes that follow each other.
#[inline(always)]
fn weigh_columns<const N: usize>(bytes: &[u8], weights: &[i32]) -> [u8; N] {
    let mut sums = [HALF; N];
    for (weight, bytes) in weights.iter().zip(bytes.as_chunks::<N>().0) {
        for (sum, value) in sums.iter_mut().zip(bytes) {
            *sum += weight * i32::from(*value);
        }
    }
    to_pixels(&sums)
}

/// Writes the first rows of `width` columns, as many as `out` has.
#[inline(always)]
fn write_rows(columns: &[Column], out: &mut [u8], width: usize) {
    for (block, columns) in columns.chunks_exact(LANES).enumerate() {
        let columns: [Column; LANES] = columns.try_into().expect("sixteen columns");
        let x = block * LANES;
        let count = LANES.min(width - x);
        for (out, row) in out.chunks_exact_mut(width).zip(transpose(columns)) {
            if count == LANES {
                out[x..x + LANES].copy_from_slice(&row);
            } else {
                out[x..].copy_from_slice(&row[..count]);
            }
        }
    }
}

/// Parts the channels of `height` rows and mirrors them if `flip`, where there is nothing to resize.
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
