//! The weight as the right factor of a product: panels of columns, row by row.

use pulp::Simd;
use rayon::prelude::*;

use super::ConvShape;
use super::memory::filled;
use super::taps::Tap;
use super::tile::panel;

/// Rows transposed at a time: one cache line of the weight.
const BLOCK: usize = 16;
/// The most values that stay in the L2 cache beside the other factor.
const NEAR: usize = 1 << 17;
/// Columns of the widest panel.
const WIDEST: usize = 32;

/// A matrix in panels of [`panel`] columns, the last one padded with zeros.
pub(super) struct Packed {
    values: Vec<f32>,
    width: usize,
    pub depth: usize,
    pub columns: usize,
}

impl Packed {
    /// Packs the weight `[channels_out, channels_in, kernel]` with one row for each pair (tap,
    /// input channel) and one column for each output channel.
    pub(super) fn forward<S: Simd>(weight: &[f32], shape: &ConvShape, taps: &[Tap]) -> Self {
        let size = shape.kernel[0] * shape.kernel[1];
        let channels = shape.channels_in;
        let mut slots = vec![None; size];
        for (slot, tap) in taps.iter().enumerate() {
            slots[tap.index] = Some(slot);
        }
        Self::new::<S>(
            taps.len() * channels,
            shape.channels_out,
            |first, columns, width, rows| {
                // Transposed block by block, so that whole cache lines are read and written.
                let mut block = [[0.0; WIDEST]; BLOCK];
                let weight = &weight[first * channels * size..][..columns * channels * size];
                let (mut channel, mut tap) = (0, 0);
                for start in (0..channels * size).step_by(BLOCK) {
                    let count = BLOCK.min(channels * size - start);
                    for (column, weight) in weight.chunks_exact(channels * size).enumerate() {
                        for (row, value) in block.iter_mut().zip(&weight[start..start + count]) {
                            row[column] = *value;
                        }
                    }
                    for row in &block[..count] {
                        if let Some(slot) = slots[tap] {
                            let target = (slot * channels + channel) * width;
                            rows[target..target + width].copy_from_slice(&row[..width]);
                        }
                        tap += 1;
                        if tap == size {
                            (channel, tap) = (channel + 1, 0);
                        }
                    }
                }
            },
        )
    }

    /// As [`forward`](Self::forward), with one row for each pair (tap, output channel) and one
    /// column for each input channel.
    pub(super) fn backward<S: Simd>(weight: &[f32], shape: &ConvShape, taps: &[Tap]) -> Self {
        let size = shape.kernel[0] * shape.kernel[1];
        let channels = shape.channels_out;
        Self::new::<S>(
            taps.len() * channels,
            shape.channels_in,
            |first, columns, width, rows| {
                for channel in 0..channels {
                    let weight = &weight[(channel * shape.channels_in + first) * size..];
                    for (slot, tap) in taps.iter().enumerate() {
                        let target = &mut rows[(slot * channels + channel) * width..][..width];
                        if size == 1 {
                            target[..columns].copy_from_slice(&weight[..columns]);
                        } else {
                            for (column, target) in target[..columns].iter_mut().enumerate() {
                                *target = weight[column * size + tap.index];
                            }
                        }
                        target[columns..].fill(0.0);
                    }
                }
            },
        )
    }

    /// `fill` receives a panel, its first column, its number of columns and its width. It must set
    /// every value, padding to 0.
    fn new<S: Simd>(
        depth: usize,
        columns: usize,
        fill: impl Fn(usize, usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let width = panel::<S>();
        let panels = columns.div_ceil(width);
        let work = |values: &mut [f32]| {
            values
                .par_chunks_exact_mut((depth * width).max(1))
                .enumerate()
                .for_each(|(panel, rows)| {
                    let first = panel * width;
                    fill(first, width.min(columns - first), width, rows);
                });
        };
        // SAFETY: `fill` sets every value of its panel.
        let values = unsafe { filled(panels * depth * width, work) };
        Self {
            values,
            width,
            depth,
            columns,
        }
    }

    /// Number of panels.
    pub(super) fn panels(&self) -> usize {
        self.columns.div_ceil(self.width)
    }

    /// Whether it leaves too little of the L2 cache to the left factor.
    pub(super) fn is_large(&self) -> bool {
        self.values.len() > NEAR
    }

    /// The rows of a panel from `row` on.
    pub(super) fn rows(&self, panel: usize, row: usize) -> &[f32] {
        let panel = &self.values[panel * self.depth * self.width..][..self.depth * self.width];
        &panel[row * self.width..]
    }
}
