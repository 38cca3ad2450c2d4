//! Patches along a line. In a padded line, the rows of the patch matrix are a constant distance
//! apart, so the product reads them in place, without a copy for each tap.

use core::ops::Range;

use pulp::Simd;

use super::gather::{Gather, copy};
use super::memory::Scratch;
use super::tile::Segment;

/// Fewest positions of a line: on shorter ones, too few rows share each load of the weight.
const SHORTEST: usize = 12;
/// Most columns for which this is faster: with more, the product costs far more than the copies.
const WIDEST: usize = 64;

/// Positions of a line. The first patch is at `start`, each further patch one row later.
pub(super) struct Line {
    /// Numbered from the first position of the task.
    pub positions: Range<usize>,
    pub start: *const f32,
}

/// A patch matrix, line by line.
pub(super) struct Lines<'a> {
    patches: &'a Gather<'a>,
    /// The smallest offset of a tap, and the positions that all taps span.
    first: [isize; 2],
    span: [usize; 2],
}

impl<'a> Lines<'a> {
    /// `None` if gathered patches are faster: for a single tap, short lines, or a product of many
    /// `columns`.
    pub(super) fn new(patches: &'a Gather<'a>, columns: usize) -> Option<Self> {
        let [first, last] = patches.reach()?;
        let span = [0, 1].map(|axis| (last[axis] - first[axis]) as usize + 1);
        let wanted = columns <= WIDEST && span != [1, 1] && patches.grid[1] >= SHORTEST;
        wanted.then_some(Self {
            patches,
            first,
            span,
        })
    }

    /// Positions of a line. A task takes whole lines.
    pub(super) fn unit(&self) -> usize {
        self.patches.grid[1]
    }

    /// From the patch of one position to the next, in values.
    pub(super) fn row(&self) -> usize {
        self.patches.step[1] * self.patches.channels
    }

    /// Positions of a line with its padding.
    fn width(&self) -> usize {
        (self.patches.grid[1] - 1) * self.patches.step[1] + self.span[1]
    }

    /// Copies the lines of `positions`, whole units, to `memory` with their padding.
    #[inline(always)]
    pub(super) fn of<S: Simd>(
        &self,
        simd: S,
        positions: Range<usize>,
        memory: &mut Scratch,
    ) -> Vec<Line> {
        let Gather {
            source,
            size: [height, width],
            channels,
            grid,
            step,
            ..
        } = *self.patches;
        let wanted = positions.start / grid[1]..positions.end / grid[1];
        let line = |index: usize, start| Line {
            positions: (index - wanted.start) * grid[1]..(index + 1 - wanted.start) * grid[1],
            start,
        };
        let length = self.width() * channels;
        let copied = |lines: usize| (lines - 1) * step[0] + self.span[0];
        let first_image = wanted.start / grid[0];
        let images = first_image..wanted.end.div_ceil(grid[0]);
        let part =
            |image: usize| wanted.start.max(image * grid[0])..wanted.end.min((image + 1) * grid[0]);
        let total: usize = images.clone().map(|image| copied(part(image).len())).sum();
        memory.reserve(total * length);
        let mut target = &mut memory.values()[..total * length];
        let mut lines = Vec::with_capacity(wanted.len());
        for image in images {
            let wanted = part(image);
            let (own, rest) = target.split_at_mut(copied(wanted.len()) * length);
            target = rest;
            let y = (wanted.start % grid[0] * step[0]) as isize + self.first[0];
            for (y, target) in (y..).zip(own.chunks_exact_mut(length)) {
                if y < 0 || y >= height as isize {
                    target.fill(0.0);
                    continue;
                }
                let source =
                    &source[(image * height + y as usize) * width * channels..][..width * channels];
                self.pad(simd, source, target);
            }
            for (place, index) in wanted.enumerate() {
                lines.push(line(index, own[place * step[0] * length..].as_ptr()));
            }
        }
        lines
    }

    /// Copies a line of the source with zeros on both sides, or without the values that no tap
    /// reaches.
    #[inline(always)]
    fn pad<S: Simd>(&self, simd: S, source: &[f32], target: &mut [f32]) {
        let channels = self.patches.channels;
        let before = ((-self.first[1]).max(0) as usize * channels).min(target.len());
        let skipped = (self.first[1].max(0) as usize * channels).min(source.len());
        let (zeros, target) = target.split_at_mut(before);
        zeros.fill(0.0);
        let length = target.len().min(source.len() - skipped);
        copy(
            simd,
            &source[skipped..skipped + length],
            &mut target[..length],
        );
        target[length..].fill(0.0);
    }

    /// The places of `columns` of the patch matrix, relative to the start of a line.
    pub(super) fn segments(&self, columns: Range<usize>) -> Vec<Segment> {
        let channels = self.patches.channels;
        let mut segments = Vec::new();
        for run in &self.patches.runs {
            let from = run.start.max(columns.start);
            let to = (run.start + run.taps * channels).min(columns.end);
            if from < to {
                let [y, x] = [0, 1].map(|axis| (run.offset[axis] - self.first[axis]) as usize);
                segments.push(Segment {
                    offset: (y * self.width() + x) * channels + from - run.start,
                    depth: to - from,
                });
            }
        }
        segments
    }
}
