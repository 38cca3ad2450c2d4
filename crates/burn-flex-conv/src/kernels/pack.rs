//! The weight as the right factor of a product: panels of columns, row by row.

use pulp::Simd;
use rayon::prelude::*;

use super::ConvShape;
use super::memory::Shared;
use super::taps::Tap;
use super::tile::panel;

/// A matrix in panels of [`panel`] columns, the last one filled up with zeros.
pub(super) struct Packed {
    values: Vec<f32>,
    width: usize,
    pub depth: usize,
    pub columns: usize,
}

impl Packed {
    /// The weight `[channels_out, channels_in, kernel]` with a row for each pair of a tap and an
    /// input channel, and a column for each output channel.
    pub(super) fn forward<S: Simd>(weight: &[f32], shape: &ConvShape, taps: &[Tap]) -> Self {
        let size = shape.kernel[0] * shape.kernel[1];
        let channels = shape.channels_in;
        Self::new::<S>(
            taps.len() * channels,
            shape.channels_out,
            |first, columns, width, rows| {
                // A few rows at a time, so that what is written stays in the nearest cache.
                for start in (0..channels).step_by(64) {
                    let end = channels.min(start + 64);
                    for column in 0..columns {
                        let weight = &weight[(first + column) * channels * size..];
                        for (slot, tap) in taps.iter().enumerate() {
                            let target = &mut rows[slot * channels * width + column..];
                            for channel in start..end {
                                target[channel * width] = weight[channel * size + tap.index];
                            }
                        }
                    }
                }
            },
        )
    }

    /// As [`forward`](Self::forward), with a row for each pair of a tap and an output channel, and
    /// a column for each input channel.
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
                        let target = &mut rows[(slot * channels + channel) * width..][..columns];
                        if size == 1 {
                            target.copy_from_slice(&weight[..columns]);
                            continue;
                        }
                        for (column, target) in target.iter_mut().enumerate() {
                            *target = weight[column * size + tap.index];
                        }
                    }
                }
            },
        )
    }

    /// `fill` sets the panel that begins at a column and has so many, in rows of a given width.
    fn new<S: Simd>(
        depth: usize,
        columns: usize,
        fill: impl Fn(usize, usize, usize, &mut [f32]) + Sync,
    ) -> Self {
        let width = panel::<S>();
        let panels = columns.div_ceil(width);
        let mut values = vec![0.0; panels * depth * width];
        let shared = Shared::new(&mut values);
        (0..panels).into_par_iter().for_each(|panel| {
            // SAFETY: each panel has a part of its own.
            let rows = unsafe { shared.part(panel * depth * width..(panel + 1) * depth * width) };
            let first = panel * width;
            fill(first, width.min(columns - first), width, rows);
        });
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

    /// The rows of a panel from `row` on.
    pub(super) fn rows(&self, panel: usize, row: usize) -> &[f32] {
        let panel = &self.values[panel * self.depth * self.width..][..self.depth * self.width];
        &panel[row * self.width..]
    }
}
