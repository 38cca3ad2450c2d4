//! The passes with short sums. Each pass consumes the pixels of the previous one as they are
//! produced, so that intermediates stay in registers. Along rows, the passes work on columns of
//! sixteen pixels, as a resize does.

use std::cell::Cell;

use super::{BlurScratch, BoxFilter, WEIGHT_BITS};
use crate::augment::lanes::{Column, LANES, Lanes, Pass, Rows, read_columns, write_rows};

/// All passes over a plane, with `N = 2 radius + 3` pixels in each sum.
pub(super) struct ShortSums<'a, const N: usize> {
    filter: &'a BoxFilter,
    plane: &'a mut [u8],
    width: usize,
    scratch: &'a mut BlurScratch,
}

impl<'a, const N: usize> ShortSums<'a, N> {
    pub(super) fn new(
        filter: &'a BoxFilter,
        plane: &'a mut [u8],
        width: usize,
        scratch: &'a mut BlurScratch,
    ) -> Self {
        assert_eq!(N, 2 * filter.radius + 3, "pixels in a sum");
        Self {
            filter,
            plane,
            width,
            scratch,
        }
    }
}

impl<const N: usize> Pass for ShortSums<'_, N> {
    /// Sixteen rows at a time as columns of sixteen pixels, then sixteen columns at a time.
    #[inline(always)]
    fn run(self, lanes: impl Lanes) {
        let Self {
            filter,
            plane,
            width,
            scratch: BlurScratch { columns, .. },
        } = self;
        let height = plane.len() / width;
        columns.resize(width.next_multiple_of(LANES).max(height), [0; LANES]);
        for rows in plane.chunks_mut(LANES * width) {
            let from = Rows {
                bytes: rows,
                stride: width,
                width,
            };
            read_columns(lanes, &from, 0, rows.len() / width - 1, columns);
            blur::<N>(lanes, filter, &mut columns[..width]);
            let blocks = &columns[..width.next_multiple_of(LANES)];
            write_rows(lanes, blocks, rows, width);
        }
        let columns = &mut columns[..height];
        for x in (0..width).step_by(LANES) {
            for (column, row) in columns.iter_mut().zip(plane.chunks_exact(width)) {
                match row[x..].first_chunk() {
                    Some(pixels) => *column = *pixels,
                    None => column[..width - x].copy_from_slice(&row[x..]),
                }
            }
            blur::<N>(lanes, filter, columns);
            for (column, row) in columns.iter().zip(plane.chunks_exact_mut(width)) {
                match row[x..].first_chunk_mut() {
                    Some(pixels) => *pixels = *column,
                    None => row[x..].copy_from_slice(&column[..width - x]),
                }
            }
        }
    }
}

/// All passes over sixteen sequences of pixels, in place: reads are ahead of writes.
#[inline(always)]
fn blur<const N: usize>(lanes: impl Lanes, filter: &BoxFilter, columns: &mut [Column]) {
    let columns = Cell::from_mut(columns).as_slice_of_cells();
    let source = Columns {
        lanes,
        columns,
        at: 0,
    };
    let first = Boxes::<_, _, N>::new(lanes, filter, columns.len(), source);
    let second = Boxes::<_, _, N>::new(lanes, filter, columns.len(), first);
    let mut third = Boxes::<_, _, N>::new(lanes, filter, columns.len(), second);
    for column in columns {
        column.set(lanes.narrow(third.next()));
    }
}

/// The pixels of sixteen sequences, place by place; the last place is repeated.
trait Pixels<L: Lanes> {
    fn next(&mut self) -> L::Numbers;
}

/// The pixels in memory.
struct Columns<'a, L> {
    lanes: L,
    columns: &'a [Cell<Column>],
    at: usize,
}

impl<L: Lanes> Pixels<L> for Columns<'_, L> {
    #[inline(always)]
    fn next(&mut self) -> L::Numbers {
        let column = self.columns[self.at.min(self.columns.len() - 1)].get();
        self.at += 1;
        self.lanes.widen(&column)
    }
}

/// The pixels of a pass, each from `N` source values.
struct Boxes<L: Lanes, S, const N: usize> {
    lanes: L,
    source: S,
    /// The source values of the last pixel.
    window: [L::Numbers; N],
    inner: L::Numbers,
    outer: L::Numbers,
    half: L::Numbers,
    /// Number of places left.
    left: usize,
    /// The last pixel.
    pixels: L::Numbers,
}

impl<L: Lanes, S: Pixels<L>, const N: usize> Boxes<L, S, N> {
    #[inline(always)]
    fn new(lanes: L, filter: &BoxFilter, length: usize, mut source: S) -> Self {
        let first = source.next();
        let mut window = [first; N];
        for _ in 1..N / 2 {
            shift(&mut window, source.next());
        }
        Self {
            lanes,
            source,
            window,
            inner: lanes.splat(filter.inner as i32),
            outer: lanes.splat(filter.outer as i32),
            half: lanes.splat(1 << (WEIGHT_BITS - 1)),
            left: length,
            pixels: first,
        }
    }
}

impl<L: Lanes, S: Pixels<L>, const N: usize> Pixels<L> for Boxes<L, S, N> {
    #[inline(always)]
    fn next(&mut self) -> L::Numbers {
        if self.left > 0 {
            self.left -= 1;
            shift(&mut self.window, self.source.next());
            let lanes = self.lanes;
            let mut sum = self.window[1];
            for pixels in &self.window[2..N - 1] {
                sum = lanes.add(sum, *pixels);
            }
            let sides = lanes.add(self.window[0], self.window[N - 1]);
            let inner = lanes.add(lanes.multiply(sum, self.inner), self.half);
            let outer = lanes.multiply(sides, self.outer);
            self.pixels = lanes.top_bytes(lanes.add(inner, outer));
        }
        self.pixels
    }
}

/// Drops the first value and appends `last`. Swaps keep the window in registers; one move of all
/// values would not.
#[inline(always)]
fn shift<T, const N: usize>(window: &mut [T; N], last: T) {
    for i in 1..N {
        window.swap(i - 1, i);
    }
    window[N - 1] = last;
}
