//! The patch matrix (im2col) of a map, gathered row by row and never stored whole.

use core::ops::Range;

use pulp::Simd;

/// Taps whose values are contiguous in the source, for every position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    /// From the position itself in the source to the first tap.
    pub offset: [isize; 2],
    pub taps: usize,
    /// First column of the patch matrix.
    pub start: usize,
}

/// The patch matrix of a map: one row for each position of a grid, one column for each pair (tap,
/// channel).
#[derive(Debug)]
pub(super) struct Gather<'a> {
    /// `[batch, height, width, channels]`.
    pub source: &'a [f32],
    pub size: [usize; 2],
    pub channels: usize,
    pub grid: [usize; 2],
    /// Step in the source from one position of the grid to the next.
    pub step: [usize; 2],
    pub runs: Vec<Run>,
    columns: usize,
}

impl<'a> Gather<'a> {
    /// `taps` are offsets in the source relative to each position, rows first.
    pub(super) fn new(
        source: &'a [f32],
        size: [usize; 2],
        channels: usize,
        grid: [usize; 2],
        step: [usize; 2],
        taps: &[[isize; 2]],
    ) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for (index, &offset) in taps.iter().enumerate() {
            match runs.last_mut() {
                Some(run)
                    if run.offset[0] == offset[0]
                        && run.offset[1] + run.taps as isize == offset[1] =>
                {
                    run.taps += 1;
                }
                _ => runs.push(Run {
                    offset,
                    taps: 1,
                    start: index * channels,
                }),
            }
        }
        assert!(source.len().is_multiple_of(size[0] * size[1] * channels));
        Self {
            source,
            size,
            channels,
            grid,
            step,
            runs,
            columns: taps.len() * channels,
        }
    }

    /// Columns of the patch matrix.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The smallest and the largest offset of a tap; `None` without taps.
    pub(super) fn reach(&self) -> Option<[[isize; 2]; 2]> {
        let first = |axis: usize| self.runs.iter().map(|run| run.offset[axis]).min();
        let last_y = self.runs.iter().map(|run| run.offset[0]).max()?;
        let last_x = (self.runs.iter())
            .map(|run| run.offset[1] + run.taps as isize - 1)
            .max()?;
        Some([[first(0)?, first(1)?], [last_y, last_x]])
    }

    /// Copies `columns` of `rows` to `target`, whose rows are `stride` values apart.
    #[inline(always)]
    pub(super) fn copy<S: Simd>(
        &self,
        simd: S,
        rows: Range<usize>,
        columns: Range<usize>,
        target: &mut [f32],
        stride: usize,
    ) {
        let [grid_height, grid_width] = self.grid;
        let [height, _] = self.size;
        let mut row = rows.start;
        while row < rows.end {
            // The rows of one line of the grid together.
            let (line, x) = (row / grid_width, row % grid_width);
            let (image, y) = (line / grid_height, line % grid_height);
            let count = (grid_width - x).min(rows.end - row);
            let target = &mut target[(row - rows.start) * stride..];
            for run in &self.runs {
                let length = run.taps * self.channels;
                if run.start >= columns.end || run.start + length <= columns.start {
                    continue;
                }
                let from = run.start.max(columns.start);
                let to = (run.start + length).min(columns.end);
                let target = &mut target[from - columns.start..];
                let y = (y * self.step[0]) as isize + run.offset[0];
                if y < 0 || y >= height as isize {
                    for target in target.chunks_mut(stride).take(count) {
                        target[..to - from].fill(0.0);
                    }
                    continue;
                }
                let line = (image * height + y as usize) * self.size[1];
                self.copy_line(simd, run, from..to, line, x..x + count, target, stride);
            }
            row += count;
        }
    }

    /// Copies the part `columns` of a run for the positions `xs` of one line of the grid. `line` is
    /// the start of the line in the source.
    #[allow(clippy::too_many_arguments)] // the innermost loop of `copy`
    #[inline(always)]
    fn copy_line<S: Simd>(
        &self,
        simd: S,
        run: &Run,
        columns: Range<usize>,
        line: usize,
        xs: Range<usize>,
        target: &mut [f32],
        stride: usize,
    ) {
        let (taps, width) = (run.taps as isize, self.size[1] as isize);
        let length = columns.len();
        for (x, target) in xs.zip(target.chunks_mut(stride)) {
            let target = &mut target[..length];
            let x = (x * self.step[1]) as isize + run.offset[1];
            let place = (line as isize + x) * self.channels as isize - run.start as isize;
            if x >= 0 && x + taps <= width {
                let source = (place + columns.start as isize) as usize;
                copy(simd, &self.source[source..source + length], target);
                continue;
            }
            // The part of the run inside the map, in columns.
            let inside = [(-x).clamp(0, taps), (width - x).clamp(0, taps)]
                .map(|tap| run.start + tap as usize * self.channels)
                .map(|column| column.clamp(columns.start, columns.end));
            let [first, last] = inside;
            target[..first - columns.start].fill(0.0);
            if first < last {
                let source = (place + first as isize) as usize;
                let inside = &mut target[first - columns.start..last - columns.start];
                copy(simd, &self.source[source..source + last - first], inside);
            }
            target[last.max(first) - columns.start..].fill(0.0);
        }
    }
}

/// For short copies, which take less time than a call of `memcpy`.
#[inline(always)]
pub(super) fn copy<S: Simd>(_: S, source: &[f32], target: &mut [f32]) {
    let (vectors, rest) = S::as_simd_f32s(source);
    let (target_vectors, target_rest) = S::as_mut_simd_f32s(target);
    for (target, source) in target_vectors.iter_mut().zip(vectors) {
        *target = *source;
    }
    for (target, source) in target_rest.iter_mut().zip(rest) {
        *target = *source;
    }
}
