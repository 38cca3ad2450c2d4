//! The patch matrix times the packed weight: the forward pass, and the gradient of the input.

use core::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gather::Gather;
use super::lines::{Line, Lines};
use super::memory::{Scratch, Shared, share};
use super::pack::Packed;
use super::prefetch::prefetch;
use super::tile::{Columns, DEPTH, LEFT_STRIDE, Tile, most_rows, multiply, panel};

/// Tiles per task. Their rows of the left factor fit into the L2 cache, while a panel of the right
/// factor fits into L1.
const BLOCK_TILES: usize = 16;
/// Tasks per thread: several, so that all threads finish at about the same time.
const TASKS: usize = 4;

/// Applied to each value of a product while it is in the cache: times `scale` plus `shift` of its
/// column, plus the residual, and a ReLU if `relu`.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// One factor for each output channel.
    pub scale: &'a [f32],
    /// One summand for each output channel.
    pub shift: &'a [f32],
    /// Of the output's shape.
    pub residual: Option<&'a [f32]>,
    /// Whether negative values become 0.
    pub relu: bool,
}

/// `out[row] = patches[row] * weight`, for all rows.
pub(super) struct Product<'a, Place> {
    pub patches: &'a Gather<'a>,
    pub rows: usize,
    pub weight: &'a Packed,
    pub out: &'a mut [f32],
    /// The start of each row in `out`. Rows do not overlap.
    pub place: Place,
    /// Whether to add to the values in `out`.
    pub add: bool,
    pub epilogue: Option<Epilogue<'a>>,
}

impl<Place: Fn(usize) -> usize + Sync> Product<'_, Place> {
    pub(super) fn run(self, arch: Arch, most_rows: usize) {
        assert_eq!(self.patches.columns(), self.weight.depth);
        let lines = Lines::new(self.patches, self.weight.columns);
        let unit = lines.as_ref().map_or(1, Lines::unit);
        let units = self.rows / unit;
        let tiles = self.rows.div_ceil(most_rows);
        let threads = rayon::current_num_threads();
        // Rounded up to a multiple of the number of threads, so that all get the same share.
        let blocks = match tiles.div_ceil(BLOCK_TILES) {
            1 if threads == 1 => 1,
            blocks => blocks.next_multiple_of(threads).min(tiles).min(units),
        };
        // If there are too few rows for all threads, they share the columns.
        let panels = self.weight.panels();
        let groups = (threads * TASKS).div_ceil(blocks);
        let groups = match blocks {
            blocks if blocks >= threads => 1,
            _ => groups.min(panels),
        };
        let out = Shared::new(self.out);
        (0..blocks * groups)
            .into_par_iter()
            .with_max_len(1)
            .for_each(|task| {
                let units = share(units, blocks, task / groups);
                let rows = units.start * unit..units.end * unit;
                let panels = share(panels, groups, task % groups);
                arch.dispatch(Block {
                    patches: self.patches,
                    lines: lines.as_ref(),
                    weight: self.weight,
                    out,
                    place: &self.place,
                    add: self.add,
                    rows,
                    panels,
                    epilogue: self.epilogue,
                });
            });
    }
}

struct Block<'a, Place> {
    patches: &'a Gather<'a>,
    lines: Option<&'a Lines<'a>>,
    weight: &'a Packed,
    out: Shared,
    place: &'a Place,
    add: bool,
    rows: Range<usize>,
    panels: Range<usize>,
    epilogue: Option<Epilogue<'a>>,
}

/// A few rows of the product, numbered within the block, and the first of these rows in the left
/// factor.
type Rows = (Range<usize>, *const f32);

/// Cuts lines into tiles of at most `most` rows.
fn cut(lines: &[Line], row: usize, most: usize) -> Vec<Rows> {
    let tiles = lines.iter().flat_map(|line| {
        let (count, first) = (line.positions.len(), line.positions.start);
        let tiles = count.div_ceil(most);
        (0..tiles).map(move |tile| {
            let rows = share(count, tiles, tile);
            let left = line.start.wrapping_add(rows.start * row);
            (first + rows.start..first + rows.end, left)
        })
    });
    tiles.collect()
}

