//! Sums over the rows of a matrix, and maps of its values by column, for batch normalization. A
//! narrow matrix is treated as a wider one with fewer rows, so that vectors are full.

use core::ops::Range;

use rayon::prelude::*;

/// Values per task.
const TASK: usize = 1 << 16;
/// Rows summed in f32 before f64.
const ROWS: usize = 32;
/// A narrow matrix is widened up to this many columns.
const WIDTH: usize = 64;

/// How a matrix of `channels` columns is cut into tasks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub channels: usize,
    /// Columns of the wider matrix, a multiple of `channels`.
    pub width: usize,
    length: usize,
}

impl Cut {
    pub(super) fn new(length: usize, channels: usize) -> Self {
        assert!(channels > 0 && length.is_multiple_of(channels));
        Self {
            channels,
            width: channels * (WIDTH / channels).max(1),
            length,
        }
    }

    fn task_length(&self) -> usize {
        (TASK / self.width).max(1) * self.width
    }

    pub(super) fn tasks(&self) -> usize {
        self.length.div_ceil(self.task_length())
    }

    /// The values of a task: whole rows of the wider matrix, except in the last task.
    pub(super) fn values(&self, task: usize) -> Range<usize> {
        let length = self.task_length();
        task * length..self.length.min((task + 1) * length)
    }

    /// One value for each column of the wider matrix.
    pub(super) fn widen(&self, per_channel: &[f32]) -> Vec<f32> {
        per_channel
            .iter()
            .copied()
            .cycle()
            .take(self.width)
            .collect()
    }

    /// Two sums for each channel. `add` receives the range of a few rows of the wider matrix and
    /// adds them to both sums. The order of the sums does not depend on the number of threads.
    pub(super) fn sums(
        &self,
        add: impl Fn(Range<usize>, &mut [f32], &mut [f32]) + Sync,
    ) -> [Vec<f64>; 2] {
        let width = self.width;
        let parts: Vec<[Vec<f64>; 2]> = (0..self.tasks())
            .into_par_iter()
            .map(|task| {
                let values = self.values(task);
                let mut total = [vec![0.0; width], vec![0.0; width]];
                let mut sums = [vec![0f32; width], vec![0f32; width]];
                let [first, second] = &mut sums;
                let mut start = values.start;
                while start < values.end {
                    let end = values.end.min(start + ROWS * width);
                    first.fill(0.0);
                    second.fill(0.0);
                    add(start..end, first, second);
                    for (total, sums) in total.iter_mut().zip([&*first, &*second]) {
                        for (total, sum) in total.iter_mut().zip(sums) {
                            *total += f64::from(*sum);
                        }
                    }
                    start = end;
                }
                total
            })
            .collect();
        let mut sums = [vec![0.0; self.channels], vec![0.0; self.channels]];
        for part in &parts {
            for (sums, part) in sums.iter_mut().zip(part) {
                for part in part.chunks_exact(self.channels) {
                    for (sum, part) in sums.iter_mut().zip(part) {
                        *sum += part;
                    }
                }
            }
        }
        sums
    }
}
