//! Patches read where they lie: the rows of the patch matrix along a line are a constant distance
//! apart, so that their product needs no copy for each tap.

use core::ops::Range;

use pulp::Simd;

use super::gather::{Gather, copy};
use super::memory::Scratch;
use super::tile::Segment;

/// Fewest positions of a line: with shorter ones, too few rows share what is loaded of the weight.
const SHORTEST: usize = 12;
/// Rows that are multiples of so many values apart share too few places of the nearest cache.
const CROWDED: usize = 512;

/// Positions whose patches lie at `start`, the next ones each a row further.
pub(super) struct Line {
    /// Numbered from the first position of the task.
    pub positions: Range<usize>,
    pub start: *const f32,
}

/// A patch matrix, line by line.
pub(super) struct Lines<'a> {
    patches: &'a Gather<'a>,
    /// Positions that are taken together.
    unit: usize,
    /// The smallest offset of a tap, and the positions that all taps span.
    first: [isize; 2],
    span: [usize; 2],
    /// Whether a tap meets padding, so that the lines are copied with zeros around them.
    padded: bool,
}

impl<'a> Lines<'a> {
    /// `None` where copied patches are faster: if the lines are too short, or their positions lie
    /// unfavorably.
    pub(super) fn new(patches: &'a Gather<'a>) -> Option<Self> {
        let [first, last] = patches.reach()?;
        let span = [0, 1].map(|axis| (last[axis] - first[axis]) as usize + 1);
        let padded = [0, 1].into_iter().any(|axis| {
            let end = (patches.grid[axis] - 1) * patches.step[axis];
            first[axis] < 0 || end as isize + last[axis] >= patches.size[axis] as isize
        });
        let everything = patches.grid == patches.size && span == [1, 1] && !padded;
        let unit = if everything { 1 } else { patches.grid[1] };
        let crowded = (patches.step[1] * patches.channels).is_multiple_of(CROWDED);
        ((everything || unit >= SHORTEST) && !crowded).then_some(Self {
            patches,
            unit,
            first,
            span,
            padded,
        })
    }

    /// Positions of which a task must take whole multiples.
    pub(super) fn unit(&self) -> usize {
        self.unit
    }

    /// From the patch of one position to the next, in values.
    pub(super) fn row(&self) -> usize {
        self.patches.step[1] * self.patches.channels
    }

    /// Positions of a line with its padding.
    fn width(&self) -> usize {
        match self.padded {
            true => (self.patches.grid[1] - 1) * self.patches.step[1] + self.span[1],
            false => self.patches.size[1],
        }
    }

    /// The lines of `positions`, whole units. `memory` holds those that had to be copied.
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
        if self.unit == 1 {
            return vec![Line {
                positions: 0..positions.len(),
                start: source[positions.start * channels..].as_ptr(),
            }];
        }
        let wanted = positions.start / grid[1]..positions.end / grid[1];
        let line = |index: usize, start| Line {
            positions: (index - wanted.start) * grid[1]..(index + 1 - wanted.start) * grid[1],
            start,
        };
        if !self.padded {
            return (wanted.clone())
                .map(|index| {
                    let (image, y) = (index / grid[0], index % grid[0]);
                    let y = image * height + y * step[0] + self.first[0] as usize;
                    let place = (y * width + self.first[1] as usize) * channels;
                    line(index, source[place..].as_ptr())
                })
                .collect();
        }
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

    /// A line of the source with zeros on both sides, or without what no tap reaches.
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

    /// Where `columns` of the patch matrix lie, from the start of a line on.
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
