//! The patch matrix times the packed weight: the forward pass, and the gradient of the input.

use core::ops::Range;

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::gather::Gather;
use super::memory::{Scratch, Shared, share};
use super::pack::Packed;
use super::prefetch::prefetch;
use super::tile::{DEPTH, LEFT_STRIDE, Tile, most_rows, multiply, panel};

/// Tiles of one task: so many rows of the left factor lie in the second cache while a panel of the
/// right one lies in the first.
const BLOCK_TILES: usize = 16;
/// Tasks for each thread, so that they end at about the same time.
const TASKS: usize = 4;

/// What becomes of each value of a product before it leaves the cache: times `scale` plus `shift`
/// of its column, plus the residual, and then at least 0 if `relu`.
#[derive(Debug, Clone, Copy)]
pub struct Epilogue<'a> {
    /// One factor for each output channel.
    pub scale: &'a [f32],
    /// One summand for each output channel.
    pub shift: &'a [f32],
    /// As large as the output.
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
    /// Where each row begins in `out`; no two overlap.
    pub place: Place,
    /// Whether to add to what `out` holds.
    pub add: bool,
    pub epilogue: Option<Epilogue<'a>>,
}

impl<Place: Fn(usize) -> usize + Sync> Product<'_, Place> {
    pub(super) fn run(self, arch: Arch, most_rows: usize) {
        assert_eq!(self.patches.columns(), self.weight.depth);
        let tiles = self.rows.div_ceil(most_rows);
        let threads = rayon::current_num_threads();
        // As many blocks as give every thread the same number.
        let blocks = match tiles.div_ceil(BLOCK_TILES) {
            1 if threads == 1 => 1,
            blocks => blocks.next_multiple_of(threads).min(tiles),
        };
        // Where there are too few rows for all threads, these share the columns.
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
                let rows = share(self.rows, blocks, task / groups);
                let panels = share(panels, groups, task % groups);
                arch.dispatch(Block {
                    patches: self.patches,
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
    weight: &'a Packed,
    out: Shared,
    place: &'a Place,
    add: bool,
    rows: Range<usize>,
    panels: Range<usize>,
    epilogue: Option<Epilogue<'a>>,
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
            // SAFETY: checks the bounds only; rows are disjoint by contract, panels by the caller.
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
        let tiles = count.div_ceil(most_rows::<S>());
        let mut scratch = Scratch::take(count * LEFT_STRIDE);
        let left = scratch.values();
        let blocks = self.weight.depth.div_ceil(DEPTH);
        for block in 0..blocks {
            let Range {
                start: first,
                end: last,
            } = share(self.weight.depth, blocks, block);
            let rows = self.rows.clone();
            self.patches
                .copy(simd, rows, first..last, left, LEFT_STRIDE);
            for panel in self.panels.clone() {
                let right = self.weight.rows(panel, first);
                let column = panel * width;
                assert!(right.len() >= (last - first) * width);
                // The panel that follows comes closer meanwhile.
                let next = (panel + 1 < self.panels.end && self.weight.is_large())
                    .then(|| self.weight.rows(panel + 1, first).as_ptr());
                for tile in 0..tiles {
                    let rows = share(count, tiles, tile);
                    if let Some(next) = next {
                        let part = share((last - first) * width, tiles, tile);
                        prefetch(next.wrapping_add(part.start), part.len());
                    }
                    // SAFETY: `left` has so many rows of DEPTH columns, `right` so many rows;
                    // each row of `out` lies inside it, as was checked above.
                    unsafe {
                        multiply::<S, LEFT_STRIDE, 1, 0>(
                            simd,
                            Tile {
                                left: left.as_ptr().add(rows.start * LEFT_STRIDE),
                                right: right.as_ptr(),
                                depth: last - first,
                                out: self.out.as_mut_ptr().add(column),
                                rows: &starts[rows],
                                columns: width.min(columns - column),
                                add: self.add || first > 0,
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
    /// `columns` are those of `out`, `places` its indices in the whole output.
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