impl<Place: Fn(usize) -> usize> WithSimd for Block<'_, Place> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let count = self.rows.len();
        let columns = self.weight.columns;
        let starts: Vec<usize> = self.rows.clone().map(self.place).collect();
        let width = panel::<S>();
        for &start in &starts {
            // SAFETY: checks the bounds only. Rows are disjoint by contract, panels by the caller.
            unsafe { self.out.part(start..start + columns) };
        }
        if self.weight.depth == 0 {
            for &start in starts.iter().filter(|_| !self.add) {
                let first = (self.panels.start * width).min(columns);
                let last = (self.panels.end * width).min(columns);
                // SAFETY: this task alone has these rows and columns.
                unsafe { self.out.part(start + first..start + last) }.fill(0.0);
            }
        }
        let mut memory = Scratch::take(0);
        let mut tiles = Vec::new();
        if let Some(lines) = self.lines {
            let of = lines.of(simd, self.rows.clone(), &mut memory);
            tiles = cut(&of, lines.row(), most_rows::<S>());
        }
        let blocks = self.weight.depth.div_ceil(DEPTH);
        for block in 0..blocks {
            let depth = share(self.weight.depth, blocks, block);
            let segments = match self.lines {
                Some(lines) => lines.segments(depth.clone()),
                None => {
                    memory.reserve(count * LEFT_STRIDE);
                    let left = memory.values();
                    self.patches
                        .copy(simd, self.rows.clone(), depth.clone(), left, LEFT_STRIDE);
                    let line = Line {
                        positions: 0..count,
                        start: left.as_ptr(),
                    };
                    tiles = cut(&[line], LEFT_STRIDE, most_rows::<S>());
                    Vec::new()
                }
            };
            let left_columns = match self.lines {
                Some(lines) => Columns::Apart(&segments, lines.row()),
                None => Columns::Together(depth.len()),
            };
            for panel in self.panels.clone() {
                let right = self.weight.rows(panel, depth.start);
                let column = panel * width;
                assert!(right.len() >= depth.len() * width);
                // Meanwhile, the next panel is prefetched.
                let next = (panel + 1 < self.panels.end && self.weight.is_large())
                    .then(|| self.weight.rows(panel + 1, depth.start).as_ptr());
                for (index, (rows, left)) in tiles.iter().enumerate() {
                    if let Some(next) = next {
                        let part = share(depth.len() * width, tiles.len(), index);
                        prefetch(next.wrapping_add(part.start), part.len());
                    }
                    // SAFETY: the left factor has these columns in these rows, and `right` has a
                    // row for each column. Each row of `out` was checked above.
                    unsafe {
                        multiply::<S, LEFT_STRIDE, 1, 0>(
                            simd,
                            Tile {
                                left: *left,
                                left_columns,
                                right: right.as_ptr(),
                                out: self.out.as_mut_ptr().add(column),
                                rows: &starts[rows.clone()],
                                columns: width.min(columns - column),
                                add: self.add || block > 0,
                            },
                        );
                    }
                }
            }
        }
        if let Some(epilogue) = self.epilogue {
            let columns = self.panels.start * width..columns.min(self.panels.end * width);
            for &start in &starts {
                let places = start + columns.start..start + columns.end;
                // SAFETY: this task alone has these rows and columns.
                let out = unsafe { self.out.part(places.clone()) };
                epilogue.apply(out, columns.clone(), places);
            }
        }
    }
}

impl Epilogue<'_> {
    /// `columns` are the columns of `out`, `places` its indices in the whole output.
    #[inline(always)]
    fn apply(&self, out: &mut [f32], columns: Range<usize>, places: Range<usize>) {
        let (scale, shift) = (&self.scale[columns.clone()], &self.shift[columns]);
        for ((out, scale), shift) in out.iter_mut().zip(scale).zip(shift) {
            *out = *out * scale + shift;
        }
        if let Some(residual) = self.residual {
            for (out, residual) in out.iter_mut().zip(&residual[places]) {
                *out += residual;
            }
        }
        if self.relu {
            for out in out {
                *out = if *out < 0.0 { 0.0 } else { *out };
            }
        }
    }
}
